//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

pub mod peer;
pub mod proto;

use std::{collections::BTreeMap, fmt::Write as _};

use assay_model::{
    Column, Exemplar, FloatHistogram, Histogram, Labels, MetricMetadata, MetricType, Queryable, Span,
    stale_nan,
};
use assay_tsdb::{Database, Head, OpenOptions};

/// By series: times and values, floats as their bits, histograms as a line of text.
pub type Data = BTreeMap<String, Vec<(i64, String)>>;

/// A label set.
pub fn series(name: &str, pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs([("__name__", name)].iter().chain(pairs).copied())
}

/// A histogram that grows with `i`.
pub fn histogram(i: u64) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: i / 3,
        count: 3 * i + i / 3 + 1,
        sum: i as f64 * 1.7,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![i as i64, 0, 1 - i as i64],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_buckets: vec![i as i64],
        ..Histogram::default()
    }
}

/// The time of step `i`: 15 s apart, not quite even.
pub fn time(i: u64) -> i64 {
    1_700_000_000_000 + i as i64 * 15_000 + [0, 3, -2, 0, 0][(i % 5) as usize]
}

/// Records `steps` steps of series of every kind and returns what must come back.
pub fn fill(head: &mut Head, steps: u64) -> Data {
    let mut want = Data::new();
    let meta =
        MetricMetadata { metric_type: MetricType::Counter, unit: String::new(), help: "All.".to_owned() };
    head.set_metadata("requests", &meta);
    let counters: Vec<_> =
        (0..10u64).map(|i| series("requests_total", &[("path", &format!("/{i}"))])).collect();
    for step in 0..steps {
        let t = time(step);
        for (labels, i) in counters.iter().zip(0u64..) {
            let v = if step % 50 == 49 { stale_nan() } else { (step * i) as f64 + 0.1 };
            head.append(labels, t, v).expect("appends");
            want.entry(labels.to_string()).or_default().push((t, bits(v)));
        }
        let h = if step % 40 == 39 {
            Histogram { sum: stale_nan(), ..Histogram::default() }
        } else {
            histogram(step)
        };
        let integer = series("duration_seconds", &[]);
        head.append_histogram(&integer, t, &h).expect("appends");
        want.entry(integer.to_string()).or_default().push((t, line(&h.to_float())));
        let float = series("float_seconds", &[]);
        head.append_float_histogram(&float, t, &h.to_float()).expect("appends");
        want.entry(float.to_string()).or_default().push((t, line(&h.to_float())));
        let custom = Histogram {
            schema: -53,
            count: 2 * step,
            sum: step as f64,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![step as i64, 0],
            custom_values: vec![0.005, 2.5],
            ..Histogram::default()
        };
        let nhcb = series("custom_seconds", &[]);
        head.append_histogram(&nhcb, t, &custom).expect("appends");
        want.entry(nhcb.to_string()).or_default().push((t, line(&custom.to_float())));
        let trace = Labels::from_pairs([("trace_id", format!("{step:032x}"))]);
        let exemplar = Exemplar { labels: trace, value: 0.5, t_ms: None };
        head.append_exemplar(&counters[0], &exemplar).expect("appends");
        head.commit().expect("commits");
    }
    want
}

fn bits(v: f64) -> String {
    format!("{:016x}", v.to_bits())
}

/// A histogram as text: sum and count as bits, and the buckets that are used.
pub fn line(h: &FloatHistogram) -> String {
    let mut out = format!("sum {} count {}", bits(h.sum), bits(h.count));
    if assay_model::is_stale(h.sum) {
        return format!("sum {}", bits(h.sum));
    }
    let _ = write!(out, " schema {} zero {} {}", h.schema, h.zero_threshold, h.zero_count);
    for (sign, spans, counts) in
        [("+", &h.positive_spans, &h.positive_buckets), ("-", &h.negative_spans, &h.negative_buckets)]
    {
        let (mut index, mut counts) = (0i64, counts.iter());
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                let count = counts.next().copied().unwrap_or(f64::NAN);
                if count != 0.0 {
                    let _ = write!(out, " {sign}{index}:{count}");
                }
                index += 1;
            }
        }
    }
    if !h.custom_values.is_empty() {
        let _ = write!(out, " bounds {:?}", h.custom_values);
    }
    out
}

/// The samples of a column in order of time.
pub fn values(column: &Column) -> Vec<(i64, String)> {
    let floats = column.times.iter().zip(&column.values).map(|(t, v)| (*t, bits(*v)));
    let histograms = column.histogram_times.iter().zip(&column.histograms).map(|(t, h)| (*t, line(h)));
    let mut all: Vec<_> = floats.chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    all
}

/// Every sample of every series of a source.
pub fn read_all(q: &dyn Queryable) -> Data {
    let mut data = Data::new();
    for s in q.select(&[], i64::MIN, i64::MAX).expect("selects") {
        let mut column = Column::default();
        s.read(i64::MIN, i64::MAX, &mut column).expect("reads");
        assert!(column.times.is_sorted_by(|a, b| a < b) && column.histogram_times.is_sorted_by(|a, b| a < b));
        if !column.is_empty() {
            data.insert(s.labels().to_string(), values(&column));
        }
    }
    data
}

/// Every sample of a data directory, which must open without a warning.
pub fn read_dir(dir: &std::path::Path) -> Data {
    let db = Database::open(dir, OpenOptions::default()).expect("opens");
    assert_eq!(db.warnings(), []);
    read_all(&db)
}

/// Fails with the first difference, not with all of both.
pub fn assert_same(got: &Data, want: &Data, what: &str) {
    let names = |d: &Data| d.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(got), names(want), "{what}: series");
    for (name, want) in want {
        let got = &got[name];
        let differ = got.iter().zip(want).position(|(g, w)| g != w);
        if let Some(i) = differ {
            panic!("{what}: {name}: sample {i}: got {:?}, want {:?}", got[i], want[i]);
        }
        assert_eq!(got.len(), want.len(), "{what}: {name}: samples");
    }
}

/// The same without the bounds of custom buckets, which remote read leaves out.
pub fn without_bounds(data: &Data) -> Data {
    let strip = |line: &String| line.split(" bounds ").next().unwrap_or_default().to_owned();
    let values = |list: &Vec<(i64, String)>| list.iter().map(|(t, line)| (*t, strip(line))).collect();
    data.iter().map(|(name, list)| (name.clone(), values(list))).collect()
}
