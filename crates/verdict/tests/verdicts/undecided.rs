//! Runs of which nobody could say how they did.

use assay_run::Outcome;

use crate::{
    case::{Case, Says, case},
    healthy::{ALERTS, ALL, STEADY},
    world::{Form, World},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = endings();
    cases.extend(gaps());
    cases.extend(missing());
    cases.extend(alerts());
    cases.extend(generator());
    cases
}

fn endings() -> Vec<Case> {
    let world = World::default;
    vec![
        case("the generator is killed half-way through a phase", World { killed_s: Some(80.0), ..world() })
            .sla(ALL)
            .says(Says::Inconclusive, "phase steady has no end on record"),
        case(
            "the load is stopped half-way through a phase",
            World { stopped_s: Some(80.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(ALL)
        .says(Says::Inconclusive, "phase steady was cut short after 1m of 2m"),
        case(
            "a phase was planned and did not begin",
            World { stopped_s: Some(140.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(ALL)
        .says(Says::Inconclusive, "phase peak was planned and did not begin"),
        case(
            "the load is stopped, and there is no SLA",
            World { stopped_s: Some(80.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .rules(ALERTS)
        .says(Says::Inconclusive, "phase steady was cut short"),
        case(
            "an older record was interrupted",
            World { plan: false, stopped_s: Some(80.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(ALL)
        .says(Says::Inconclusive, "phase steady was cut short")
        .recorded(),
        case(
            "an older record was interrupted before a phase that may have been planned",
            World { plan: false, stopped_s: Some(140.0), manifest: Some(Outcome::Interrupted), ..world() },
        )
        .sla(ALL)
        .says(Says::Inconclusive, "phase peak is not in this run, which did not run to its end")
        .recorded(),
        case(
            "an older record ends where its generator was killed",
            World { plan: false, killed_s: Some(80.0), ..world() },
        )
        .sla(ALL)
        .says(Says::Inconclusive, "phase steady has no end on record")
        .recorded(),
        case("the mode has none of the phases of the SLA", world().only(&["warmup"]))
            .sla(ALL)
            .says(Says::Inconclusive, "this run has no such phase"),
        case("one of two generators is killed", World { shards: 2, killed_s: Some(80.0), ..world() })
            .sla(ALL)
            .says(Says::Inconclusive, "phase steady has no end on record"),
    ]
}

fn gaps() -> Vec<Case> {
    let world = World::default;
    vec![
        case("the service cannot be scraped for 40 seconds", World { down: vec![(60.0, 100.0)], ..world() })
            .sla(ALL)
            .says(Says::Inconclusive, "target app/a has no sample from")
            .but(Form::Exported(15), Says::Pass)
            .but(Form::Exported(60), Says::Pass),
        case("nothing is recorded for 40 seconds", World { stalled: vec![(60.0, 100.0)], ..world() })
            .sla(STEADY)
            .says(Says::Inconclusive, "target loadgen/l0 has no sample from")
            .but(Form::Exported(60), Says::Pass),
        case("the export begins half a minute into the phase", World { kept: (52.0, 1000.0), ..world() })
            .sla(STEADY)
            .exported(&[5, 15])
            .says(Says::Inconclusive, "phase steady has no end on record"),
        case("the export ends before the phase does", World { kept: (-5.0, 110.0), ..world() })
            .sla(STEADY)
            .exported(&[5, 15])
            .says(Says::Inconclusive, "phase steady has no end on record"),
        case(
            "the service is scraped only from the middle of the phase on",
            world()
                .without("app")
                .without("process")
                .with("app_requests_total{code=\"200\"} _x80 1000+4x400"),
        )
        .sla(ALL)
        .exported(&[5, 15])
        .says(Says::Inconclusive, "the data of app_requests_total begin"),
        case(
            "the service is scraped only up to the middle of the phase",
            world().without("app").without("process").with("app_requests_total{code=\"200\"} 1000+4x80"),
        )
        .sla(ALL)
        .says(Says::Inconclusive, "the data of app_requests_total end")
        .not(Form::Exported(60)),
        case("a gauge is scraped once in a phase, and its slope is asked for", short())
            .sla(objective("deriv(app_queue_depth[$__range]) < 5"))
            .exported(&[60])
            .says(Says::Inconclusive, ""),
    ]
}

fn short() -> World {
    let mut world = World::default();
    world.phase("steady").span.1 = 60.0;
    world.phase("peak").span = (60.0, 180.0);
    world
}

fn objective(require: &str) -> String {
    format!("sla: o\njudge: {{phases: [steady]}}\nobjectives:\n- name: O\n  require: {require}\n")
}

/// Figures without a value, with the true reason.
fn missing() -> Vec<Case> {
    let world = World::default;
    let classic = || {
        world()
            .with("app_duration_seconds_bucket{le=\"0.5\"} 100+4x500")
            .with("app_duration_seconds_bucket{le=\"+Inf\"} 100+4x500")
    };
    let one = |name, require: &str, sentence| {
        case(name, classic()).sla(objective(require)).says(Says::Inconclusive, sentence).recorded()
    };
    vec![
        one("a metric that the run does not have", "sum(gpu_memory) < 5", "the run has no series of gpu_memory"),
        one(
            "a misspelt metric",
            "sum(rate(app_request_total[$__range])) < 50",
            "the run has no series of app_request_total; did you mean app_requests_total?",
        ),
        one(
            "a label value that no series has",
            "histogram_quantile(0.99, sum(rate(http_client_request_duration_seconds{load_step=\"qery\"}[$__range]))) < 5",
            "no series of http_client_request_duration_seconds has load_step=\"qery\"; there are \"query\"",
        ),
        one(
            "a label that no series has",
            "sum(rate(app_requests_total{status=\"200\"}[$__range])) > 1",
            "no series of app_requests_total has the label status; there are code, instance, job",
        ),
        one(
            "two label values that no series has at once",
            "sum(rate(app_duration_seconds_bucket{le=\"0.5\",instance=\"a\",job=\"loadgen\"}[$__range])) > 1",
            "no series of app_duration_seconds_bucket has job=\"loadgen\"; there are \"app\"",
        ),
        one(
            "a bucket's bound that is no number",
            "sum(rate(app_duration_seconds_bucket{le=\"abc\"}[$__range])) > 1",
            "has le=\"abc\" (the bound of a bucket is a number); there are \"+Inf\", \"0.5\"",
        ),
        one(
            "a native histogram of what is a classic one",
            "histogram_quantile(0.99, sum(rate(app_duration_seconds[$__range]))) < 5",
            "it is a classic histogram here; read app_duration_seconds_bucket by le",
        ),
        one(
            "buckets of what is a native histogram",
            "histogram_quantile(0.99, sum by (le) (rate(http_client_request_duration_seconds_bucket[$__range]))) < 5",
            "http_client_request_duration_seconds is a native histogram here",
        ),
        one(
            "a quantile of floats",
            "histogram_quantile(0.99, sum(rate(app_requests_total[$__range]))) < 5",
            "app_requests_total holds floats, and histogram_quantile(…) asks for a native histogram",
        ),
        one(
            "a figure that is a histogram",
            "sum(rate(http_client_request_duration_seconds[$__range])) < 5",
            "the measured value is a native histogram",
        ),
        one("a quantile above 1", "histogram_quantile(2, sum(rate(http_client_request_duration_seconds[$__range]))) < 5", "PromQL warning: quantile value should be between 0 and 1"),
        one("a division of nothing by nothing", "sum(rate(app_requests_total{code=\"200\"}[$__range])) * 0 / 0 < 5", "the measured value is NaN"),
        one("an expression that filters everything out", "(sum(rate(app_requests_total[$__range])) > 1000) < 5000", "its filters and operators leave none of them"),
        case("floats and histograms under one name", classic().with("app_requests_total{code=\"x\"} {{schema:0 sum:1 count:1 buckets:[1]}}+{{schema:0 sum:1 count:1 buckets:[1]}}x400"))
            .sla(objective("sum(increase(app_requests_total[$__range])) > 1"))
            .says(Says::Inconclusive, "PromQL warning: encountered a mix of histograms and floats")
            .recorded(),
        case("buckets of which one bound is no number", classic().with("app_duration_seconds_bucket{le=\"abc\"} 100+4x500"))
            .sla(objective("histogram_quantile(0.9, sum by (le) (rate(app_duration_seconds_bucket[$__range]))) < 1"))
            .says(Says::Inconclusive, "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"abc\"")
            .recorded(),
        case("a relative limit, and no baseline", world())
            .sla("sla: l\njudge: {phases: [steady]}\nobjectives:\n- {name: Queue, require: 'max(app_queue_depth) < 5', relative: {max: +10%}}\n")
            .says(Says::Inconclusive, "not judged: no baseline is given; give a run or a baseline file with --baseline"),
    ]
}

fn alerts() -> Vec<Case> {
    let world = World::default;
    let critical = |alert: &str| format!("  - {{alert: A, {alert}, labels: {{severity: critical}}}}\n");
    vec![
        case(
            "an alert is pending when the phase ends",
            world().without("app_queue_depth").with("app_queue_depth 2x99 9x45 2x300"),
        )
        .sla(STEADY)
        .rules(&critical("expr: app_queue_depth > 5, for: 1m"))
        .says(Says::Inconclusive, "with no time left to fire"),
        case(
            "an alert that cannot be evaluated",
            world().with("app_queue_depth{shard=\"2\"} 2x400").with("app_limit 5x400"),
        )
        .sla(STEADY)
        .rules(&critical("expr: 'app_limit > on (job) app_queue_depth'"))
        .says(Says::Inconclusive, "of its evaluations failed"),
        case("an alert that must have its metrics, and has none", world())
            .sla(
                STEADY.replace("judge: {phases: [steady]}", "judge: {phases: [steady], require_alerts: [A]}"),
            )
            .rules(&critical("expr: gpu_temperature_celsius > 85"))
            .says(Says::Inconclusive, "judge.require_alerts names this alert"),
        case("an alert on a misspelt metric", world())
            .sla(STEADY)
            .rules(&critical("expr: app_queue_dept > 85"))
            .says(
                Says::Inconclusive,
                "the run has no series of app_queue_dept; did you mean app_queue_depth?",
            ),
        case("no alert applies, and there is no SLA", world())
            .rules(&critical("expr: gpu_temperature_celsius > 85"))
            .says(Says::Inconclusive, "not applicable"),
    ]
}

fn generator() -> Vec<Case> {
    let world = World::default;
    vec![
        case("the generator is late", World { lag_s: 2.0, ..world() })
            .sla(STEADY)
            .says(Says::Inconclusive, "late (p99): the load was not offered as planned"),
        case("the generator drops iterations while the service is idle", World { dropped: 1.0, ..world() })
            .sla(STEADY)
            .says(Says::Inconclusive, "iterations while the target was idle"),
    ]
}
