//! Lint of rule files: what promtool's check does not see, because it takes knowledge of conventions or of the
//! data. Invariant: a finding names the rule's place, and a comment `# lint: ignore CODE` in the rule or on the
//! line before it silences the finding.

use std::collections::HashMap;

use assay_model::{Queryable, duration};
use assay_rules::{
    file::{Group, Rule, RuleFiles},
    replay::{ReplayOptions, ReplayResult, replay},
};

mod conventions;
mod data;
mod units;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Gravity {
    /// Worth a look.
    Info,
    /// Likely a mistake.
    Warning,
    /// A mistake.
    Error,
}

impl Gravity {
    /// The word in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that a rule does that it likely should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind, such as `alert/severity`; comments and documentation use it.
    pub code: &'static str,
    /// How grave it is.
    pub gravity: Gravity,
    /// The rule file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub col: usize,
    /// The rule as messages name it.
    pub rule: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}:{}: {} [{}] {}: {}",
            self.file,
            self.line,
            self.col,
            self.gravity.as_str(),
            self.code,
            self.rule,
            self.message
        )
    }
}

/// What the lints share.
struct Linter<'a> {
    files: &'a RuleFiles,
    /// A run to hold the rules to, with the rules replayed over it.
    data: Option<(&'a dyn Queryable, ReplayResult)>,
    /// The time between samples of the run.
    interval_ms: Option<i64>,
    findings: Vec<Finding>,
}

/// Checks rule files, against a run where one is given. Findings come in the order of the files.
#[must_use]
pub fn lint(files: &RuleFiles, run: Option<&dyn Queryable>) -> Vec<Finding> {
    let data = run.map(|source| {
        let (start_ms, end_ms) = source.time_range().unwrap_or_default();
        let mut options = ReplayOptions::new(start_ms, end_ms);
        options.interval_ms = 15_000;
        (source, replay(source, files, &options))
    });
    let interval_ms = run.and_then(data::interval_ms);
    let mut linter = Linter { files, data, interval_ms, findings: Vec::new() };
    for (g, group) in files.groups.iter().enumerate() {
        for (r, rule) in group.rules.iter().enumerate() {
            conventions::check(&mut linter, group, rule);
            units::check(&mut linter, rule);
            data::check(&mut linter, (g, r), rule);
        }
    }
    let mut findings = linter.findings;
    silence(&mut findings);
    findings
}

impl Linter<'_> {
    fn add(&mut self, code: &'static str, gravity: Gravity, rule: &Rule, message: String) {
        self.add_at(code, gravity, rule, (rule.position.line, rule.position.col), message);
    }

    /// A finding at bytes of the rule's expression.
    fn add_in(
        &mut self,
        code: &'static str,
        gravity: Gravity,
        rule: &Rule,
        span: &std::ops::Range<usize>,
        message: String,
    ) {
        let at = rule.position_in_expr(span);
        self.add_at(code, gravity, rule, (at.line, at.col), message);
    }

    fn add_at(
        &mut self,
        code: &'static str,
        gravity: Gravity,
        rule: &Rule,
        (line, col): (usize, usize),
        message: String,
    ) {
        let (file, rule) = (rule.file().to_owned(), rule.title());
        self.findings.push(Finding { code, gravity, file, line, col, rule, message });
    }

    /// Whether a rule of these files records the metric.
    fn is_recorded(&self, metric: &str) -> bool {
        self.files.rules().any(|(_, r)| r.alerting().is_none() && r.name == metric)
    }
}

/// Drops the findings that a comment in the file silences: on the finding's line, on the line above it, or
/// above the rule.
fn silence(findings: &mut Vec<Finding>) {
    let mut texts: HashMap<String, Vec<String>> = HashMap::new();
    findings.retain(|f| {
        let lines = texts.entry(f.file.clone()).or_insert_with(|| {
            // What was parsed a moment ago can be read; if not, nothing is silenced.
            let text = std::fs::read_to_string(&f.file).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        });
        // From the finding up to the line before its rule's first.
        let mut line = f.line.min(lines.len());
        while line > 0 {
            let text = lines[line - 1].trim_start();
            if let Some((_, codes)) = text.split_once("# lint: ignore ")
                && codes.split([' ', ',']).any(|c| c == f.code)
            {
                return false;
            }
            let above_rule = line < f.line && lines[line].trim_start().starts_with("- ");
            if above_rule && !text.starts_with('#') {
                break;
            }
            line -= 1;
        }
        true
    });
}

/// A group's name and interval for messages.
fn interval_text(group: &Group) -> Option<String> {
    group.interval_ms.map(duration::format_ms)
}
