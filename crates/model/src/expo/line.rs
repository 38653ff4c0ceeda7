//! Reads the two text formats line by line.
//!
//! Source: the OpenMetrics 1.0 specification and Prometheus `model/textparse/{promparse,openmetricsparse}.go`
//! v3.5 for the older format, which the "Exposition formats" page leaves open in places. Blanks are taken as
//! the older format takes them, in both. Invariant: a line is read without looking at any other, and its
//! series is left as text, so that a reader of a large file can recognise a series that it has met before.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::error::{MOST_ERRORS, ParseError, ParseErrors, Position};
use crate::{Exemplar, Labels, METRIC_NAME, MetricType, sample::NORMAL_NAN_BITS};

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Prometheus text format: times are whole milliseconds.
    Text,
    /// OpenMetrics: times are seconds, samples may have exemplars, and `# EOF` ends the text.
    OpenMetrics,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// Nothing, or a comment.
    Nothing,
    /// `# HELP name text`, unescaped.
    Help(Cow<'a, str>, Cow<'a, str>),
    /// `# TYPE name type`.
    Type(Cow<'a, str>, MetricType),
    /// `# UNIT name unit`.
    Unit(Cow<'a, str>, &'a str),
    /// `# EOF`.
    Eof,
    /// A sample.
    Sample(SampleLine<'a>),
}

/// A sample. [`parse_series`] reads its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLine<'a> {
    /// `name{label="value"}` as it is in the line, at its start.
    pub series: &'a str,
    /// The value.
    pub value: f64,
    /// The time, in milliseconds since the Unix epoch.
    pub t_ms: Option<i64>,
    /// The exemplar; its labels are those of the line.
    pub exemplar: Option<Exemplar>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The byte of the line, from 0.
    pub at: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl LineError {
    /// An error at a byte of a line.
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The error with the number of its line, from 1.
    #[must_use]
    pub fn on_line(self, number: u64, line: &str) -> ParseError {
        let column = line.char_indices().take_while(|(i, _)| *i < self.at).count() + 1;
        ParseError { at: Position::Line(number, column as u64), message: self.message }
    }
}

/// Reads one line, which must not hold its newline.
///
/// # Errors
/// Where the line is neither empty, a comment nor a sample. The labels of a sample are not looked at.
pub fn parse_line(line: &str, dialect: Dialect) -> Result<Line<'_>, LineError> {
    let start = skip_blanks(line, 0);
    match line.as_bytes().get(start) {
        None => Ok(Line::Nothing),
        Some(b'#') => parse_comment(line, start, dialect),
        Some(_) => parse_sample(line, start, dialect).map(Line::Sample),
    }
}

/// Calls `each` with every line of `text` and collects the errors of the lines and of `each`. In OpenMetrics
/// it asks for the `# EOF` at the end, by which a whole text differs from one cut short.
pub(super) fn for_each_line<'a>(
    text: &'a str,
    dialect: Dialect,
    mut each: impl FnMut(Line<'a>) -> Result<(), LineError>,
) -> Result<(), ParseErrors> {
    let (mut errors, mut number, mut ended) = (Vec::new(), 0, false);
    for line in text.split_terminator('\n') {
        number += 1;
        let result = match parse_line(line, dialect) {
            Ok(Line::Nothing) => Ok(()),
            Ok(_) if ended => Err(LineError::new(0, "nothing may follow # EOF")),
            Ok(Line::Eof) => {
                ended = true;
                Ok(())
            }
            Ok(line) => each(line),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            errors.push(error.on_line(number, line));
            if errors.len() == MOST_ERRORS {
                return Err(ParseErrors(errors));
            }
        }
    }
    if dialect == Dialect::OpenMetrics && !ended {
        let message = "the text is cut short: OpenMetrics ends in a line # EOF".to_owned();
        errors.push(ParseError { at: Position::Line(number + 1, 1), message });
    }
    if errors.is_empty() { Ok(()) } else { Err(ParseErrors(errors)) }
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn skip_blanks(line: &str, from: usize) -> usize {
    let rest = line.as_bytes().get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| is_blank(**b)).count()
}

