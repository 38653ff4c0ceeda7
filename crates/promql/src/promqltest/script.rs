//! Text of a `.test` file to commands.
//!
//! Invariant: a command knows its line, and all lines that are wrong are reported, not the first. A block ends
//! at an empty line or a comment. The language is that of Prometheus' `promql/promqltest/test.go` (v3.13).

use std::{fmt, sync::LazyLock};

use assay_model::{Labels, duration::parse_ms};
use regex::{Captures, Regex};

use super::{
    expect::{Check, Expectation, Pattern},
    series::{SequenceValue, SeriesError, parse_metric, parse_series_line},
    start_timestamps::parse_offsets,
};
use crate::{
    ast::Expr,
    lexer::number_value,
    parser::{parse, unquote_checked},
};

/// A `.test` file.
pub(super) struct Script {
    pub(super) commands: Vec<Command>,
}

pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// `load STEP`: series whose samples stand a step apart, from time 0 on.
pub(super) struct Load {
    pub(super) line: usize,
    pub(super) step_ms: i64,
    pub(super) with_nhcb: bool,
    pub(super) series: Vec<LoadedSeries>,
}

pub(super) struct LoadedSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
    /// For each value the start timestamp relative to its time, where there is one.
    pub(super) starts: Vec<Option<i64>>,
}

/// `eval`: an expression with what it should yield.
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) expr: Expr,
    pub(super) when: When,
    pub(super) expectation: Expectation,
}

#[derive(Clone, Copy)]
pub(super) enum When {
    At(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// A line of a `.test` file that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ScriptError {}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        #[allow(clippy::unwrap_used, reason = "a constant pattern, which every run of the tests compiles")]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
    };
}

