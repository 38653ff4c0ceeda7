//! What is legal in a rule file and most likely not meant.
//!
//! Each lint is a file of its own under `lint/` and an entry of [`LINTS`]. Some read rules alone; others need a run, whose
//! series and replay tell whether a rule can ever do what it is there for.
//!
//! Invariant: a lint never speaks of a rule that a comment silences: `# ruleseval: ignore CODE …` in the rule's lines or
//! the line before it, `# ruleseval: ignore-file CODE …` anywhere in the file.

mod bounds;
mod context;
mod duplicate;
mod ignored;
mod interval;
mod labels;
mod never;
mod regex;
mod required;
mod shape;
mod silence;
mod unit;
mod unknown;
mod window;

use assay_model::Queryable;
use assay_yaml::Position;

pub(crate) use context::Context;

use crate::{RuleFiles, RuleId, replay::ReplayResult};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LintSeverity {
    /// A habit worth having.
    Info,
    /// Most likely not what was meant.
    Warning,
    /// The rule cannot do what it is there for.
    Error,
}

impl LintSeverity {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A kind of finding.
#[derive(Debug)]
pub struct Lint {
    /// Its code, in comments and options.
    pub code: &'static str,
    /// How grave it is.
    pub severity: LintSeverity,
    /// What it finds, in one line.
    pub about: &'static str,
    /// Whether it needs a run.
    pub needs_run: bool,
    check: fn(&Context<'_>, &mut Vec<Remark>),
}

/// What a lint says of a rule, or of its group.
struct Remark {
    id: RuleId,
    of_group: bool,
    position: Position,
    message: String,
}

/// Something that a lint found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The lint's code.
    pub code: &'static str,
    /// How grave it is.
    pub severity: LintSeverity,
    /// The rule file, as it was given.
    pub file: String,
    /// Where it stands.
    pub position: Position,
    /// Group and rule, what is found, and what to do.
    pub message: String,
    /// The rule's place in its files.
    pub id: RuleId,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Position { line, col }, severity) = (self.position, self.severity.as_str());
        write!(f, "{}:{line}:{col}: {severity}[{}]: {}", self.file, self.code, self.message)
    }
}

/// Every lint, in the order of their codes.
pub const LINTS: &[Lint] = &[
    Lint {
        code: "always-fires",
        severity: LintSeverity::Warning,
        about: "an alert whose expression holds whatever the values are, or held through the whole run",
        needs_run: false,
        check: never::always,
    },
    Lint {
        code: "duplicate-rule",
        severity: LintSeverity::Warning,
        about: "two rules of a file with the same name and labels",
        needs_run: false,
        check: duplicate::check,
    },
    Lint {
        code: "for-interval",
        severity: LintSeverity::Info,
        about: "a `for` that is shorter than the group's interval, and so waits longer than it says",
        needs_run: false,
        check: interval::hold,
    },
    Lint {
        code: "ignored-key",
        severity: LintSeverity::Info,
        about: "a key that Mimir, Thanos or vmalert reads, and that has no effect here",
        needs_run: false,
        check: ignored::check,
    },
    Lint {
        code: "interval-lookback",
        severity: LintSeverity::Warning,
        about: "a group evaluated so rarely that its series go stale in between",
        needs_run: false,
        check: interval::lookback,
    },
    Lint {
        code: "label-gone",
        severity: LintSeverity::Warning,
        about: "a template that uses a label which the expression aggregates away",
        needs_run: false,
        check: labels::gone,
    },
    Lint {
        code: "missing-severity",
        severity: LintSeverity::Info,
        about: "an alert without the label `severity`",
        needs_run: false,
        check: required::severity,
    },
    Lint {
        code: "missing-summary",
        severity: LintSeverity::Info,
        about: "an alert without the annotation `summary`",
        needs_run: false,
        check: required::summary,
    },
    Lint {
        code: "never-fires",
        severity: LintSeverity::Error,
        about: "an expression that can never have a result",
        needs_run: false,
        check: never::never,
    },
    Lint {
        code: "rate-of-gauge",
        severity: LintSeverity::Warning,
        about: "`rate`, `increase` or `irate` of what the run knows to be a gauge",
        needs_run: true,
        check: window::gauge,
    },
    Lint {
        code: "rate-range",
        severity: LintSeverity::Error,
        about: "a rate over a range shorter than two samples of the run's data",
        needs_run: true,
        check: window::short,
    },
    Lint {
        code: "regex-literal",
        severity: LintSeverity::Info,
        about: "not a valid regular expression, or one that repeats the anchors that Prometheus adds",
        needs_run: false,
        check: regex::check,
    },
    Lint {
        code: "unit-mismatch",
        severity: LintSeverity::Warning,
        about: "a comparison of different units, such as milliseconds with seconds",
        needs_run: false,
        check: unit::check,
    },
    Lint {
        code: "unknown-label",
        severity: LintSeverity::Warning,
        about: "a label that no series of the metric has in the run",
        needs_run: true,
        check: unknown::labels,
    },
    Lint {
        code: "unknown-series",
        severity: LintSeverity::Warning,
        about: "a selector that matches no series of the run, and nothing that a rule writes",
        needs_run: true,
        check: unknown::series,
    },
    Lint {
        code: "value-in-label",
        severity: LintSeverity::Warning,
        about: "a label that holds the alert's value, which makes a new alert of every change",
        needs_run: false,
        check: labels::value,
    },
    Lint {
        code: "without-condition",
        severity: LintSeverity::Warning,
        about: "an alert without a condition, which fires as long as its series exist",
        needs_run: false,
        check: shape::check,
    },
];

