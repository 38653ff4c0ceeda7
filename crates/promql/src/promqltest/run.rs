//! Runs the commands of a `.test` file.
//!
//! Invariant: an instant evaluation counts as passed only where it also gives the same with every selector
//! pinned by `@` and asked at other times, and in the middle step of a range query of ±1m.

use std::sync::LazyLock;

use assay_model::{Queryable, Value};
use regex::Regex;

use super::{
    expect::{samples_of, sorted},
    nhcb::Collector,
    script::{Command, Eval, Load, Script, ScriptError, When, parse_script},
    series::SequenceValue,
    storage::MemStorage,
};
use crate::{
    ast::{AtModifier, Expr, Func, Function, ReadsTime},
    engine::Engine,
    parser::parse,
    value::{InstantSample, QueryResult, QueryValue},
};

/// What a `.test` file is run against.
pub trait Evaluator {
    /// Evaluates an expression at a time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The message, without position, where the evaluation fails.
    fn instant(&self, source: &dyn Queryable, expr: &Expr, t_ms: i64) -> Result<QueryResult, String>;

    /// Evaluates an expression at each step of a range, both ends in.
    ///
    /// # Errors
    /// As [`Self::instant`].
    fn range(
        &self,
        source: &dyn Queryable,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<QueryResult, String>;
}

/// How a `.test` file went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many evaluations gave what was expected.
    pub passed: usize,
    /// Those that did not, in the order of the file.
    pub failures: Vec<Failure>,
}

/// An evaluation, or a load, that did not go as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line of the command, from 1.
    pub line: usize,
    /// The expression, or `load`.
    pub what: String,
    /// What went wrong.
    pub message: String,
}

/// Runs a `.test` file's text.
///
/// # Errors
/// Where the text is no `.test` file: all lines that are wrong.
pub fn run(text: &str, engine: &dyn Evaluator) -> Result<Report, Vec<ScriptError>> {
    let Script { commands } = parse_script(text)?;
    let mut storage = MemStorage::new();
    let mut report = Report::default();
    for command in commands {
        match command {
            Command::Clear => storage.clear(),
            Command::Load(load) => {
                if let Err(message) = fill(&mut storage, &load) {
                    report.failures.push(Failure { line: load.line, what: "load".to_owned(), message });
                }
            }
            Command::Eval(eval) => match (Runner { storage: &storage, engine, eval: &eval }).run() {
                Ok(()) => report.passed += 1,
                Err(message) => report.failures.push(Failure { line: eval.line, what: eval.text, message }),
            },
        }
    }
    Ok(report)
}

