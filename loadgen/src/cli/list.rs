//! `loadgen list`.

use assay_model::duration::format_ms;
use assay_text::{Page, console};
use loadgen::{
    PACKS, Phase,
    capacity::{Capacity, Plan},
};

use super::exit;

/// Prints the packs.
pub(super) fn list() -> u8 {
    let mut out = Page::new();
    for pack in PACKS {
        out.line(pack.name);
        out.line(format_args!("  {}", pack.about));
        let scenario = match pack.load() {
            Ok(scenario) => scenario,
            Err(problems) => {
                console::say_lines(problems);
                return exit::BAD_INPUT;
            }
        };
        out.line("  phases:");
        for phase in &scenario.phases {
            out.line(format_args!("    {:10} {}", phase.name, describe(phase)));
        }
        out.line("  modes:");
        for mode in &scenario.modes {
            let mut names: Vec<_> = mode.phases.iter().map(|p| p.name.as_str()).collect();
            names.extend(mode.capacity.as_ref().map(plan));
            let length = mode.phases.iter().map(|p| p.executor.duration().as_millis()).sum::<u128>();
            let length = format_ms(i64::try_from(length).unwrap_or(i64::MAX));
            let more = if mode.capacity.is_some() { " and the windows" } else { "" };
            out.line(format_args!("    {:10} {} ({length}{more})", mode.name, names.join(", ")));
        }
    }
    super::print(&out.into_text(), exit::DONE)
}

fn plan(capacity: &Capacity) -> &'static str {
    match capacity.plan {
        Plan::Search(_) => "a search for the highest rate that holds",
        Plan::Sweep { .. } => "a sweep over loads",
    }
}

fn describe(phase: &Phase) -> String {
    let warmup = if phase.warmup { ", warm-up" } else { "" };
    format!("{}, {}{warmup}", phase.executor.name(), phase.executor.describe())
}
