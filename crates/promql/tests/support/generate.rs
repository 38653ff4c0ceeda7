//! Random expressions, well typed for the most part.
//!
//! Invariant: only syntax that Prometheus 3.5 knows, and nothing whose result hangs on the order of series or on
//! the last bits of a number: Go's and Rust's exponentials differ there, and the sine of a large one tells.

use crate::random::Random;

/// Metrics of floats, and of what kind they are.
const FLOATS: &[&str] = &[
    "temperature",
    "queue_length",
    "flaky",
    "odd",
    "requests_total",
    "errors_total",
    "build_info",
    "latency_seconds_bucket",
    "latency_seconds_count",
    "latency_seconds_sum",
];
const HISTOGRAMS: &[&str] = &["duration_seconds", "sizes", "custom_seconds", "mixed"];
const MATCHERS: &[&str] = &[
    "job=\"api\"",
    "instance=\"a\"",
    "instance!=\"b\"",
    "code=~\"2..|404\"",
    "job=~\".*\"",
    "shard!~\"1\"",
    "le=\"1\"",
];
const DURATIONS: &[&str] = &["15s", "47s", "1m", "2m30s", "5m", "11m", "1h"];
const LABELS: &[&str] = &["job", "instance", "code", "le", "shard", "version", "absent"];
const OVER_TIME: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "absent_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "ts_of_last_over_time",
];
const MATH: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sgn",
    "asin",
    "acos",
    "atan",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "deg",
    "rad",
    "round",
    "timestamp",
    "sort",
    "sort_desc",
    "absent",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "year",
    "histogram_count",
    "histogram_sum",
    "histogram_avg",
    "histogram_stddev",
    "histogram_stdvar",
];
/// Those that make a last bit large: their arguments are kept small.
const STEEP: &[&str] = &["exp", "sin", "cos", "tan", "sinh", "cosh"];
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "^", "atan2"];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];

/// A random expression.
pub(crate) fn expression(r: &mut Random) -> String {
    let depth = 1 + r.below(3);
    match r.below(20) {
        0 => scalar(r, depth),
        _ => vector(r, depth),
    }
}

fn metric(r: &mut Random) -> &'static str {
    if r.chance(70) { r.pick(FLOATS) } else { r.pick(HISTOGRAMS) }
}

fn selection(r: &mut Random) -> String {
    let name = metric(r);
    match r.below(8) {
        0 | 1 => format!("{name}{{{}}}", r.pick(&MATCHERS[..4])),
        2 => format!("{name}{{{},{}}}", r.pick(MATCHERS), r.pick(MATCHERS)),
        _ => name.to_owned(),
    }
}

fn modifiers(r: &mut Random) -> String {
    let mut out = String::new();
    if r.chance(10) {
        out += &format!(" @ {}", r.pick(&["start()", "end()", "1700002000", "1700001234.567"]));
    }
    if r.chance(12) {
        out += &format!(" offset {}{}", r.pick(&["", "-"]), r.pick(DURATIONS));
    }
    out
}

fn matrix(r: &mut Random, depth: usize) -> String {
    if depth > 0 && r.chance(20) {
        let step = r.pick(&["", "30s", "1m", "17s"]);
        return format!("{}[{}:{step}]{}", operand(r, depth - 1), r.pick(DURATIONS), modifiers(r));
    }
    format!("{}[{}]{}", selection(r), r.pick(DURATIONS), modifiers(r))
}

/// A vector that may stand before a bracket or operator.
fn operand(r: &mut Random, depth: usize) -> String {
    let text = vector(r, depth);
    if text.starts_with('(') || !text.contains(' ') { text } else { format!("({text})") }
}

fn number(r: &mut Random) -> String {
    match r.below(8) {
        0 => r.pick(&["0", "-1", "Inf", "NaN", "-Inf", "1e3"]).to_owned(),
        1 => format!("{}", r.below(10)),
        _ => format!("{:.3}", r.unit() * 20.0 - 5.0),
    }
}

fn scalar(r: &mut Random, depth: usize) -> String {
    match r.below(6) {
        0 if depth > 0 => format!("scalar({})", vector(r, depth - 1)),
        1 => "time()".to_owned(),
        2 if depth > 0 => {
            format!("({} {} {})", scalar(r, depth - 1), r.pick(ARITHMETIC), scalar(r, depth - 1))
        }
        3 if depth > 0 => {
            format!("({} {} bool {})", scalar(r, depth - 1), r.pick(COMPARISONS), scalar(r, depth - 1))
        }
        4 => "pi()".to_owned(),
        _ => number(r),
    }
}

fn labels(r: &mut Random) -> String {
    let n = r.below(3);
    (0..n).map(|_| r.pick(LABELS)).collect::<Vec<_>>().join(", ")
}

