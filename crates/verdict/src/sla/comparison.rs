//! An objective's comparison, taken apart. Invariant: `measure op limit` is the expression as written, so
//! that the measured value is known where the comparison does not hold, too.

use assay_model::{Labels, METRIC_NAME, duration};
use assay_promql::{
    Expr,
    ast::{BinaryOp, ValueType, VectorMatching},
};
use assay_yaml::{Cx, Node, nearest};

/// The variables an expression may use, longest first, each with a value of the same length that parses where
/// the variable stands: a text with them filled in keeps every byte position.
const VARIABLES: [(&str, &str); 3] =
    [("$__range_ms", "00000000001"), ("$__range_s", "0000000001"), ("$__range", "0000001s")];

/// A comparison whose left side is the measured value and whose right side is the limit.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The whole expression as written.
    pub text: String,
    /// The operator; one for which [`BinaryOp::is_comparison`] holds.
    pub op: BinaryOp,
    measure: String,
    limit: String,
    /// How a limit that is a vector is found for a measured series; `None` where the limit is a number.
    matching: Option<VectorMatching>,
    /// The metrics that the measured value is computed from, by name, each once.
    metrics: Vec<String>,
}

impl Comparison {
    /// Reads a comparison from a scalar node; problems stand at their place in the file.
    pub(super) fn read(cx: &mut Cx<'_>, node: &Node) -> Option<Self> {
        let text = cx.string(node)?;
        match Self::parse(&text) {
            Ok(comparison) => Some(comparison),
            Err(problems) => {
                for (offset, message) in problems {
                    cx.error_in(node, offset, message);
                }
                None
            }
        }
    }

    /// Reads a comparison.
    ///
    /// # Errors
    /// Each problem with the byte of the text that it is about.
    pub fn parse(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let filled = with_placeholders(text)?;
        let expr = assay_promql::parse(&filled)
            .map_err(|e| e.list().iter().map(|p| (p.span.start, p.message.clone())).collect::<Vec<_>>())?;
        let top = expr.unparen();
        let slice = |e: &Expr| text.get(e.span()).unwrap_or_default().trim().to_owned();
        let Expr::Binary(binary) = top else {
            return Err(vec![(0, not_a_comparison(text))]);
        };
        if !binary.op.is_comparison() {
            return Err(vec![(0, not_a_comparison(text))]);
        }
        if binary.lhs.value_type() == ValueType::Scalar && binary.rhs.value_type() == ValueType::Vector {
            let message = format!("the measured value is on the left, as in `{} …`", slice(&binary.rhs));
            return Err(vec![(binary.span.start, message)]);
        }
        let matching = match binary.rhs.value_type() {
            ValueType::Scalar => None,
            _ => Some(binary.matching.clone().unwrap_or_default()),
        };
        Ok(Self {
            text: text.trim().to_owned(),
            op: binary.op,
            measure: slice(&binary.lhs),
            limit: slice(&binary.rhs),
            matching,
            metrics: metric_names(&binary.lhs),
        })
    }

    /// The whole expression for a window of `range_ms`.
    #[must_use]
    pub fn expression(&self, range_ms: i64) -> String {
        fill(&self.text, range_ms)
    }

    /// The left side as written.
    #[must_use]
    pub fn measure_text(&self) -> &str {
        &self.measure
    }

    /// The left side for a window of `range_ms`.
    #[must_use]
    pub fn measure(&self, range_ms: i64) -> String {
        fill(&self.measure, range_ms)
    }

    /// The right side for a window of `range_ms`.
    #[must_use]
    pub fn limit(&self, range_ms: i64) -> String {
        fill(&self.limit, range_ms)
    }

    /// The metrics that the measured value is computed from.
    #[must_use]
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// The part of a series' labels by which it finds its limit; empty where the limit is a number.
    #[must_use]
    pub fn signature(&self, labels: &Labels) -> Labels {
        let Some(m) = &self.matching else { return Labels::empty() };
        let listed = |name: &str| m.matching_labels.iter().any(|l| l == name);
        labels.without(|name| if m.on { !listed(name) } else { listed(name) || name == METRIC_NAME })
    }
}

/// Whether a comparison holds, as PromQL compares floats.
#[must_use]
pub fn holds(op: BinaryOp, value: f64, limit: f64) -> bool {
    match op {
        BinaryOp::Lss => value < limit,
        BinaryOp::Lte => value <= limit,
        BinaryOp::Gtr => value > limit,
        BinaryOp::Gte => value >= limit,
        BinaryOp::Eql => value == limit,
        BinaryOp::Neq => value != limit,
        _ => false,
    }
}

