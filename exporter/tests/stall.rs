//! Collectors that hang: a scrape answers without them, and they cost a thread each.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::expo::{MetricFamily, MetricValue};
use exporter::{
    Exporter, Failure, Families, Host, Selection, ServeOptions, Settings,
    collector::{Begun, Collector, Entry, Runs},
    serve,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Where collectors wait until they are let go.
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    /// Threads that are in it.
    inside: AtomicUsize,
}

impl Gate {
    const fn new() -> Self {
        Self { is_open: Mutex::new(false), opened: Condvar::new(), inside: AtomicUsize::new(0) }
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Hangs at a gate.
struct Hangs(&'static Gate);

impl Collector for Hangs {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        self.0.pass();
        out.gauge("let_go", "", &[], 1.0);
        Ok(())
    }
}

macro_rules! hanging {
    ($name:literal, $runs:expr) => {{
        static GATE: Gate = Gate::new();
        static ENTRY: Entry = entry($name, $runs, |_| Box::new(Hangs(&GATE)));
        (&GATE, &ENTRY)
    }};
}

fn success(families: &[MetricFamily], collector: &str) -> Option<f64> {
    let family = families.iter().find(|f| f.name == "node_scrape_collector_success")?;
    let metric = family.metrics.iter().find(|m| m.labels.get("collector") == Some(collector))?;
    match metric.value {
        MetricValue::Float(value) => Some(value),
        _ => None,
    }
}

#[test]
fn what_hangs_takes_nothing_else_away_and_has_one_thread_each() {
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    let others: Vec<_> = options.collectors.iter().copied().collect();
    let mut exporter = Exporter::new(options.clone());
    let hanging = [
        hanging!("hangs_1", Runs::Aside),
        hanging!("hangs_2", Runs::Aside),
        hanging!("hangs_3", Runs::Aside),
        hanging!("hangs_4", Runs::Aside),
    ];
    for (_, entry) in hanging {
        exporter.add(entry, &options.settings);
    }
    let before =
        exporter.gather_selected(&Selection::Only(others.iter().map(|&n| n.to_owned()).collect()), None);
    for scrape in 0..100 {
        // The first one waits as long as the collectors' patience allows, the others no more.
        let deadline = Instant::now() + Duration::from_secs(10);
        let families = exporter.gather_selected(&Selection::All, Some(deadline));
        assert!(Instant::now() < deadline, "scrape {scrape} went beyond its deadline");
        for (_, entry) in hanging {
            assert_eq!(success(&families, entry.name), Some(0.0), "scrape {scrape}");
        }
        for &name in &others {
            assert_eq!(success(&families, name), success(&before, name), "{name} in scrape {scrape}");
        }
    }
    for (gate, _) in hanging {
        assert_eq!(gate.inside.load(Ordering::SeqCst), 1, "one thread hangs, however many scrapes came");
        gate.open();
    }
    // A thread that was let go is back when it has returned, which a busy machine may put off.
    assay_testkit::wait_for("all are back", || {
        let families = exporter.gather();
        hanging.iter().all(|(_, entry)| success(&families, entry.name) == Some(1.0))
    });
}

/// Has a fault.
struct Panics;

impl Collector for Panics {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        out.gauge("before_the_fault", "", &[], 1.0);
        panic!("as a test wants it")
    }
}

/// Does not even know whether it may hang.
struct Wonders;

impl Collector for Wonders {
    fn collect(&self, _host: &Host, _out: &mut Families) -> Result<(), Failure> {
        Ok(())
    }

    fn may_hang(&self, _host: &Host) -> bool {
        panic!("as a test wants it")
    }
}

/// Counts how often it begins.
struct Begins;

static BEGUN: AtomicUsize = AtomicUsize::new(0);

impl Collector for Begins {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        self.begin(host)(host, out)
    }

    fn begin(&self, _host: &Host) -> Begun<'_> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Box::new(|_, _| Ok(()))
    }
}

const fn entry(name: &'static str, runs: Runs, build: fn(&Settings) -> Box<dyn Collector>) -> Entry {
    Entry { name, default_on: true, about: "", flags: &[], runs, check: |_| Ok(()), build }
}

