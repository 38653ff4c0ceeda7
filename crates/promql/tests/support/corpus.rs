//! The data of the differential test: one hour of series of every kind that PromQL treats in its own way.
//!
//! Invariant: everything follows from the seed; times are aligned to nothing, values are not round.

use std::path::Path;

use assay_model::{CounterResetHint, FloatHistogram, Histogram, Labels, Span, stale_nan};
use assay_tsdb::BlockWriter;

use crate::random::Random;

/// The time of the first sample.
pub(crate) const START_MS: i64 = 1_700_000_412_345;
const INTERVAL_MS: i64 = 15_000;

/// Writes the data into a data directory.
pub(crate) fn write(dir: &Path, seed: u64) {
    let mut w =
        Writer { block: BlockWriter::create(dir).expect("a block writer"), random: Random::new(seed) };
    for (i, instance) in ["a", "b", "c"].into_iter().enumerate() {
        let job = ["api", "api", "db"][i];
        let of = |name: &str, more: &[(&str, &str)]| {
            let own = [("__name__", name), ("instance", instance), ("job", job)];
            Labels::from_pairs(own.iter().chain(more).copied())
        };
        w.gauge(&of("temperature", &[]), 20.0, 5.0);
        w.gauge(&of("queue_length", &[("shard", "0")]), 0.0, 100.0);
        w.gauge(&of("queue_length", &[("shard", "1")]), -50.0, 100.0);
        w.holes(&of("flaky", &[]));
        w.odd(&of("odd", &[]));
        for code in ["200", "404", "500"] {
            w.counter(&of("requests_total", &[("code", code)]), 3.0);
        }
        w.counter(&of("errors_total", &[]), 0.3);
        w.classic(&of("latency_seconds", &[]));
        w.native(&of("duration_seconds", &[]), i as i32 * 2, false);
        w.native(&of("sizes", &[]), 1, true);
        w.custom(&of("custom_seconds", &[]), &[0.5, 1.0, 5.0]);
        w.mixed(&of("mixed", &[]));
        let version = ["1.0", "1.1", "2.0"][i];
        w.constant(&of("build_info", &[("version", version)]), 1.0);
        w.constant(&of("target_info", &[("data", version), ("region", "eu")]), 1.0);
    }
    w.block.finish().expect("a block").expect("samples");
}

struct Writer {
    block: BlockWriter,
    random: Random,
}

impl Writer {
    /// The times of a series' samples: scraped every 15 s, up to 40 ms late.
    fn times(&mut self) -> Vec<i64> {
        let late = |r: &mut Random| r.below(40) as i64;
        (0..240).map(|i| START_MS + i * INTERVAL_MS + late(&mut self.random)).collect()
    }

    fn floats(&mut self, labels: &Labels, mut value: impl FnMut(&mut Random, usize) -> Option<f64>) {
        let series = self.block.series(labels).expect("labels");
        for (i, t) in self.times().into_iter().enumerate() {
            if let Some(v) = value(&mut self.random, i) {
                self.block.append(series, t, v).expect("appended");
            }
        }
    }

    fn gauge(&mut self, labels: &Labels, from: f64, width: f64) {
        self.floats(labels, |r, _| Some(from + width * r.unit()));
    }

    fn constant(&mut self, labels: &Labels, value: f64) {
        self.floats(labels, |_, _| Some(value));
    }

    /// A gauge that is gone for minutes, with and without stale markers.
    fn holes(&mut self, labels: &Labels) {
        self.floats(labels, |r, i| match i % 60 {
            30 => Some(stale_nan()),
            31..=44 => None,
            50..=59 if i > 100 => None,
            _ => r.chance(90).then(|| r.unit() * 10.0),
        });
    }

    /// A gauge with values that calculations trip over.
    fn odd(&mut self, labels: &Labels) {
        self.floats(labels, |r, _| {
            Some(r.pick(&[
                0.0,
                -0.0,
                1.0,
                -1.5,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                1e-300,
                1e300,
                42.0,
            ]))
        });
    }

    /// A counter with resets and missed scrapes.
    fn counter(&mut self, labels: &Labels, rate_per_s: f64) {
        let mut total = 0.0;
        self.floats(labels, |r, _| {
            total += (rate_per_s * 30.0 * r.unit()).round();
            if r.chance(2) {
                total = 0.0;
            }
            r.chance(96).then_some(total)
        });
    }