/// An expression for a window of `range_ms`: its variables filled in.
pub(crate) fn fill(text: &str, range_ms: i64) -> String {
    text.replace("$__range_ms", &range_ms.to_string())
        .replace("$__range_s", &assay_model::number::format_f(range_ms as f64 / 1e3))
        .replace("$__range", &duration::format_ms(range_ms))
}

/// Whether an expression with variables is PromQL.
///
/// # Errors
/// Each problem with the byte of the text that it is about.
pub(crate) fn check_measure(text: &str) -> Result<(), Vec<(usize, String)>> {
    let filled = with_placeholders(text)?;
    match assay_promql::parse(&filled) {
        Ok(_) => Ok(()),
        Err(e) => Err(e.list().iter().map(|p| (p.span.start, p.message.clone())).collect()),
    }
}

fn with_placeholders(text: &str) -> Result<String, Vec<(usize, String)>> {
    let filled = VARIABLES.iter().fold(text.to_owned(), |t, (name, value)| t.replace(name, value));
    let unknown: Vec<_> = filled
        .match_indices("$__")
        .map(|(at, _)| {
            let name: String =
                filled[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "$_".contains(*c)).collect();
            let known = VARIABLES.map(|(n, _)| n);
            let hint = nearest(&name, known)
                .map_or_else(|| format!("known: {}", known.join(", ")), |n| format!("did you mean {n:?}?"));
            (at, format!("unknown variable {name:?}; {hint}"))
        })
        .collect();
    if unknown.is_empty() { Ok(filled) } else { Err(unknown) }
}

fn not_a_comparison(text: &str) -> String {
    let text = text.trim();
    let short: String = text.chars().take(40).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("the top of the expression must be a comparison such as `{short}{dots} < 5`")
}

fn metric_names(expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    for selector in expr.selectors() {
        if !selector.name.is_empty() && !names.contains(&selector.name) {
            names.push(selector.name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_sides_from_the_tree() {
        let check = |text: &str, measure: &str, op: &str, limit: &str| {
            let c = Comparison::parse(text).expect(text);
            assert_eq!(
                (c.measure(60_000), c.op.as_str(), c.limit(60_000)),
                (measure.into(), op, limit.into())
            );
            assert_eq!(c.expression(60_000), text.trim().replace("$__range", "1m"));
        };
        check("rate(a[$__range]) < 5", "rate(a[1m])", "<", "5");
        check("(sum(a) + b > c) >= bool 2 * 3\n", "(sum(a) + b > c)", ">=", "2 * 3");
        check("((a < 1))", "a", "<", "1");
        check("a == on (job) b * $__range", "a", "==", "b * 1m");
    }

    #[test]
    fn variables_in_seconds_and_milliseconds() {
        let c = Comparison::parse("increase(a[$__range]) / $__range_s > $__range_ms").expect("is right");
        assert_eq!(c.expression(1_500), "increase(a[1s500ms]) / 1.5 > 1500");
        assert_eq!(c.metrics(), ["a"]);
    }

    #[test]
    fn refuses_what_is_no_comparison() {
        let check = |text: &str, at: usize, part: &str| {
            let problems = Comparison::parse(text).expect_err(text);
            assert!(problems.iter().any(|(o, m)| *o == at && m.contains(part)), "{text}: {problems:?}");
        };
        check("a + 1", 0, "comparison");
        check("a < 1 and b < 1", 0, "comparison");
        check("5 > a", 0, "on the left");
        check("rate(a[$__rnge]) < 1", 7, "did you mean \"$__range\"?");
    }

    #[test]
    fn a_limit_that_is_a_vector_is_found_by_labels() {
        let labels = Labels::from_pairs([("__name__", "a"), ("job", "x"), ("pod", "1")]);
        let signature = |text: &str| Comparison::parse(text).expect(text).signature(&labels).to_string();
        assert_eq!(signature("a < 5"), "{}");
        assert_eq!(signature("a < on (job) b"), "{job=\"x\"}");
        assert_eq!(signature("a < ignoring (pod) group_left () b"), "{job=\"x\"}");
        assert_eq!(signature("a < b"), "{job=\"x\", pod=\"1\"}");
    }
}
