//! A verdict for the tests of the reports: two phases, three rows, one alert.

use assay_run::{PhaseOutcome, failures::Failure};

use crate::charts::{Chart, Charts, Heat, Line, Trend};
use crate::findings::{Action, Confidence, Evidence, Finding, Severity};
use crate::history::{ChangePoint, Direction, Group, GroupRun, History, Point, Series};
use crate::scaling::{Axis, Carried, Knee, Level, Scaling};
use crate::tables::{CheckCount, EnergyRow, ErrorCount, Spread, StageRow, StepRow, Tables};
use crate::verdict::{
    AlertInstance, AlertRow, FORMAT_VERSION, ObjectiveRow, PhaseInfo, PhaseSource, RunInfo, SlaInfo, Status,
    Tool, Verdict, Window,
};

const T0_MS: i64 = 1_700_000_000_000;

/// A settled verdict with this status.
pub fn verdict(status: Status) -> Verdict {
    let failed = status == Status::Fail;
    let phase = |name: &str, start_s: i64, end_s: i64, warmup| PhaseInfo {
        name: name.to_owned(),
        start_ms: T0_MS + start_s * 1000,
        end_ms: T0_MS + end_s * 1000,
        warmup,
        outcome: PhaseOutcome::Finished,
        planned_ms: None,
    };
    let mut latency = row("Query latency p99", "latency", "s", if failed { 6.2 } else { 1.2 }, "<", 5.0);
    if failed {
        latency.status = Status::Fail;
        latency.reason = "measured 6.2 s, required < 5 s".to_owned();
        latency.advice = vec!["See which stage dominates.".to_owned()];
    }
    let errors = row("Error rate", "errors", "percent", 0.2, "<", 1.0);
    let mut gpu = row("GPU memory", "resources", "percent", 0.0, "<", 80.0);
    gpu.status = Status::Skipped;
    gpu.value = None;
    gpu.reason = "the run has no series of DCGM_FI_DEV_FB_USED".to_owned();
    let mut verdict = Verdict {
        format_version: FORMAT_VERSION,
        status,
        summary: String::new(),
        run: RunInfo {
            source: "runs/clinical-rag".to_owned(),
            scenario: Some("clinical-rag".to_owned()),
            start_ms: T0_MS,
            end_ms: T0_MS + 70_000,
            cut_short_ms: None,
            phases: vec![phase("warmup", 0, 10, true), phase("steady", 10, 70, false)],
            phases_from: PhaseSource::Plan,
            manifest: serde_json::json!({"seed": 7}),
            ..RunInfo::default()
        },
        slas: vec![SlaInfo {
            name: "clinical-rag".to_owned(),
            file: "sla.yml".to_owned(),
            fail_on_alerts: vec!["critical".to_owned()],
        }],
        windows: vec![Window {
            phase: Some("steady".to_owned()),
            start_ms: T0_MS + 10_000,
            end_ms: T0_MS + 70_000,
            incomplete: None,
        }],
        objectives: vec![latency, errors, gpu],
        alerts: vec![alert(failed)],
        problems: Vec::new(),
        findings: if failed { vec![finding()] } else { Vec::new() },
        tables: tables(),
        scaling: scaling(),
        failures: if failed { vec![failure()] } else { Vec::new() },
        baseline: None,
        notes: Vec::new(),
        tool: Tool {
            name: "ruleseval".to_owned(),
            version: "0.1.0".to_owned(),
            command: "ruleseval eval runs/clinical-rag --sla sla.yml".to_owned(),
        },
    };
    verdict.settle();
    verdict
}

fn row(name: &str, category: &str, unit: &str, value: f64, comparison: &str, limit: f64) -> ObjectiveRow {
    ObjectiveRow {
        sla: "clinical-rag".to_owned(),
        name: name.to_owned(),
        category: category.to_owned(),
        unit: unit.to_owned(),
        phase: Some("steady".to_owned()),
        labels: Vec::new(),
        named_by: Vec::new(),
        status: Status::Pass,
        value: Some(value),
        base: None,
        raw: Some(value),
        added: Vec::new(),
        notes: Vec::new(),
        comparison: comparison.to_owned(),
        limit: Some(limit),
        reason: String::new(),
        advice: Vec::new(),
        budget: None,
        expression: format!("m {comparison} {limit}"),
        measure: "m".to_owned(),
        at_ms: T0_MS + 70_000,
        description: String::new(),
        defined_at: "sla.yml:4".to_owned(),
    }
}

