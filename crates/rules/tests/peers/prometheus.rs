//! A Prometheus server evaluates rules over a target whose series come and go; our replay of the same rules over the
//! series that it scraped yields what it wrote, sample for sample.
//!
//! A server evaluates by the clock, so this test takes as long as it records. What it reads at a slot must not depend on
//! which of two threads is faster: the names of the groups are chosen so that their slots lie well apart from the
//! scrapes and from each other.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use assay_model::{Column, METRIC_NAME, MatchOp, Matcher, Queryable, is_stale};
use assay_rules::{
    ReplayOptions, RuleFiles, SlotMode,
    replay::{replay, slot_offset_ms},
};
use assay_testkit::{Prometheus, Server, http, server::respond, wait_for};
use assay_tsdb::{Database, OpenOptions};

/// How long the server records, in seconds.
const RECORD_S: u64 = 32;

/// The rules; `NAME-n` stands for the name of the n-th group.
const RULES: &str = r#"
groups:
  - name: NAME-0
    interval: 1s
    rules:
      - {record: "heartbeat:0", expr: vector(1)}
      - {record: "flap:sum", expr: sum(flap)}
      - {record: "flap:by_id:double", expr: "sum by (id) (flap) * 2", labels: {kind: doubled, instance: ""}}
      - {record: "chain:avg", expr: "avg_over_time(flap:sum[5s])"}
      - {record: "total:rate", expr: "rate(test_total[4s])"}
      - {record: "total:sum:rate", expr: "sum without (id) (total:rate)", labels: {unit: per_second}}
      - {record: "self:count", expr: "self:count + 1 or vector(0)"}
      - {record: "ratio:nan", expr: "sum(flap) / sum(flap)"}
      - {record: "clash", expr: 'label_replace(flap, "id", "", "", "")'}
      - {record: "renamed", expr: flap, labels: {id: same}}
      - {record: "text", expr: '"text"'}
      - {record: "scalar", expr: "time()"}
      - {record: "backwards", expr: "forwards"}
      - {record: "forwards", expr: vector(time())}
  - name: NAME-1
    interval: 1s
    labels: {team: "{{ $labels.id }}", none: "{{ $labels.nothing }}"}
    rules:
      - {record: "heartbeat:1", expr: vector(1)}
      - {alert: Low, expr: flap < 4}
      - {alert: LowFor, expr: flap < 6, for: 2s, labels: {severity: page}}
      - {alert: Kept, expr: flap < 3, keep_firing_for: 3s}
      - {alert: KeptFor, expr: flap < 6, for: 2s, keep_firing_for: 2s, annotations: {text: "{{ $value | humanize }}"}}
      - {alert: Valued, expr: "flap:sum > 5", labels: {value: '{{ printf "%.0f" $value }}', id: gone}}
      - {alert: Clashing, expr: flap < 7, labels: {id: same}}
      - {alert: Broken, expr: "flap < 5", labels: {bad: "{{ .Nope }}"}}
      - {alert: Down, expr: up == 0, for: 1s}
      - {alert: Absent, expr: 'absent(flap{id="1"})', for: 1s}
  - name: NAME-2
    interval: 1s
    query_offset: 1s
    limit: 2
    rules:
      - {record: "heartbeat:2", expr: vector(1)}
      - {record: "limited", expr: flap > 2}
      - {record: "shifted:sum", expr: "sum(flap) + on () flap:sum"}
      - {alert: Limited, expr: flap < 8, for: 1s}
      - {alert: Shifted, expr: "shifted:sum > 6", for: 2s}
  - name: NAME-3
    interval: 2s
    rules:
      - {record: "heartbeat:3", expr: vector(1)}
      - {record: "alerts:count", expr: "count by (alertname, alertstate) (ALERTS)"}
      - {alert: ManyAlerts, expr: 'sum(alerts:count{alertstate="firing"}) > 4', for: 2s}
      - {record: "age", expr: "time() - max by (alertname) (ALERTS_FOR_STATE)"}
