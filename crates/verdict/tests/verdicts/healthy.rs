//! Runs that are well, and look less so than they are.

use assay_run::Outcome;

use crate::{
    case::{Case, Says, case},
    world::{Form, World},
};

/// Errors that the generator counts, latency, and errors that the service counts.
pub(crate) const ALL: &str = "sla: all
judge: {phases: [steady, peak]}
objectives:
- name: Error rate
  unit: percent
  require: |
    100 * (sum(histogram_count(increase(http_client_request_duration_seconds{error_type!=\"\"}[$__range]))) or vector(0))
    / sum(histogram_count(increase(http_client_request_duration_seconds[$__range]))) < 1
- name: Latency p99
  unit: s
  require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5
- name: Service errors
  require: (sum(increase(app_requests_total{code=~\"5..\"}[$__range])) or vector(0)) < 5
- name: Service throughput
  require: sum(rate(app_requests_total[$__range])) > 1
";

/// Errors that the generator counts, in the steady phase.
pub(crate) const STEADY: &str = "sla: steady
judge: {phases: [steady]}
objectives:
- name: Error rate
  unit: percent
  require: |
    100 * (sum(histogram_count(increase(http_client_request_duration_seconds{error_type!=\"\"}[$__range]))) or vector(0))
    / sum(histogram_count(increase(http_client_request_duration_seconds[$__range]))) < 1
";

/// A percentile that the steady phase has too few requests for.
const P99: &str = "sla: p99
judge: {phases: [steady]}
objectives:
- name: Latency p99
  unit: s
  require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5
";

/// Alerts as the pack has them, in small.
pub(crate) const ALERTS: &str = "  - {alert: ErrorsHigh, expr: 'sum(histogram_count(rate(http_client_request_duration_seconds{error_type!=\"\"}[30s]))) / sum(histogram_count(rate(http_client_request_duration_seconds[30s]))) > 0.02', for: 10s, labels: {severity: critical}}
  - {alert: TargetDown, expr: up == 0, for: 20s, labels: {severity: critical}}
";

pub(crate) fn cases() -> Vec<Case> {
    let world = World::default;
    let mut cases = vec![
        case("nothing is wrong", world()).sla(ALL).rules(ALERTS).says(Says::Pass, "8 of 8 objectives met"),
        case("a p99 has fewer samples than it takes", world())
            .sla(STEADY)
            .sla(P99)
            .recorded()
            .says(Says::Pass, "240 samples are few for this percentile, which takes 500: with 95 % confidence it is between"),
        case("there is no warm-up", world().only(&["steady", "peak"])).sla(ALL).rules(ALERTS),
        case(
            "a rollout replaces the pods in the middle of steady",
            world()
                .without("app_requests_total")
                .with("app_requests_total{code=\"200\",instance=\"old\"} 1000+4x80")
                .with("app_requests_total{code=\"200\",instance=\"new\"} _x74 0+4x400")
                .with("process_start_time_seconds{instance=\"new\"} _x74 1700000074x400"),
        )
        .sla(ALL),
        case(
            "a label of the service's series changes every 20 seconds",
            world()
                .without("app_queue_depth")
                .with("app_queue_depth{shard=\"1\"} 2x20")
                .with("app_queue_depth{shard=\"2\"} _x20 2x20")
                .with("app_queue_depth{shard=\"3\"} _x40 2x400"),
        )
        .sla(ALL)
        .sla("sla: q\njudge: {phases: [steady]}\nobjectives:\n- {name: Queue, require: 'max(max_over_time(app_queue_depth[$__range])) < 5'}\n"),
        case("one scrape of the service is missed", World { down: vec![(100.0, 101.0)], ..world() }).sla(ALL).rules(ALERTS),
        case("the recorder stalls for three seconds", World { stalled: vec![(80.0, 83.0)], ..world() }).sla(ALL),
        case("the export begins in the middle of the server's life", World { kept: (-1.0, 1000.0), ..world() })
            .sla(ALL)
            .exported(&[5, 15]),
        case("there is no GPU, and the objective on it may be skipped", world())
            .sla(ALL)
            .sla("sla: gpu\njudge: {phases: [steady]}\nobjectives:\n- {name: GPU memory, on_missing: skip, require: 'max(max_over_time(gpu_memory[$__range])) < 80'}\n")
            .says(Says::Pass, "the run has no series of gpu_memory"),
        case("a series ends while its target continues", world().with("worker_tasks_total 5+1x60"))
            .sla(ALL)
            .sla("sla: w\njudge: {phases: [steady]}\nobjectives:\n- {name: Tasks, require: 'sum(increase(worker_tasks_total[$__range])) < 500'}\n")
            .but(Form::Exported(60), Says::Inconclusive),
        case("requests fail in the warm-up only", world().failing(2.0, 15.0, 20)).sla(ALL).rules(ALERTS),
        case("requests fail at the very end of the warm-up", world().failing(17.0, 20.0, 5)).sla(STEADY),
        case("requests fail in a phase that is not judged", world().failing(200.0, 220.0, 50)).sla(STEADY).rules(ALERTS),
    ];
    cases.extend(endings());
    cases.extend(limits_and_alerts());
    cases.extend(kinds_of_data());
    cases
}

/// How runs end and are put together.
fn endings() -> Vec<Case> {
    let world = World::default;
    vec![
        case(
            "the load is stopped after the phases that are judged",
            World { stopped_s: Some(200.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(STEADY)
        .says(Says::Pass, "the load was interrupted"),
        case(
            "the generator is killed after the phases that are judged",
            World { killed_s: Some(250.0), ..world() },
        )
        .sla(STEADY)
        .says(Says::Pass, "the load has no end on record")
        .recorded(),
        case(
            "a phase was cut short, and that is allowed",
            World { stopped_s: Some(220.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(ALL)
        .tune(|o, _| o.allow_incomplete = true)
        .says(Says::Pass, "phase peak was cut short after 1m20s of 2m; judged as far as it went")
        .but(Form::Exported(60), Says::Inconclusive),
        case("the mode has fewer phases than the SLA", world().only(&["warmup", "steady"]))
            .sla(ALL)
            .says(Says::Pass, "phase peak is not judged: this run has no such phase"),
        case("two generators share the load", World { shards: 2, ..world() }).sla(ALL),
        case("an older record has its phases in run.json alone", World { plan: false, ..world() })
            .sla(ALL)
            .says(Says::Pass, "\"phases_from\": \"manifest\"")
            .recorded(),
        case("phases are given by hand", World { plan: false, manifest: None, ..world() })
            .sla(STEADY)
            .tune(|o, _| o.phases = vec!["steady=1700000020..1700000140".parse().expect("is a phase")])
            .says(Says::Pass, "\"phases_from\": \"given\""),
        case(
            "the data are somebody else's, without phases",
            World { plan: false, manifest: None, ..world() },
        )
        .sla(STEADY)
        .says(Says::Pass, "nothing names the phases of this run: it is judged as one window, not by steady"),
        case("there is no SLA, and no alert fires", world())
            .rules(ALERTS)
            .says(Says::Pass, "no alert that counts fired"),
        case(
            "the service restarts, and its counters begin again",
            world().without("app_requests_total").with("app_requests_total{code=\"200\"} 1000+4x99 0+4x400"),
        )
        .sla(ALL)
        // What it counted since the last scrape is lost, and that is a third of the phase.
        .not(Form::Exported(60)),
    ]
}

fn limits_and_alerts() -> Vec<Case> {
    let world = World::default;
    let slow_peak = || {
        let mut world = world();
        world.phase("peak").latency = 6.0;
        world
    };
    let latency = |more: &str| {
        format!(
            "sla: l\njudge: {{phases: [steady, peak]}}\nobjectives:\n- name: Latency p99\n  unit: s\n  require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5\n  {more}\n"
        )
    };
    vec![
        case("the peak is slow, and its limit is higher", slow_peak()).sla(latency("limits: {peak: 7}")),
        case("the peak is slow, and is only reported", slow_peak())
            .sla(latency("limits: {peak: none}"))
            .says(Says::Pass, "only reported in peak"),
        case("the same as the baseline", world())
            .sla(latency("relative: {max: +10%}"))
            .tune(|o, _| o.baseline = Some(o.run.clone()))
            .says(Says::Pass, "Latency p99 against the baseline"),
        case("an alert on absence, and nothing is absent", world())
            .sla(ALL)
            .rules("  - {alert: Gone, expr: 'absent(up{job=\"app\"})', for: 10s, labels: {severity: critical}}\n"),
        case("an alert is pending for a while and resolves", world().without("app_queue_depth").with("app_queue_depth 2x60 9x20 2x400"))
            .rules("  - {alert: Queue, expr: app_queue_depth > 5, for: 1m, labels: {severity: critical}}\n")
            .sla(STEADY),
        case("a critical alert fires in the warm-up only", world().without("app_queue_depth").with("app_queue_depth 9x19 2x400"))
            .sla(STEADY)
            .rules("  - {alert: Queue, expr: app_queue_depth > 5, labels: {severity: critical}}\n"),
        case("a gauge was high just before the phase, and the alert takes its maximum", world().without("app_queue_depth").with("app_queue_depth 9x18 2x400"))
            .sla(STEADY)
            .rules("  - {alert: Queue, expr: 'max_over_time(app_queue_depth[1m]) > 5', labels: {severity: critical}}\n"),
        case("a critical alert fires in a phase in which only others count", world().without("app_queue_depth").with("app_queue_depth 2x150 9x80 2x200"))
            .sla(STEADY.replace("judge: {phases: [steady]}", "judge: {phases: [steady, peak], fail_on_alerts: {steady: [critical], peak: {names: [TargetDown]}}}"))
            .rules(&format!("{ALERTS}  - {{alert: Queue, expr: app_queue_depth > 5, labels: {{severity: critical}}}}\n")),
        case("an alert whose range and `for` are longer than the phase", world())
            .sla(STEADY)
            .rules("  - {alert: Slow, expr: 'rate(app_requests_total[5m]) < 0.1', for: 5m, labels: {severity: critical}}\n")
            .says(Says::Pass, "too short to fire: it takes 10m15s"),
        case("an alert of which the run has no metric", world())
            .sla(STEADY)
            .rules("  - {alert: GpuHot, expr: gpu_temperature_celsius > 85, labels: {severity: critical}}\n")
            .says(Says::Pass, "not applicable: the run has no series of gpu_temperature_celsius"),
        case("an alert that must have its metrics has them", world())
            .sla(STEADY.replace("judge: {phases: [steady]}", "judge: {phases: [steady], require_alerts: [TargetDown]}"))
            .rules(ALERTS),
    ]
}

fn kinds_of_data() -> Vec<Case> {
    let world = World::default;
    let objective = |require: &str| {
        format!("sla: k\njudge: {{phases: [steady]}}\nobjectives:\n- {{name: K, require: '{require}'}}\n")
    };
    vec![
        case(
            "the service has classic histograms",
            world()
                .with("app_duration_seconds_bucket{le=\"0.5\"} 100+4x500")
                .with("app_duration_seconds_bucket{le=\"1\"} 100+4x500")
                .with("app_duration_seconds_bucket{le=\"+Inf\"} 100+4x500"),
        )
        .sla(objective(
            "histogram_quantile(0.99, sum by (le) (increase(app_duration_seconds_bucket[$__range]))) < 1",
        )),
        case("the query has a remark that is only for information", world())
            .sla(objective("increase(app_queue_depth[$__range]) < 5"))
            .says(Says::Pass, "(1:10)"),
        case(
            "a counter of the service is new, and small",
            world().with("app_requests_total{code=\"500\"} _x60 1x400"),
        )
        .sla(ALL),
    ]
}
