//! What a query may take: nothing that a query asks for takes more memory or goes on longer than allowed, and what is
//! evaluated in chunks is what is evaluated in one piece.
//!
//! Invariant: peak memory is measured in a child process of its own, which runs one test of this file.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/random.rs"]
mod random;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::{Column, FloatHistogram, Labels, Matcher, QueryError, Queryable, Selected, Series};
use assay_promql::{
    Engine, EngineOptions, EvalError, Limits, Memory, QueryResult, QueryValue, parse,
    promqltest::{MemStorage, almost_equal},
};
use assay_tsdb::{Database, OpenOptions};
use random::Random;

const MIB: usize = 1 << 20;

fn engine(limits: Limits) -> Engine {
    Engine::new(EngineOptions { limits, ..EngineOptions::default() })
}

fn with_memory(max_bytes: usize) -> Engine {
    engine(Limits { memory: Memory::new(max_bytes), ..Limits::default() })
}

/// Series `name{i="0"}` and so on, with one sample each, at 0.
fn series(name: &str, count: usize) -> MemStorage {
    let mut storage = MemStorage::new();
    for i in 0..count {
        let labels = Labels::from_pairs([("__name__", name), ("i", &i.to_string())]);
        storage.append(&labels, 0, i as f64).expect("in order");
    }
    storage
}

/// Runs the test of this name in a process of its own and checks the most memory that it had.
#[cfg(target_os = "linux")]
fn within(name: &str, max_mib: usize, test: impl FnOnce()) {
    use std::process::Command;
    if std::env::var_os("LIMITS_CHILD").is_some() {
        test();
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("a peak");
        let peak_kib: usize = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        assert!(peak_kib / 1024 < max_mib, "{name} took {} MiB, and may take {max_mib}", peak_kib / 1024);
        return;
    }
    let done = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env("LIMITS_CHILD", "1")
        .output()
        .expect("starts");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[cfg(not(target_os = "linux"))]
fn within(_: &str, _: usize, test: impl FnOnce()) {
    test();
}

#[test]
fn impossible_plans_are_refused_before_anything_is_allocated() {
    within("impossible_plans_are_refused_before_anything_is_allocated", 64, || {
        let source = series("x", 3);
        let as_prometheus = engine(Limits { max_samples: 50_000_000, ..Limits::default() });
        for text in [
            "max_over_time(vector(1)[100y:1ms])",
            "sum(sum_over_time((x + on (i) x)[290y:1ms]))",
            "count_over_time(x[100y:1ms] @ 0)",
            "quantile_over_time(0.5, vector(time())[200y:1ms] offset -90y)",
        ] {
            let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let err = as_prometheus.instant(&source, &expr, 0).expect_err(text);
            let says = "query processing would load too many samples into memory in query execution";
            assert_eq!(err.to_string(), says, "{text}");
            let err = with_memory(32 * MIB).range(&source, &expr, 0, 600_000, 1).expect_err(text);
            assert!(matches!(err, EvalError::OutOfMemory { .. }), "{text}: {err}");
            let err = Engine::default().instant(&source, &expr, 0).expect_err(text);
            assert!(matches!(err, EvalError::TooManySamples { .. }), "{text}: {err}");
        }
    });
}

#[test]
fn hostile_expressions_stay_within_their_memory() {
    within("hostile_expressions_stay_within_their_memory", 100, || {
        let source = series("x", 500);
        let engine = with_memory(2 * MIB);
        for text in [
            "x and x or x unless x",
            "count_values(\"v\", x + time())",
            "sum without () (x) / on () group_left () vector(time())",
            "topk(500, x)",
            "quantile(0.5, x) + sort(x)",
            "label_replace(x, \"j\", \"$1\", \"i\", \"(.*)\") * on (j) group_left x",
            "max_over_time(x[10m:1s])",
            "absent(x) or absent_over_time(x[1h])",
            "histogram_quantile(0.9, label_replace(x, \"le\", \"$1\", \"i\", \"(.*)\"))",
            "stddev by (i) (x) + stdvar by (i) (x)",
        ] {
            let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            // Either it is answered, chunk by chunk, or the limit is named.
            match engine.range(&source, &expr, 0, 300_000, 300) {
                Ok(_) | Err(EvalError::OutOfMemory { .. } | EvalError::Expression { .. }) => {}
                Err(e) => panic!("{text}: {e}"),
            }
            assert_eq!(engine.options().limits.memory.used(), 0, "{text}: something was not given back");
        }
    });
}

/// What takes more memory than there is in one piece is evaluated in chunks, and comes out the same.
#[test]
fn chunks_come_out_as_one_piece() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    corpus::write(dir.path(), 0x00c0_ffee);
    let source = Database::open(dir.path(), OpenOptions::default()).expect("a data directory");
    let (whole, limited) = (Engine::default(), with_memory(20_000));
    let mut random = Random::new(0x0bad_5eed);
    let (mut chunked, mut too_large) = (0, 0);
    for _ in 0..300 {
        let text = generate::expression(&mut random);
        // Which name such a result keeps hangs on its first sample, and so on where a chunk begins.
        if text.contains(" or ") {
            continue;
        }
        let expr = parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let (start, end) = (corpus::START_MS, corpus::START_MS + 3_600_000);
        let want = whole.range(&source, &expr, start, end, 10_000);
        match limited.range(&source, &expr, start, end, 10_000) {
            Err(EvalError::OutOfMemory { .. }) => too_large += 1,
            got => {
                chunked += 1;
                compare(&text, got, want);
            }
        }
        assert_eq!(limited.options().limits.memory.used(), 0, "{text}: something was not given back");
    }
    assert!(chunked > 100 && too_large < 150, "{chunked} evaluated, {too_large} were too large");
}

