//! The verdict for a terminal. Invariant: without colour the text says as much as with it.

use std::{collections::HashMap, io::IsTerminal as _};

use assay_text::{Clean, Page};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::{
    findings::Severity,
    units,
    verdict::{AlertInstance, AlertRow, ObjectiveRow, Status, Verdict},
};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct TerminalOptions {
    /// Whether to colour.
    pub colour: bool,
    /// The width to fit, in columns.
    pub width: u16,
}

impl TerminalOptions {
    /// What fits this process's standard output: colour on a terminal only, and not where `NO_COLOR` is set.
    #[must_use]
    pub fn of_stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let width = terminal_size::terminal_size().map_or(120, |(w, _)| w.0);
        Self { colour: std::io::stdout().is_terminal() && !plain, width: width.clamp(60, 160) }
    }
}

/// The table of objectives, the alerts that fired, the notes, and the verdict last, where the eye rests.
#[must_use]
pub fn render(verdict: &Verdict, options: TerminalOptions) -> String {
    let mut out = Page::new();
    if !verdict.objectives.is_empty() {
        out.painted(&paint_marks(&table(verdict, options).to_string(), options));
    }
    for row in &verdict.objectives {
        explain(&mut out, row, options);
    }
    for finding in verdict.key_findings() {
        let status = if finding.severity == Severity::Critical { Status::Fail } else { Status::Inconclusive };
        out.marked(&paint("!", status, options), format_args!(" {}", super::finding_title(finding)));
        for figure in super::finding_figures(finding) {
            out.line(format_args!("    {figure}"));
        }
        if let Some(action) = super::finding_action(finding) {
            out.line(format_args!("    → {action}"));
        }
    }
    for line in super::scaling_summary(&verdict.scaling) {
        for (i, part) in wrapped(&line, 110).iter().enumerate() {
            out.line(format_args!("{}{part}", if i == 0 { "scaling: " } else { "    " }));
        }
    }
    for alert in &verdict.alerts {
        describe_alert(&mut out, alert, options);
    }
    for alert in super::undecided_alerts(verdict) {
        let mark = paint(super::mark(alert.status), alert.status, options);
        out.marked(&mark, format_args!(" alert {}: {}", alert.name, alert.reason));
    }
    for line in super::not_judged(verdict) {
        out.line(format_args!("not judged: {line}"));
    }
    if let Some(text) = super::cut_short(verdict) {
        out.line(text);
    }
    for problem in &verdict.problems {
        out.marked(&paint("inconclusive:", Status::Inconclusive, options), format_args!(" {problem}"));
    }
    for note in &verdict.notes {
        out.line(format_args!("note: {note}"));
    }
    let headline = paint(&super::headline(verdict), verdict.status, options);
    out.marked(&headline, format_args!("  {}", verdict.summary));
    out.into_text()
}

fn table(verdict: &Verdict, options: TerminalOptions) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(options.width);
    table.set_header(["", "objective", "phase", "measured", "required"]);
    for row in &verdict.objectives {
        table.add_row(vec![
            Cell::new(super::mark(row.status)),
            Cell::new(Clean(row.title())),
            Cell::new(Clean(super::phase(row))),
            Cell::new(Clean(super::measured(row))).set_alignment(CellAlignment::Right),
            Cell::new(Clean(super::required(row))),
        ]);
    }
    table
}

/// Colours the marks of the first column once the layout stands: colour codes would count as width.
fn paint_marks(table: &str, options: TerminalOptions) -> String {
    let statuses = [Status::Pass, Status::Fail, Status::Inconclusive, Status::Skipped];
    let lines: Vec<String> = table
        .lines()
        .map(|line| {
            let mark = |s: &&Status| line.starts_with(&format!("│ {} ", super::mark(**s)));
            match statuses.iter().find(mark) {
                Some(s) => line.replacen(super::mark(*s), &paint(super::mark(*s), *s, options), 1),
                None => line.to_owned(),
            }
        })
        .collect();
    lines.join("\n")
}

