//! What the engine promises beyond the language: sharing, limits, cancellation, sliding windows that agree with
//! windows looked at one by one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use assay_model::{Column, Labels, Matcher, QueryError, Queryable, Selected, Series};
use assay_promql::{
    Engine, EngineOptions, EvalError, Expr, Limits, QueryValue, RangeQuery, parse, promqltest::MemStorage,
};

/// A storage that counts how often series are read.
struct Counting {
    inner: MemStorage,
    reads: AtomicUsize,
}

struct CountingSeries<'s> {
    inner: Box<dyn Series + 's>,
    reads: &'s AtomicUsize,
}

impl Series for CountingSeries<'_> {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read(start_ms, end_ms, out)
    }
}

impl Queryable for Counting {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        let found = self.inner.select(matchers, start_ms, end_ms)?;
        let counting = |inner| Box::new(CountingSeries { inner, reads: &self.reads }) as Box<dyn Series + 'q>;
        Ok(found.into_iter().map(counting).collect())
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.inner.time_range()
    }
}

/// Counters with resets and gaps, gauges with NaN and infinities; a fixed small generator.
fn storage() -> Counting {
    let mut inner = MemStorage::new();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    for (i, name) in ["c_total", "c_total", "c_total", "g", "g"].iter().enumerate() {
        let labels = Labels::from_pairs([("__name__", *name), ("i", &i.to_string())]);
        let mut value = 0.0;
        for t in 0..400i64 {
            if random(9) == 0 {
                continue;
            }
            value = match random(40) {
                0 => 0.0,
                1 if *name == "g" => f64::NAN,
                n if *name == "g" => n as f64 - 20.0,
                n => value + n as f64 / 7.0,
            };
            inner.append(&labels, t * 1000, value).expect("in order");
        }
    }
    Counting { inner, reads: AtomicUsize::new(0) }
}

fn expr(text: &str) -> Expr {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

const RANGE: RangeQuery = RangeQuery { start_ms: 100_000, end_ms: 390_000, step_ms: 1_000 };

fn samples(value: &QueryValue) -> Vec<(String, i64, f64)> {
    match value {
        QueryValue::Matrix(series) => series
            .iter()
            .flat_map(|s| {
                let points = s.samples.times.iter().zip(&s.samples.values);
                points.map(|(t, v)| (s.labels.to_string(), *t, *v)).collect::<Vec<_>>()
            })
            .collect(),
        other => panic!("expected a matrix, got {other:?}"),
    }
}

fn same(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= 1e-9 * (a.abs() + b.abs()).max(1e-9)
}

/// Every step of a range query, whose windows slide, equals an instant query, whose window does not.
#[test]
fn sliding_windows_agree_with_single_ones() {
    let source = storage();
    let engine = Engine::default();
    let functions = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "ts_of_max_over_time",
        "ts_of_min_over_time",
        "mad_over_time",
        "changes",
        "resets",
        "deriv",
        "present_over_time",
    ];
    let mut texts: Vec<String> =
        functions.iter().flat_map(|f| [format!("{f}(c_total[40s])"), format!("{f}(g[40s])")]).collect();
    texts.extend(["0", "0.3", "0.9", "1"].map(|q| format!("quantile_over_time({q}, g[40s])")));
    texts.push("avg_over_time(rate(c_total[20s])[40s:2s])".to_owned());
    texts.push("sum by (i) (rate(c_total[40s] offset 3s))".to_owned());
    for text in &texts {
        let e = expr(text);
        let range =
            engine.range(&source, &e, RANGE.start_ms, RANGE.end_ms, RANGE.step_ms).expect("evaluates");
        let got = samples(&range.value);
        let mut want = Vec::new();
        for t_ms in (RANGE.start_ms..=RANGE.end_ms).step_by(1000) {
            let instant = engine.instant(&source, &e, t_ms).expect("evaluates");
            let QueryValue::Vector(list) = instant.value else { panic!("{text} is no vector") };
            for s in list {
                let assay_model::Value::Float(v) = s.value else { panic!("{text} has no floats") };
                want.push((s.labels.to_string(), t_ms, v));
            }
        }
        let key = |s: &(String, i64, f64)| (s.0.clone(), s.1);
        let (mut got, mut want) = (got, want);
        got.sort_by_key(key);
        want.sort_by_key(key);
        assert_eq!(got.len(), want.len(), "{text}");
        for (g, w) in got.iter().zip(&want) {
            assert!(key(g) == key(w) && same(g.2, w.2), "{text}: got {g:?}, want {w:?}");
        }
    }
}

