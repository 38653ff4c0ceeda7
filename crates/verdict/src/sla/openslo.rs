//! OpenSLO v1 documents as SLAs. Invariant: each becomes plain objectives, so that judging knows one kind.
//!
//! Source: the OpenSLO specification, v1 (`kind: SLO` and `kind: SLI`). The judged window takes the place of
//! `timeWindow`: a run lasts minutes. Occurrences weigh every event (or, for thresholds, every second) alike;
//! timeslices count slices of `timeSliceWindow`, aligned to the clock.

use assay_promql::{Expr, ast::AggregateOp};
use assay_yaml::{Cx, Diagnostics, Document, MapReader, Node};

use super::{Comparison, Judge, Objective, OnMissing, Sla};

mod indicator;

use indicator::Indicator;

/// Whether a text is OpenSLO: its first key that matters is `apiVersion: openslo/…`.
pub(super) fn is_openslo(text: &str) -> bool {
    text.lines().any(|l| {
        l.strip_prefix("apiVersion:")
            .is_some_and(|v| v.trim().trim_matches(['"', '\'']).starts_with("openslo/"))
    })
}

/// Reads a file of one or several documents.
pub(super) fn parse(file: &str, text: &str) -> Result<Sla, Diagnostics> {
    let documents = Document::parse_all(file, text)?;
    let mut problems = Diagnostics::default();
    let mut indicators: Vec<(String, Indicator)> = Vec::new();
    for document in &documents {
        let mut cx = Cx::new(document);
        indicators.extend(shared_indicator(&mut cx, document.root()));
        keep(cx, &mut problems);
    }
    let mut sla =
        Sla { name: String::new(), file: file.to_owned(), judge: Judge::default(), objectives: Vec::new() };
    for document in &documents {
        let mut cx = Cx::new(document);
        if document.root().get("kind").and_then(Node::as_str) == Some("SLO") {
            read_slo(&mut cx, document.root(), &indicators, &mut sla);
        }
        keep(cx, &mut problems);
    }
    if problems.is_empty() && sla.objectives.is_empty() {
        problems.extend(Diagnostics::file(file, "holds no document of kind SLO with objectives"));
    }
    if problems.is_empty() { Ok(sla) } else { Err(problems) }
}

fn keep(cx: Cx<'_>, problems: &mut Diagnostics) {
    if let Err(found) = cx.finish() {
        problems.extend(found);
    }
}

/// The name and indicator of a document of kind SLI.
fn shared_indicator(cx: &mut Cx<'_>, root: &Node) -> Option<(String, Indicator)> {
    if root.get("kind").and_then(Node::as_str) != Some("SLI") {
        return None;
    }
    let name = root.get("metadata")?.get("name")?.as_str()?.to_owned();
    let mut map = cx.map(root, "an SLI")?;
    head(cx, &mut map);
    let spec = map.require(cx, "spec").and_then(|n| indicator::read(cx, n));
    map.finish(cx);
    Some((name, spec?))
}

fn head(cx: &mut Cx<'_>, map: &mut MapReader<'_>) {
    if let Some(n) = map.require(cx, "apiVersion") {
        let version = cx.string(n).unwrap_or_default();
        if version != "openslo/v1" {
            cx.error(n, format!("this reads openslo/v1, not {version}"));
        }
    }
    map.get("kind");
    map.get("metadata");
}

fn read_slo(cx: &mut Cx<'_>, root: &Node, shared: &[(String, Indicator)], sla: &mut Sla) -> Option<()> {
    let mut map = cx.map(root, "an SLO")?;
    head(cx, &mut map);
    let metadata = root.get("metadata");
    let text = |key: &str| metadata.and_then(|m| m.get(key)).and_then(Node::as_str).map(str::to_owned);
    let name = text("name").unwrap_or_else(|| "slo".to_owned());
    let title = text("displayName").unwrap_or_else(|| name.clone());
    if sla.name.is_empty() {
        sla.name.clone_from(&name);
    }
    let spec = map.require(cx, "spec");
    map.finish(cx);
    let mut spec = cx.map(spec?, "an SLO's spec")?;
    let description = spec.get("description").and_then(|n| cx.string(n)).unwrap_or_default();
    for ignored in ["service", "timeWindow", "alertPolicies"] {
        spec.get(ignored);
    }
    let method = spec.get("budgetingMethod").map_or(Some(Method::Occurrences), |n| read_method(cx, n));
    let indicator = find_indicator(cx, &mut spec, shared);
    let objectives = spec.require(cx, "objectives").and_then(|n| cx.seq(n, "objectives"));
    spec.finish(cx);
    let about = About { title, description, method: method?, indicator: indicator? };
    let objectives = objectives?;
    for node in objectives {
        let objective = read_objective(cx, node, &about, objectives.len() > 1)?;
        sla.objectives.push(objective);
    }
    Some(())
}

