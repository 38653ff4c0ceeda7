//! The numbers of a report, asked of a real Prometheus over a copy of the run.

use assay_prom_api::ClientOptions;
use assay_testkit::Prometheus;
use assay_verdict::eval::{EvalOptions, ServerOptions, eval, eval_server};

use crate::recording::{Recording, Trouble, rules, sla};

/// A Prometheus over a copy of a recording's data; `None` without peers.
pub(crate) fn prometheus_over(recording: &Recording) -> Option<Prometheus> {
    let data = recording.place("copy");
    assay_testkit::files::copy(&recording.path().join("data"), &data).expect("copies");
    Prometheus::start(&data, "global: {scrape_interval: 1h}\n", &[])
}

/// Prometheus before 3.6 extrapolates a native histogram beyond its zero point. That scales each series by a
/// factor of its own: without failures there is one series, and ratios and quantiles are the same to the last
/// bits; with failures there are two, and they differ a little.
const SCALED: f64 = 5e-3;
const EXACT: f64 = 1e-12;

fn check(trouble: Trouble, tolerance: f64) {
    let recording = Recording::new(trouble);
    let Some(server) = prometheus_over(&recording) else { return };
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![rules()];
    options.slas = vec![sla()];
    let verdict = eval(&options).expect("evaluates").verdict;
    let mut compared = 0;
    for row in verdict.objectives.iter().filter(|r| r.at_ms > 0) {
        let answer = server.query(&row.measure, Some(row.at_ms));
        let found: Vec<f64> = answer["data"]["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{}: {answer}", row.measure))
            .iter()
            .filter(|s| row.labels.iter().all(|(n, v)| s["metric"][n] == **v))
            .map(|s| s["value"][1].as_str().expect("is text").parse().expect("is a number"))
            .collect();
        match row.raw {
            Some(value) => {
                assert_eq!(found.len(), 1, "{}: {answer}", row.title());
                let near = (found[0] - value).abs() <= tolerance * value.abs().max(found[0].abs());
                assert!(near, "{}: {} here, {} there: {}", row.title(), value, found[0], row.measure);
                compared += 1;
            }
            None => assert!(found.is_empty(), "{}: {answer}", row.title()),
        }
    }
    assert!(compared >= 8, "only {compared} numbers were compared");
}

#[test]
fn prometheus_answers_the_same_numbers() {
    check(Trouble::default(), EXACT);
}

#[test]
fn prometheus_answers_the_same_numbers_over_failures() {
    check(Trouble { errors: true, ..Trouble::default() }, SCALED);
}

#[test]
fn prometheus_answers_the_same_numbers_over_a_killed_run() {
    check(Trouble { killed_after_s: Some(60), ..Trouble::default() }, EXACT);
}

#[test]
fn judging_on_a_server_gives_the_same_rows() {
    let recording = Recording::new(Trouble::default());
    let Some(server) = prometheus_over(&recording) else { return };
    // Without a manifest both judge the whole time, and so the series of all phases, as one window.
    let mut options = EvalOptions::new(recording.place("copy"));
    options.rules = vec![rules()];
    options.slas = vec![sla()];
    let here = eval(&options).expect("evaluates").verdict;
    let there = eval_server(&ServerOptions {
        server: ClientOptions::new(format!("http://{}", server.address())),
        start_ms: here.run.start_ms,
        end_ms: here.run.end_ms,
        slas: vec![sla()],
        interval_ms: 5_000,
        charts: true,
        command: String::new(),
    })
    .expect("evaluates");
    assert_eq!(here.objectives.len(), there.verdict.objectives.len());
    for (a, b) in here.objectives.iter().zip(&there.verdict.objectives) {
        assert_eq!((&a.name, a.status, &a.labels), (&b.name, b.status, &b.labels));
        let near = a.value.zip(b.value).is_none_or(|(x, y)| (x - y).abs() <= SCALED * x.abs());
        assert!(near && a.value.is_some() == b.value.is_some(), "{}: {:?} {:?}", a.name, a.value, b.value);
    }
    assert!(there.charts.plots.iter().any(|c| c.id == "latency"));
    let away = eval_server(&ServerOptions {
        server: ClientOptions { attempts: 1, ..ClientOptions::new("http://127.0.0.1:1") },
        start_ms: 0,
        end_ms: 1_000,
        slas: vec![sla()],
        interval_ms: 5_000,
        charts: false,
        command: String::new(),
    });
    assert!(away.expect_err("nobody is there").to_string().starts_with("http://127.0.0.1:1: "));
}
