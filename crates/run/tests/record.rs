//! Records runs with a real target on a real socket, and opens what they leave.

mod support;

use std::{path::Path, time::Duration};

use assay_model::{
    Column, Histogram, Labels, Matcher, MetricType, Queryable as _, STALE_NAN_BITS,
    expo::{HistogramValue, Metric, MetricFamily, MetricValue},
};
use assay_run::{
    Manifest, Outcome, RecordError, Recorder, RecorderOptions, Row, Run, Target,
    recorder::run_directory,
    time::{self, SteadyClock},
};
use assay_testkit::server::{Server, respond};

fn read(run: &Run, name: &str) -> Vec<(Labels, Column)> {
    let series =
        run.database.select(&[Matcher::equal("__name__", name)], i64::MIN, i64::MAX).expect("selects");
    let column = |s: &dyn assay_model::Series| {
        let mut column = Column::default();
        s.read(i64::MIN, i64::MAX, &mut column).expect("reads");
        (s.labels().clone(), column)
    };
    series.iter().map(|s| column(s.as_ref())).collect()
}

fn one(run: &Run, name: &str) -> (Labels, Column) {
    let mut all = read(run, name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all.remove(0)
}

#[test]
fn a_recording_that_ends_at_once_has_asked_each_target() {
    let parent = tempfile::tempdir().expect("a directory");
    let (url, _scrapes) = support::serve(|_, request| {
        let mut up = MetricFamily::gauge("alive", "Alive.");
        up.push(Metric::new(Labels::empty(), MetricValue::Float(1.0)));
        // Slower than a recording that is given up.
        std::thread::sleep(Duration::from_millis(50));
        support::exposition(request, None, &[up])
    });
    let start_ms = time::now_ms();
    let dir = run_directory(parent.path(), "demo", start_ms).expect("a directory");
    let recorder =
        Recorder::create(&dir, Manifest::new("demo", start_ms), &RecorderOptions::default()).expect("begins");
    let mut target = Target::new("api", &url).expect("a target");
    target.timeout = Duration::from_secs(10);
    recorder.scrape(target).expect("scrapes");
    recorder.finish(Outcome::Finished).expect("finishes");
    assert_eq!(one(&Run::open(&dir).expect("opens"), "alive").1.values, [1.0]);
}

#[test]
fn a_target_is_on_record_with_zeros_and_stale_markers() {
    let parent = tempfile::tempdir().expect("a directory");
    let start_ms = time::now_ms();
    let (url, scrapes) = support::serve(move |n, request| {
        if n >= 3 {
            return ("500 Internal Server Error", String::new(), Vec::new());
        }
        let labels = || Labels::from_pairs([("code", "200")]);
        let mut requests = MetricFamily::counter("requests_total", "Requests.");
        requests.push(Metric::new(labels(), MetricValue::Float(n as f64 + 5.0)).since(start_ms));
        let mut duration = MetricFamily::histogram("duration_seconds", "Durations.");
        let native = Histogram { zero_count: n as u64 + 1, count: n as u64 + 1, ..Histogram::default() };
        duration.push(Metric::new(labels(), MetricValue::Histogram(HistogramValue::native(native))));
        support::exposition(request, None, &[requests, duration])
    });

    let dir = run_directory(parent.path(), "demo", start_ms).expect("a directory");
    let recorder =
        Recorder::create(&dir, Manifest::new("demo", start_ms), &RecorderOptions::default()).expect("begins");
    recorder.phase_started("steady", false, start_ms).expect("noted");
    let mut target = Target::new("api", &url).expect("a target");
    (target.interval, target.timeout) = (Duration::from_millis(20), Duration::from_secs(10));
    let instance = target.instance.clone();
    recorder.scrape(target).expect("scrapes");
    // The answer to a scrape is on record when the next but one has been asked for.
    while scrapes.recv_timeout(Duration::from_secs(60)).expect("is scraped") < 6 {}
    let done = recorder.finish(Outcome::Finished).expect("finishes");
    assert_eq!(done.stats.refused, 0);

    let run = Run::open(&dir).expect("opens");
    let manifest = run.manifest.as_ref().expect("described");
    assert_eq!((manifest.outcome.as_ref(), run.cut_short), (Some(&Outcome::Finished), None));
    assert_eq!(
        (manifest.phases[0].end_ms, manifest.scrape[0].url.as_str()),
        (manifest.end_ms, format!("{url}/metrics").as_str())
    );

    let (labels, requests) = one(&run, "requests_total");
    assert_eq!(
        labels.to_string(),
        format!("requests_total{{code=\"200\", instance=\"{instance}\", job=\"api\"}}")
    );
    assert_eq!((requests.times[0], requests.values[0]), (start_ms, 0.0));
    assert_eq!(requests.values[1..4], [5.0, 6.0, 7.0]);
    assert_eq!(requests.values[4].to_bits(), STALE_NAN_BITS);
    assert_eq!(requests.values.len(), 5);

    let (_, duration) = one(&run, "duration_seconds");
    let counts: Vec<_> = duration.histograms[..3].iter().map(|h| h.count).collect();
    assert_eq!(counts, [1.0, 2.0, 3.0]);
    assert_eq!(duration.histograms[3].sum.to_bits(), STALE_NAN_BITS);

    let (_, up) = one(&run, "up");
    assert_eq!(up.values[..4], [1.0, 1.0, 1.0, 0.0]);
    assert_eq!(run.database.metadata("requests_total").map(|m| m.metric_type), Some(MetricType::Counter));
}

#[test]
fn what_is_left_of_a_killed_run_says_that_it_was_cut_short() {
    let dir = tempfile::tempdir().expect("a directory");
    let recorder = Recorder::create(dir.path(), Manifest::new("demo", 1000), &RecorderOptions::default())
        .expect("begins");
    recorder.phase_started("steady", false, 1000).expect("noted");
    let labels = Labels::from_pairs([("__name__", "load_iterations_total"), ("job", "loadgen")]);
    let sink = recorder.sink();
    sink.append(vec![Row::float(labels.clone(), 2000, 3.0).since(1500), Row::float(labels, 3000, 4.0)])
        .expect("taken");
    sink.commit().expect("committed");
    // A kill runs no destructor.
    std::mem::forget(recorder);

    let run = Run::open(dir.path()).expect("opens");
    assert_eq!(run.cut_short, Some(3000));
    let phase = run.manifest.as_ref().and_then(|m| m.phase("steady")).expect("the phase");
    assert_eq!((phase.start_ms, phase.end_ms), (1000, None));
    let (_, column) = one(&run, "load_iterations_total");
    assert_eq!(
        (column.times.as_slice(), column.values.as_slice()),
        ([1500, 2000, 3000].as_slice(), [0.0, 3.0, 4.0].as_slice())
    );
    // The data directory alone is as good an input, without phases.
    let bare = Run::open(&dir.path().join("data")).expect("opens");
    assert!(bare.manifest.is_none() && bare.cut_short.is_none());
    assert_eq!(bare.time_range(), Some((1500, 3000)));
}

#[test]
fn a_run_never_overwrites() {
    let parent = tempfile::tempdir().expect("a directory");
    let first = run_directory(parent.path(), "a/b", 0).expect("a directory");
    let second = run_directory(parent.path(), "a/b", 0).expect("a directory");
    assert_eq!(first.file_name().expect("a name"), "a-b-19700101T000000Z");
    assert_eq!(second.file_name().expect("a name"), "a-b-19700101T000000Z-2");
    std::fs::write(first.join("x"), "").expect("writes");
    let error =
        Recorder::create(&first, Manifest::new("a", 0), &RecorderOptions::default()).err().expect("refused");
    assert!(matches!(error, RecordError::Exists { .. }), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let place = file.join("none");
    let error = run_directory(&place, "demo", 0).expect_err("refused");
    let begins = format!("{}: create the directory: ", place.display());
    assert!(error.to_string().starts_with(&begins), "{error}");
}

#[test]
fn what_is_no_run_is_said_to_be_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |path: &Path, want: &str| {
        let error = Run::open(path).err().expect("refused").to_string();
        assert!(error.contains(want), "{error}");
    };
    check(dir.path(), "holds neither run.json nor");
    check(&dir.path().join("none"), "there is no such directory");
    std::fs::write(dir.path().join("file"), "").expect("writes");
    check(&dir.path().join("file"), "is a file");
    Manifest::new("x", 0).write(dir.path()).expect("writes");
    check(dir.path(), "has a run.json but no data/");
}

/// A target whose clock is off, or one sample of 1970 or 2100, changes neither the run's length nor what is recorded
/// of the others.
#[test]
fn stray_samples_change_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let now_ms = assay_run::time::now_ms();
    let manifest = Manifest::new("stray", now_ms - 10_000);
    let recorder = Recorder::create(dir.path(), manifest, &RecorderOptions::default()).expect("begins");
    let row = |name: &str, t_ms: i64| Row::float(Labels::from_pairs([("__name__", name)]), t_ms, 1.0);
    let sink = recorder.sink();
    let ahead = 11 * 60_000;
    sink.append(vec![
        row("past", 0),
        row("usual", now_ms - 5_000),
        row("soon", now_ms + 60_000),
        row("ahead", now_ms + ahead),
        row("future", 4_102_444_800_000),
        row("usual", now_ms - 1_000),
    ])
    .expect("taken");
    let done = recorder.finish(Outcome::Finished).expect("finishes");
    assert_eq!((done.stats.ahead, done.stats.samples), (2, 4));
    let note = "samples that are not on record: 2; they were more than ten minutes ahead of the clock";
    assert_eq!(done.manifest.notes, [note]);
    let run = Run::open(dir.path()).expect("opens");
    let (start_ms, end_ms) = run.span().expect("a span");
    assert_eq!(start_ms, now_ms - 10_000);
    assert!((now_ms..=assay_run::time::now_ms()).contains(&end_ms), "{end_ms}");
    assert_eq!(run.time_range().expect("samples").0, 0, "what was taken is there all the same");
}