fn find_indicator(
    cx: &mut Cx<'_>,
    spec: &mut MapReader<'_>,
    shared: &[(String, Indicator)],
) -> Option<Indicator> {
    if let Some(node) = spec.get("indicator") {
        let mut map = cx.map(node, "an indicator")?;
        map.get("metadata");
        let inner = map.require(cx, "spec").and_then(|n| indicator::read(cx, n));
        map.finish(cx);
        spec.get("indicatorRef");
        return inner;
    }
    let node = spec.get("indicatorRef");
    let Some(node) = node else {
        cx.error(spec.node(), "an SLO's spec lacks the key \"indicator\" (or \"indicatorRef\")");
        return None;
    };
    let name = cx.string(node)?;
    let found = shared.iter().find(|(n, _)| *n == name).map(|(_, i)| i.clone());
    if found.is_none() {
        cx.error(node, format!("no document of kind SLI in this file is named {name:?}"));
    }
    found
}

/// How good events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Occurrences,
    Timeslices,
    RatioTimeslices,
}

fn read_method(cx: &mut Cx<'_>, node: &Node) -> Option<Method> {
    match cx.string(node)?.as_str() {
        "Occurrences" => Some(Method::Occurrences),
        "Timeslices" => Some(Method::Timeslices),
        "RatioTimeslices" => Some(Method::RatioTimeslices),
        other => {
            let known = "Occurrences, Timeslices or RatioTimeslices";
            cx.error(node, format!("unknown budgetingMethod {other:?}; write {known}"));
            None
        }
    }
}

/// What all objectives of an SLO share.
struct About {
    title: String,
    description: String,
    method: Method,
    indicator: Indicator,
}

fn read_objective(cx: &mut Cx<'_>, node: &Node, about: &About, many: bool) -> Option<Objective> {
    let mut map = cx.map(node, "an objective")?;
    let label = map.get("displayName").and_then(|n| cx.string(n));
    let op = map.get("op").map(|n| read_op(cx, n));
    let value = map.get("value").map(|n| cx.number(n));
    let target = read_target(cx, &mut map);
    let slice_target = map.get("timeSliceTarget").map(|n| cx.number(n));
    let slice = map.get("timeSliceWindow").map(|n| cx.duration_ms(n));
    map.get("compositeWeight");
    map.finish(cx);
    let (op, value, slice_target, slice) = (flat(op)?, flat(value)?, flat(slice_target)?, flat(slice)?);
    let threshold = match (&about.indicator, op, value) {
        (Indicator::Threshold(_), Some(op), Some(value)) => Some((op, value)),
        (Indicator::Threshold(_), ..) => {
            cx.error(node, "an objective of a thresholdMetric needs op (lt, lte, gt or gte) and value");
            return None;
        }
        _ => None,
    };
    let slice = match about.method {
        Method::Occurrences => None,
        Method::Timeslices | Method::RatioTimeslices => match slice {
            Some(ms) if ms > 0 => Some(assay_model::duration::format_ms(ms)),
            _ => {
                cx.error(node, "an objective with time slices needs timeSliceWindow, such as 1m");
                return None;
            }
        },
    };
    let target = target?;
    let measure = match (about.method, slice) {
        (Method::Occurrences, _) | (_, None) => about.indicator.over("$__range", threshold),
        (Method::RatioTimeslices, Some(w)) => {
            format!("avg_over_time(({})[$__range:{w}])", about.indicator.over(&w, threshold))
        }
        (Method::Timeslices, Some(w)) => {
            let good = match threshold {
                Some(limit) => about.indicator.slice_holds(&w, limit),
                None => {
                    let Some(least) = slice_target else {
                        cx.error(node, "an objective with time slices of a ratio needs timeSliceTarget");
                        return None;
                    };
                    format!("({}) >= bool {least}", about.indicator.over(&w, None))
                }
            };
            format!("avg_over_time(({good})[$__range:{w}])")
        }
    };
    let require = match Comparison::parse(&format!("{measure} >= {target}")) {
        Ok(require) => require,
        Err(problems) => {
            let causes: Vec<_> = problems.into_iter().map(|(_, m)| m).collect();
            cx.error(node, format!("the queries do not combine: {}", causes.join("; ")));
            return None;
        }
    };
    let name = match label {
        Some(label) if many => format!("{}: {label}", about.title),
        _ if many => format!("{}: {target}", about.title),
        _ => about.title.clone(),
    };
    Some(Objective {
        name,
        category: "slo".to_owned(),
        unit: "ratio".to_owned(),
        phases: None,
        require,
        limits: Vec::new(),
        relative: None,
        on_missing: OnMissing::default(),
        error_budget: true,
        description: about.description.clone(),
        advice: String::new(),
        position: node.position,
    })
}