pattern!(LOAD, r"^load(?:_(with_nhcb))?\s+(.+?)$");
pattern!(INSTANT, r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$");
pattern!(RANGE, r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$");
pattern!(EXPECT, r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$");
pattern!(EXPECT_RANGE, r"^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$");

/// Parses a `.test` file.
pub(super) fn parse_script(text: &str) -> Result<Script, Vec<ScriptError>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut reader = Reader { lines, at: 0, errors: Vec::new() };
    let mut commands = Vec::new();
    while reader.at < reader.lines.len() {
        let line = reader.line();
        let word = line.split([' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "" => reader.at += 1,
            "clear" => {
                reader.at += 1;
                commands.push(Command::Clear);
            }
            w if w.starts_with("load") => commands.extend(reader.load().map(Command::Load)),
            w if w.starts_with("eval") => commands.extend(reader.eval().map(|e| Command::Eval(Box::new(e)))),
            _ => {
                reader.error(format!("invalid command {word:?}; a command is clear, load or eval"));
                reader.skip_block();
            }
        }
    }
    if reader.errors.is_empty() { Ok(Script { commands }) } else { Err(reader.errors) }
}

struct Reader<'t> {
    lines: Vec<&'t str>,
    /// The current line, from 0.
    at: usize,
    errors: Vec<ScriptError>,
}

impl<'t> Reader<'t> {
    /// The current line without blanks around it; a comment counts as an empty line, as does the end.
    fn line(&self) -> &'t str {
        let line = self.lines.get(self.at).map_or("", |l| l.trim());
        if line.starts_with('#') { "" } else { line }
    }

    fn error(&mut self, message: impl Into<String>) {
        self.error_at(0, message);
    }

    /// An error at a byte of the current line as [`Self::line`] has it.
    fn error_at(&mut self, at: usize, message: impl Into<String>) {
        let indent = self.lines.get(self.at).map_or(0, |l| l.len() - l.trim_start().len());
        self.errors.push(ScriptError { line: self.at + 1, column: indent + at + 1, message: message.into() });
    }

    fn skip_block(&mut self) {
        while self.at < self.lines.len() && !self.line().is_empty() {
            self.at += 1;
        }
    }

    fn duration(&mut self, text: &str, what: &str) -> Option<i64> {
        let found = parse_ms(text);
        let at = self.line().find(text).unwrap_or(0);
        found.map_err(|e| self.error_at(at, format!("invalid {what}: {e}"))).ok()
    }

    fn series(&mut self, line: &str) -> Option<(Labels, Vec<SequenceValue>)> {
        parse_series_line(line).map_err(|SeriesError { message, at }| self.error_at(at, message)).ok()
    }

    fn load(&mut self) -> Option<Load> {
        let line = self.at + 1;
        let Some(parts) = LOAD.captures(self.line()) else {
            self.error("invalid load command; write load 5m or load_with_nhcb 5m");
            self.skip_block();
            return None;
        };
        let with_nhcb = parts.get(1).is_some();
        let step_ms = self.duration(text_of(&parts, 2), "step");
        let mut series = Vec::new();
        let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
        self.at += 1;
        while !self.line().is_empty() {
            let line = self.line();
            let metric = line.split([' ', '\t']).next().unwrap_or_default();
            if let Some(metric) = metric.strip_suffix("@st") {
                starts = self.start_timestamps(metric, &line[metric.len() + "@st".len()..]);
            } else if let Some((labels, values)) = self.series(line) {
                let starts = self.starts_for(starts.take(), &labels, values.len());
                // A series given twice is that of its last line.
                series.retain(|s: &LoadedSeries| s.labels != labels);
                series.push(LoadedSeries { labels, values, starts });
            }
            self.at += 1;
        }
        if starts.is_some() {
            self.error("the @st line has no line with samples after it");
        }
        Some(Load { line, step_ms: step_ms?, with_nhcb, series })
    }

    fn start_timestamps(&mut self, metric: &str, offsets: &str) -> Option<(Labels, Vec<Option<i64>>)> {
        let labels = parse_metric(metric).map_err(|e| self.error_at(e.at, e.message)).ok()?;
        let offsets = parse_offsets(offsets).map_err(|message| self.error_at(metric.len(), message)).ok()?;
        Some((labels, offsets))
    }

    fn starts_for(
        &mut self,
        starts: Option<(Labels, Vec<Option<i64>>)>,
        labels: &Labels,
        samples: usize,
    ) -> Vec<Option<i64>> {
        let Some((metric, offsets)) = starts else { return vec![None; samples] };
        if metric != *labels {
            self.error(format!("the @st line above is for {metric}, this one for {labels}"));
        } else if offsets.len() != samples {
            self.error(format!("the @st line has {} values but this one has {samples}", offsets.len()));
        }
        offsets
    }

    fn eval(&mut self) -> Option<Eval> {
        let number = self.at + 1;
        let line = self.line();
        let head = self.eval_head(line);
        let Some((modifier, when, text)) = head else {
            self.skip_block();
            return None;
        };
        let mut expectation = Expectation::default();
        match modifier {
            "ordered" => expectation.ordered = true,
            "fail" => expectation.fail = Some(Pattern::Any),
            "warn" => expectation.some_warning = true,
            "info" => expectation.some_info = true,
            _ => {}
        }
        let at = line.len() - text.len();
        let expr = parse(text).map_err(|errors| {
            for e in errors.list() {
                self.error_at(at + e.span.start, format!("parse error: {}", e.message));
            }
        });
        self.at += 1;
        self.expectations(&mut expectation, matches!(when, When::At(_)));
        Some(Eval { line: number, text: text.to_owned(), expr: expr.ok()?, when, expectation })
    }

    fn eval_head(&mut self, line: &'t str) -> Option<(&'t str, When, &'t str)> {
        if let Some(parts) = INSTANT.captures(line) {
            let at = self.duration(text_of(&parts, 2), "time")?;
            return Some((text_of(&parts, 1), When::At(at), text_of(&parts, 3)));
        }
        let Some(parts) = RANGE.captures(line) else {
            let forms = "eval[_fail|_warn|_info|_ordered] instant at TIME EXPR or \
                         eval[_fail|_warn|_info] range from TIME to TIME step DURATION EXPR";
            self.error(format!("invalid evaluation command; write {forms}"));
            return None;
        };
        Some((text_of(&parts, 1), self.range(&parts, 2)?, text_of(&parts, 5)))
    }

    fn range(&mut self, parts: &Captures<'t>, first: usize) -> Option<When> {
        let start_ms = self.duration(text_of(parts, first), "start");
        let end_ms = self.duration(text_of(parts, first + 1), "end");
        let step_ms = self.duration(text_of(parts, first + 2), "step");
        let (start_ms, end_ms, step_ms) = (start_ms?, end_ms?, step_ms?);
        if end_ms < start_ms {
            self.error("the end is before the start");
            return None;
        }
        Some(When::Range { start_ms, end_ms, step_ms })
    }

    fn expectations(&mut self, out: &mut Expectation, instant: bool) {
        let mut position = 1;
        while !self.line().is_empty() {
            let line = self.line();
            if let Some(message) = line.strip_prefix("expected_fail_message").filter(|_| out.fail.is_some()) {
                out.fail = Some(Pattern::Text(message.trim().to_owned()));
            } else if let Some(pattern) =
                line.strip_prefix("expected_fail_regexp").filter(|_| out.fail.is_some())
            {
                out.fail = self.regex(pattern.trim());
            } else if line.split(' ').next() == Some("expect") {
                self.expect(line, out);
            } else if let Some(value) = number(line) {
                out.scalar = Some(value);
            } else if let Some((labels, values)) = self.series(line) {
                if values.len() > 1 && instant && out.range.is_none() {
                    self.error(
                        "an instant evaluation yields one value; add an 'expect range vector' line for more",
                    );
                }
                if values.is_empty() {
                    self.error("expected a value after the series");
                }
                out.series.insert(labels, (position, values));
                position += 1;
            }
            self.at += 1;
        }
        self.consistent(out);
    }

    fn expect(&mut self, line: &'t str, out: &mut Expectation) {
        if line.starts_with("expect range vector") {
            let Some(parts) = EXPECT_RANGE.captures(line) else {
                self.error("invalid range vector definition; write expect range vector from TIME to TIME step DURATION");
                return;
            };
            out.range = self.range(&parts, 1);
        } else if let Some(quoted) = line.strip_prefix("expect string") {
            match unquote_checked(quoted.trim()) {
                Ok(value) => out.string = Some(value),
                Err(message) => {
                    self.error_at("expect string ".len(), format!("a quoted string is required: {message}"));
                }
            }
        } else if let Some(parts) = EXPECT.captures(line) {
            let pattern = match text_of(&parts, 2) {
                "msg" => Some(Pattern::Text(text_of(&parts, 3).trim().to_owned())),
                "regex" => self.regex(text_of(&parts, 3).trim()),
                _ => Some(Pattern::Any),
            };
            let Some(pattern) = pattern else { return };
            match text_of(&parts, 1) {
                "fail" if out.fail.is_some() => self.error("multiple expect fail lines are not allowed"),
                "fail" => out.fail = Some(pattern),
                "warn" => out.warnings.expected.push(pattern),
                "info" => out.infos.expected.push(pattern),
                "no_warn" => out.warnings.forbidden = true,
                "no_info" => out.infos.forbidden = true,
                _ => out.ordered = true,
            }
        } else {
            let kinds = "ordered, fail, warn, no_warn, info, no_info, string or range vector";
            self.error(format!(
                "invalid expect line; write expect KIND [msg: TEXT | regex: PATTERN], KIND being {kinds}"
            ));
        }
    }

    fn regex(&mut self, pattern: &str) -> Option<Pattern> {
        let compiled = Regex::new(pattern);
        compiled.map(Pattern::Regex).map_err(|e| self.error(format!("invalid regular expression: {e}"))).ok()
    }

    fn consistent(&mut self, out: &Expectation) {
        let both = |c: &Check| c.forbidden && !c.expected.is_empty();
        if both(&out.warnings) || both(&out.infos) {
            self.error("warn and no_warn, or info and no_info, cannot be expected together");
        }
    }
}

fn text_of<'t>(parts: &Captures<'t>, group: usize) -> &'t str {
    parts.get(group).map_or("", |m| m.as_str())
}

