#![no_main]
//! A scenario is read or refused with positions; whatever is read has phases and names.

use loadgen::Scenario;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(scenario) = Scenario::from_text("scenario.yml", text, &[("rows.csv", "id,name\n1,a\n2,b\n")]) {
        for phase in scenario.default_phases() {
            let _ = (phase.executor.duration(), phase.executor.max_users());
        }
        assert!(scenario.step_names().count() > 0);
    }
});
