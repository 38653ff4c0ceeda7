//! Service level indicators. Invariant: every query of an [`Indicator`] parses.

use assay_promql::Expr;
use assay_yaml::{Cx, Node};

use super::growth;

/// What is measured.
#[derive(Clone, Debug)]
pub(super) enum Indicator {
    /// The part of events that are good, of two queries.
    Ratio {
        /// Good or bad events.
        part: Box<Expr>,
        /// Whether `part` are the bad ones.
        bad: bool,
        /// All events.
        total: Box<Expr>,
        /// Whether the queries count from the start, and not per second.
        counter: bool,
    },
    /// The part of events that are good (or bad), as the source computes it.
    Raw {
        /// A ratio.
        query: Box<Expr>,
        /// Whether it is of bad events.
        bad: bool,
    },
    /// A value with a threshold in each objective.
    Threshold(Box<Expr>),
}

impl Indicator {
    /// The part that is good over a window; for thresholds, the part of its seconds that hold.
    pub(super) fn over(&self, window: &str, threshold: Option<(&str, f64)>) -> String {
        match self {
            Self::Ratio { part, bad, total, counter } => {
                let count = |query: &Expr| {
                    if *counter {
                        growth(query, window)
                    } else {
                        format!("sum(sum_over_time(({query})[{window}:1s]))")
                    }
                };
                let ratio = format!("{} / {}", count(part), count(total));
                if *bad { format!("1 - {ratio}") } else { ratio }
            }
            Self::Raw { query, bad } => {
                let ratio = format!("avg_over_time(({query})[{window}:1s])");
                if *bad { format!("1 - {ratio}") } else { ratio }
            }
            Self::Threshold(query) => match threshold {
                Some((op, value)) => format!("avg_over_time(({query} {op} bool {value})[{window}:1s])"),
                None => format!("avg_over_time(({query})[{window}:1s])"),
            },
        }
    }

    /// Whether the mean of a slice holds, as 0 or 1.
    pub(super) fn slice_holds(&self, window: &str, (op, value): (&str, f64)) -> String {
        format!("({}) {op} bool {value}", self.over(window, None))
    }
}

/// Reads an SLI's `spec`.
pub(super) fn read(cx: &mut Cx<'_>, node: &Node) -> Option<Indicator> {
    let mut map = cx.map(node, "an SLI's spec")?;
    map.get("description");
    let (ratio, threshold) = (map.get("ratioMetric"), map.get("thresholdMetric"));
    map.finish(cx);
    match (ratio, threshold) {
        (Some(n), None) => read_ratio(cx, n),
        (None, Some(n)) => read_query(cx, n).map(Indicator::Threshold),
        _ => {
            cx.error(node, "an SLI's spec has either ratioMetric or thresholdMetric");
            None
        }
    }
}

fn read_ratio(cx: &mut Cx<'_>, node: &Node) -> Option<Indicator> {
    let mut map = cx.map(node, "a ratioMetric")?;
    let counter = map.get("counter").map_or(Some(false), |n| cx.boolean(n));
    let (good, bad) = (map.get("good"), map.get("bad"));
    let (total, raw) = (map.get("total"), map.get("raw"));
    let raw_type = map.get("rawType").and_then(|n| cx.string(n));
    map.finish(cx);
    if let Some(raw) = raw {
        let query = read_query(cx, raw)?;
        return Some(Indicator::Raw { query, bad: raw_type.as_deref() == Some("failure") });
    }
    let (part, bad) = match (good, bad) {
        (Some(n), None) => (n, false),
        (None, Some(n)) => (n, true),
        _ => {
            cx.error(node, "a ratioMetric has either good or bad, and total");
            return None;
        }
    };
    let Some(total) = total else {
        cx.error(node, "a ratioMetric lacks the key \"total\"");
        return None;
    };
    let (part, total) = (read_query(cx, part), read_query(cx, total));
    Some(Indicator::Ratio { part: part?, bad, total: total?, counter: counter? })
}

/// The query of a `metricSource`.
fn read_query(cx: &mut Cx<'_>, node: &Node) -> Option<Box<Expr>> {
    let mut map = cx.map(node, "a metric")?;
    let source = map.require(cx, "metricSource");
    map.finish(cx);
    let mut map = cx.map(source?, "a metricSource")?;
    if let Some(n) = map.get("type") {
        let kind = cx.string(n)?;
        if !kind.eq_ignore_ascii_case("prometheus") {
            cx.error(n, format!("runs hold Prometheus data: the type is Prometheus, not {kind}"));
        }
    }
    map.get("metricSourceRef");
    let spec = map.require(cx, "spec");
    map.finish(cx);
    let mut map = cx.map(spec?, "a metricSource's spec")?;
    let query = map.require(cx, "query");
    map.finish(cx);
    let query = query?;
    let text = cx.string(query)?;
    match assay_promql::parse(&text) {
        Ok(expr) => Some(Box::new(expr)),
        Err(errors) => {
            for e in errors.list() {
                cx.error_in(query, e.span.start, &e.message);
            }
            None
        }
    }
}
