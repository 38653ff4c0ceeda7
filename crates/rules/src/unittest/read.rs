//! Reads a test file.
//!
//! Source: Prometheus `cmd/promtool/unittest.go` v3.13 for the keys. Invariant: a file with an unknown key, a value of
//! the wrong type or a repeated group in its order yields no test, and all its problems.

use assay_model::{Labels, LabelsBuilder};
use assay_yaml::{Cx, Diagnostics, Document, Node, Position, Style};

/// A test file.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval_ms: i64,
    pub(super) group_eval_order: Vec<String>,
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<TestGroup>,
}

/// Series, and what must come of them.
#[derive(Debug)]
pub(super) struct TestGroup {
    pub(super) name: String,
    pub(super) interval_ms: i64,
    pub(super) start_ms: i64,
    pub(super) input_series: Vec<InputSeries>,
    pub(super) alert_tests: Vec<AlertTest>,
    pub(super) expr_tests: Vec<ExprTest>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
}

#[derive(Debug)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
    pub(super) position: Position,
}

#[derive(Debug)]
pub(super) struct AlertTest {
    pub(super) eval_time_ms: i64,
    pub(super) alertname: String,
    pub(super) expected: Vec<ExpectedAlert>,
    pub(super) position: Position,
}

/// Label pairs sorted by name; empty values are kept, since an expectation of one never holds.
pub(super) type Pairs = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpectedAlert {
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
}

#[derive(Debug)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time_ms: i64,
    pub(super) samples: Vec<ExpectedSample>,
    pub(super) position: Position,
}

#[derive(Debug)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    pub(super) value: f64,
    pub(super) histogram: String,
}

/// Reads a document.
pub(super) fn read(document: &Document) -> Result<TestFile, Diagnostics> {
    let mut cx = Cx::new(document);
    let mut file = TestFile {
        rule_files: Vec::new(),
        evaluation_interval_ms: 60_000,
        group_eval_order: Vec::new(),
        fuzzy_compare: false,
        tests: Vec::new(),
    };
    let root = document.root();
    if !root.is_null()
        && let Some(mut map) = cx.map(root, "a file of rule tests")
    {
        file.rule_files = texts(&mut cx, map.get("rule_files"), "rule files");
        let interval_ms = map.get("evaluation_interval").and_then(|n| cx.duration_ms(n)).unwrap_or(0);
        if interval_ms > 0 {
            file.evaluation_interval_ms = interval_ms;
        }
        let order = map.get("group_eval_order");
        file.group_eval_order = texts(&mut cx, order, "group names");
        for (i, name) in file.group_eval_order.iter().enumerate() {
            if file.group_eval_order[..i].contains(name) {
                cx.error(order.unwrap_or(root), format!("group name repeated in evaluation order: {name}"));
            }
        }
        file.fuzzy_compare = map.get("fuzzy_compare").and_then(|n| cx.boolean(n)).unwrap_or(false);
        for node in items(&mut cx, map.get("tests"), "tests") {
            file.tests.extend(test(&mut cx, node, file.evaluation_interval_ms));
        }
        map.finish(&mut cx);
    }
    cx.finish()?;
    Ok(file)
}

fn items<'n>(cx: &mut Cx<'_>, node: Option<&'n Node>, what: &str) -> &'n [Node] {
    node.and_then(|n| cx.seq(n, what)).unwrap_or_default()
}

fn texts(cx: &mut Cx<'_>, node: Option<&Node>, what: &str) -> Vec<String> {
    items(cx, node, what).iter().filter_map(|n| cx.string(n)).collect()
}

/// A text; nothing is the empty text.
fn text(cx: &mut Cx<'_>, node: Option<&Node>) -> String {
    node.and_then(|n| cx.string(n)).unwrap_or_default()
}

fn duration_ms(cx: &mut Cx<'_>, node: Option<&Node>) -> i64 {
    node.and_then(|n| cx.duration_ms(n)).unwrap_or(0)
}