/// The end of the word that starts at `from`.
fn word_end(line: &str, from: usize) -> usize {
    let rest = line.as_bytes().get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| !is_blank(**b)).count()
}

fn parse_comment(line: &str, start: usize, dialect: Dialect) -> Result<Line<'_>, LineError> {
    let keyword_at = skip_blanks(line, start + 1);
    let keyword_end = word_end(line, keyword_at);
    let keyword = &line[keyword_at..keyword_end];
    let openmetrics = dialect == Dialect::OpenMetrics;
    match keyword {
        "EOF" if openmetrics => return Ok(Line::Eof),
        "HELP" | "TYPE" => {}
        "UNIT" if openmetrics => {}
        _ => return Ok(Line::Nothing),
    }
    let name_at = skip_blanks(line, keyword_end);
    let (name, name_end) = if line[name_at..].starts_with('"') {
        let end = quoted_end(line, name_at)?;
        (unescape(&line[name_at + 1..end - 1]), end)
    } else {
        let end = word_end(line, name_at);
        (Cow::Borrowed(&line[name_at..end]), end)
    };
    if name.is_empty() {
        return Err(LineError::new(name_at, format!("{keyword} wants the name of a metric")));
    }
    let at = skip_blanks(line, name_end);
    match keyword {
        "HELP" => Ok(Line::Help(name, unescape(&line[at..]))),
        "UNIT" => Ok(Line::Unit(name, line[at..].trim_end_matches([' ', '\t']))),
        _ => {
            let text = line[at..].trim_end_matches([' ', '\t']);
            let metric_type = type_of(text, dialect).ok_or_else(|| {
                let known = if openmetrics {
                    "counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown"
                } else {
                    "counter, gauge, histogram, summary or untyped"
                };
                LineError::new(at, format!("{text:?} is not a type; a type is {known}"))
            })?;
            Ok(Line::Type(name, metric_type))
        }
    }
}

fn type_of(text: &str, dialect: Dialect) -> Option<MetricType> {
    Some(match (text, dialect) {
        ("counter", _) => MetricType::Counter,
        ("gauge", _) => MetricType::Gauge,
        ("histogram", _) => MetricType::Histogram,
        ("summary", _) => MetricType::Summary,
        ("unknown", _) | ("untyped", Dialect::Text) => MetricType::Unknown,
        ("gaugehistogram", Dialect::OpenMetrics) => MetricType::GaugeHistogram,
        ("info", Dialect::OpenMetrics) => MetricType::Info,
        ("stateset", Dialect::OpenMetrics) => MetricType::StateSet,
        _ => return None,
    })
}

fn parse_sample(line: &str, start: usize, dialect: Dialect) -> Result<SampleLine<'_>, LineError> {
    let end = series_end(line, start)?;
    let sample = parse_rest(line, end, dialect)?;
    Ok(SampleLine { series: &line[start..end], ..sample })
}

/// Reads what follows the series of a sample, which ends at byte `end` of the line. A reader that recognises
/// the series saves the search for its end.
///
/// # Errors
/// Where what follows is not a value with, perhaps, a time and an exemplar.
pub fn parse_rest(line: &str, end: usize, dialect: Dialect) -> Result<SampleLine<'_>, LineError> {
    let value_at = skip_blanks(line, end);
    let value_end = word_end(line, value_at);
    let value = parse_value(line, value_at, value_end)?;
    let mut at = skip_blanks(line, value_end);
    let mut t_ms = None;
    if at < line.len() && line.as_bytes()[at] != b'#' {
        let time_end = word_end(line, at);
        t_ms = Some(parse_time(&line[at..time_end], dialect).map_err(|m| LineError::new(at, m))?);
        at = skip_blanks(line, time_end);
    }
    let mut exemplar = None;
    if at < line.len() {
        if dialect == Dialect::Text || line.as_bytes()[at] != b'#' {
            return Err(LineError::new(at, "expected the end of the line after the value and the time"));
        }
        exemplar = Some(parse_exemplar(line, at + 1)?);
    }
    Ok(SampleLine { series: &line[..end], value, t_ms, exemplar })
}