#[test]
fn a_batch_reads_each_series_once_and_changes_no_result() {
    let source = storage();
    let engine = Engine::default();
    let texts = [
        "sum(rate(c_total[1m]))",
        "sum(rate(c_total[1m])) / count(c_total)",
        "max_over_time(c_total[2m]) > 3",
        "topk(1, rate(c_total[1m] ))",
    ];
    let exprs: Vec<Expr> = texts.iter().map(|t| expr(t)).collect();
    let refs: Vec<&Expr> = exprs.iter().collect();
    let together = engine.batch(&source, &refs, RANGE).expect("evaluates");
    assert_eq!(source.reads.load(Ordering::Relaxed), 3, "three series of c_total, each read once");
    for (e, together) in exprs.iter().zip(together) {
        let alone = engine.range(&source, e, RANGE.start_ms, RANGE.end_ms, RANGE.step_ms).expect("evaluates");
        let together = together.expect("evaluates");
        let (a, b) = (samples(&alone.value), samples(&together.value));
        assert!(
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && a.1 == b.1 && same(a.2, b.2))
        );
    }
}

#[test]
fn an_expression_of_a_batch_fails_alone() {
    let source = storage();
    let exprs = ["sum(g)", "count_over_time(g[step() - 1s])", "'text'", "g * on() group_left() g", "sum(g)"];
    let exprs: Vec<Expr> = exprs.iter().map(|t| expr(t)).collect();
    let refs: Vec<&Expr> = exprs.iter().collect();
    let results = Engine::default().batch(&source, &refs, RANGE).expect("evaluates");
    let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, true, true, false]);
}

#[test]
fn the_limit_on_samples_holds_for_each_expression_of_a_batch() {
    let source = storage();
    let e: Vec<Expr> = (0..20).map(|i| expr(&format!("rate(c_total[1m]) + {i}"))).collect();
    let refs: Vec<&Expr> = e.iter().collect();
    let engine = limited(Limits { max_samples: 5_000, ..Limits::default() });
    let results = engine.batch(&source, &refs, RANGE).expect("evaluates");
    assert!(results.iter().all(Result::is_ok), "each has fewer than 5,000 samples, all together more");
}

#[test]
fn shared_parts_keep_the_positions_of_each_use() {
    let source = storage();
    let (a, b) = (expr("rate(g[1m])"), expr("1 + sum(rate(g[1m]))"));
    let results = Engine::default().batch(&source, &[&a, &b], RANGE).expect("evaluates");
    let spans: Vec<_> =
        results.iter().map(|r| r.as_ref().expect("evaluates").annotations[0].span.clone()).collect();
    assert_eq!(spans, [5..10, 13..18]);
}

#[test]
fn explain_tells_what_is_shared() {
    let (a, b) = (expr("sum(rate(c_total[1m])) / 2"), expr("sum(rate(c_total[1m])) > 1 + 1"));
    let c = expr("max_over_time(c_total[2m])");
    let plan = Engine::default().explain(&[&a, &b, &c], RANGE).expect("makes a plan");
    for part in ["read once", "computed once for 2 uses", "repeat for", "groups × steps", "see #"] {
        assert!(plan.contains(part), "{part:?} is missing in\n{plan}");
    }
}

#[test]
fn limits_and_cancellation_end_a_query() {
    let source = storage();
    let check = |limits: Limits, want: fn(&EvalError) -> bool| {
        let result = limited(limits).range(&source, &expr("rate(c_total[1m])"), 0, 390_000, 1000);
        assert!(result.as_ref().is_err_and(want), "{result:?}");
    };
    check(Limits { max_samples: 100, ..Limits::default() }, |e| {
        matches!(e, EvalError::TooManySamples { max: 100 })
    });
    check(Limits { max_series: 2, ..Limits::default() }, |e| {
        matches!(e, EvalError::TooManySeries { found: 3, max: 2, .. })
    });
    check(Limits { timeout: Some(std::time::Duration::ZERO), ..Limits::default() }, |e| {
        matches!(e, EvalError::Timeout)
    });
    let cancel = Some(Arc::new(AtomicBool::new(true)));
    check(Limits { cancel, ..Limits::default() }, |e| matches!(e, EvalError::Cancelled));
}

fn limited(limits: Limits) -> Engine {
    Engine::new(EngineOptions { limits, ..EngineOptions::default() })
}

#[test]
fn errors_say_where() {
    let source = storage();
    let check = |text: &str, message: &str, part: &str| {
        let err = Engine::default().range(&source, &expr(text), 0, 390_000, 1000).expect_err(text);
        assert!(err.to_string().contains(message), "{text}: {err}");
        let span = err.span().unwrap_or_else(|| panic!("{text}: no position"));
        assert_eq!(&text[span], part);
    };
    check("1 + (c_total * on() g)", "found duplicate series for the match group", "c_total * on() g");
    check(
        "sum(label_replace(c_total, 'i', '', '', ''))",
        "same labelset",
        "label_replace(c_total, 'i', '', '', '')",
    );
    check("topk(scalar(nothing), c_total)", "Parameter value is NaN", "scalar(nothing)");
    check("label_replace(g, 'x', '', 'y', '(')", "invalid regular expression", "'('");
}

#[test]
fn experimental_functions_can_be_off() {
    let engine = Engine::new(EngineOptions { experimental_functions: false, ..EngineOptions::default() });
    for text in ["mad_over_time(g[1m])", "limitk(1, g)"] {
        let err = engine.instant(&storage(), &expr(text), 0).expect_err(text);
        assert!(err.to_string().contains("experimental"), "{err}");
    }
}
