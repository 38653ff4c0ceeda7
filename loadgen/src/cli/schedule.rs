//! `loadgen run --dry-run`: what a run would do. Invariant: nothing is sent and nothing is written.

use std::time::Duration;

use assay_model::duration::format as length;
use assay_text::{
    Page,
    secret::{REDACTED, redact_url},
};
use loadgen::{Phase, RunOptions, capacity::Plan};

/// The instants of a phase at which its load is shown, as shares of its length.
const INSTANTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// The schedule of a run.
pub(super) fn schedule(options: &RunOptions) -> String {
    let mut out = Page::new();
    let scenario = &options.scenario;
    out.line(format_args!("scenario  {}", scenario.name));
    let target =
        options.target.as_deref().or(scenario.target.as_deref()).unwrap_or("none; give --target URL");
    out.line(format_args!("target    {}", redact_url(target, REDACTED)));
    let kinds: Vec<String> =
        scenario.users.iter().map(|u| format!("{} (weight {})", u.name, u.weight)).collect();
    out.line(format_args!("users     {}", kinds.join(", ")));
    let mut start = Duration::ZERO;
    for phase in &options.phases {
        start = self::phase(&mut out, options, phase, start);
    }
    if let Some(capacity) = &options.capacity {
        let windows = match &capacity.plan {
            Plan::Search(plan) => {
                let around = match plan.least_around() {
                    0 => String::new(),
                    least => format!(", {least} at least around the edge"),
                };
                format!(
                    "a search from {}/s to {}/s, {} windows at most{around}",
                    plan.from_per_s, plan.to_per_s, plan.max_windows
                )
            }
            Plan::Sweep { levels, repeat } => {
                let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
                let times = if *repeat > 1 { format!(", {repeat} times") } else { String::new() };
                format!("a sweep over {}{times}", levels.join(", "))
            }
        };
        let shape = capacity.scaled(options.time_scale).shape;
        let (window, rest) = (length(shape.window), length(shape.rest));
        out.line(format_args!(
            "from {}: {windows}; windows of {window}, {rest} of rest before each",
            length(start)
        ));
    }
    out.line(format_args!(
        "in all {}{}",
        length(start),
        if options.capacity.is_some() { " and the windows" } else { "" }
    ));
    out.into_text()
}

/// Shows a phase that begins `start` into the run; gives when it is over.
fn phase(out: &mut Page, options: &RunOptions, phase: &Phase, start: Duration) -> Duration {
    let executor = phase.executor.scaled(options.time_scale);
    let end = start + executor.duration();
    let warmup = if phase.warmup { ", warm-up" } else { "" };
    out.line(format_args!(
        "{} to {}: {} ({}{warmup}): {}",
        length(start),
        length(end),
        phase.name,
        executor.name(),
        executor.describe()
    ));
    let load: Vec<String> = INSTANTS
        .iter()
        .map(|share| {
            let at = executor.duration().mul_f64(*share);
            // The end is no longer part of the phase.
            let load = executor.load_at(at.min(executor.duration().saturating_sub(Duration::from_millis(1))));
            format!("{load} at {}", length(start + at))
        })
        .collect();
    out.line(format_args!("    {}", load.join(", ")));
    let flow = phase.flow_name(&options.scenario);
    let steps: Vec<&str> = options.scenario.steps_of(phase).collect();
    let flow = if flow.is_empty() { "flow".to_owned() } else { format!("flow {flow}") };
    out.line(format_args!("    {flow}: {}", steps.join(", ")));
    end
}
