//! `loadgen check`.

use assay_text::{Page, console};
use loadgen::Scenario;

use super::exit;

/// Reads each scenario and says what is wrong with it.
pub(super) fn check(scenarios: &[String]) -> u8 {
    let mut code = exit::DONE;
    let mut out = Page::new();
    for name in scenarios {
        match Scenario::load(name) {
            Ok(scenario) => {
                let steps = scenario.step_names().count();
                out.line(format_args!(
                    "{name}: {} is valid: {steps} steps, {} phases",
                    scenario.name,
                    scenario.phases.len()
                ));
            }
            Err(problems) => {
                console::say_lines(problems);
                code = exit::BAD_INPUT;
            }
        }
    }
    super::print(&out.into_text(), code)
}