"#;

/// Where the slots of each group should lie after a scrape, in milliseconds.
const PHASES_MS: [i64; 4] = [300, 480, 660, 840];

/// What the target exposes at its n-th scrape; nothing where it fails.
fn exposition(n: usize) -> Option<String> {
    if n % 13 == 12 {
        return None;
    }
    let mut out = "# TYPE flap gauge\n".to_owned();
    for id in 0..4 {
        if (n / (2 + id)).is_multiple_of(2) {
            out += &format!("flap{{id=\"{id}\"}} {}\n", (n * 7 + id * 3) % 10);
        }
    }
    out += "# TYPE test_total counter\n";
    for id in 0..3 {
        out += &format!("test_total{{id=\"{id}\"}} {}\n", n % (9 + id) * (5 + id));
    }
    Some(out)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// The scraped target: how often it was asked, and when last.
#[derive(Default)]
struct Target {
    scrapes: AtomicUsize,
    last_ms: AtomicI64,
}

/// Serves a target until the process ends; its port.
fn serve(target: &Arc<Target>) -> u16 {
    let target = Arc::clone(target);
    let server = Server::start(move |_| {
        target.last_ms.store(now_ms(), Ordering::SeqCst);
        let n = target.scrapes.fetch_add(1, Ordering::SeqCst);
        match exposition(n) {
            Some(body) => respond(200, "Content-Type: text/plain; version=0.0.4\r\n", body),
            None => respond(500, "", ""),
        }
    });
    server.address.port()
}

/// A name for each group so that its slots lie where they should.
fn names(file: &str, scrape_ms: i64) -> Vec<String> {
    let fits = |name: &str, phase_ms: i64| {
        let distance = (slot_offset_ms(file, name, 1000) - scrape_ms - phase_ms).rem_euclid(1000);
        distance.min(1000 - distance) < 30
    };
    let found = |(g, phase_ms): (usize, &i64)| {
        (0..).map(|i| format!("group {g}-{i}")).find(|name| fits(name, *phase_ms)).expect("a name that fits")
    };
    PHASES_MS.iter().enumerate().map(found).collect()
}

/// Records into `dir` and returns the rule file.
fn record(dir: &Path) -> Option<String> {
    let target = Arc::new(Target::default());
    let port = serve(&target);
    let rules = dir.join("rules.yml").display().to_string();
    let config = |rule_files: &str| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{rule_files}]\n\
             scrape_configs: [{{job_name: target, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
    };
    let server = Prometheus::start(&dir.join("data"), &config(""), &[])?;
    wait_for("three scrapes", || target.scrapes.load(Ordering::SeqCst) >= 3);
    let mut text = RULES.to_owned();
    for (g, name) in names(&rules, target.last_ms.load(Ordering::SeqCst)).iter().enumerate() {
        text = text.replace(&format!("NAME-{g}"), name);
    }
    std::fs::write(&rules, text).expect("written");
    std::fs::write(dir.join("prometheus.yml"), config(&rules)).expect("written");
    let reloaded = http::post_form(server.address(), "/-/reload", "").expect("answers");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    thread::sleep(Duration::from_secs(RECORD_S));
    drop(server);
    Some(rules)
}

/// The series of some metrics, by their labels.
fn read(source: &dyn Queryable, names: &str) -> BTreeMap<String, Column> {
    let matcher = Matcher::new(MatchOp::Regex, METRIC_NAME, names).expect("compiles");
    let mut out = BTreeMap::new();
    for series in source.select(&[matcher], i64::MIN, i64::MAX).expect("the data can be read") {
        let mut column = Column::default();
        series.read(i64::MIN, i64::MAX, &mut column).expect("the series can be read");
        out.insert(series.labels().to_string(), column);
    }
    out
}

/// Replays what was recorded; what differs from what the server wrote, or that an evaluation was missed.
fn differences(dir: &Path, rules: &str) -> Result<usize, String> {
    let database =
        Database::open(&dir.join("data"), OpenOptions::default()).expect("the data directory opens");
    let files = RuleFiles::load(&[rules]).unwrap_or_else(|e| panic!("{e}"));
    let heartbeats = read(&database, "heartbeat:[0-3]");
    assert_eq!(heartbeats.len(), 4, "every group was evaluated");
    let mut options = ReplayOptions::new(i64::MAX, i64::MIN);
    options.slots = SlotMode::Prometheus;
    let mut until_ms = i64::MAX;
    for (heartbeat, group) in heartbeats.values().zip(&files.groups) {
        let interval_ms = group.interval_ms.unwrap_or(1000);
        if heartbeat.times.windows(2).any(|w| w[1] - w[0] != interval_ms) {
            return Err(format!("the server missed an evaluation of {}", group.name));
        }
        let offset_ms = group.query_offset_ms.unwrap_or(0);
        let (first, last) = (heartbeat.times[0], heartbeat.times[heartbeat.times.len() - 1]);
        options.start_ms = options.start_ms.min(first + offset_ms);
        options.end_ms = options.end_ms.max(last + offset_ms);
        // The last evaluation may have been cut short.
        until_ms = until_ms.min(last - interval_ms);
    }
    let result = replay(&database, &files, &options);
    let recorded: Vec<&str> =
        files.rules().filter(|(_, r)| r.alerting().is_none()).map(|(_, r)| r.name.as_str()).collect();
    let all = format!("{}|ALERTS|ALERTS_FOR_STATE", recorded.join("|"));
    let (theirs, ours) = (read(&database, &all), read(&result.series, &all));
    let lines = |series: &BTreeMap<String, Column>| {
        let mut out = Vec::new();
        for (labels, column) in series {
            for (t_ms, v) in column.times.iter().zip(&column.values).filter(|(t, _)| **t <= until_ms) {
                let value = if is_stale(*v) { "stale".to_owned() } else { v.to_string() };
                out.push(format!("{labels} {t_ms} {value}"));
            }
        }
        out
    };
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    if theirs == ours {
        let count = |what: &str| ours.iter().filter(|l| l.contains(what)).count();
        for what in
            [" stale", "ALERTS{", "alertstate=\"pending\"", "alertstate=\"firing\"", "ALERTS_FOR_STATE{"]
        {
            assert!(count(what) > 30, "only {} samples with {what}", count(what));
        }
        return Ok(ours.len());
    }
    let (missing, extra) = unmatched(&theirs, &ours);
    Err(format!(
        "{} samples of prometheus, {} of ours; missing\n{}\nnot there\n{}",
        theirs.len(),
        ours.len(),
        missing.join("\n"),
        extra.join("\n")
    ))
}

/// The first lines that only one of two lists has.
fn unmatched(theirs: &[String], ours: &[String]) -> (Vec<String>, Vec<String>) {
    let (a, b): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
        (theirs.iter().collect(), ours.iter().collect());
    let first = |lines: std::collections::btree_set::Difference<'_, &String>| {
        lines.take(25).map(ToString::to_string).collect()
    };
    (first(a.difference(&b)), first(b.difference(&a)))
}

#[test]
fn a_replay_yields_what_prometheus_wrote() {
    let mut failures = Vec::new();
    // A loaded machine can miss an evaluation or be late by more than the groups lie apart; a difference in what the
    // rules mean comes back every time.
    for _ in 0..3 {
        let dir = tempfile::tempdir().expect("a directory");
        let Some(rules) = record(dir.path()) else { return };
        match differences(dir.path(), &rules) {
            Ok(samples) => {
                eprintln!("{samples} samples are the same");
                assert!(samples > 1000, "{samples} samples are too few to say much");
                return;
            }
            Err(failure) => failures.push(failure),
        }
    }
    panic!("{}", failures.join("\n\n"));
}