fn fill(storage: &mut MemStorage, load: &Load) -> Result<(), String> {
    let mut classic = Collector::default();
    for series in &load.series {
        let labels = &series.labels;
        for (i, (value, start)) in (0i64..).zip(series.values.iter().zip(&series.starts)) {
            let t_ms = i * load.step_ms;
            let start_ms = start.map_or(0, |offset| t_ms + offset);
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(v) => {
                    classic.add(labels, t_ms, *v);
                    storage.append_with_start(labels, t_ms, start_ms, *v).map_err(|e| e.to_string())?;
                }
                SequenceValue::Histogram { value, .. } => {
                    // Histogram chunks have no start timestamps in Prometheus 3.13, whose cases expect that.
                    let h = value.as_ref().clone();
                    storage.append_histogram(labels, t_ms, h).map_err(|e| e.to_string())?;
                }
            }
        }
    }
    if load.with_nhcb {
        for (labels, t_ms, h) in classic.finish()? {
            storage.append_histogram(&labels, t_ms, h).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

struct Runner<'r> {
    storage: &'r MemStorage,
    engine: &'r dyn Evaluator,
    eval: &'r Eval,
}

impl Runner<'_> {
    fn run(&self) -> Result<(), String> {
        let t_ms = match self.eval.when {
            When::Range { start_ms, end_ms, step_ms } => return self.range(start_ms, end_ms, step_ms),
            When::At(t_ms) => t_ms,
        };
        self.instant(&self.eval.expr, t_ms)?;
        let mut pinned = self.eval.expr.clone();
        if !pin(&mut pinned, t_ms) {
            return Ok(());
        }
        // Printed and parsed, so that the printer is put to the test as well.
        let text = pinned.to_string();
        let pinned =
            parse(&text).map_err(|e| format!("the printed expression {text} does not parse: {e}"))?;
        let others =
            if t_ms == 0 { vec![-1_000, 0, 1_000] } else { vec![-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms] };
        for other in others {
            self.instant(&pinned, other).map_err(|e| format!("as {text} at {other} ms: {e}"))?;
        }
        Ok(())
    }

    fn range(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<(), String> {
        let expectation = &self.eval.expectation;
        match self.engine.range(self.storage, &self.eval.expr, start_ms, end_ms, step_ms) {
            Err(error) => expectation.check_failure(&error),
            Ok(_) if expectation.fail.is_some() => Err("expected an error, but there was none".to_owned()),
            Ok(result) => {
                expectation.check_annotations(&result.annotations, Some(&self.eval.text))?;
                expectation.check_value(&result.value, self.eval.when)
            }
        }
    }

    fn instant(&self, expr: &Expr, t_ms: i64) -> Result<(), String> {
        let expectation = &self.eval.expectation;
        let result = match self.engine.instant(self.storage, expr, t_ms) {
            Err(error) => return expectation.check_failure(&error),
            Ok(_) if expectation.fail.is_some() => {
                return Err("expected an error, but there was none".to_owned());
            }
            Ok(result) => result,
        };
        // A pinned expression has its parts at other places.
        let query = std::ptr::eq(expr, &self.eval.expr).then_some(self.eval.text.as_str());
        expectation.check_annotations(&result.annotations, query)?;
        expectation.check_value(&result.value, self.eval.when)?;
        if expectation.range.is_some() || expectation.string.is_some() || depends_on_the_query(expr) {
            return Ok(());
        }
        let scalar = matches!(result.value, QueryValue::Scalar(..));
        self.middle_of_range(expr, t_ms, scalar).map_err(|e| format!("in a range query: {e}"))
    }

    fn middle_of_range(&self, expr: &Expr, t_ms: i64, scalar: bool) -> Result<(), String> {
        const MINUTE_MS: i64 = 60_000;
        let result = self.engine.range(self.storage, expr, t_ms - MINUTE_MS, t_ms + MINUTE_MS, MINUTE_MS);
        let QueryValue::Matrix(series) = result?.value else {
            return Err("it yields no matrix".to_owned());
        };
        if self.eval.expectation.ordered {
            return Ok(());
        }
        sorted(&series)?;
        let at_middle = |(labels, samples): (_, Vec<(i64, Value)>)| {
            let (t_ms, value) = samples.into_iter().find(|(t, _)| *t == t_ms)?;
            Some(InstantSample { labels, t_ms, value })
        };
        let vector: Vec<_> =
            series.iter().map(|s| (s.labels.clone(), samples_of(s))).filter_map(at_middle).collect();
        let value = match vector.first() {
            Some(InstantSample { value: Value::Float(v), .. }) if scalar => QueryValue::Scalar(t_ms, *v),
            _ => QueryValue::Vector(vector),
        };
        self.eval.expectation.check_value(&value, self.eval.when)
    }
}

/// Whether the text calls a function that a range query answers differently than an instant query.
fn depends_on_the_query(expr: &Expr) -> bool {
    #[allow(clippy::unwrap_used, reason = "a constant pattern, which every run of the tests compiles")]
    static CALLS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(start|end|range|step)\(\)").unwrap());
    CALLS.is_match(&expr.to_string())
}

/// Pins every selector and outermost subquery without a time of its own to `t_ms`. `false` where the result
/// depends on the evaluation time all the same.
fn pin(expr: &mut Expr, t_ms: i64) -> bool {
    let pin_at = |at: &mut Option<AtModifier>| {
        if !matches!(at, Some(AtModifier::Time(_))) {
            *at = Some(AtModifier::Time(t_ms));
        }
    };
    match expr {
        Expr::Vector(e) => pin_at(&mut e.at),
        Expr::Matrix(e) => pin_at(&mut e.selector.at),
        Expr::Subquery(e) => {
            pin_at(&mut e.at);
            return true;
        }
        Expr::Call(e) if unsafe_to_pin(e.func) => return false,
        _ => {}
    }
    expr.children_mut().into_iter().all(|child| pin(child, t_ms))
}

/// The functions whose result varies with the evaluation time though their arguments do not
/// (`AtModifierUnsafeFunctions` of Prometheus' `promql/functions.go`, v3.13).
fn unsafe_to_pin(func: &Function) -> bool {
    func.time != ReadsTime::Timeless || matches!(func.id, Func::Query(_))
}

impl Evaluator for Engine {
    fn instant(&self, source: &dyn Queryable, expr: &Expr, t_ms: i64) -> Result<QueryResult, String> {
        Self::instant(self, source, expr, t_ms).map_err(|e| e.to_string())
    }

    fn range(
        &self,
        source: &dyn Queryable,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<QueryResult, String> {
        Self::range(self, source, expr, start_ms, end_ms, step_ms).map_err(|e| e.to_string())
    }
}