/// A line that is a number and nothing else: an expected scalar.
fn number(line: &str) -> Option<f64> {
    let (sign, digits) = match line.split_at_checked(1) {
        Some(("-", rest)) => (-1.0, rest),
        Some(("+", rest)) => (1.0, rest),
        _ => (1.0, line),
    };
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let named = digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("nan");
    (starts || named).then(|| number_value(digits).ok()).flatten().map(|v| sign * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_blocks() {
        let script = "load 5m\n  up 1 2\n# a comment ends the block\nclear\n\
                      eval instant at 5m up\n  expect no_warn\n  up 2\n\n\
                      eval_fail range from 0 to 1m step 10s -{a=\"b\"}\n";
        let script = parse_script(script).map_err(|e| e[0].to_string()).expect("parses");
        let kinds: Vec<_> = script
            .commands
            .iter()
            .map(|c| match c {
                Command::Clear => "clear".to_owned(),
                Command::Load(l) => format!("load {} {}", l.step_ms, l.series.len()),
                Command::Eval(e) => format!("eval {} {}", e.text, e.expectation.series.len()),
            })
            .collect();
        assert_eq!(kinds, ["load 300000 1", "clear", "eval up 1", "eval -{a=\"b\"} 0"]);
    }

    #[test]
    fn all_errors_are_reported_with_their_place() {
        let text = "lode 5m\n\nload x\n  up 1 z\n\neval instant at 5m sum(up\n";
        let errors = parse_script(text).err().expect("is wrong");
        let places: Vec<_> = errors.iter().map(|e| (e.line, e.column)).collect();
        assert_eq!(places, [(1, 1), (3, 6), (4, 8), (6, 26)]);
    }
}