fn finding() -> Finding {
    Finding {
        id: "B001".to_owned(),
        name: "stage-slow".to_owned(),
        subject: "generate".to_owned(),
        title: "The stage generate takes 2.5 times as long as at the start of the phase".to_owned(),
        severity: Severity::Critical,
        confidence: Confidence::High,
        window: Window {
            phase: Some("steady".to_owned()),
            start_ms: T0_MS + 10_000,
            end_ms: T0_MS + 70_000,
            incomplete: None,
        },
        span_ms: Some((T0_MS + 40_000, T0_MS + 70_000)),
        evidence: vec![Evidence {
            what: "time of the stage, against at the start of the phase".to_owned(),
            expression: "m".to_owned(),
            before: Some(2.0),
            after: 5.0,
            unit: "s".to_owned(),
        }],
        against: "A stage before it that hands over more at once.".to_owned(),
        action: Some(Action {
            text: "Limit the answer's length.".to_owned(),
            saves: Some(0.559),
            gain: "about 55.9 % of the time of a query".to_owned(),
            how: "Amdahl's law".to_owned(),
        }),
    }
}

fn tables() -> Tables {
    let phase = Some("steady".to_owned());
    let spread = |p50: f64| Spread {
        mean: p50 * 1.5,
        least: p50 / 4.0,
        p50,
        p90: p50 * 2.0,
        p95: p50 * 3.0,
        p99: p50 * 4.0,
        p999: p50 * 5.0,
        greatest: p50 * 6.0,
    };
    let step = |step: &str, requests: f64, failed: f64, p50: f64| StepRow {
        phase: phase.clone(),
        warmup: false,
        step: step.to_owned(),
        requests,
        failed,
        good: Some(requests - failed),
        per_second: requests / 60.0,
        errors: vec![ErrorCount {
            class: "503".to_owned(),
            requests: failed,
            span_ms: Some((T0_MS + 40_000, T0_MS + 42_000)),
        }]
        .into_iter()
        .filter(|e| e.requests > 0.0)
        .collect(),
        checks: vec![CheckCount { check: "answer".to_owned(), passed: requests - failed, failed }],
        duration: Some(spread(p50)),
        latency: Some(spread(p50)),
        first_chunk: None,
        output_chunk: None,
        input_tokens: None,
        output_tokens: None,
    };
    let query = StepRow {
        first_chunk: Some(spread(0.25)),
        output_chunk: Some(spread(0.0625)),
        input_tokens: Some(36_000.0),
        output_tokens: Some(18_000.0),
        ..step("query", 180.0, 3.0, 1.25)
    };
    let stage = |stage: &str, share: f64, p50: f64| StageRow {
        phase: phase.clone(),
        warmup: false,
        stage: stage.to_owned(),
        runs: 180.0,
        share,
        duration: spread(p50),
    };
    Tables {
        steps: vec![query, step("login", 12.0, 0.0, 0.03125)],
        stages: vec![stage("generate", 0.75, 1.0), stage("search", 0.25, 0.25)],
        energy: vec![EnergyRow {
            phase: phase.clone(),
            warmup: false,
            what: "GPU".to_owned(),
            joules: 21_000.0,
            per_request: Some(109.0),
            per_output_token: Some(1.2),
        }],
    }
}

fn failure() -> Failure {
    Failure {
        at_ms: T0_MS + 41_000,
        phase: "steady".to_owned(),
        step: "query".to_owned(),
        class: "503".to_owned(),
        status: Some(503),
        message: "unexpected status 503".to_owned(),
        body: "{\"error\": \"overloaded\"}".to_owned(),
    }
}

fn scaling() -> Scaling {
    let level = |load: f64, mean_s: f64, held: bool, strain: f64| Level {
        phase: format!("at {load} users"),
        is_part: false,
        start_ms: T0_MS,
        end_ms: T0_MS + 60_000,
        load,
        requests_per_s: load.min(20.0) * 2.0,
        good_per_s: Some(if held { load * 2.0 } else { 10.0 }),
        failed_ratio: 0.0,
        mean_s,
        p50_s: mean_s,
        p99_s: mean_s * 4.0,
        held: Some(held),
        strain: Some(strain),
        strained_by: "Query latency p99".to_owned(),
    };
    Scaling {
        axis: Axis::Users,
        instances: Some(1.0),
        levels: vec![
            level(5.0, 0.5, true, 0.3),
            level(10.0, 0.5, true, 0.3),
            level(20.0, 0.5625, true, 0.5),
            level(40.0, 2.0, false, 1.2),
        ],
        knee: Some(Knee { load: 21.0, interval: (20.0, 24.0), confidence: Confidence::Medium }),
        carried: Some(Carried {
            held: Some(20.0),
            held_requests_per_s: Some(40.0),
            missed: Some(40.0),
            estimate: Some(36.0),
            levels: (1, 1),
            limited_by: "Query latency p99".to_owned(),
            confidence: Confidence::Medium,
        }),
        unknown: Vec::new(),
    }
}

