//! What the metrics of rules are, down to those that no rule records. Invariant: a rule counts as applicable if any of
//! them exists.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use assay_model::{METRIC_NAME, Matcher, QueryError};
use assay_promql::{Expr, ast::DurationContext};
use assay_rules::file::{Rule, RuleFiles, RuleId};

use crate::{data::RunData, judge::near_name};

/// How many evaluations a rule needs in addition to its range and its `for`.
const SLOTS: i64 = 3;
/// The interval of groups that have none.
const DEFAULT_INTERVAL_MS: i64 = 15_000;

/// The metrics of rules.
pub(super) struct Metrics<'a> {
    data: &'a RunData<'a>,
    files: &'a RuleFiles,
    /// The expressions of recording rules, by the metric that they record.
    recorded: BTreeMap<&'a str, Vec<&'a Expr>>,
    exists: RefCell<BTreeMap<String, bool>>,
}

impl<'a> Metrics<'a> {
    pub(super) fn new(data: &'a RunData<'a>, files: &'a RuleFiles) -> Self {
        let mut recorded: BTreeMap<&str, Vec<&Expr>> = BTreeMap::new();
        for (_, rule) in files.rules().filter(|(_, r)| r.alerting().is_none()) {
            recorded.entry(&rule.name).or_default().push(&rule.expr);
        }
        Self { data, files, recorded, exists: RefCell::default() }
    }

    /// The metrics of a rule, if none of them exists; `None` if one does, or if it reads none by name.
    pub(super) fn absent(&self, rule: &Rule) -> Result<Option<BTreeSet<String>>, QueryError> {
        let mut absent = BTreeSet::new();
        let mut visited = BTreeSet::new();
        let exists = self.visit(&rule.expr, &mut absent, &mut visited)?;
        Ok((!exists && !absent.is_empty()).then_some(absent))
    }

    /// Whether any metric of an expression exists; those that do not are added to `absent`.
    fn visit(
        &self,
        expr: &Expr,
        absent: &mut BTreeSet<String>,
        visited: &mut BTreeSet<String>,
    ) -> Result<bool, QueryError> {
        let mut any = false;
        for selector in expr.selectors() {
            let name = selector.name.as_str();
            if name.is_empty() || name.starts_with("ALERTS") {
                any = true;
            } else if let Some(exprs) = self.recorded.get(name) {
                if visited.insert(name.to_owned()) {
                    for expr in exprs {
                        any |= self.visit(expr, absent, visited)?;
                    }
                }
            } else if self.has(name)? {
                any = true;
            } else {
                absent.insert(name.to_owned());
            }
        }
        Ok(any)
    }

    fn has(&self, name: &str) -> Result<bool, QueryError> {
        if let Some(known) = self.exists.borrow().get(name) {
            return Ok(*known);
        }
        let matcher = Matcher::equal(METRIC_NAME, name);
        let found = !self.data.source().select(&[matcher], i64::MIN, i64::MAX)?.is_empty();
        self.exists.borrow_mut().insert(name.to_owned(), found);
        Ok(found)
    }

    /// A metric that exists and has nearly this name.
    pub(super) fn near(&self, name: &str) -> Result<Option<String>, QueryError> {
        near_name(self.data, name)
    }

    /// How long a window must be for a rule to fire in it for certain: its longest range, its `for`, and some
    /// evaluations.
    pub(super) fn needed_ms(&self, id: RuleId, rule: &Rule) -> i64 {
        let for_ms = rule.alerting().map_or(0, |a| a.for_ms);
        let interval_ms =
            self.files.groups.get(id.group).and_then(|g| g.interval_ms).unwrap_or(DEFAULT_INTERVAL_MS);
        self.range_ms(&rule.expr, &mut BTreeSet::new()) + for_ms + SLOTS * interval_ms
    }

    fn range_ms(&self, expr: &Expr, visited: &mut BTreeSet<String>) -> i64 {
        let mut longest_ms = 0;
        let mut names = Vec::new();
        expr.walk(&mut |e| {
            let range = match e {
                Expr::Matrix(m) => Some(&m.range),
                Expr::Subquery(s) => Some(&s.range),
                _ => None,
            };
            let ms = range.and_then(|r| r.resolve_ms(DurationContext::default(), true).ok());
            longest_ms = longest_ms.max(ms.unwrap_or(0));
            if let Expr::Vector(v) = e {
                names.push(v.name.clone());
            }
        });
        let below = names.into_iter().filter(|n| visited.insert(n.clone())).collect::<Vec<_>>();
        let recorded = below.iter().filter_map(|n| self.recorded.get(n.as_str())).flatten();
        let inner: Vec<&&Expr> = recorded.collect();
        longest_ms + inner.into_iter().map(|e| self.range_ms(e, visited)).max().unwrap_or(0)
    }
}