fn compare(text: &str, got: Result<QueryResult, EvalError>, want: Result<QueryResult, EvalError>) {
    let (got, want) = match (got, want) {
        (Ok(got), Ok(want)) => (got, want),
        (Err(_), Err(_)) => return,
        (got, want) => panic!("{text}: {got:?} and not {want:?}"),
    };
    let said = |r: &QueryResult| r.annotations.iter().map(|a| a.message.clone()).collect::<Vec<_>>();
    assert_eq!(said(&got), said(&want), "{text}");
    let (QueryValue::Matrix(got), QueryValue::Matrix(want)) = (got.value, want.value) else {
        panic!("{text}: no matrix")
    };
    assert_eq!(got.len(), want.len(), "{text}");
    for (got, want) in got.iter().zip(&want) {
        assert_eq!(got.labels, want.labels, "{text}");
        assert_eq!(got.samples.times, want.samples.times, "{text} {}", got.labels);
        for (i, (a, b)) in got.samples.values.iter().zip(&want.samples.values).enumerate() {
            assert!(almost_equal(*a, *b), "{text} {}: {a} and not {b} at {i}", got.labels);
        }
        assert_eq!(got.samples.histogram_times, want.samples.histogram_times, "{text} {}", got.labels);
        for (a, b) in got.samples.histograms.iter().zip(&want.samples.histograms) {
            let numbers = |h: &FloatHistogram| [h.count, h.sum];
            let alike = numbers(a).iter().zip(numbers(b)).all(|(a, b)| almost_equal(*a, b));
            assert!(alike, "{text} {}: {a} and not {b}", got.labels);
        }
    }
}

#[test]
fn samples_are_counted_as_they_are_held() {
    let source = series("x", 1_000);
    let engine = engine(Limits { max_samples: 5_000, ..Limits::default() });
    let range = |text: &str, steps: i64| {
        engine.range(&source, &parse(text).expect("parses"), 0, (steps - 1) * 1000, 1000)
    };
    assert!(range("x", 5).is_ok());
    let err = range("x", 6).expect_err("6,000 samples");
    assert_eq!(
        err.to_string(),
        "query processing would load too many samples into memory in query execution"
    );
    // What is folded away is not held, and neither are steps without a sample.
    assert!(range("sum(x)", 300).is_ok());
    assert!(range("x == 7", 300).is_ok());
    // Histograms count for more.
    assert!(range("histogram_count(x)", 300).is_ok());
}

/// In Prometheus too each operator's result takes the place of its operands.
#[test]
fn a_long_chain_of_operators_holds_a_few_vectors_only() {
    within("a_long_chain_of_operators_holds_a_few_vectors_only", 60, || {
        let source = series("x", 2_000);
        let engine = engine(Limits { max_samples: 20_000, ..Limits::default() });
        for op in [" + ", " and ", " * on (i) group_left () "] {
            let expr = parse(&vec!["x"; 301].join(op)).expect("parses");
            let result = engine.instant(&source, &expr, 0).unwrap_or_else(|e| panic!("{op}: {e}"));
            let QueryValue::Vector(samples) = result.value else { panic!("no vector") };
            assert_eq!(samples.len(), 2_000, "{op}");
        }
    });
}

#[test]
fn a_chain_over_50_000_series_stays_within_the_sample_limit() {
    within("a_chain_over_50_000_series_stays_within_the_sample_limit", 400, || {
        let source = series("x", 50_000);
        // A build without optimization takes minutes for what `cargo xtask torment` does in seconds.
        let operators = if cfg!(debug_assertions) { 20 } else { 300 };
        let expr = parse(&vec!["x"; operators + 1].join(" + ")).expect("parses");
        let answer =
            |max_samples| engine(Limits { max_samples, ..Limits::default() }).instant(&source, &expr, 0);
        let QueryValue::Vector(samples) = answer(500_000).expect("ten vectors are enough").value else {
            panic!("no vector")
        };
        assert_eq!(samples.len(), 50_000);
        assert!(
            matches!(answer(60_000), Err(EvalError::TooManySamples { .. })),
            "less than two vectors are not"
        );
    });
}