fn aggregation(r: &mut Random, depth: usize) -> String {
    let by = match r.below(4) {
        0 => String::new(),
        1 => format!(" without ({})", labels(r)),
        _ => format!(" by ({})", labels(r)),
    };
    let inner = vector(r, depth - 1);
    match r.below(12) {
        0 => format!("quantile{by} ({}, {inner})", r.pick(&["0", "0.5", "0.9", "1", "-1", "2", "NaN"])),
        2 => format!("count_values{by} (\"v\", round(clamp({inner}, -1e3, 1e3)))"),
        // Which series these keep hangs on their order and names, which are certain for selectors alone.
        1 => format!("{}{by} ({}, {})", r.pick(&["topk", "bottomk"]), r.below(4), selection(r)),
        3 => format!("limitk{by} ({}, {})", r.below(4), selection(r)),
        4 => format!("limit_ratio{by} ({}, {})", r.pick(&["0.3", "-0.5", "1", "0"]), selection(r)),
        _ => format!("{}{by} ({inner})", r.pick(AGGREGATIONS)),
    }
}

fn binary(r: &mut Random, depth: usize) -> String {
    let comparison = r.chance(40);
    let op = if comparison { r.pick(COMPARISONS) } else { r.pick(ARITHMETIC) };
    let bool = if comparison && r.chance(40) { " bool" } else { "" };
    let left = operand(r, depth - 1);
    match r.below(7) {
        6 => format!("clamp({}, -1e3, 1e3) % {}", vector(r, depth - 1), operand(r, depth - 1)),
        0 | 1 => format!("{left} {op}{bool} {}", scalar(r, 1)),
        2 => format!("{} {op}{bool} {left}", scalar(r, 1)),
        3 => {
            let set = r.pick(&["and", "or", "unless"]);
            let on = if r.chance(50) { format!(" on ({})", labels(r)) } else { String::new() };
            format!("{left} {set}{on} {}", operand(r, depth - 1))
        }
        4 => {
            let on = r.pick(&["on", "ignoring"]);
            let group = r.pick(&["", "", " group_left ()", " group_right (version)"]);
            format!("{left} {op}{bool} {on} ({}){group} {}", labels(r), operand(r, depth - 1))
        }
        _ => format!("{left} {op}{bool} {}", operand(r, depth - 1)),
    }
}

fn histogram_function(r: &mut Random, depth: usize) -> String {
    let q = r.pick(&["0", "0.1", "0.5", "0.9", "0.99", "1", "-0.1", "1.5", "NaN"]);
    let classic = format!("rate(latency_seconds_bucket[{}])", r.pick(DURATIONS));
    let native = format!("{}({}[{}])", r.pick(&["rate", "increase"]), r.pick(HISTOGRAMS), r.pick(DURATIONS));
    match r.below(6) {
        0 => format!("histogram_quantile({q}, {classic})"),
        1 => format!("histogram_quantile({q}, sum by (le, job) ({classic}))"),
        2 => format!("histogram_quantile({q}, sum by (job) ({native}))"),
        3 => format!("histogram_fraction({}, {}, {native})", number(r), number(r)),
        4 => format!("histogram_quantile({q}, {})", vector(r, depth - 1)),
        _ => format!("histogram_quantile({q}, {native})"),
    }
}

fn function(r: &mut Random, depth: usize) -> String {
    match r.below(17) {
        0 => format!("clamp({}, {}, {})", vector(r, depth - 1), number(r), number(r)),
        1 => format!(
            "{}({}, {})",
            r.pick(&["clamp_min", "clamp_max", "round"]),
            vector(r, depth - 1),
            number(r)
        ),
        2 => format!("quantile_over_time({}, {})", r.pick(&["0", "0.3", "0.5", "1", "2"]), matrix(r, depth)),
        3 => format!("predict_linear({}, {})", matrix(r, depth), r.below(5000)),
        4 => format!("double_exponential_smoothing({}, 0.4, 0.7)", matrix(r, depth)),
        5 => {
            let source = r.pick(LABELS);
            format!("label_replace({}, \"dst\", \"x-$1\", \"{source}\", \"(.).*\")", vector(r, depth - 1))
        }
        6 => format!("label_join({}, \"dst\", \"-\", \"job\", \"instance\")", vector(r, depth - 1)),
        7 => format!("vector({})", scalar(r, depth)),
        8 => format!("-{}", operand(r, depth - 1)),
        9 => format!("{}(clamp({}, -100, 100))", r.pick(STEEP), vector(r, depth - 1)),
        _ => format!("{}({})", r.pick(MATH), vector(r, depth - 1)),
    }
}

fn vector(r: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return format!("{}{}", selection(r), modifiers(r));
    }
    match r.below(12) {
        0 => format!("{}{}", selection(r), modifiers(r)),
        1..=4 => format!("{}({})", r.pick(OVER_TIME), matrix(r, depth)),
        5 | 6 => aggregation(r, depth),
        7 | 8 => binary(r, depth),
        9 => histogram_function(r, depth),
        _ => function(r, depth),
    }
}