#[test]
fn a_step_of_the_wall_clock_drops_nothing_and_is_noted() {
    let hour_ms = 3_600_000;
    for start_ms in [time::now_ms() - hour_ms, time::now_ms() + hour_ms] {
        let parent = tempfile::tempdir().expect("a directory");
        let (url, scrapes) = support::serve(|n, request| {
            let mut gauge = MetricFamily::gauge("g", "A gauge.");
            gauge.push(Metric::new(Labels::empty(), MetricValue::Float(n as f64)));
            support::exposition(request, None, &[gauge])
        });
        let dir = parent.path().join("run");
        // To the run the wall clock has been set by an hour since it began.
        let clock = SteadyClock::starting_at(start_ms);
        let options =
            RecorderOptions { clock, commit_every: Duration::from_millis(10), ..RecorderOptions::default() };
        let recorder = Recorder::create(&dir, Manifest::new("t", start_ms), &options).expect("begins");
        recorder.phase_started("p", false, start_ms).expect("noted");
        let mut target = Target::new("api", &url).expect("a target");
        (target.interval, target.timeout) = (Duration::from_millis(20), Duration::from_secs(10));
        recorder.scrape(target).expect("scrapes");
        while scrapes.recv_timeout(Duration::from_secs(60)).expect("is scraped") < 6 {}
        let done = recorder.finish(Outcome::Finished).expect("finishes");
        assert_eq!((done.stats.ahead, done.stats.refused), (0, 0));
        let phase = &done.manifest.phases[0];
        let (_, column) = one(&Run::open(&dir).expect("opens"), "g");
        let end_ms = phase.end_ms.expect("ended");
        assert!(column.times.len() >= 5, "{column:?}");
        assert!(column.times.iter().all(|t| (start_ms..=end_ms).contains(t)), "{column:?} {phase:?}");
        let notes = Manifest::read(&dir).expect("reads").notes;
        assert!(notes.len() == 1 && notes[0].contains("the machine's clock went"), "{notes:?}");
    }
}

/// The target's address may hold a key in its query: where it redirects to gets the request without it.
#[test]
fn a_target_that_redirects_gives_its_address_to_nobody() {
    let other = Server::start(|_| respond(200, "Content-Type: text/plain\r\n", "g 1\n"));
    let to = format!("Location: {}/moved\r\n", other.url());
    let target = Server::start(move |_| respond(302, &to, ""));
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("run");
    let recorder = Recorder::create(&dir, Manifest::new("t", time::now_ms()), &RecorderOptions::default())
        .expect("begins");
    let url = format!("{}/metrics?api_key=s3cret", target.url());
    recorder.scrape(Target::new("api", &url).expect("a target")).expect("scrapes");
    recorder.finish(Outcome::Finished).expect("finishes");
    let run = Run::open(&dir).expect("opens");
    assert_eq!(one(&run, "g").1.values, [1.0], "the redirect was followed");
    let seen = other.seen();
    assert!(!seen.is_empty());
    for request in seen {
        assert!(!request.head.contains("s3cret"), "{}", request.head);
    }
}