/// The end of the series that starts at `start`: behind its closing brace, or behind its name.
fn series_end(line: &str, start: usize) -> Result<usize, LineError> {
    let bytes = line.as_bytes();
    let mut at = start;
    while at < bytes.len() && bytes[at] != b'{' && !is_blank(bytes[at]) {
        at += 1;
    }
    let name_end = at;
    at = skip_blanks(line, at);
    if bytes.get(at) != Some(&b'{') {
        return Ok(name_end);
    }
    closing_brace(line, at).map(|end| end + 1)
}

/// The position of the `}` that closes the `{` at `open`, quoted text left aside.
fn closing_brace(line: &str, open: usize) -> Result<usize, LineError> {
    let bytes = line.as_bytes();
    let (mut at, mut quoted) = (open + 1, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'}' if !quoted => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    let what = if quoted { "a quoted text has no closing quote" } else { "the labels have no closing }" };
    Err(LineError::new(open, what))
}

fn parse_value(line: &str, at: usize, end: usize) -> Result<f64, LineError> {
    let text = &line[at..end];
    match text.parse::<f64>() {
        Ok(v) if v.is_nan() => Ok(f64::from_bits(NORMAL_NAN_BITS)),
        Ok(v) => Ok(v),
        Err(_) if text.is_empty() => Err(LineError::new(at, "expected a value after the series")),
        Err(_) => {
            Err(LineError::new(at, format!("{text:?} is not a number; write for example 1.5, NaN or +Inf")))
        }
    }
}

/// A time in milliseconds: whole ones in the text format, seconds with a fraction in OpenMetrics.
fn parse_time(text: &str, dialect: Dialect) -> Result<i64, String> {
    if dialect == Dialect::Text {
        return text
            .parse()
            .map_err(|_| format!("{text:?} is not a time; write whole milliseconds since 1970-01-01"));
    }
    if let Some(t_ms) = decimal_seconds(text) {
        return Ok(t_ms);
    }
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && v.abs() < 9e15 => Ok((v * 1000.0).round() as i64),
        _ => Err(format!("{text:?} is not a time; write seconds since 1970-01-01, such as 1700000000.5")),
    }
}

/// Seconds of at most three decimals, without a detour over floats.
fn decimal_seconds(text: &str) -> Option<i64> {
    let (digits, negative) = text.strip_prefix('-').map_or((text, false), |t| (t, true));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "000"));
    if whole.is_empty() || whole.len() > 14 || fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let mut t_ms = 0i64;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        t_ms = t_ms * 10 + i64::from(byte - b'0');
    }
    for _ in fraction.len()..3 {
        t_ms *= 10;
    }
    Some(if negative { -t_ms } else { t_ms })
}

/// ` {trace_id="a"} 0.5 1700000000.1`, from behind its `#`.
fn parse_exemplar(line: &str, from: usize) -> Result<Exemplar, LineError> {
    let open = skip_blanks(line, from);
    if line.as_bytes().get(open) != Some(&b'{') {
        return Err(LineError::new(open, "an exemplar is written as # {labels} value time"));
    }
    let close = closing_brace(line, open)?;
    let pairs = parse_pairs(line, open)?;
    if pairs.iter().any(|(name, _)| name == METRIC_NAME) {
        return Err(LineError::new(open, "the labels of an exemplar have no metric name"));
    }
    let value_at = skip_blanks(line, close + 1);
    let value_end = word_end(line, value_at);
    let value = parse_value(line, value_at, value_end)?;
    let time_at = skip_blanks(line, value_end);
    let time_end = word_end(line, time_at);
    let t_ms = if time_at == line.len() {
        None
    } else {
        let parsed = parse_time(&line[time_at..time_end], Dialect::OpenMetrics);
        Some(parsed.map_err(|m| LineError::new(time_at, m))?)
    };
    let rest = skip_blanks(line, time_end);
    if rest < line.len() {
        return Err(LineError::new(rest, "expected the end of the line after the exemplar"));
    }
    Ok(Exemplar { labels: build(&pairs), value, t_ms })
}

type Pairs<'a> = SmallVec<[(Cow<'a, str>, Cow<'a, str>); 12]>;