fn test(cx: &mut Cx<'_>, node: &Node, evaluation_interval_ms: i64) -> Option<TestGroup> {
    let mut map = cx.map(node, "a test")?;
    let interval_ms = duration_ms(cx, map.get("interval"));
    let mut group = TestGroup {
        name: text(cx, map.get("name")),
        interval_ms: if interval_ms > 0 { interval_ms } else { evaluation_interval_ms },
        start_ms: map.get("start_timestamp").and_then(|n| timestamp(cx, n)).unwrap_or(0),
        input_series: Vec::new(),
        alert_tests: Vec::new(),
        expr_tests: Vec::new(),
        external_labels: Labels::empty(),
        external_url: text(cx, map.get("external_url")),
    };
    for node in items(cx, map.get("input_series"), "input series") {
        if let Some(mut map) = cx.map(node, "an input series") {
            let (series, values) = (text(cx, map.get("series")), text(cx, map.get("values")));
            map.finish(cx);
            group.input_series.push(InputSeries { series, values, position: node.position });
        }
    }
    for node in items(cx, map.get("alert_rule_test"), "alert tests") {
        group.alert_tests.extend(alert_test(cx, node));
    }
    for node in items(cx, map.get("promql_expr_test"), "expression tests") {
        group.expr_tests.extend(expr_test(cx, node));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs(cx, map.get("external_labels"), "external labels") {
        builder.set(&name, &value);
    }
    group.external_labels = builder.build();
    map.finish(cx);
    Some(group)
}

fn alert_test(cx: &mut Cx<'_>, node: &Node) -> Option<AlertTest> {
    let mut map = cx.map(node, "an alert test")?;
    let eval_time_ms = duration_ms(cx, map.get("eval_time"));
    let alertname = text(cx, map.get("alertname"));
    let mut expected = Vec::new();
    for node in items(cx, map.get("exp_alerts"), "expected alerts") {
        // An empty item stands for an alert without labels of its own.
        if node.is_null() {
            expected.push(ExpectedAlert { labels: Vec::new(), annotations: Vec::new() });
        } else if let Some(mut map) = cx.map(node, "an expected alert") {
            let labels = pairs(cx, map.get("exp_labels"), "expected labels");
            let annotations = pairs(cx, map.get("exp_annotations"), "expected annotations");
            map.finish(cx);
            expected.push(ExpectedAlert { labels, annotations });
        }
    }
    map.finish(cx);
    for alert in &mut expected {
        alert.labels.retain(|(n, _)| n != "alertname");
        alert.labels.push(("alertname".to_owned(), alertname.clone()));
        alert.labels.sort();
    }
    Some(AlertTest { eval_time_ms, alertname, expected, position: node.position })
}

fn expr_test(cx: &mut Cx<'_>, node: &Node) -> Option<ExprTest> {
    let mut map = cx.map(node, "an expression test")?;
    let expr = text(cx, map.get("expr"));
    let eval_time_ms = duration_ms(cx, map.get("eval_time"));
    let mut samples = Vec::new();
    for node in items(cx, map.get("exp_samples"), "expected samples") {
        let Some(mut map) = cx.map(node, "an expected sample") else { continue };
        let labels = text(cx, map.get("labels"));
        let value = map.get("value").and_then(|n| number(cx, n)).unwrap_or(0.0);
        let histogram = text(cx, map.get("histogram"));
        map.finish(cx);
        samples.push(ExpectedSample { labels, value, histogram });
    }
    map.finish(cx);
    Some(ExprTest { expr, eval_time_ms, samples, position: node.position })
}

/// A map of texts, sorted by name; nothing is the empty text.
fn pairs(cx: &mut Cx<'_>, node: Option<&Node>, what: &'static str) -> Pairs {
    let Some(node) = node else { return Vec::new() };
    let Some(list) = node.as_map() else {
        cx.error(node, format!("expected {what} as a map of keys, found {}", node.describe()));
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key, value) in list {
        let text = if value.is_null() { Some(String::new()) } else { cx.string(value) };
        if let (Some(name), Some(text)) = (key.as_str(), text) {
            out.push((name.to_owned(), text));
        }
    }
    out.sort();
    out
}

/// A number as YAML spells it: `.nan` and `.inf` included, but no text in quotes.
fn number(cx: &mut Cx<'_>, node: &Node) -> Option<f64> {
    let plain = match &node.kind {
        assay_yaml::Kind::Scalar(text, Style::Plain) => Some(text.as_str()),
        _ => None,
    };
    let parsed = plain.and_then(|text| match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        text => yaml_number(&text.replace('_', "")),
    });
    if parsed.is_none() {
        let hint = "write infinities as .inf and what is no number as .nan";
        cx.error(node, format!("expected a number, found {}; {hint}", node.describe()));
    }
    parsed
}

/// A number in YAML 1.1's spellings: decimal, hexadecimal, octal and binary.
fn yaml_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |prefix: &str, radix: u32| {
        digits.strip_prefix(prefix).and_then(|d| u64::from_str_radix(d, radix).ok()).map(|n| sign * n as f64)
    };
    if let Some(n) = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)) {
        return Some(n);
    }
    let octal =
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if octal {
        return u64::from_str_radix(digits, 8).ok().map(|n| sign * n as f64);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|n| sign * n)
}

/// Unix seconds, or a date and time of RFC 3339.
fn timestamp(cx: &mut Cx<'_>, node: &Node) -> Option<i64> {
    let parsed = node.as_str().and_then(|text| {
        let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite());
        seconds.map(|s| (s * 1000.0).round() as i64).or_else(|| crate::template::parse_rfc3339_ms(text))
    });
    if parsed.is_none() {
        let found = node.describe();
        cx.error(
            node,
            format!("expected unix seconds or a time such as 2026-01-31T12:00:00Z, found {found}"),
        );
    }
    parsed
}
