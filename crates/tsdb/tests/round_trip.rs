//! What is recorded is read back, before and after the recording is finished.

mod common;

use assay_model::{
    Column, Exemplar, Labels, Matcher, MetricMetadata, MetricType, Queryable, matcher::MatchOp,
};
use assay_tsdb::{BlockWriter, Compression, Database, Head, HeadOptions, OpenOptions};
use common::{Data, fill, histogram, read_all, series};

#[test]
fn a_recording_reads_the_same_at_every_stage() {
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        let dir = tempfile::tempdir().expect("a directory");
        let options = HeadOptions { segment_bytes: 1 << 16, compression, ..HeadOptions::default() };
        let mut head = Head::create(dir.path(), options).expect("creates");
        let want = fill(&mut head, 300);
        assert_eq!(read_all(&head.queryable()), want, "in memory");
        let open = || Database::open(dir.path(), OpenOptions::default()).expect("opens");
        let recorded = open();
        assert_eq!(read_all(&recorded), want, "from the log");
        assert_eq!(recorded.warnings(), []);
        let meta = head.finish().expect("finishes").expect("has samples");
        let finished = open();
        assert_eq!(read_all(&finished), want, "from the block");
        assert_eq!(finished.warnings(), []);
        assert_eq!(finished.time_range(), Some((meta.min_time, meta.max_time - 1)));
        assert_eq!(meta.stats.num_samples, want.values().map(|v| v.len() as u64).sum::<u64>());
        for db in [recorded, finished] {
            let type_of = |m: &str| db.metadata(m).map(|m| m.metric_type);
            assert_eq!(type_of("requests"), Some(MetricType::Counter));
            assert_eq!(type_of("requests_total"), Some(MetricType::Counter));
            assert_eq!(type_of("nothing"), None);
            let exemplars = db.exemplars(&[], i64::MIN, i64::MAX).expect("reads");
            assert_eq!(exemplars.iter().map(|(_, list)| list.len()).collect::<Vec<_>>(), [300]);
        }
    }
}

#[test]
fn matchers_select_through_postings() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut head = Head::create(dir.path(), HeadOptions::default()).expect("creates");
    fill(&mut head, 3);
    let snapshot = head.queryable();
    head.finish().expect("finishes");
    let db = Database::open(dir.path(), OpenOptions::default()).expect("opens");
    let matcher = |op, name, value| Matcher::new(op, name, value).expect("compiles");
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let cases: [(&[Matcher], usize); 9] = [
        (&[matcher(Equal, "__name__", "requests_total")], 10),
        (&[matcher(Equal, "__name__", "requests_total"), matcher(Regex, "path", "/1|/2|/nowhere")], 2),
        (&[matcher(Equal, "__name__", "requests_total"), matcher(NotEqual, "path", "/1")], 9),
        (&[matcher(Equal, "path", "")], 3),
        (&[matcher(Regex, "path", "/[0-4]")], 5),
        (&[matcher(NotRegex, "path", "/[0-4]|")], 5),
        (&[matcher(Regex, "path", "|/1")], 4),
        (&[matcher(NotEqual, "path", "")], 10),
        (&[matcher(Equal, "nothing", "x")], 0),
    ];
    for (matchers, want) in cases {
        for q in [&db as &dyn Queryable, &snapshot] {
            let found = q.select(matchers, i64::MIN, i64::MAX).expect("selects");
            assert_eq!(found.len(), want, "{matchers:?}");
            assert!(found.windows(2).all(|w| w[0].labels() < w[1].labels()));
        }
    }
    assert_eq!(db.label_values("path", &[]).expect("reads").len(), 10);
    assert_eq!(db.label_values("path", &[matcher(Regex, "path", "/[12]")]).expect("reads"), ["/1", "/2"]);
    assert_eq!(db.label_names(&[]).expect("reads"), ["__name__", "path"]);
}

#[test]
fn a_selection_is_cut_to_its_range() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut head = Head::create(dir.path(), HeadOptions::default()).expect("creates");
    let labels = series("gauge", &[]);
    for t in 0..1000 {
        head.append(&labels, t, t as f64).expect("appends");
    }
    head.finish().expect("finishes");
    let db = Database::open(dir.path(), OpenOptions::default()).expect("opens");
    for (start, end) in [(0, 999), (-10, 0), (119, 120), (500, 400), (1000, 2000), (37, 37)] {
        let mut column = Column::default();
        for s in db.select(&[], start, end).expect("selects") {
            s.read(start, end, &mut column).expect("reads");
        }
        let want: Vec<i64> = (start.max(0)..=end.min(999)).collect();
        assert_eq!(column.times, want);
    }
}