fn explain(out: &mut Page, row: &ObjectiveRow, options: TerminalOptions) {
    for note in super::row_notes(row) {
        out.line(format_args!("note: {} in {}: {}", row.title(), super::phase(row), short(&note)));
    }
    if !matches!(row.status, Status::Fail | Status::Inconclusive) {
        return;
    }
    let mark = paint(super::mark(row.status), row.status, options);
    out.marked(&mark, format_args!(" {} in {}: {}", row.title(), super::phase(row), row.reason));
    for advice in &row.advice {
        out.line(format_args!("    the SLA's author: {advice}"));
    }
    if let Some(text) = super::budget_text(row) {
        out.line(format_args!("    {text}"));
    }
}

/// A line for what an alert said while it fired, however often it said the same.
fn describe_alert(out: &mut Page, alert: &AlertRow, options: TerminalOptions) {
    let mut said: Vec<(&str, Vec<&AlertInstance>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for instance in alert.instances.iter().filter(|i| i.fired_at_ms.is_some()) {
        let text = instance.annotation("summary");
        let place = *places.entry(text).or_insert(said.len());
        match said.get_mut(place) {
            Some((_, same)) => same.push(instance),
            None => said.push((text, vec![instance])),
        }
    }
    for (text, same) in said {
        let fails = alert.counts && same.iter().any(|i| !i.phases.is_empty());
        let status = if fails { Status::Fail } else { Status::Skipped };
        let mark = paint(super::mark(status), status, options);
        let first = same[0];
        let from = units::clock(first.fired_at_ms.unwrap_or(first.active_at_ms));
        let end = first.ended_at_ms.map_or_else(|| "the end".to_owned(), units::clock);
        let more = match same.len() {
            1 => String::new(),
            2 => " and once more".to_owned(),
            n => format!(" and {} more times", n - 1),
        };
        let severity = if alert.severity.is_empty() { "no severity" } else { &alert.severity };
        out.marked(
            &mark,
            format_args!(" alert {} ({severity}) fired {from} to {end} UTC{more}: {text}", alert.name),
        );
    }
}

/// A text that fits a line or two; the other forms of the report have all of it.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text in lines of so many characters at most, where its words allow it.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn paint(text: &str, status: Status, options: TerminalOptions) -> String {
    if !options.colour {
        return text.to_owned();
    }
    let code = match status {
        Status::Pass => "1;32",
        Status::Fail => "1;31",
        Status::Inconclusive => "1;33",
        Status::Skipped => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn plain_text_says_all() {
        let verdict = testing::verdict(Status::Fail);
        let text = render(&verdict, TerminalOptions { colour: false, width: 100 });
        for part in [
            "✗",
            "Query latency p99",
            "6.2 s",
            "< 5 s",
            "FAIL",
            "2.5 times as long",
            "Limit the answer",
            "alert QueryLatencyP99High",
        ] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
        assert!(!text.contains('\x1b'), "no colour was asked for");
        assert!(text.lines().all(|l| l.chars().count() <= 140), "{text}");
    }

    #[test]
    fn what_is_said_again_and_what_is_long_takes_a_line() {
        let mut verdict = testing::verdict(Status::Fail);
        let again = verdict.alerts[0].instances[0].clone();
        verdict.alerts[0].instances.push(again);
        verdict.objectives[0].notes = vec!["long ".repeat(200)];
        let text = render(&verdict, TerminalOptions { colour: false, width: 100 });
        assert_eq!(text.matches("alert QueryLatencyP99High").count(), 1, "{text}");
        assert!(text.contains(" and once more: "), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= 300), "{text}");
    }

    #[test]
    fn colour_is_there_when_asked_for() {
        let text = render(&testing::verdict(Status::Pass), TerminalOptions { colour: true, width: 100 });
        assert!(text.contains("\x1b[1;32mPASS\x1b[0m"), "{text}");
    }
}
