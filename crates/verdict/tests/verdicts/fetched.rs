//! What a Prometheus has, fetched and judged: the phases are those of the plan's series and the alerts are replayed, as for
//! a record on disk.

use assay_prom_api::ClientOptions;
use assay_testkit::Prometheus;
use assay_verdict::{
    eval::{EvalOptions, FetchOptions, eval, eval_fetched},
    verdict::{Status, Verdict},
};

use crate::world::{Form, T0_MS, World};

const SLA: &str = "sla: s
judge: {phases: [steady, peak], fail_on_alerts: [critical]}
objectives:
- name: Latency
  unit: s
  require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5
- name: Requests
  require: sum(increase(load_iterations_total[$__range])) > 1
";
const RULES: &str = "groups:
- name: g
  interval: 5s
  rules:
  - {alert: Deep, expr: app_queue_depth > 1, for: 20s, labels: {severity: critical}}
  - {alert: Deeper, expr: app_queue_depth > 5, labels: {severity: critical}}
";

/// Windows, rows and alerts, without the numbers.
fn outcome(verdict: &Verdict) -> Vec<String> {
    let windows = verdict.windows.iter().map(|w| format!("window {:?}", w.phase));
    let rows =
        verdict.objectives.iter().map(|r| format!("{} in {}: {:?}", r.name, r.window_title(), r.status));
    let alerts = verdict.alerts.iter().map(|a| {
        let phases: Vec<_> = a.instances.iter().map(|i| i.phases.join("+")).collect();
        format!("{}: {:?} in {phases:?}", a.name, a.status)
    });
    windows.chain(rows).chain(alerts).collect()
}

#[test]
fn a_server_is_judged_as_a_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = World { manifest: None, ..World::default() }.record(dir.path(), Form::Exported(5));
    let copy = dir.path().join("copy");
    assay_testkit::files::copy(&run.join("data"), &copy).expect("copies");
    let Some(server) = Prometheus::start(&copy, "global: {scrape_interval: 1h}\n", &[]) else { return };
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path
    };
    let mut options = EvalOptions::new(run);
    options.slas = vec![write("sla.yml", SLA)];
    options.rules = vec![write("rules.yml", RULES).display().to_string()];
    let here = eval(&options).expect("evaluates").verdict;
    let fetch = FetchOptions {
        server: ClientOptions::new(format!("http://{}", server.address())),
        start_ms: T0_MS - 5_000,
        end_ms: T0_MS + 275_000,
        dir: dir.path().join("fetched"),
    };
    let there = eval_fetched(&fetch, &options).expect("evaluates").verdict;
    assert_eq!(outcome(&there), outcome(&here));
    assert_eq!((there.status, here.status), (Status::Fail, Status::Fail));
    let phases: Vec<_> = there.windows.iter().filter_map(|w| w.phase.as_deref()).collect();
    assert_eq!(phases, ["steady", "peak"]);
    assert!(
        there.alerts.iter().any(|a| a.name == "Deep" && a.status == Status::Fail),
        "{:?}",
        outcome(&there)
    );
    for (a, b) in there.objectives.iter().zip(&here.objectives) {
        let near = a.value.zip(b.value).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * b.abs());
        assert!(near, "{}: {:?} {:?}", a.title(), a.value, b.value);
    }
}
