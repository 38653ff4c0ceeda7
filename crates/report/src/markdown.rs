//! The verdict as Markdown, for the summary of a CI job. Invariant: no text from the run can end a table row or
//! start markup of its own.

use std::fmt::Write as _;

use assay_text::{code, markdown};
use assay_verdict::{
    units,
    verdict::{Status, Verdict},
};

use crate::format::{Format, Render};

pub(crate) const FORMAT: Format = Format {
    name: "markdown",
    about: "Write Markdown, for the summary of a CI job",
    render: Render::Runs(|verdicts, _| Ok(verdicts.iter().map(|verdict| render(verdict)).collect())),
};

/// The verdict as GitHub-flavoured Markdown.
#[must_use]
pub fn render(verdict: &Verdict) -> String {
    let mut out = String::new();
    let name = verdict.run.scenario.as_deref().unwrap_or(&verdict.run.source);
    let _ = writeln!(out, "## {} {}: {}\n", emoji(verdict.status), super::headline(verdict), markdown(name));
    let _ = writeln!(out, "{}\n", markdown(&verdict.summary));
    if let Some(text) = super::cut_short(verdict) {
        let _ = writeln!(out, "> {}\n", markdown(&text));
    }
    for problem in &verdict.problems {
        let _ = writeln!(out, "> {}\n", markdown(problem));
    }
    findings(&mut out, verdict);
    objectives(&mut out, verdict);
    explanations(&mut out, verdict);
    for line in super::scaling_summary(&verdict.scaling) {
        let _ = writeln!(out, "{}\n", markdown(&line));
    }
    alerts(&mut out, verdict);
    remarks(&mut out, verdict);
    let _ = writeln!(
        out,
        "<sub>{} to {} UTC · {} {} · {}</sub>",
        units::date_and_time(verdict.run.start_ms),
        units::clock(verdict.run.end_ms),
        markdown(&verdict.tool.name),
        markdown(&verdict.tool.version),
        code(&verdict.tool.command)
    );
    out
}

/// What happened and what to do about it, before the figures.
fn findings(out: &mut String, verdict: &Verdict) {
    for finding in verdict.key_findings() {
        let _ = writeln!(out, "- **{}**", markdown(&super::finding_title(finding)));
        for figure in super::finding_figures(finding) {
            let _ = writeln!(out, "  - {}", markdown(&figure));
        }
        if let Some(action) = super::finding_action(finding) {
            let _ = writeln!(out, "  - → {}", markdown(&action));
        }
    }
    if verdict.key_findings().next().is_some() {
        out.push('\n');
    }
}

fn objectives(out: &mut String, verdict: &Verdict) {
    if verdict.objectives.is_empty() {
        return;
    }
    out.push_str("| | objective | phase | measured | required |\n|---|---|---|---:|---|\n");
    for row in &verdict.objectives {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            emoji(row.status),
            markdown(&row.title()),
            markdown(super::phase(row)),
            markdown(&super::measured(row)),
            markdown(&super::required(row))
        );
    }
    out.push('\n');
}

fn explanations(out: &mut String, verdict: &Verdict) {
    for row in verdict.objectives.iter().filter(|r| matches!(r.status, Status::Fail | Status::Inconclusive)) {
        let _ = writeln!(
            out,
            "**{}** in {}: {}\n",
            markdown(&row.title()),
            markdown(super::phase(row)),
            markdown(&row.reason)
        );
        for advice in &row.advice {
            let _ = writeln!(out, "- the SLA's author: {}", markdown(advice));
        }
        if let Some(text) = super::budget_text(row) {
            let _ = writeln!(out, "- {}", markdown(&text));
        }
        out.push('\n');
    }
}

fn alerts(out: &mut String, verdict: &Verdict) {
    let fired: Vec<_> = verdict
        .alerts
        .iter()
        .flat_map(|a| a.instances.iter().map(move |i| (a, i)))
        .filter(|(_, i)| i.fired_at_ms.is_some())
        .collect();
    if fired.is_empty() {
        return;
    }
    out.push_str("| alert | severity | fired | ended | |\n|---|---|---|---|---|\n");
    for (alert, instance) in fired {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            markdown(&alert.name),
            markdown(&alert.severity),
            units::clock(instance.fired_at_ms.unwrap_or_default()),
            instance.ended_at_ms.map_or_else(|| "—".to_owned(), units::clock),
            markdown(instance.annotation("summary"))
        );
    }
    out.push('\n');
}

/// What was not judged and why, and notes.
fn remarks(out: &mut String, verdict: &Verdict) {
    let mut lines: Vec<String> = Vec::new();
    for alert in super::undecided_alerts(verdict) {
        lines.push(format!("alert {}: {}", alert.name, alert.reason));
    }
    lines.extend(super::not_judged(verdict).into_iter().map(|l| format!("not judged: {l}")));
    for row in &verdict.objectives {
        let notes = super::row_notes(row).into_iter();
        lines.extend(notes.map(|n| format!("{} in {}: {n}", row.title(), super::phase(row))));
    }
    lines.extend(verdict.notes.iter().cloned());
    for line in &lines {
        let _ = writeln!(out, "- {}", markdown(line));
    }
    if !lines.is_empty() {
        out.push('\n');
    }
}

fn emoji(status: Status) -> &'static str {
    match status {
        Status::Pass => "✅",
        Status::Fail => "❌",
        Status::Inconclusive => "❔",
        Status::Skipped => "➖",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn a_table_a_reason_and_the_alerts() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives[0].name = "a|b <img>\nc".to_owned();
        let text = render(&verdict);
        assert!(text.starts_with("## ❌ FAIL: clinical-rag\n"), "{text}");
        assert!(text.contains("| ❌ | a\\|b &lt;img&gt;\\\\nc | steady | 6.2 s | &lt; 5 s |"), "{text}");
        assert!(text.contains("| QueryLatencyP99High | critical | 22:13:50 |"), "{text}");
    }
}
