//! The notation of series: `http_requests{job="a"} 1+2x3 _ stale {{schema:0 count:2 buckets:[1 1]}}x2`.
//!
//! Invariant: the values come in the order of their times, one for each step, gaps as [`SequenceValue::Omitted`];
//! `axn` is `a` and n more of it. The grammar is that of Prometheus' `generated_parser.y` (`series_description`,
//! v3.13); promtool's rule unit tests use the same.

use std::sync::Arc;

use assay_model::{FloatHistogram, Labels, METRIC_NAME, stale_nan};

use super::{histogram, scan::Scan};
use crate::lexer::number_value;

/// The most values that one line may make.
const MAX_VALUES: u64 = 10_000_000;

/// What a series has at one step.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// No sample: `_`.
    Omitted,
    /// A float, the stale marker among them.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        value: Arc<FloatHistogram>,
        /// Whether `counter_reset_hint` was given, so that an expectation is to check it.
        hint_given: bool,
    },
}

/// What is wrong with a line, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SeriesError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// The byte of the text, from 0.
    pub at: usize,
}

/// Parses a line of labels and values.
///
/// # Errors
/// Where the text does not follow the notation, or makes more than ten million values.
pub fn parse_series_line(text: &str) -> Result<(Labels, Vec<SequenceValue>), SeriesError> {
    let mut scan = Scan::new(text);
    scan.blanks();
    let labels = parse_labels(&mut scan)?;
    if !scan.done() && !scan.at_blank() {
        return Err(scan.unexpected("a blank and the series' values"));
    }
    Ok((labels, values(&mut scan)?))
}

/// Parses values alone, as promtool's unit tests have them under `values`.
///
/// # Errors
/// As [`parse_series_line`].
pub fn parse_series_values(text: &str) -> Result<Vec<SequenceValue>, SeriesError> {
    values(&mut Scan::new(text))
}

/// Parses a metric: a name, labels in braces, or both.
///
/// # Errors
/// Where the text is not a metric.
pub fn parse_metric(text: &str) -> Result<Labels, SeriesError> {
    let mut scan = Scan::new(text);
    scan.blanks();
    let labels = parse_labels(&mut scan)?;
    scan.blanks();
    if scan.done() { Ok(labels) } else { Err(scan.unexpected("the end of the metric")) }
}

fn parse_labels(scan: &mut Scan<'_>) -> Result<Labels, SeriesError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let name = scan.word(true);
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    } else if scan.peek() != Some('{') {
        return Err(scan.unexpected("a metric's name or \"{\""));
    }
    if scan.accept('{') {
        loop {
            scan.blanks();
            if scan.accept('}') {
                break;
            }
            pairs.push(label(scan)?);
            scan.blanks();
            if !scan.accept(',') && scan.peek() != Some('}') {
                return Err(scan.unexpected("\",\" or \"}\""));
            }
        }
    }
    Ok(Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
}

/// `a="b"`, `"a b"="c"` or `"metric name"`.
fn label(scan: &mut Scan<'_>) -> Result<(String, String), SeriesError> {
    let quoted = matches!(scan.peek(), Some('"' | '\'' | '`'));
    let name = if quoted { scan.string()? } else { scan.word(false).to_owned() };
    if name.is_empty() {
        return Err(scan.unexpected("a label's name or \"}\""));
    }
    scan.blanks();
    if !scan.accept('=') {
        if quoted {
            return Ok((METRIC_NAME.to_owned(), name));
        }
        return Err(scan.unexpected("\"=\""));
    }
    scan.blanks();
    if !matches!(scan.peek(), Some('"' | '\'' | '`')) {
        return Err(scan.unexpected("a string"));
    }
    Ok((name, scan.string()?))
}

fn values(scan: &mut Scan<'_>) -> Result<Vec<SequenceValue>, SeriesError> {
    let mut out = Vec::new();
    loop {
        scan.blanks();
        if scan.done() {
            return Ok(out);
        }
        item(scan, &mut out)?;
        if !scan.done() && !scan.at_blank() {
            return Err(scan.unexpected("a blank before the next value"));
        }
    }
}

fn item(scan: &mut Scan<'_>, out: &mut Vec<SequenceValue>) -> Result<(), SeriesError> {
    if scan.rest().starts_with("{{") {
        return histograms(scan, out);
    }
    if scan.accept('_') {
        let times = if scan.accept('x') { times(scan)? } else { 1 };
        out.extend((0..times).map(|_| SequenceValue::Omitted));
        return Ok(());
    }
    if scan.rest().starts_with("stale") {
        scan.skip("stale".len());
        let more = if scan.accept('x') { times(scan)? } else { 0 };
        out.extend((0..=more).map(|_| SequenceValue::Float(stale_nan())));
        return Ok(());
    }
    let mut value = number(scan)?;
    let mut step = 0.0;
    let stepped = matches!(scan.peek(), Some('+' | '-'));
    if stepped {
        step = number(scan)?;
    }
    if !scan.accept('x') {
        if stepped {
            return Err(scan.unexpected("\"x\" and how often to add the step"));
        }
        out.push(SequenceValue::Float(value));
        return Ok(());
    }
    for _ in 0..=times(scan)? {
        out.push(SequenceValue::Float(value));
        value += step;
    }
    Ok(())
}

