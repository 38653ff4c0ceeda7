//! `loadgen check`.

use loadgen::Scenario;

use super::exit;

/// Reads each scenario and says what is wrong with it.
pub(super) fn check(scenarios: &[String]) -> u8 {
    let mut code = exit::DONE;
    for name in scenarios {
        match Scenario::load(name) {
            Ok(scenario) => {
                let steps = scenario.step_names().count();
                println!(
                    "{name}: {} is valid: {steps} steps, {} phases",
                    scenario.name,
                    scenario.phases.len()
                );
            }
            Err(problems) => {
                eprintln!("{problems}");
                code = exit::BAD_INPUT;
            }
        }
    }
    code
}