/// What to check with.
#[derive(Clone, Copy, Default)]
pub struct CheckOptions<'a> {
    /// A run's series and the replay of the rules over it; without them, lints that need them are left out.
    pub run: Option<(&'a dyn Queryable, &'a ReplayResult)>,
    /// The interval of groups that have none, in milliseconds; 0 for a minute.
    pub interval_ms: i64,
    /// Codes of the lints to leave out.
    pub without: &'a [&'a str],
}

/// Checks rules with every lint, and returns what is found by file and position.
#[must_use]
pub fn check(files: &RuleFiles, options: &CheckOptions<'_>) -> Vec<Finding> {
    let context = Context::new(files, options);
    let silenced = silence::Silenced::read(files);
    let mut out = Vec::new();
    for lint in LINTS {
        if options.without.contains(&lint.code) || (lint.needs_run && options.run.is_none()) {
            continue;
        }
        let mut remarks = Vec::new();
        (lint.check)(&context, &mut remarks);
        for Remark { id, of_group, position, message } in remarks {
            let group = &files.groups[id.group];
            let place = &group.rules[id.rule];
            let (title, lines) = match of_group {
                true => (format!("group {:?}", group.name), position.line..position.line + 1),
                false => (place.title(), place.lines()),
            };
            if silenced.contains(place.file(), &lines, lint.code) {
                continue;
            }
            out.push(Finding {
                code: lint.code,
                severity: lint.severity,
                file: place.file().to_owned(),
                position,
                message: format!("{title}: {message}"),
                id,
            });
        }
    }
    let file = |f: &Finding| files.groups.iter().position(|g| *g.file == f.file);
    out.sort_by(|a, b| (file(a), a.position, a.code).cmp(&(file(b), b.position, b.code)));
    out.dedup();
    out
}

/// Says something of a rule.
fn remark(out: &mut Vec<Remark>, id: RuleId, position: Position, message: impl Into<String>) {
    out.push(Remark { id, of_group: false, position, message: message.into() });
}

/// Says something of a rule's group.
fn remark_group(out: &mut Vec<Remark>, id: RuleId, position: Position, message: impl Into<String>) {
    out.push(Remark { id, of_group: true, position, message: message.into() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(LINTS.windows(2).all(|w| w[0].code < w[1].code));
    }

    #[test]
    fn findings_print_with_their_place_and_code() {
        let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0, labels: {severity: page}}\n";
        let files = RuleFiles::parse("r.yml", text).expect("reads");
        let found: Vec<_> = check(&files, &CheckOptions::default()).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "r.yml:4:5: info[missing-summary]: group \"g\", rule 1, \"A\": the alert has no annotation \"summary\"; \
              people who are paged read it first"
            ]
        );
    }
}
