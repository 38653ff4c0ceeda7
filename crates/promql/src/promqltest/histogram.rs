//! Histogram literals: `{{schema:1 sum:3 count:4 z_bucket:1 z_bucket_w:0.1 buckets:[1 2] offset:-1}}`.
//!
//! Invariant: each key stands at most once; what is not given is zero, and the buckets form one span.

use assay_model::{CounterResetHint, FloatHistogram, Span};

use super::{
    scan::Scan,
    series::{SeriesError, number},
};

/// The keys, for messages.
const KEYS: &str = "schema, sum, count, z_bucket, z_bucket_w, buckets, offset, n_buckets, n_offset, \
                    custom_values or counter_reset_hint";

pub(super) struct Literal {
    pub(super) value: FloatHistogram,
    pub(super) hint_given: bool,
}

/// A literal, whose `{{` is next.
pub(super) fn literal(scan: &mut Scan<'_>) -> Result<Literal, SeriesError> {
    if !scan.rest().starts_with("{{") {
        return Err(scan.unexpected("a histogram, which begins with \"{{\""));
    }
    scan.skip(2);
    let mut seen: Vec<&str> = Vec::new();
    let mut h = FloatHistogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    loop {
        scan.blanks();
        if scan.rest().starts_with("}}") {
            scan.skip(2);
            break;
        }
        let at = scan.at();
        let key = scan.word(false);
        if !scan.accept(':') {
            return Err(SeriesError {
                message: format!("expected a key and \":\", the key one of {KEYS}"),
                at,
            });
        }
        if seen.contains(&key) {
            return Err(SeriesError { message: format!("duplicate key {key:?} in histogram"), at });
        }
        seen.push(key);
        match key {
            "schema" => h.schema = integer(scan)?,
            "sum" => h.sum = number(scan)?,
            "count" => h.count = number(scan)?,
            "z_bucket" => h.zero_count = number(scan)?,
            "z_bucket_w" => h.zero_threshold = number(scan)?,
            "buckets" => h.positive_buckets = list(scan)?,
            "n_buckets" => h.negative_buckets = list(scan)?,
            "custom_values" => h.custom_values = list(scan)?,
            "offset" => offset = integer(scan)?,
            "n_offset" => negative_offset = integer(scan)?,
            "counter_reset_hint" => h.counter_reset_hint = hint(scan)?,
            _ => {
                return Err(SeriesError {
                    message: format!("unknown key {key:?} in histogram; it is one of {KEYS}"),
                    at,
                });
            }
        }
    }
    h.positive_spans = spans(offset, h.positive_buckets.len());
    h.negative_spans = spans(negative_offset, h.negative_buckets.len());
    Ok(Literal { value: h, hint_given: seen.contains(&"counter_reset_hint") })
}

fn spans(offset: i32, buckets: usize) -> Vec<Span> {
    if buckets == 0 { Vec::new() } else { vec![Span { offset, length: buckets as u32 }] }
}

fn integer(scan: &mut Scan<'_>) -> Result<i32, SeriesError> {
    let at = scan.at();
    let negative = scan.accept('-');
    let digits = scan.digits();
    let value =
        digits.parse::<i32>().map_err(|_| SeriesError { message: "expected an integer".to_owned(), at })?;
    Ok(if negative { -value } else { value })
}

fn list(scan: &mut Scan<'_>) -> Result<Vec<f64>, SeriesError> {
    if !scan.accept('[') {
        return Err(scan.unexpected("a list such as [5 10 7]"));
    }
    let mut out = Vec::new();
    loop {
        scan.blanks();
        if scan.accept(']') {
            return Ok(out);
        }
        out.push(number(scan)?);
        if !scan.at_blank() && scan.peek() != Some(']') {
            return Err(scan.unexpected("a blank or \"]\""));
        }
    }
}

fn hint(scan: &mut Scan<'_>) -> Result<CounterResetHint, SeriesError> {
    let at = scan.at();
    match scan.word(false) {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::CounterReset),
        "not_reset" => Ok(CounterResetHint::NotCounterReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        other => {
            let message =
                format!("unknown counter_reset_hint {other:?}; it is unknown, reset, not_reset or gauge");
            Err(SeriesError { message, at })
        }
    }
}

/// A histogram in the notation of `.test` files, empty fields left out; several spans become one, with empty buckets between.
#[must_use]
pub fn notation(h: &FloatHistogram) -> String {
    let mut parts = Vec::new();
    let mut part = |key: &str, value: f64| {
        if value != 0.0 {
            parts.push(format!("{key}:{value}"));
        }
    };
    part("schema", f64::from(h.schema));
    part("count", h.count);
    part("sum", h.sum);
    part("z_bucket", h.zero_count);
    part("z_bucket_w", h.zero_threshold);
    let mut h = h.clone();
    h.compact(usize::MAX);
    let join = |v: &[f64]| v.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if !h.custom_values.is_empty() {
        parts.push(format!("custom_values:[{}]", join(&h.custom_values)));
    }
    for (prefix, spans, counts) in
        [("", &h.positive_spans, &h.positive_buckets), ("n_", &h.negative_spans, &h.negative_buckets)]
    {
        if let Some(first) = spans.first() {
            if first.offset != 0 {
                parts.push(format!("{prefix}offset:{}", first.offset));
            }
            parts.push(format!("{prefix}buckets:[{}]", join(counts)));
        }
    }
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => None,
        CounterResetHint::CounterReset => Some("reset"),
        CounterResetHint::NotCounterReset => Some("not_reset"),
        CounterResetHint::Gauge => Some("gauge"),
    };
    parts.extend(hint.map(|h| format!("counter_reset_hint:{h}")));
    format!("{{{{{}}}}}", parts.join(" "))
}
