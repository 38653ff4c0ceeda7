//! Which rules read what which rules write, and in what order they can be evaluated.
//!
//! Invariant: a rule whose slots can be evaluated all at once reads nothing that a rule of its own layer or a later
//! one writes.

use assay_model::{METRIC_NAME, Matcher};
use assay_promql::{
    Expr,
    ast::{DurationExpr, DurationKind, Func},
};

use super::{RuleRun, slots::Slots};
use crate::file::{Rule, RuleKind};

/// Rules that are evaluated in one go: alone, or together slot by slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The rules' indexes, ascending.
    pub(super) rules: Vec<usize>,
    /// Whether the rules must be evaluated slot by slot.
    pub(super) stepwise: bool,
}

/// The groups in the order in which they are evaluated where they share a slot: those that write what others read come
/// first, whichever file stands first. Groups that read each other stay in the order of the files.
pub(crate) fn group_order(groups: &[Vec<RuleRun<'_>>]) -> Vec<usize> {
    let queried: Vec<Vec<Queried>> = groups.iter().map(|g| g.iter().map(Queried::of).collect()).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); groups.len()];
    for (producer, rules) in groups.iter().enumerate() {
        for (consumer, queried) in queried.iter().enumerate() {
            if rules.iter().any(|rule| queried.iter().any(|q| q.may_read(rule))) {
                readers[producer].push(consumer);
            }
        }
    }
    components(&readers).into_iter().flatten().collect()
}

/// The parts in layers: those of one layer need only what earlier layers write. The rules come in the order of their
/// evaluation, each with its slots.
pub(super) fn layers(runs: &[(&RuleRun<'_>, Slots)]) -> Vec<Vec<Part>> {
    let queried: Vec<Queried> = runs.iter().map(|(run, _)| Queried::of(run)).collect();
    let count = runs.len();
    // readers[p] are the rules that p must come before, or be evaluated with.
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut stepwise: Vec<bool> = queried.iter().map(|q| !q.by_column).collect();
    for (consumer, queried) in queried.iter().enumerate() {
        let (reading, reading_slots) = runs[consumer];
        for (producer, (run, slots)) in runs.iter().enumerate() {
            if !queried.may_read(run) {
                continue;
            }
            readers[producer].push(consumer);
            // What a later rule of the same slot writes is seen one slot later, and what stands further back than its
            // slot may be seen too early: only slot by slot is that right.
            let is_later = producer >= consumer && slots.meet(reading_slots);
            if is_later || run.offset_ms > reading.offset_ms {
                readers[consumer].push(producer);
                stepwise[consumer] = true;
            }
        }
    }
    let components = components(&readers);
    let mut of = vec![0; count];
    for (c, component) in components.iter().enumerate() {
        for rule in component {
            of[*rule] = c;
        }
    }
    // Components come in the order in which they can be evaluated, so one pass gives each its layer.
    let mut layer = vec![0usize; components.len()];
    for (c, component) in components.iter().enumerate() {
        for reader in component.iter().flat_map(|p| &readers[*p]) {
            let r = of[*reader];
            if r != c {
                layer[r] = layer[r].max(layer[c] + 1);
            }
        }
    }
    let mut layers: Vec<Vec<Part>> = vec![Vec::new(); layer.iter().max().map_or(0, |m| m + 1)];
    for (c, rules) in components.into_iter().enumerate() {
        let stepwise = rules.len() > 1 || stepwise[rules[0]];
        layers[layer[c]].push(Part { rules, stepwise });
    }
    layers
}

/// Strongly connected components by Tarjan's algorithm, each ascending, those that others need first and else by their
/// numbers.
fn components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy)]
    struct Visit {
        index: usize,
        low: usize,
        open: bool,
    }
    let mut visits: Vec<Option<Visit>> = vec![None; edges.len()];
    let (mut stack, mut out, mut next) = (Vec::new(), Vec::new(), 0);
    for root in (0..edges.len()).rev() {
        if visits[root].is_some() {
            continue;
        }
        // An explicit stack: a long chain of rules must not overflow the thread's.
        let mut calls = vec![(root, 0)];
        while let Some((node, edge)) = calls.pop() {
            let mut visit = visits[node].unwrap_or_else(|| {
                stack.push(node);
                next += 1;
                Visit { index: next, low: next, open: true }
            });
            if edge > 0
                && let Some(child) = visits[edges[node][edge - 1]]
                && child.open
            {
                visit.low = visit.low.min(child.low);
            }
            visits[node] = Some(visit);
            if let Some(child) = edges[node].get(edge) {
                calls.push((node, edge + 1));
                if visits[*child].is_none() {
                    calls.push((*child, 0));
                }
                continue;
            }
            if visit.low != visit.index {
                continue;
            }
            let mut component = Vec::new();
            while let Some(member) = stack.pop() {
                if let Some(v) = &mut visits[member] {
                    v.open = false;
                }
                component.push(member);
                if member == node {
                    break;
                }
            }
            component.sort_unstable();
            out.push(component);
        }
    }
    out.reverse();
    out
}

