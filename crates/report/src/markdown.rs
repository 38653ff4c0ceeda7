//! The verdict as Markdown, for the summary of a CI job. Invariant: no text from the run can end a table row or
//! start markup of its own.

use std::fmt::Write as _;

use assay_verdict::{
    units,
    verdict::{Status, Verdict},
};

/// The verdict as GitHub-flavoured Markdown.
#[must_use]
pub fn render(verdict: &Verdict) -> String {
    let mut out = String::new();
    let name = verdict.run.scenario.as_deref().unwrap_or(&verdict.run.source);
    let _ = writeln!(out, "## {} {}: {}\n", emoji(verdict.status), super::headline(verdict), escape(name));
    let _ = writeln!(out, "{}\n", escape(&verdict.summary));
    if let Some(text) = super::cut_short(verdict) {
        let _ = writeln!(out, "> {text}\n");
    }
    for problem in &verdict.problems {
        let _ = writeln!(out, "> {}\n", escape(problem));
    }
    objectives(&mut out, verdict);
    explanations(&mut out, verdict);
    alerts(&mut out, verdict);
    remarks(&mut out, verdict);
    let _ = writeln!(
        out,
        "<sub>{} to {} UTC · {} {} · `{}`</sub>",
        units::timestamp(verdict.run.start_ms).trim_end_matches('Z').replace('T', " "),
        units::clock(verdict.run.end_ms),
        verdict.tool.name,
        verdict.tool.version,
        verdict.tool.command.replace('`', "'")
    );
    out
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
            escape(&row.title()),
            escape(super::phase(row)),
            escape(&super::measured(row)),
            escape(&super::required(row))
        );
    }
    out.push('\n');
}

fn explanations(out: &mut String, verdict: &Verdict) {
    for row in verdict.objectives.iter().filter(|r| matches!(r.status, Status::Fail | Status::Inconclusive)) {
        let _ = writeln!(
            out,
            "**{}** in {}: {}\n",
            escape(&row.title()),
            escape(super::phase(row)),
            escape(&row.reason)
        );
        for advice in &row.advice {
            let _ = writeln!(out, "- {}", escape(advice));
        }
        if let Some(text) = super::budget_text(row) {
            let _ = writeln!(out, "- {}", escape(&text));
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
        let summary =
            instance.annotations.iter().find(|(n, _)| n == "summary").map_or("", |(_, v)| v.as_str());
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            escape(&alert.name),
            escape(&alert.severity),
            units::clock(instance.fired_at_ms.unwrap_or_default()),
            instance.ended_at_ms.map_or_else(|| "—".to_owned(), units::clock),
            escape(summary)
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
        let _ = writeln!(out, "- {}", escape(line));
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

/// Takes the meaning from what Markdown and HTML would read.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
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
        assert!(text.contains("| ❌ | a\\|b &lt;img&gt; c | steady | 6.2 s | &lt; 5 s |"), "{text}");
        assert!(text.contains("| QueryLatencyP99High | critical | 22:13:50 |"), "{text}");
    }
}