#[test]
fn duplicates_are_found_before_anything_is_multiplied() {
    within("duplicates_are_found_before_anything_is_multiplied", 60, || {
        let source = series("x", 4_000);
        for (text, says) in [
            (
                "x * on () x",
                "found duplicate series for the match group {} on the right hand-side of the operation",
            ),
            (
                "x * on () group_left () x",
                "found duplicate series for the match group {} on the right hand-side of the operation",
            ),
            (
                "x * on () group_right () x",
                "found duplicate series for the match group {} on the left hand-side of the operation",
            ),
            (
                "x * ignoring (i) fill (0) x",
                "found duplicate series for the match group {} on the right hand-side of the operation",
            ),
            (
                "x * on () sum(x)",
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ),
            (
                "label_replace(x, \"a\", \"$1\", \"i\", \"(.*)\") * on () group_left (i) label_replace(sum(x), \"i\", \"b\", \"\", \"\")",
                "",
            ),
        ] {
            let result = Engine::default().instant(&source, &parse(text).expect("parses"), 0);
            match result {
                Ok(_) if says.is_empty() => {}
                Ok(_) => panic!("{text}: there is no error"),
                Err(e) => assert!(!says.is_empty() && e.to_string().starts_with(says), "{text}: {e}"),
            }
        }
    });
}

/// Series that follow each other on the "one" side, as replaced pods do, are no duplicates and cost nothing that
/// grows with their number times that of the other side.
#[test]
fn series_that_follow_each_other_match_one_by_one() {
    within("series_that_follow_each_other_match_one_by_one", 60, || {
        let mut storage = series("x", 100);
        for (i, t_ms) in (0..200).map(|i| (i, i * 1_000)) {
            let info = Labels::from_pairs([("__name__", "info"), ("version", &i.to_string())]);
            storage.append(&info, t_ms, 1.0).expect("in order");
            storage.append(&info, t_ms + 1_000, f64::from_bits(0x7ff0_0000_0000_0002)).expect("in order");
        }
        let expr = parse("x * on () group_left (version) info").expect("parses");
        let result = Engine::default().range(&storage, &expr, 0, 50_000, 1_000).expect("evaluates");
        let QueryValue::Matrix(series) = result.value else { panic!("no matrix") };
        assert_eq!(series.len(), 100 * 51);
        assert!(series.iter().all(|s| s.samples.len() == 1));
    });
}

/// A source that cancels the query when the first series is read.
struct Leaving {
    inner: MemStorage,
    cancel: Arc<AtomicBool>,
    left: OnceLock<Instant>,
}

struct LeavingSeries<'s> {
    inner: Box<dyn Series + 's>,
    of: &'s Leaving,
}

impl Series for LeavingSeries<'_> {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        self.of.left.get_or_init(Instant::now);
        self.of.cancel.store(true, Ordering::Relaxed);
        self.inner.read(start_ms, end_ms, out)
    }
}

impl Queryable for Leaving {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        let found = self.inner.select(matchers, start_ms, end_ms)?;
        Ok(found.into_iter().map(|inner| Box::new(LeavingSeries { inner, of: self }) as Box<_>).collect())
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.inner.time_range()
    }
}

/// A query that nobody waits for any more ends, wherever it is.
#[test]
fn cancelled_queries_end_soon() {
    for text in [
        "max_over_time((x + time())[10d:1s])",
        "quantile_over_time(0.5, (x + time())[10d:1s])",
        // Each of 86,400 windows has half a million samples.
        "max_over_time(mad_over_time((x + time())[6d:1s])[1d:1s])",
        "max_over_time(deriv((x + time())[6d:1s])[1d:1s])",
        "sort_by_label(x * (x + time()), \"i\")",
        "sum(rate((x + time())[10d:1s]))",
        "max_over_time(histogram_quantile(time(), x)[10d:1s])",
        "count_values(\"v\", x + time())",
        "x + on (i) x * on (i) x",
        "sort(x) or topk(3, x)",
    ] {
        let cancel = Arc::new(AtomicBool::new(false));
        let engine = engine(Limits { cancel: Some(cancel.clone()), ..Limits::default() });
        let source = Leaving { inner: series("x", 2_000), cancel, left: OnceLock::new() };
        let result = engine.range(&source, &parse(text).expect("parses"), 0, 60_000, 10_000);
        let after = source.left.get().expect("a series was read").elapsed();
        assert!(matches!(result, Err(EvalError::Cancelled)), "{text}: {result:?}");
        // It takes some 10 ms by itself; a machine may be busy.
        assert!(after < Duration::from_secs(5), "{text} went on for {after:?}");
    }
}
