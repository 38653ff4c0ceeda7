//! Reports, one format a file. Invariant: a report is a function of the verdict (and, for HTML, the charts):
//! none of them measures anything.

use assay_verdict::{
    findings::{Evidence, Finding},
    scaling::{Carried, Scaling},
    verdict::{AddedSample, AddedWhy, AlertRow, ObjectiveRow, Status, Verdict},
};

pub mod comparison;
mod format;
pub mod github;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod result;
pub mod terminal;
pub mod tests_junit;
pub mod timeline;

pub use format::{Format, FormatError, Render};

/// The formats that verdicts are written in to files, in the order of the help.
pub const FORMATS: &[Format] = &[json::FORMAT, html::FORMAT, junit::FORMAT, markdown::FORMAT];

/// The mark of a status, for places without colour.
fn mark(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓",
        Status::Fail => "✗",
        Status::Inconclusive => "?",
        Status::Skipped => "–",
    }
}

/// The verdict as a heading: `PASS`, `FAIL`, `INCONCLUSIVE`.
fn headline(verdict: &Verdict) -> String {
    verdict.status.as_str().to_uppercase()
}

/// The measured value, or a dash.
fn measured(row: &ObjectiveRow) -> String {
    row.value.map_or_else(|| "—".to_owned(), |v| assay_verdict::units::quantity(v, &row.unit))
}

/// The comparison with its limit, `< 5 s`.
fn required(row: &ObjectiveRow) -> String {
    let Some(limit) = row.limit else { return "no limit".to_owned() };
    let limit = assay_verdict::units::quantity(limit, &row.unit);
    let comparison = match row.comparison.as_str() {
        "<=" => "≤",
        ">=" => "≥",
        "==" => "=",
        "!=" => "≠",
        other => other,
    };
    format!("{comparison} {limit}")
}

/// The judged phase, or "whole run".
fn phase(row: &ObjectiveRow) -> &str {
    row.phase.as_deref().unwrap_or(if row.at_ms == 0 { "—" } else { "whole run" })
}

/// What was not judged, and why: objectives left out, and alerts that do not apply.
fn not_judged(verdict: &Verdict) -> Vec<String> {
    let rows = verdict.objectives.iter().filter(|r| r.status == Status::Skipped);
    let mut out: Vec<String> = rows.map(|r| format!("{} in {}: {}", r.title(), phase(r), r.reason)).collect();
    let alerts = verdict.alerts.iter().filter(|a| a.counts && a.status == Status::Skipped);
    out.extend(alerts.map(|a| format!("alert {}: {}", a.name, a.reason)));
    out
}

/// The counting alerts that could not be decided, and why.
fn undecided_alerts(verdict: &Verdict) -> impl Iterator<Item = &AlertRow> {
    verdict.alerts.iter().filter(|a| a.counts && a.status == Status::Inconclusive)
}

/// Notes on the rows: remarks of the queries, samples that were added.
fn row_notes(row: &ObjectiveRow) -> Vec<String> {
    let mut out = row.notes.clone();
    for (why, list) in by_reason(row) {
        let first = &list[0];
        let more = match list.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        out.push(format!(
            "counted with {} at {} of {}{more}: {}",
            assay_verdict::units::digits(first.count),
            assay_verdict::units::clock(first.t_ms),
            first.series,
            why.as_str()
        ));
    }
    out
}

fn by_reason(row: &ObjectiveRow) -> Vec<(AddedWhy, Vec<&AddedSample>)> {
    let mut out: Vec<(AddedWhy, Vec<&AddedSample>)> = Vec::new();
    for sample in &row.added {
        match out.iter_mut().find(|(why, _)| *why == sample.why) {
            Some((_, list)) => list.push(sample),
            None => out.push((sample.why, vec![sample])),
        }
    }
    out
}

/// When the run was cut short, in a sentence.
fn cut_short(verdict: &Verdict) -> Option<String> {
    let at = verdict.run.cut_short_ms?;
    Some(format!(
        "The run was cut short: its last sample is of {}. What is judged ends there.",
        assay_verdict::units::timestamp(at)
    ))
}

/// A finding's heading: its id, and the phase it was found in where that is not the whole run.
fn finding_title(finding: &Finding) -> String {
    let phase = finding.window.phase.as_ref().map_or_else(String::new, |p| format!(" in {p}"));
    format!("{} ({}, {}{phase}): {}", finding.id, finding.name, finding.severity.as_str(), finding.title)
}

/// What a finding rests on, a figure each.
fn finding_figures(finding: &Finding) -> Vec<String> {
    finding.evidence.iter().map(figure).collect()
}

fn figure(evidence: &Evidence) -> String {
    let quantity = |v| assay_verdict::units::quantity(v, &evidence.unit);
    let before = evidence.before.map_or_else(String::new, |v| format!(" against {}", quantity(v)));
    format!("{}: {}{before}", evidence.what, quantity(evidence.after))
}

