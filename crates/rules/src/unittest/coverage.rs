//! What the tests of a file made of each rule.
//!
//! Invariant: a rule counts as asserted only where a test could fail because of it.

use assay_model::METRIC_NAME;
use assay_promql::Expr;

use crate::{
    file::{RuleFiles, RuleId, RuleKind},
    replay::RuleSummary,
};

/// A rule, and what the tests made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCoverage {
    /// The rule file.
    pub file: String,
    /// The group's name.
    pub group: String,
    /// The rule's number in its group, from 1.
    pub number: usize,
    /// The alert's or recorded metric's name.
    pub name: String,
    /// Whether a test evaluated the rule to a result that was not empty.
    pub had_result: bool,
    /// Whether a test expects something of it: the alert is named in an alert test, or the metric in an expression.
    pub asserted: bool,
    /// Whether a test expects that the alert fires; for a recording rule, the same as `asserted`.
    pub expected_to_fire: bool,
}

/// What is known so far, by group and rule.
pub(super) struct Coverage {
    rules: Vec<Vec<Seen>>,
    selectors: Vec<Expr>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    had_result: bool,
    asserted: bool,
    expected_to_fire: bool,
}

impl Coverage {
    pub(super) fn new(files: Option<&RuleFiles>) -> Self {
        let groups = files.map(|f| f.groups.as_slice()).unwrap_or_default();
        Self {
            rules: groups.iter().map(|g| vec![Seen::default(); g.rules.len()]).collect(),
            selectors: Vec::new(),
        }
    }

    /// Takes in the evaluations of one test.
    pub(super) fn evaluated<'s>(&mut self, summaries: impl Iterator<Item = &'s RuleSummary>) {
        for summary in summaries {
            self.rules[summary.id.group][summary.id.rule].had_result |= summary.with_result > 0;
        }
    }

    /// An alert test names a rule.
    pub(super) fn asserted(&mut self, id: RuleId, fires: bool) {
        let seen = &mut self.rules[id.group][id.rule];
        seen.asserted = true;
        seen.expected_to_fire |= fires;
    }

    /// An expression test queries something.
    pub(super) fn queried(&mut self, expr: &Expr) {
        self.selectors.push(expr.clone());
    }

    /// The rules with what was seen of them.
    pub(super) fn finish(self, files: Option<&RuleFiles>) -> Vec<RuleCoverage> {
        let Some(files) = files else { return Vec::new() };
        let mut out = Vec::new();
        for (group, seen) in files.groups.iter().zip(&self.rules) {
            for (rule, seen) in group.rules.iter().zip(seen) {
                let recording = matches!(rule.kind, RuleKind::Recording);
                let queried = recording && self.selectors.iter().any(|e| selects(e, &rule.name));
                out.push(RuleCoverage {
                    file: group.file.to_string(),
                    group: group.name.clone(),
                    number: rule.number(),
                    name: rule.name.clone(),
                    had_result: seen.had_result,
                    asserted: seen.asserted || queried,
                    expected_to_fire: seen.expected_to_fire || queried,
                });
            }
        }
        out
    }
}

/// Whether a selector of the expression asks for a metric of that name.
fn selects(expr: &Expr, name: &str) -> bool {
    let asks = |m: &assay_model::Matcher| m.name == METRIC_NAME && m.matches(name);
    expr.selectors().iter().any(|s| s.matchers.iter().any(asks))
}
