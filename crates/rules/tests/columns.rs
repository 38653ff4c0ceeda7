//! Evaluating all slots at once and evaluating slot by slot come to the same.

use assay_model::{Labels, Value};
use assay_promql::{Memory, promqltest::MemStorage};
use assay_rules::{
    ReplayOptions, RuleFiles, SlotMode,
    replay::{Evaluation, ReplayResult, replay},
};

/// A small generator of numbers that is the same everywhere (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Half an hour of series, 5 s apart, that come and go.
fn storage(seed: u64) -> MemStorage {
    let mut random = Random(seed);
    let mut storage = MemStorage::new();
    for job in ["a", "b"] {
        for instance in ["1", "2", "3"] {
            let series =
                |name: &str| Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)]);
            let (up, total) = (series("up"), series("requests_total"));
            let (mut count, mut present, mut value) = (0.0, true, 1.0);
            for i in 0..360 {
                let t_ms = i * 5_000 + random.next(1_000) as i64;
                if random.next(20) == 0 {
                    if present {
                        storage.append(&up, t_ms, assay_model::stale_nan()).expect("appended");
                    }
                    present = !present;
                    continue;
                }
                if !present {
                    continue;
                }
                if random.next(12) == 0 {
                    value = 1.0 - value;
                }
                count += random.next(50) as f64;
                storage.append(&up, t_ms, value).expect("appended");
                storage.append(&total, t_ms, count).expect("appended");
            }
        }
    }
    storage
}

const RULES: &str = r#"
groups:
  - name: recording
    interval: 15s
    rules:
      - {record: "job:up:sum", expr: sum by (job) (up)}
      - {record: "job:up:avg", expr: "job:up:sum / count by (job) (up)"}
      - {record: "job:rate", expr: "sum by (job) (rate(requests_total[1m]))", labels: {unit: per_second}}
      - {record: copy, expr: up, labels: {instance: ""}}
      - {record: one, expr: "1"}
      - {record: chain, expr: "avg_over_time(job:up:avg[2m]) + on (job) job:rate"}
      - {record: early, expr: late}
      - {record: late, expr: vector(time())}
      - {record: counter, expr: "counter + 1 or vector(0)"}
      - {record: ahead, expr: sum(up offset -1m)}
      - {record: fixed, expr: "sum(up @ 600)"}
      - {record: text, expr: '"text"'}
  - name: limited
    interval: 20s
    limit: 2
    rules:
      - {record: some, expr: up == 1}
      - {alert: Limited, expr: up == 0, for: 40s}
  - name: shifted
    interval: 30s
    query_offset: 10s
    rules:
      - {record: "shifted:up", expr: sum(up)}
      - {record: "shifted:chain", expr: "shifted:up * 2"}
      - {alert: Shifted, expr: "shifted:up < 3", for: 1m}
  - name: failing
    rules:
      - {record: clash, expr: "label_replace(up, \"instance\", \"\", \"\", \"\")"}
      - {record: many, expr: "up * on (job) up"}
      - {alert: Clash, expr: up == 0, labels: {instance: same}}
  - name: alerts
    interval: 10s
    labels: {team: "{{ $labels.job }}"}
    rules:
      - {alert: Down, expr: up == 0}
      - {alert: DownFor, expr: up == 0, for: 30s, annotations: {summary: "{{ $labels.instance }} {{ $value }}"}}
      - {alert: Kept, expr: up == 0, keep_firing_for: 45s}
      - {alert: KeptFor, expr: up == 0, for: 20s, keep_firing_for: 25s, labels: {severity: page}}
      - {alert: Valued, expr: "job:up:sum < 3", labels: {value: "{{ $value }}"}}
      - {alert: Many, expr: 'count(ALERTS{alertname="Down", alertstate="firing"}) > 1', for: 10s}
      - {alert: Queries, expr: up == 0, for: 10s, annotations: {sum: '{{ with query "job:up:sum" }}{{ . | first | value }}{{ end }}'}}
      - {alert: QueriesLater, expr: up == 0, annotations: {sum: '{{ query "last" }}'}}
      - {alert: Own, expr: 'absent(ALERTS{alertname="Own"})'}
      - {record: last, expr: count(ALERTS)}
"#;

fn run(rules: &RuleFiles, seed: u64, slots: SlotMode, evaluation: Evaluation) -> ReplayResult {
    let mut options = ReplayOptions::new(0, 1_800_000);
    options.interval_ms = 60_000;
    options.slots = slots;
    options.evaluation = evaluation;
    replay(&storage(seed), rules, &options)
}