/// What to do about a finding, with what it would bring.
fn finding_action(finding: &Finding) -> Option<String> {
    let action = finding.action.as_ref()?;
    if action.gain.is_empty() {
        return Some(action.text.clone());
    }
    Some(format!("{} Expected: {} ({}).", action.text, action.gain, action.how))
}

/// What is carried, in two sentences for texts without a section of their own; none of a run with one level of load.
fn scaling_summary(scaling: &Scaling) -> Vec<String> {
    if scaling.levels.len() < 2 || scaling.carried.is_none() {
        return Vec::new();
    }
    scaling_lines(scaling).into_iter().take(2).collect()
}

/// How much load is carried, where the knee is, and what two instances would carry, a sentence each.
fn scaling_lines(scaling: &Scaling) -> Vec<String> {
    let load = |v: f64| assay_verdict::units::quantity(v, scaling.axis.unit());
    let mut lines = Vec::new();
    if let Some(carried) = &scaling.carried {
        lines.push(carried_line(scaling, carried));
        lines.extend(instances_line(scaling, carried));
    }
    if let Some(knee) = &scaling.knee {
        lines.push(format!(
            "Beyond about {} ({} to {} if any one level of load is left out) requests take longer the more of them there are; confidence {}.",
            load(knee.load),
            assay_verdict::units::digits(knee.interval.0),
            assay_verdict::units::digits(knee.interval.1),
            knee.confidence.as_str()
        ));
    }
    lines.extend(scaling.unknown.iter().map(|why| format!("Not known: {why}.")));
    lines
}

fn carried_line(scaling: &Scaling, carried: &Carried) -> String {
    let load = |v: f64| assay_verdict::units::quantity(v, scaling.axis.unit());
    let requests = carried
        .held_requests_per_s
        .map_or_else(String::new, |r| format!(" ({} requests/s)", assay_verdict::units::digits(r)));
    let confirmed = match carried.levels {
        (held, all) if all > 1 => format!(", where {held} of {all} levels kept them"),
        _ => String::new(),
    };
    let by = match carried.limited_by.as_str() {
        "" => String::new(),
        name if carried.missed.is_some() => format!(" {name} breaks first."),
        name => format!(" {name} is nearest to its limit."),
    };
    let estimate = carried
        .estimate
        .map_or_else(String::new, |e| format!("; by estimate the limit is reached at about {}", load(e)));
    let what = match (carried.held, carried.missed) {
        (Some(held), Some(missed)) => format!(
            "The objectives are kept up to {}{requests}{confirmed} and missed at {}{estimate}",
            load(held),
            load(missed)
        ),
        (Some(held), None) => {
            format!(
                "The objectives are kept at the highest load of this run, {}{requests}: it carries at least that",
                load(held)
            )
        }
        (None, Some(missed)) => {
            format!("The objectives are missed at the lowest load of this run, {}", load(missed))
        }
        (None, None) => "No level of load was decided".to_owned(),
    };
    format!("{what}; confidence {}.{by}", carried.confidence.as_str())
}

/// What one instance carries, and what two would.
fn instances_line(scaling: &Scaling, carried: &Carried) -> Option<String> {
    let load = |v: f64| assay_verdict::units::quantity(v, scaling.axis.unit());
    let held = carried.held?;
    let count = scaling.instances.unwrap_or(1.0).max(1.0);
    let (one, upto) = (held / count, carried.estimate.map(|e| e / count));
    let between = |factor: f64| match upto {
        Some(upto) => format!("{} to {}", assay_verdict::units::digits(one * factor), load(upto * factor)),
        None => load(one * factor),
    };
    let known = match scaling.instances {
        Some(n) if n > 1.0 => format!(" ({} instances shared the load)", assay_verdict::units::digits(n)),
        Some(_) => String::new(),
        None => " (the run does not say how many there were; taken as one)".to_owned(),
    };
    Some(format!(
        "One instance carries {}{known}; two would carry {} if nothing that they share, such as a model server, a database or the \
         generator's network, is what limits them.",
        between(1.0),
        between(2.0)
    ))
}

/// What is left of an error budget, in a few words.
fn budget_text(row: &ObjectiveRow) -> Option<String> {
    let budget = row.budget?;
    let spent = assay_verdict::units::quantity(budget.burn_rate, "ratio");
    let peak = budget.peak_burn_rate.map_or_else(String::new, |p| {
        format!(
            ", worst {} at {} times the allowed rate",
            assay_verdict::units::length(budget.peak_window_ms),
            assay_verdict::units::digits(p)
        )
    });
    Some(format!("error budget spent: {spent}{peak}"))
}