/// What a rule's expression and templates ask for.
struct Queried {
    selectors: Vec<Vec<Matcher>>,
    /// Whether a template makes a query that is not known before it runs.
    anything: bool,
    /// Whether the expression means the same in a range query as at each of its steps.
    by_column: bool,
}

impl Queried {
    fn of(run: &RuleRun<'_>) -> Self {
        let mut out = Self { selectors: Vec::new(), anything: false, by_column: by_column(&run.rule.expr) };
        out.add(&run.rule.expr);
        if let RuleKind::Alerting(alerting) = &run.rule.kind {
            for template in alerting.label_templates.iter().chain(&alerting.annotation_templates) {
                let Some(queries) = template.queries() else {
                    out.anything = true;
                    continue;
                };
                for text in queries {
                    // What does not parse finds nothing.
                    if let Ok(expr) = assay_promql::parse(&text) {
                        out.add(&expr);
                    }
                }
            }
        }
        out
    }

    fn add(&mut self, expr: &Expr) {
        self.selectors.extend(expr.selectors().into_iter().map(|s| s.matchers.clone()));
    }

    /// Whether something that a rule writes may be selected.
    fn may_read(&self, producer: &RuleRun<'_>) -> bool {
        self.anything || self.selectors.iter().any(|matchers| may_match(matchers, producer.rule))
    }
}

/// Whether a selector may find something that a rule writes.
pub(crate) fn may_match(matchers: &[Matcher], rule: &Rule) -> bool {
    let Some(alerting) = rule.alerting() else {
        return matchers.iter().all(|m| match m.name.as_str() {
            METRIC_NAME => m.matches(&rule.name),
            name => rule.labels.iter().find(|(n, _)| n == name).is_none_or(|(_, v)| m.matches(v)),
        });
    };
    let literal = |name: &str| {
        let at = rule.labels.iter().position(|(n, _)| n == name)?;
        let value = &rule.labels[at].1;
        // An empty label is not written, unless the result has one of that name.
        alerting.label_templates.get(at).is_some_and(|t| t.is_literal() && !value.is_empty()).then_some(value)
    };
    ["ALERTS", "ALERTS_FOR_STATE"].iter().any(|metric| {
        matchers.iter().all(|m| match m.name.as_str() {
            METRIC_NAME => m.matches(metric),
            "alertname" => m.matches(&rule.name),
            "alertstate" if *metric == "ALERTS" => m.matches("pending") || m.matches("firing"),
            name => literal(name).is_none_or(|v| m.matches(v)),
        })
    })
}