    fn classic(&mut self, base: &Labels) {
        let labels = |suffix: &str, le: &str| {
            let mut builder = base.to_builder();
            builder.set("__name__", &format!("{}{suffix}", base.metric_name())).set("le", le);
            builder.build()
        };
        const BOUNDS: [(&str, f64); 6] =
            [("0.1", 0.1), ("0.5", 0.5), ("1", 1.0), ("2.5", 2.5), ("10", 10.0), ("+Inf", f64::INFINITY)];
        let times = self.times();
        let (mut counts, mut sum) = ([0.0; 6], 0.0);
        for t in times {
            for _ in 0..self.random.below(20) {
                let v = -self.random.unit().max(1e-9).ln();
                sum += v;
                for (count, (_, bound)) in counts.iter_mut().zip(BOUNDS) {
                    *count += f64::from(u8::from(v <= bound));
                }
            }
            if self.random.chance(1) {
                (counts, sum) = ([0.0; 6], 0.0);
            }
            let buckets = BOUNDS.iter().zip(counts).map(|((le, _), c)| (labels("_bucket", le), c));
            let rest = [(labels("_count", ""), counts[5]), (labels("_sum", ""), sum)];
            for (labels, v) in buckets.chain(rest) {
                let series = self.block.series(&labels).expect("labels");
                self.block.append(series, t, v).expect("appended");
            }
        }
    }

    /// A native histogram with exponential buckets, a counter with resets or a gauge.
    ///
    /// Counts stay far above what a window adds: 3.5 extrapolates the rate of histograms to below zero, which
    /// later versions do not.
    fn native(&mut self, labels: &Labels, schema: i32, gauge: bool) {
        let series = self.block.series(labels).expect("labels");
        let mut counts = [4_000i64; 10];
        let (mut zero, mut sum) = (5_000u64, 9_000.0);
        for t in self.times() {
            for _ in 0..self.random.below(12) {
                let bucket = self.random.below(11);
                sum += bucket as f64 * 0.7;
                if bucket == 10 {
                    zero += 1;
                } else {
                    counts[bucket] += 1;
                }
            }
            if self.random.chance(if gauge { 20 } else { 2 }) {
                let drop = self.random.below(50) as i64;
                counts.iter_mut().for_each(|c| *c -= drop);
                (zero, sum) = (zero - 7, sum - 31.5);
            }
            let mut before = 0;
            let delta = |c: i64| c - std::mem::replace(&mut before, c);
            let h = Histogram {
                counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
                schema,
                zero_threshold: 0.001,
                zero_count: zero,
                count: zero + counts.iter().sum::<i64>().unsigned_abs(),
                sum,
                positive_spans: vec![Span { offset: -2, length: 4 }, Span { offset: 3, length: 3 }],
                negative_spans: vec![Span { offset: 0, length: 3 }],
                positive_buckets: counts[..7].iter().copied().map(delta).collect(),
                negative_buckets: Vec::new(),
                custom_values: Vec::new(),
            };
            let mut before = 0;
            let delta = |c: i64| c - std::mem::replace(&mut before, c);
            let h = Histogram { negative_buckets: counts[7..].iter().copied().map(delta).collect(), ..h };
            if self.random.chance(95) {
                self.block.append_histogram(series, t, &h).expect("appended");
            }
        }
    }

    /// A native histogram with custom buckets, with float counts.
    fn custom(&mut self, labels: &Labels, bounds: &[f64]) {
        let series = self.block.series(labels).expect("labels");
        let (mut counts, mut sum) = (vec![0.0; bounds.len() + 1], 0.0);
        for t in self.times() {
            let bucket = self.random.below(counts.len());
            let n = self.random.unit() * 5.0;
            counts[bucket] += n;
            sum += n * 0.9 * (bucket as f64 + 0.5);
            let h = FloatHistogram {
                schema: assay_model::histogram::CUSTOM_BUCKETS_SCHEMA,
                count: counts.iter().sum(),
                sum,
                positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
                positive_buckets: counts.clone(),
                custom_values: bounds.to_vec(),
                ..FloatHistogram::default()
            };
            self.block.append_float_histogram(series, t, &h).expect("appended");
        }
    }

    /// Floats first, histograms later.
    fn mixed(&mut self, labels: &Labels) {
        let series = self.block.series(labels).expect("labels");
        for (i, t) in self.times().into_iter().enumerate() {
            let n = i as f64;
            if i % 80 < 50 {
                self.block.append(series, t, n).expect("appended");
            } else {
                let h = FloatHistogram {
                    count: n,
                    sum: n * 1.5,
                    positive_spans: vec![Span { offset: 1, length: 2 }],
                    positive_buckets: vec![n * 0.25, n * 0.75],
                    ..FloatHistogram::default()
                };
                self.block.append_float_histogram(series, t, &h).expect("appended");
            }
        }
    }
}