#[test]
fn late_and_repeated_samples_find_their_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut head = Head::create(dir.path(), HeadOptions::default()).expect("creates");
    let labels = series("late", &[]);
    // Every block of ten backwards; 5 twice.
    for block in 0..300i64 {
        for i in (0..10).rev() {
            head.append(&labels, block * 10 + i, (block * 10 + i) as f64).expect("appends");
        }
        head.commit().expect("commits");
    }
    head.append(&labels, 5, -1.0).expect("appends");
    head.append(&labels, 2999, -1.0).expect("appends");
    head.commit().expect("commits");
    let stats = head.stats();
    // The second 5 is known to be one only when late samples are sorted.
    assert_eq!((stats.samples, stats.late, stats.duplicates), (3001, 300 * 9 + 1, 1));
    let want: Vec<_> = (0..3000i64).map(|t| (t, format!("{:016x}", (t as f64).to_bits()))).collect();
    let read =
        || read_all(&Database::open(dir.path(), OpenOptions::default()).expect("opens"))["late"].clone();
    assert!(read() == want, "from the logs");
    let meta = head.finish().expect("finishes").expect("has samples");
    assert_eq!(meta.stats.num_samples, 3000);
    assert!(read() == want, "from the block");
    assert!(!dir.path().join("wbl").exists());
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut head = Head::create(dir.path(), HeadOptions::default()).expect("creates");
    let message = |r: Result<(), assay_tsdb::Error>| r.expect_err("is refused").to_string();
    assert_eq!(message(head.append(&Labels::empty(), 1, 1.0)), "{}: a series without labels");
    let mut h = histogram(3);
    h.positive_buckets.pop();
    let got = message(head.append_histogram(&series("h", &[]), 1, &h));
    assert_eq!(got, "h: a histogram whose spans do not cover exactly its buckets");
    let exemplar = Exemplar { labels: Labels::empty(), value: 1.0, t_ms: None };
    let got = message(head.append_exemplar(&series("e", &[]), &exemplar));
    assert_eq!(got, "e: an exemplar without a time for a series without samples");
    head.set_metadata("x", &MetricMetadata::default());
    assert!(head.finish().expect("finishes").is_none(), "nothing was recorded");
    let again = Head::create(dir.path(), HeadOptions::default()).err().expect("is refused").to_string();
    assert!(
        again.ends_with("holds data already, expected an empty directory for a new recording"),
        "{again}"
    );
    let none = Database::open(&dir.path().join("none"), OpenOptions::default()).expect_err("is refused");
    assert!(none.to_string().contains("none: open: No such file"), "{none}");
    let empty = tempfile::tempdir().expect("a directory");
    let none = Database::open(empty.path(), OpenOptions::default()).expect_err("is refused").to_string();
    assert!(none.contains("not a Prometheus data directory"), "{none}");
}

#[test]
fn an_import_in_any_order_becomes_one_block() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = BlockWriter::create(dir.path()).expect("creates");
    let mut want = Data::new();
    for i in 0..7u64 {
        let labels = series("imported", &[("i", &i.to_string())]);
        let series = writer.series(&labels).expect("is new");
        assert_eq!(writer.series(&labels).expect("is known"), series);
        let steps: Vec<u64> = match i {
            0..3 => (0..500).collect(),
            3 => (0..5000).rev().collect(),
            _ => (0..500).map(|k| k * 7 % 500).collect(),
        };
        for k in &steps {
            let v = (k * i) as f64;
            writer.append(series, *k as i64, v).expect("appends");
            want.entry(labels.to_string()).or_default().push((*k as i64, format!("{:016x}", v.to_bits())));
        }
        let exemplar = Exemplar { labels: Labels::empty(), value: 1.0, t_ms: Some(3) };
        writer.append_exemplar(series, &exemplar).expect("appends");
    }
    let labels = series("histogram_seconds", &[]);
    let histograms = writer.series(&labels).expect("is new");
    for i in 0..200 {
        writer.append_histogram(histograms, i as i64, &histogram(i)).expect("appends");
        want.entry(labels.to_string()).or_default().push((i as i64, common::line(&histogram(i).to_float())));
    }
    want.values_mut().for_each(|list| list.sort());
    writer.set_metadata(
        "histogram_seconds",
        &MetricMetadata { help: "H".to_owned(), ..MetricMetadata::default() },
    );
    let meta = writer.finish().expect("finishes").expect("has samples");
    assert_eq!((meta.min_time, meta.max_time, meta.stats.num_series), (0, 5000, 8));
    let db = Database::open(dir.path(), OpenOptions::default()).expect("opens");
    assert_eq!(read_all(&db), want);
    assert_eq!(db.metadata("histogram_seconds").map(|m| m.help), Some("H".to_owned()));
    assert_eq!(db.exemplars(&[], 0, 10).expect("reads").len(), 7);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).expect("lists").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "the block and the log: {left:?}");
}
