//! Annotations for GitHub Actions: workflow commands on standard output. Invariant: one line each, with what
//! the runner would read as syntax escaped (`actions/toolkit`, `packages/core/src/command.ts`).

use std::fmt::Write as _;

use assay_text::Clean;
use assay_verdict::verdict::{Status, Verdict};

/// One `::error` for each row or alert that failed, one `::warning` for each without data. The file and line
/// are those of the objective or rule, so that the annotation appears next to it.
#[must_use]
pub fn render(verdict: &Verdict) -> String {
    let mut out = String::new();
    for row in &verdict.objectives {
        let level = match row.status {
            Status::Fail => "error",
            Status::Inconclusive => "warning",
            Status::Pass | Status::Skipped => continue,
        };
        let text =
            format!("{} in {}: {} {}", row.title(), super::phase(row), row.reason, row.advice.join(" "));
        command(&mut out, level, &row.defined_at, &row.name, text.trim_end());
    }
    for finding in verdict.key_findings() {
        let action = super::finding_action(finding).map_or_else(String::new, |a| format!(" {a}"));
        let text = format!("{}{action}", super::finding_title(finding));
        command(&mut out, "notice", "", &finding.name, &text);
    }
    for alert in verdict.failing_alerts() {
        command(&mut out, "error", &alert.defined_at, &alert.name, &alert.reason);
    }
    for alert in super::undecided_alerts(verdict) {
        command(&mut out, "warning", &alert.defined_at, &alert.name, &alert.reason);
    }
    for problem in &verdict.problems {
        command(&mut out, "warning", "", "inconclusive", problem);
    }
    out
}

fn command(out: &mut String, level: &str, defined_at: &str, title: &str, text: &str) {
    let place = match defined_at.rsplit_once(':') {
        Some((file, line)) => format!("file={},line={},", property(file), property(line)),
        None => String::new(),
    };
    let _ = writeln!(out, "::{level} {place}title={}::{}", property(title), data(text));
}

fn data(text: &str) -> String {
    // Line ends are the command's own syntax; nothing else that is hidden has a place in it.
    let lines: Vec<_> = text.split('\n').map(|line| Clean(line).to_string().replace('%', "%25")).collect();
    lines.join("%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn one_line_each_and_escaped() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives[0].name = "a:b,c".to_owned();
        verdict.objectives[0].advice = vec!["50 %\nmore".to_owned()];
        let text = render(&verdict);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("::error file=sla.yml,line=4,title=a%3Ab%2Cc::"), "{text}");
        assert!(lines[0].ends_with("50 %25%0Amore"), "{text}");
        assert!(
            lines[1].starts_with("::notice title=stage-slow::B001 (stage-slow, critical in steady)"),
            "{text}"
        );
    }
}