/// The samples of a result, bit for bit.
fn samples(result: &ReplayResult) -> Vec<String> {
    let mut out = Vec::new();
    for (labels, column) in result.series.series() {
        for (t, v) in column.times.iter().zip(&column.values) {
            out.push(format!("{labels} {t} {v} {:x}", v.to_bits()));
        }
        for (t, h) in column.histogram_times.iter().zip(&column.histograms) {
            out.push(format!("{labels} {t} {:?}", Value::Histogram(h.clone())));
        }
    }
    out
}

fn check(text: &str, seed: u64, slots: SlotMode) -> ReplayResult {
    let rules = RuleFiles::parse("r.yml", text).unwrap_or_else(|e| panic!("{e}"));
    let columns = run(&rules, seed, slots, Evaluation::Columns);
    let steps = run(&rules, seed, slots, Evaluation::Steps);
    let (a, b) = (samples(&columns), samples(&steps));
    let differ = a.iter().zip(&b).find(|(a, b)| a != b);
    assert!(a == b, "seed {seed}: {} and {} samples, first {differ:?}", a.len(), b.len());
    assert_eq!(columns.alerts, steps.alerts, "seed {seed}");
    assert_eq!(columns.rules, steps.rules, "seed {seed}");
    assert_eq!(columns.errors, steps.errors, "seed {seed}");
    columns
}

#[test]
fn columns_and_steps_agree() {
    for seed in 1..=3 {
        for slots in [SlotMode::Start, SlotMode::Prometheus] {
            let result = check(RULES, seed, slots);
            let failed = |name: &str| result.errors.iter().any(|e| e.message.contains(name));
            assert!(failed("exceeded limit of 2"), "{:?}", result.errors);
            assert!(failed("same labelset after applying rule labels"), "{:?}", result.errors);
            assert!(failed("not a vector or scalar"), "{:?}", result.errors);
            for name in ["Down", "DownFor", "Kept", "KeptFor", "Valued", "Shifted", "Own"] {
                let fired = |a: &assay_rules::replay::AlertInstance| {
                    a.fired_at_ms.is_some() && a.labels.get("alertname") == Some(name)
                };
                assert!(result.alerts.iter().any(fired), "{name} never fired with seed {seed}");
            }
        }
    }
}

#[test]
fn rules_that_write_the_same_series_are_evaluated_in_order() {
    let rules = r#"
groups:
  - name: a
    interval: 10s
    rules:
      - {record: x, expr: 'sum(up{job="a"})'}
      - {record: y, expr: x}
  - name: b
    interval: 15s
    rules:
      - {record: x, expr: 'sum(up{job="b"})'}
"#;
    let result = check(rules, 3, SlotMode::Start);
    assert!(
        result.errors.iter().any(|e| e.message.starts_with("duplicate sample for timestamp")),
        "{:?}",
        result.errors
    );
}

#[test]
fn what_rules_write_counts_as_memory_of_queries() {
    let rules: String = (0..6).map(|i| format!("      - {{record: r{i}, expr: vector({i})}}\n")).collect();
    let text = format!("groups:\n  - name: many\n    interval: 1s\n    rules:\n{rules}");
    let files = RuleFiles::parse("rules.yml", &text).expect("parses");
    let source = MemStorage::new();
    for evaluation in [Evaluation::Columns, Evaluation::Steps] {
        let mut options = ReplayOptions::new(0, 9_999_000);
        options.evaluation = evaluation;
        // 10,000 samples of 16 bytes for each rule.
        let memory = Memory::new(700_000);
        options.engine.limits.memory = memory.clone();
        let result = replay(&source, &files, &options);
        assert!(result.rules.iter().all(|r| r.evaluations == 10_000), "{:?}", result.rules);
        let written: usize = result.series.series().iter().map(|(_, c)| c.times.len()).sum();
        assert!((20_000..45_000).contains(&written), "{evaluation:?}: {written}");
        assert_eq!(written + result.rules.iter().map(|r| r.failures).sum::<usize>(), 60_000);
        assert!(
            result.errors.iter().all(|e| e.message.contains("more than 683 KiB of memory")),
            "{:?}",
            result.errors
        );
        assert!(memory.used() >= 16 * written, "held for as long as the result is there");
        drop(result);
        assert_eq!(memory.used(), 0);
        options.engine.limits.memory = Memory::new(2_000_000);
        assert!(replay(&source, &files, &options).errors.is_empty());
    }
}