/// Whether a range query yields at each step what an instant query there would: nothing in the expression depends on the
/// query's start, end or step, and nothing looks ahead or at a fixed time.
fn by_column(expr: &Expr) -> bool {
    let past = |d: &DurationExpr| match &d.kind {
        DurationKind::Literal(n) => n.value >= 0.0,
        _ => false,
    };
    let mut fits = true;
    expr.walk(&mut |e| {
        fits &= e.durations().into_iter().all(past);
        fits &= match e {
            Expr::Vector(v) => v.at.is_none(),
            Expr::Matrix(m) => m.selector.at.is_none(),
            Expr::Subquery(s) => s.at.is_none(),
            Expr::Call(c) => !matches!(c.func.id, Func::Query(_)),
            _ => true,
        };
    });
    let types = [assay_promql::ast::ValueType::Scalar, assay_promql::ast::ValueType::Vector];
    fits && types.contains(&expr.value_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuleFiles, RuleId};

    /// Layers of rules as `a b|c*`: parts by the names of their rules, `+` between those evaluated together, `*` where
    /// slot by slot.
    fn check(rules: &str, want: &str) {
        let body: String = rules
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .map(|l| {
                let (kind, rest) = l.split_at(1);
                let (name, expr) = rest.trim().split_once('=').expect("name=expr");
                let key = if kind == "!" { "alert" } else { "record" };
                format!("  - {key}: {name}\n    expr: {}\n", serde_json::to_string(expr).expect("a string"))
            })
            .collect();
        let files =
            RuleFiles::parse("r.yml", &format!("groups:\n- name: g\n  rules:\n{body}")).expect("reads");
        let group = &files.groups[0];
        let runs: Vec<_> = group
            .rules
            .iter()
            .enumerate()
            .map(|(r, rule)| RuleRun::new(RuleId { group: 0, rule: r }, group, rule, 0))
            .collect();
        let slots = Slots { first_ms: 0, last_ms: 60_000, interval_ms: 15_000 };
        let refs: Vec<_> = runs.iter().map(|run| (run, slots)).collect();
        let part = |p: &Part| {
            let names: Vec<_> = p.rules.iter().map(|r| group.rules[*r].name.as_str()).collect();
            format!("{}{}", names.join("+"), if p.stepwise { "*" } else { "" })
        };
        let layers: Vec<_> = layers(&refs)
            .iter()
            .map(|l| {
                let mut parts: Vec<_> = l.iter().map(part).collect();
                parts.sort();
                parts.join(" ")
            })
            .collect();
        assert_eq!(layers.join("|"), want, "{rules}");
    }

    #[test]
    fn rules_come_in_layers() {
        check("-a=up\n-b=a\n-c=up", "a c|b");
        check("-a=up\n-b=a + c\n-c=up", "a|b+c*");
        check("-a=a + 1 or vector(0)", "a*");
        check("-a=b\n-b=a", "a+b*");
        check("-a=up offset -5m", "a*");
        check("-a=up @ start()", "a*");
        check("-a=rate(up[5m] offset 1m)\n-b={__name__=~\"a|x\"}", "a|b");
        check("!A=up == 0\n!B=ALERTS{alertname=\"A\"}\n!C=ALERTS{alertname!=\"C\"}", "A|B|C");
        check("!A=up == 0\n-n=count(ALERTS{alertstate=\"none\"})", "A n");
    }

    #[test]
    fn groups_come_after_those_that_they_read() {
        let check = |groups: &[(&str, &str)], want: &[usize]| {
            let body: String = groups
                .iter()
                .enumerate()
                .map(|(i, (name, expr))| {
                    format!("- name: g{i}\n  rules:\n  - record: {name}\n    expr: {expr}\n")
                })
                .collect();
            let files = RuleFiles::parse("r.yml", &format!("groups:\n{body}")).expect("reads");
            let runs: Vec<Vec<_>> = files
                .groups
                .iter()
                .enumerate()
                .map(|(g, group)| vec![RuleRun::new(RuleId { group: g, rule: 0 }, group, &group.rules[0], 0)])
                .collect();
            assert_eq!(group_order(&runs), want, "{groups:?}");
        };
        check(&[("a", "up"), ("b", "up"), ("c", "up")], &[0, 1, 2]);
        check(&[("a", "c"), ("b", "up"), ("c", "up")], &[1, 2, 0]);
        check(&[("a", "b"), ("b", "c"), ("c", "up"), ("d", "a")], &[2, 1, 0, 3]);
        // Each reads the other: the order of the files.
        check(&[("a", "b"), ("b", "a"), ("c", "up")], &[0, 1, 2]);
    }

    #[test]
    fn a_long_chain_has_as_many_layers() {
        let edges: Vec<Vec<usize>> =
            (0..50_000).map(|i| if i < 49_999 { vec![i + 1] } else { Vec::new() }).collect();
        let found = components(&edges);
        assert_eq!((found.len(), &found[0], &found[49_999]), (50_000, &vec![0], &vec![49_999]));
    }
}