/// Reads the series that `text` starts with, the metric's name among its labels.
///
/// # Errors
/// Where the name or the labels are malformed, or a label is there twice; positions count from the series.
pub fn parse_series(text: &str) -> Result<Labels, LineError> {
    let name_end = text.find(['{', ' ', '\t']).unwrap_or(text.len());
    let name = &text[..name_end];
    let open = skip_blanks(text, name_end);
    let mut pairs =
        if text.as_bytes().get(open) == Some(&b'{') { parse_pairs(text, open)? } else { Pairs::new() };
    if !name.is_empty() {
        if let Some(at) = bad_in_name(name, true) {
            return Err(LineError::new(
                at,
                "a metric's name is made of letters, digits, _ and :, not first a digit; quote any other inside the braces",
            ));
        }
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(LineError::new(open, format!("duplicate label {:?}", twice[0].0)));
    }
    if !pairs.iter().any(|(name, value)| name == METRIC_NAME && !value.is_empty()) {
        return Err(LineError::new(0, "the series has no metric name"));
    }
    Ok(build(&pairs))
}

/// The pairs sorted, empty values left out.
fn build(pairs: &Pairs<'_>) -> Labels {
    if pairs.is_sorted_by(|a, b| a.0 < b.0) {
        let kept = pairs.iter().filter(|(_, v)| !v.is_empty());
        return Labels::from_sorted(kept.map(|(n, v)| (n.as_ref(), v.as_ref())));
    }
    Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())))
}

/// The first byte of a name that a classic name cannot have there.
fn bad_in_name(name: &str, colon: bool) -> Option<usize> {
    let good = |i: usize, b: u8| {
        b.is_ascii_alphabetic() || b == b'_' || (b == b':' && colon) || (i > 0 && b.is_ascii_digit())
    };
    name.bytes().enumerate().find(|(i, b)| !good(*i, *b)).map(|(i, _)| i)
}

/// Reads `{a="b","quoted name"="c"}`; a quoted text without a value is the metric's name.
fn parse_pairs(text: &str, open: usize) -> Result<Pairs<'_>, LineError> {
    let bytes = text.as_bytes();
    let mut pairs = Pairs::new();
    let mut at = skip_blanks(text, open + 1);
    while bytes.get(at) != Some(&b'}') {
        let name_at = at;
        let quoted = bytes.get(at) == Some(&b'"');
        let name = if quoted {
            let end = quoted_end(text, at)?;
            at = end;
            unescape(&text[name_at + 1..end - 1])
        } else {
            let rest = &bytes[at.min(bytes.len())..];
            at += rest.iter().take_while(|b| !is_blank(**b) && !b"=,}\"".contains(b)).count();
            Cow::Borrowed(&text[name_at..at])
        };
        at = skip_blanks(text, at);
        if bytes.get(at) == Some(&b'=') {
            if !quoted && (name.is_empty() || bad_in_name(&name, false).is_some()) {
                let bad = name_at + bad_in_name(&name, false).unwrap_or(0);
                return Err(LineError::new(
                    bad,
                    "a label's name is made of letters, digits and _, not first a digit; quote any other",
                ));
            }
            let value_at = skip_blanks(text, at + 1);
            if bytes.get(value_at) != Some(&b'"') {
                return Err(LineError::new(value_at, "expected the label's value in double quotes"));
            }
            at = quoted_end(text, value_at)?;
            pairs.push((name, unescape(&text[value_at + 1..at - 1])));
        } else if quoted {
            pairs.push((METRIC_NAME.into(), name));
        } else {
            return Err(LineError::new(at, "expected = and a value after the label's name"));
        }
        at = skip_blanks(text, at);
        match bytes.get(at) {
            Some(b',') => at = skip_blanks(text, at + 1),
            Some(b'}') => {}
            _ => return Err(LineError::new(at, "expected , or } after a label")),
        }
    }
    Ok(pairs)
}

/// The position behind the quote that closes the one at `open`.
fn quoted_end(text: &str, open: usize) -> Result<usize, LineError> {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(LineError::new(open, "a quoted text has no closing quote"))
}

/// Takes `\\`, `\"` and `\n` back; any other backslash stands for itself.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(escaped @ ('\\' | '"')) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