/// `None` where a key was there and wrong; `Some(None)` where it was absent.
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn read_op(cx: &mut Cx<'_>, node: &Node) -> Option<&'static str> {
    match cx.string(node)?.as_str() {
        "lt" => Some("<"),
        "lte" => Some("<="),
        "gt" => Some(">"),
        "gte" => Some(">="),
        other => {
            cx.error(node, format!("unknown op {other:?}; write lt, lte, gt or gte"));
            None
        }
    }
}

fn read_target(cx: &mut Cx<'_>, map: &mut MapReader<'_>) -> Option<f64> {
    let (ratio, percent) = (map.get("target"), map.get("targetPercent"));
    let (node, scale) = match (ratio, percent) {
        (Some(n), None) => (n, 1.0),
        (None, Some(n)) => (n, 100.0),
        _ => {
            cx.error(map.node(), "an objective needs either target (0 to 1) or targetPercent (0 to 100)");
            return None;
        }
    };
    let value = cx.number(node)? / scale;
    if !(0.0..=1.0).contains(&value) {
        cx.error(node, format!("the target must lie between 0 and {scale}"));
        return None;
    }
    Some(value)
}

/// The growth of a counter query over a window. `increase` has to see each counter alone, so it goes under a
/// `sum` of a selector; anything else is sampled each second.
fn growth(query: &Expr, window: &str) -> String {
    match query.unparen() {
        Expr::Vector(_) => format!("sum(increase({query}[{window}]))"),
        Expr::Aggregate(sum)
            if sum.op == AggregateOp::Sum && matches!(sum.expr.unparen(), Expr::Vector(_)) =>
        {
            format!("sum(increase({}[{window}]))", sum.expr.unparen())
        }
        _ => format!("sum(increase(({query})[{window}:1s]))"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: web, displayName: Web}\nspec:\n  service: s\n";
    const SOURCE: &str = "metricSource: {type: Prometheus, spec: {query: ";

    fn check(rest: &str, want: &[&str]) {
        let text = format!("{HEAD}{}", rest.replace("SOURCE", SOURCE));
        match parse("o.yml", &text) {
            Ok(sla) => {
                let got: Vec<_> = sla.objectives.iter().map(|o| o.require.text.clone()).collect();
                assert_eq!(got, want, "{text}");
            }
            Err(problems) => assert_eq!(problems.to_string().lines().collect::<Vec<_>>(), want, "{text}"),
        }
    }

    #[test]
    fn ratios() {
        check(
            "  budgetingMethod: Occurrences\n  indicator:\n    spec:\n      ratioMetric:\n        counter: true\n        \
             good: {SOURCE'a{code!~\"5..\"}'}}}\n        total: {SOURCEsum(a)}}}\n  objectives: [{target: 0.99}]\n",
            &["sum(increase(a{code!~\"5..\"}[$__range])) / sum(increase(a[$__range])) >= 0.99"],
        );
        check(
            "  budgetingMethod: Timeslices\n  indicator:\n    spec:\n      ratioMetric:\n        counter: true\n        \
             bad: {SOURCEb}}}\n        total: {SOURCEa}}}\n  \
             objectives: [{targetPercent: 95, timeSliceTarget: 0.9, timeSliceWindow: 10s}]\n",
            &[
                "avg_over_time(((1 - sum(increase(b[10s])) / sum(increase(a[10s]))) >= bool 0.9)[$__range:10s]) >= 0.95",
            ],
        );
    }

    #[test]
    fn thresholds() {
        check(
            "  indicator:\n    spec:\n      thresholdMetric: {SOURCElatency}}}\n  objectives:\n  \
             - {displayName: fast, op: lte, value: 0.2, target: 0.9}\n  \
             - {displayName: slow, op: lte, value: 2, target: 0.999}\n",
            &[
                "avg_over_time((latency <= bool 0.2)[$__range:1s]) >= 0.9",
                "avg_over_time((latency <= bool 2)[$__range:1s]) >= 0.999",
            ],
        );
    }

    #[test]
    fn an_indicator_of_its_own_document() {
        let text = format!(
            "apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: lat}}\nspec:\n  thresholdMetric: {{{SOURCE}x}}}}}}\n\
             ---\n{HEAD}  indicatorRef: lat\n  objectives: [{{op: lt, value: 1, target: 1}}]\n"
        );
        let sla = parse("o.yml", &text).expect("is right");
        assert_eq!(sla.objectives[0].require.text, "avg_over_time((x < bool 1)[$__range:1s]) >= 1");
        assert_eq!((sla.name.as_str(), sla.objectives[0].position.line), ("web", 13));
    }

    #[test]
    fn problems_have_positions() {
        check(
            "  indicatorRef: nope\n  objectives: [{target: 2}]\n  budgetingMethod: Occurences\n",
            &[
                "o.yml:6:17: no document of kind SLI in this file is named \"nope\"",
                "o.yml:8:20: unknown budgetingMethod \"Occurences\"; write Occurrences, Timeslices or RatioTimeslices",
            ],
        );
    }
}