#[test]
fn a_collector_that_panics_takes_nothing_else_away() {
    static ENTRIES: [Entry; 3] = [
        entry("panics_1", Runs::Here, |_| Box::new(Panics)),
        entry("panics_2", Runs::Last, |_| Box::new(Panics)),
        entry("panics_3", Runs::Aside, |_| Box::new(Panics)),
    ];
    static WONDERS: Entry = entry("wonders", Runs::Aside, |_| Box::new(Wonders));
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    let others: Vec<_> = options.collectors.iter().copied().collect();
    let mut exporter = Exporter::new(options.clone());
    let before = exporter.gather();
    ENTRIES.iter().for_each(|entry| exporter.add(entry, &options.settings));
    exporter.add(&WONDERS, &options.settings);
    for _ in 0..3 {
        let families = exporter.gather();
        for entry in &ENTRIES {
            assert_eq!(success(&families, entry.name), Some(0.0));
        }
        for &name in &others {
            assert_eq!(success(&families, name), success(&before, name), "{name}");
        }
        assert!(families.iter().any(|family| family.name == "before_the_fault"));
    }
}

#[test]
fn without_time_nothing_begins() {
    static ENTRY: Entry = entry("begins", Runs::Last, |_| Box::new(Begins));
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    let mut exporter = Exporter::new(options.clone());
    exporter.add(&ENTRY, &options.settings);
    let families = exporter.gather_selected(&Selection::All, Some(Instant::now()));
    assert_eq!((success(&families, "begins"), BEGUN.load(Ordering::SeqCst)), (Some(0.0), 0));
    let families = exporter.gather();
    assert_eq!((success(&families, "begins"), BEGUN.load(Ordering::SeqCst)), (Some(1.0), 1));
}

/// Sends a request and gives the response's head and body.
async fn get(address: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

async fn start(exporter: Exporter, max_requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = ServeOptions { max_requests, ..ServeOptions::default() };
    tokio::spawn(serve(Arc::new(exporter), listener, options, std::future::pending()));
    address
}

#[tokio::test]
async fn more_scrapes_than_the_limit_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    let (gate, entry) = hanging!("holds", Runs::Here);
    let mut exporter = Exporter::new(options.clone());
    exporter.add(entry, &options.settings);
    let address = start(exporter, 1).await;
    let first = tokio::spawn({
        let address = address.clone();
        async move { get(&address, "").await }
    });
    while gate.inside.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let refused = get(&address, "").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.ends_with("the limit of scrapes at once (1) is reached; try again later\n"), "{refused}");
    gate.open();
    let response = first.await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("node_load15 12.5\n"), "{response}");
}

/// A scraper whose patience is over closes the connection.
#[tokio::test]
async fn a_client_that_leaves_is_no_longer_served() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    options.own_metrics = true;
    let (gate, entry) = hanging!("waits", Runs::Here);
    let mut exporter = Exporter::new(options.clone());
    exporter.add(entry, &options.settings);
    let address = start(exporter, 8).await;
    let mut leaving = TcpStream::connect(&address).await.unwrap();
    leaving.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    while gate.inside.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(leaving);
    gate.open();
    let alone = async {
        // This scrape is being served itself.
        while !get(&address, "").await.contains("promhttp_metric_handler_requests_in_flight 1\n") {}
    };
    tokio::time::timeout(assay_testkit::wait::PATIENCE, alone).await.expect("nobody else is served");
}

/// Even a collector that must not hang and does.
#[tokio::test]
async fn a_scrape_that_hangs_is_given_up_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    options.collectors.clear();
    let (gate, entry) = hanging!("must_not", Runs::Here);
    let mut exporter = Exporter::new(options.clone());
    exporter.add(entry, &options.settings);
    let address = start(exporter, 2).await;
    let timeout = "x-prometheus-scrape-timeout-seconds: 0.5\r\n";
    for _ in 0..2 {
        assert!(get(&address, timeout).await.ends_with("the scrape hangs\n"));
    }
    // Both threads hang now, and no more are made.
    assert!(get(&address, timeout).await.ends_with("all threads hang in collectors; see the log\n"));
    assert_eq!(gate.inside.load(Ordering::SeqCst), 2);
    gate.open();
    while gate.inside.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let mut response = get(&address, "").await;
    while response.contains("all threads hang") {
        response = get(&address, "").await;
    }
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[test]
fn a_pipe_among_the_text_files_is_an_error_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    let texts = directory.path().join("texts");
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join("good.prom"), "good 1\nnode_load1{} 99\n").unwrap();
    let pipe = texts.join("pipe.prom");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    options.settings.set("collector.textfile.directory", &[texts.to_str().unwrap()]).unwrap();
    let families = Exporter::new(options).gather();
    let value = |name: &str| {
        let family = families.iter().find(|family| family.name == name)?;
        family.metrics.first().map(|metric| metric.value.clone())
    };
    assert_eq!(value("good"), Some(MetricValue::Float(1.0)));
    assert_eq!(value("node_textfile_scrape_error"), Some(MetricValue::Float(1.0)));
    assert_eq!(value("node_load1"), Some(MetricValue::Float(0.07)), "a file does not replace the host's own");
}