/// A number with or without sign.
pub(super) fn number(scan: &mut Scan<'_>) -> Result<f64, SeriesError> {
    let start = scan.at();
    let negative = scan.peek() == Some('-');
    if matches!(scan.peek(), Some('-' | '+')) {
        scan.skip(1);
    }
    let digits = scan.number();
    if digits.is_empty() {
        return Err(scan.unexpected("a number, \"_\", \"stale\" or \"{{\""));
    }
    let value = number_value(digits).map_err(|message| SeriesError { message, at: start })?;
    Ok(if negative { -value } else { value })
}

/// The count after `x`.
fn times(scan: &mut Scan<'_>) -> Result<u64, SeriesError> {
    let start = scan.at();
    let digits = scan.digits();
    let fail = |message: String| Err(SeriesError { message, at: start });
    match digits.parse::<u64>() {
        Ok(n) if n <= MAX_VALUES => Ok(n),
        Ok(n) => fail(format!("{n} repetitions are too many; {MAX_VALUES} are allowed")),
        Err(_) => fail(format!("invalid repetition in series values: {digits:?}, expected a count")),
    }
}

fn histograms(scan: &mut Scan<'_>, out: &mut Vec<SequenceValue>) -> Result<(), SeriesError> {
    let start = scan.at();
    let first = histogram::literal(scan)?;
    let sign = scan.peek().filter(|c| matches!(c, '+' | '-'));
    let Some(sign) = sign else {
        let more = if scan.accept('x') { times(scan)? } else { 0 };
        let value = Arc::new(first.value);
        let one = SequenceValue::Histogram { value, hint_given: first.hint_given };
        out.extend((0..=more).map(|_| one.clone()));
        return Ok(());
    };
    scan.skip(1);
    let step = histogram::literal(scan)?;
    if !scan.accept('x') {
        return Err(scan.unexpected("\"x\" and how often to add the step"));
    }
    let fail = |message: String| SeriesError { message, at: start };
    let mut current = first.value;
    let more = times(scan)?;
    for i in 0..=more {
        if i > 0 {
            if current.schema > step.value.schema {
                let (from, to) = (step.value.schema, current.schema);
                return Err(fail(format!(
                    "error combining histograms: cannot merge from schema {from} to {to}"
                )));
            }
            let done = if sign == '+' { current.add(&step.value) } else { current.sub(&step.value) };
            done.map_err(|e| fail(e.to_string()))?;
        }
        out.push(SequenceValue::Histogram { value: Arc::new(current.clone()), hint_given: step.hint_given });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        let values = parse_series_values(text).expect("parses");
        let float = |v: &SequenceValue| match v {
            SequenceValue::Float(v) => Some(*v),
            _ => None,
        };
        values.iter().map(float).collect()
    }

    #[test]
    fn values_expand() {
        let check = |text: &str, want: &[Option<f64>]| assert_eq!(floats(text), want, "{text}");
        check("1 2.5 -3 +4", &[Some(1.0), Some(2.5), Some(-3.0), Some(4.0)]);
        check("1+2x2", &[Some(1.0), Some(3.0), Some(5.0)]);
        check("1-2x1 _ _x2", &[Some(1.0), Some(-1.0), None, None, None]);
        check("7x1", &[Some(7.0), Some(7.0)]);
        check("-1e3-1e-1x1", &[Some(-1000.0), Some(-1000.1)]);
        check("Inf -Inf", &[Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        assert!(floats("stale")[0].is_some_and(assay_model::is_stale));
    }

    #[test]
    fn labels_are_read_as_prometheus_reads_them() {
        let check = |text: &str, want: &str| {
            assert_eq!(parse_metric(text).expect("parses").to_string(), want, "{text}");
        };
        check("up", "up");
        check("a:b{c=\"d\", e='f',}", "a:b{c=\"d\", e=\"f\"}");
        check("{\"http.requests\", \"le.b\"=\"1\"}", "{\"http.requests\", \"le.b\"=\"1\"}");
        check("{}", "{}");
    }

    #[test]
    fn errors_say_where() {
        let check = |text: &str, at: usize| {
            assert_eq!(parse_series_line(text).expect_err("is wrong").at, at, "{text}");
        };
        check("up 1 x", 5);
        check("up 1+2", 6);
        check("up{a=b} 1", 5);
        check("up{a=\"b\" c=\"d\"} 1", 9);
        check("up 1x99999999999", 5);
        check("up {{count:x}}", 11);
        check("5 1", 0);
    }

    #[test]
    fn histograms_step() {
        let values =
            parse_series_values("{{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2").expect("parses");
        let counts: Vec<_> = values
            .iter()
            .map(|v| match v {
                SequenceValue::Histogram { value, .. } => (value.count, value.positive_buckets.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(counts, [(1.0, vec![1.0]), (3.0, vec![3.0]), (5.0, vec![5.0])]);
    }
}
