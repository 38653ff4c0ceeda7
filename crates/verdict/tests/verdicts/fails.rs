//! Runs that failed, and look better than they are.

use crate::{
    case::{Case, Says, case},
    healthy::{ALERTS, ALL, STEADY},
    world::{Form, World},
};

pub(crate) fn cases() -> Vec<Case> {
    let world = World::default;
    let errors = "Error rate in steady";
    let mut cases = vec![
        case("ten of 240 requests fail within one second", world().failing(70.0, 76.0, 10)).sla(ALL).says(Says::Fail, errors),
        case("the first ten requests of a phase fail", world().failing(20.0, 27.0, 10)).sla(ALL).says(Says::Fail, errors),
        case("the last ten requests of a phase fail", world().failing(134.0, 140.0, 10)).sla(ALL).says(Says::Fail, errors),
        case("requests fail now and then through the phase", world().failing(30.0, 31.0, 2).failing(70.0, 71.0, 2).failing(110.0, 111.0, 2))
            .sla(ALL)
            .says(Says::Fail, errors),
        case("the first ten requests fail, of a class that nobody foresaw", World { foreseen: false, ..world().failing(20.0, 27.0, 10) })
            .sla(ALL)
            .says(Says::Fail, errors),
        case("the first requests fail, and there is no warm-up", world().only(&["steady", "peak"]).failing(0.0, 6.0, 10))
            .sla(ALL)
            .says(Says::Fail, errors),
        case("half of all requests fail", world().failing(20.0, 140.0, 110)).sla(ALL).rules(ALERTS).says(Says::Fail, errors),
        case("a peak of 20 seconds in which every query takes 8 seconds", short_peak()).sla(ALL).says(Says::Fail, "Latency p99 in peak"),
        case("the service counts errors under a label that is new", world().with("app_requests_total{code=\"500\"} _x60 40x400"))
            .sla(ALL)
            .says(Says::Fail, "Service errors in steady"),
        case(
            "a pod that starts in the phase counts errors from its first second",
            world()
                .with("app_requests_total{code=\"500\",instance=\"new\"} _x60 40x400")
                .with("process_start_time_seconds{instance=\"new\"} _x60 1700000058x400"),
        )
        .sla(ALL)
        .says(Says::Fail, "Service errors in steady"),
        case("the service hangs: nothing is answered any more", hanging()).sla(ALL).says(Says::Fail, "Service throughput in peak"),
        case("a figure fails while another has no data", world().failing(70.0, 76.0, 10))
            .sla(ALL)
            .sla("sla: gpu\njudge: {phases: [steady]}\nobjectives:\n- {name: GPU, require: 'max(gpu_memory) < 80'}\n")
            .says(Says::Fail, errors),
        case("data that must be there are not", world())
            .sla("sla: gpu\njudge: {phases: [steady]}\nobjectives:\n- {name: GPU, on_missing: fail, require: 'max(gpu_memory) < 80'}\n")
            .says(Says::Fail, "the run has no series of gpu_memory"),
        case("the second of two SLAs is missed", world().failing(70.0, 76.0, 10))
            .sla(STEADY.replace("< 1\n", "< 50\n"))
            .sla(STEADY.replace("sla: steady", "sla: strict"))
            .says(Says::Fail, errors),
    ];
    cases.extend(alerts());
    cases.extend(limits());
    cases
}

fn short_peak() -> World {
    let mut world = World::default();
    let peak = world.phase("peak");
    peak.span = (140.0, 160.5);
    peak.latency = 8.0;
    world
}

fn hanging() -> World {
    World::default()
        .without("app_requests_total")
        .with("app_requests_total{code=\"200\"} 1000+4x140 1560x400")
}

fn alerts() -> Vec<Case> {
    let world = World::default;
    let queue = |from: usize, length: usize| {
        world().without("app_queue_depth").with(&format!(
            "app_queue_depth 2x{} 9x{} 2x300",
            from - 1,
            length - 1
        ))
    };
    vec![
        case("a critical alert fires in a judged phase", queue(60, 70))
            .sla(STEADY)
            .rules("  - {alert: Queue, expr: app_queue_depth > 5, for: 15s, labels: {severity: critical}}\n")
            .says(Says::Fail, "Queue fired in steady"),
        case("a critical alert fires, and there is no SLA", queue(60, 70))
            .rules("  - {alert: Queue, expr: app_queue_depth > 5, for: 15s, labels: {severity: critical}}\n")
            .says(Says::Fail, "Queue fired in whole run"),
        case("an alert that is named fires, whatever its severity", queue(160, 70))
            .sla(STEADY.replace("judge: {phases: [steady]}", "judge: {phases: [steady, peak], fail_on_alerts: {steady: [critical], peak: {names: [Queue]}}}"))
            .rules("  - {alert: Queue, expr: app_queue_depth > 5, for: 15s, labels: {severity: info}}\n")
            .says(Says::Fail, "Queue fired in peak"),
        case("the service is gone, and an alert on its absence fires", gone())
            .sla(STEADY)
            .rules("  - {alert: Gone, expr: 'absent(app_queue_depth)', for: 20s, labels: {severity: critical}}\n")
            .says(Says::Fail, "Gone fired in steady"),
        case("the service cannot be scraped for a minute", World { down: vec![(60.0, 120.0)], ..world() })
            .sla(STEADY)
            .rules(ALERTS)
            .says(Says::Fail, "TargetDown fired in steady")
            .but(Form::Exported(60), Says::Fail),
        case("an alert reads a metric that a rule records", queue(60, 70))
            .sla(STEADY)
            .rules("  - {record: depth, expr: max(app_queue_depth)}\n  - {alert: Queue, expr: depth > 5, for: 15s, labels: {severity: critical}}\n")
            .says(Says::Fail, "Queue fired in steady"),
    ]
}

fn gone() -> World {
    // Long enough that no instant selector looks back to it.
    let mut world = World::default().only(&["warmup", "steady"]).without("app_queue_depth");
    world.phase("steady").span.1 = 440.0;
    world.with("app_queue_depth 2x10")
}

fn limits() -> Vec<Case> {
    let world = World::default;
    let latency = |more: &str| {
        format!(
            "sla: l\njudge: {{phases: [steady, peak]}}\nobjectives:\n- name: Latency p99\n  unit: s\n  require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5\n  {more}\n"
        )
    };
    let mut slow = world();
    slow.phase("steady").latency = 6.0;
    vec![
        case("steady misses its limit, and the peak's is higher", slow)
            .sla(latency("limits: {peak: 7}"))
            .says(Says::Fail, "measured 6"),
        case("a limit of a phase is lower than the rule", world())
            .sla(latency("limits: {peak: 0.1}"))
            .says(Says::Fail, "Latency p99 in peak"),
        case("slower than the baseline by more than is allowed", world())
            .sla(latency("relative: {max: +10%}"))
            .tune(|o, dir| {
                let mut faster = World::default();
                for phase in &mut faster.phases {
                    phase.latency = 0.1;
                }
                let base = dir.join("base");
                o.baseline = Some(faster.record(&base, Form::Recorded));
            })
            .says(Says::Fail, "Latency p99 against the baseline in steady"),
    ]
}