fn alert(fired: bool) -> AlertRow {
    let instance = AlertInstance {
        labels: vec![("alertname".to_owned(), "QueryLatencyP99High".to_owned())],
        annotations: vec![("summary".to_owned(), "Query p99 is 6.2s (limit 5s)".to_owned())],
        active_at_ms: T0_MS + 20_000,
        fired_at_ms: Some(T0_MS + 30_000),
        ended_at_ms: None,
        value: 6.2,
        worst_at_ms: Some(T0_MS + 40_000),
        phases: vec!["steady".to_owned()],
    };
    AlertRow {
        name: "QueryLatencyP99High".to_owned(),
        group: "assay-latency".to_owned(),
        defined_at: "latency.yml:6".to_owned(),
        severity: "critical".to_owned(),
        counts: true,
        status: if fired { Status::Fail } else { Status::Pass },
        reason: if fired { "fired in steady".to_owned() } else { String::new() },
        windows: Vec::new(),
        expression: "m > 5".to_owned(),
        for_ms: 30_000,
        instances: if fired { vec![instance] } else { Vec::new() },
    }
}

/// Charts that fit [`verdict`].
pub fn charts() -> Charts {
    let wave = |level: f64, height: f64| {
        (0..70_i64)
            .map(|s| (T0_MS + s * 1000, level + height * (s as f64 / 9.0).sin().abs()))
            .collect::<Vec<_>>()
    };
    let line = |name: &str, level, height| Line { name: name.to_owned(), points: wave(level, height) };
    let chart = |id: &str, title: &str, unit: &str, lines: Vec<Line>| Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        note: "A remark.".to_owned(),
        lines,
        limits: Vec::new(),
    };
    let mut latency = chart(
        "latency",
        "Latency of query",
        "s",
        vec![line("p50", 1.0, 0.4), line("p95", 2.5, 1.0), line("p99", 4.0, 2.2)],
    );
    latency.limits = vec![(5.0, "Query latency p99".to_owned())];
    let verdict = verdict(Status::Fail);
    Charts {
        plots: vec![
            latency,
            chart("throughput", "Throughput", "/s", vec![line("requests", 3.0, 2.0)]),
            chart("errors", "Failed requests", "/s", vec![line("all", 0.0, 0.0)]),
            chart(
                "resident",
                "Memory by process",
                "bytes",
                vec![line("demo", 2e8, 9e7), line("exporter", 1e7, 0.0)],
            ),
        ],
        trends: vec![Trend::new(&verdict.objectives[0], wave(4.0, 2.2))],
        heat: Some(Heat {
            step: "query".to_owned(),
            bounds: (0..=8).map(|i| 0.25 * f64::from(1 << i)).collect(),
            width_ms: 7_000,
            columns: (1..=10)
                .map(|i| (T0_MS + i * 7_000, (0..8).map(|row| ((row + i) % 5) as f64).collect()))
                .collect(),
            phases: vec![("steady".to_owned(), vec![2.0, 40.0, 80.0, 30.0, 12.0, 8.0, 5.0, 3.0])],
        }),
    }
}

/// A history of forty runs, of which one objective got worse with the thirtieth.
pub fn history() -> History {
    let runs = (0..40).map(|i| GroupRun {
        name: format!("run-{i}"),
        start_ms: T0_MS + i * 86_400_000,
        status: Some(Status::Pass),
        revision: Some("0123abcd".to_owned()),
        file: None,
        differs: if i == 30 { vec!["the runs are of other processors".to_owned()] } else { Vec::new() },
    });
    let series = |name: &str, step: f64, changes: Vec<ChangePoint>| Series {
        sla: "clinical-rag".to_owned(),
        name: name.to_owned(),
        unit: "s".to_owned(),
        phase: Some("steady".to_owned()),
        labels: Vec::new(),
        comparison: "<".to_owned(),
        limit: Some(1.1),
        points: (0..40_usize)
            .map(|run| Point {
                run,
                value: 1.0 + if run >= 30 { step } else { 0.0 } + 0.01 * (run % 3) as f64,
            })
            .collect(),
        changes,
        note: String::new(),
    };
    let worse = ChangePoint { run: 30, before: 1.0, after: 1.1, p: 0.002, direction: Direction::Worse };
    History {
        source: "runs".to_owned(),
        groups: vec![Group {
            scenario: "clinical-rag".to_owned(),
            mode: "all".to_owned(),
            runs: runs.collect(),
            series: vec![series("<b>p99", 0.1, vec![worse]), series("p50", 0.0, Vec::new())],
        }],
        notes: vec!["a note".to_owned()],
    }
}
