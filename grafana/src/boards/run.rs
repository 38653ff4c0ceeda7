//! A run as it happens: what was offered, what users get, what the service and the machine do.

use super::{load_variables, row};
use crate::{
    board::{Board, Row},
    model::Dashboard,
    panel::{Spec, graph, heatmap, stat, states, table},
    query::{
        DURATION, ENDED, FAILED, RUN, STEP, TARGET, cpu_busy, error_ratio_over, gauge, memory_used, observed,
        quantile, quantile_over, rate, total,
    },
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-run",
        title: "Assay: a run",
        description: "A load run as it happens: what was offered, what users get, what the machine has left.",
        variables: load_variables(),
        rows: rows(),
    }
    .build()
}

fn rows() -> Vec<Row> {
    vec![
        row("Verdict over the range shown", 6, 4, verdict()),
        row("What users get", 3, 8, users()),
        row("What was offered", 3, 8, offered()),
        row("What failed", 3, 8, failed()),
        row("What the service does", 3, 8, service()),
        row("What the machine has left", 3, 8, machine()),
        row("Is the measurement sound", 3, 7, generator()),
    ]
}

fn steps(more: &str) -> String {
    format!("{STEP}{more}")
}

/// Each against the limit of the shipped SLA for a steady phase.
fn verdict() -> Vec<Spec> {
    vec![
        stat(
            "Query latency p99",
            "s",
            "99 % of requests were answered within this time, from the first byte sent.",
        )
        .query(quantile_over("0.99", DURATION, &steps(ENDED), "", "$__range"), "")
        .below_objective("Query latency p99", 1.0),
        stat("Error rate", "percentunit", "Failed requests as a share of all.")
            .query(error_ratio_over("$__range"), "")
            .below_objective("Error rate", 0.01),
        stat("Availability", "percentunit", "Requests that did not fail, as a share of all.")
            .query(format!("1 - {}", error_ratio_over("$__range")), "")
            .at_least_objective("Availability", 0.01),
        stat("CPU", "percentunit", "The busiest host's processor time in use, now.")
            .query(format!("max({})", cpu_busy()), "")
            .below_objective("Host CPU", 0.01),
        stat("Memory", "percentunit", "The fullest host's memory in use, now.")
            .query(format!("max({})", memory_used()), "")
            .below_objective("Host memory", 0.01),
        stat("Alerts firing", "short", "Alerts of the shipped rules that fire now, without the watchdog.")
            .query("count(ALERTS{alertstate=\"firing\", severity=~\"warning|critical\"}) or vector(0)", "")
            .below(1.0),
    ]
}

fn users() -> Vec<Spec> {
    let latency = "load_request_latency_seconds";
    let three = |spec: Spec, metric: &str, more: &str| {
        ["0.50", "0.95", "0.99"]
            .iter()
            .zip(["p50", "p95", "p99"])
            .fold(spec, |spec, (q, name)| spec.query(quantile(q, metric, &format!("{STEP}{more}"), ""), name))
    };
    vec![
        three(graph("Query latency", "s", "Response time from the first byte sent."), DURATION, ENDED)
            .below_objective("Query latency p99", 1.0),
        three(
            graph("Latency from the schedule", "s", "From the instant that the schedule intended: what users feel."),
            latency,
            ENDED,
        ),
        graph("p99 by step", "s", "The slowest requests of each step, over a minute.")
            .query("load_step:http_client_request_duration_seconds:p99_rate1m{load_scenario=~\"$scenario\", load_step=~\"$step\"}", "{{load_step}}")
            .below_objective("Query latency p99", 1.0),
        heatmap("Latency distribution", "s", "Response times over time; two bands mean two kinds of answer.")
            .query(rate(DURATION, &steps(ENDED), ""), ""),
        graph("Throughput", "reqps", "Requests that ended each second, by step, failed ones too.")
            .query(observed(DURATION, &steps(ENDED), "load_step"), "{{load_step}}"),
        graph("Goodput", "reqps", "Requests each second that succeeded within their own objectives, and all.")
            .query(rate("load_requests_good_total", STEP, ""), "good")
            .query(observed(DURATION, &steps(ENDED), ""), "all"),
        graph("Requests in flight", "short", "On average, by Little's law: the seconds spent in requests each second.")
            .query(total(DURATION, &steps(ENDED), "load_step"), "{{load_step}}"),
        graph("Parts of a request", "s", "The mean time in each part: lookup, connecting, TLS, sending, waiting, receiving.")
            .query(
                format!(
                    "{} / {}",
                    total("load_request_part_seconds", STEP, "part"),
                    observed("load_request_part_seconds", STEP, "part")
                ),
                "{{part}}",
            )
            .stacked(),
        graph("Iterations' duration p95", "s", "From the instant that an iteration was due to its end.")
            .query(quantile("0.95", "load_iteration_duration_seconds", RUN, "load_phase"), "{{load_phase}}"),
    ]
}

fn offered() -> Vec<Spec> {
    vec![
        graph("Offered and achieved", "ops", "Iterations each second: intended, ended, and never begun for want of a user.")
            .query(gauge("load_rate_target_per_second", RUN, ""), "intended")
            .query(rate("load_iterations_total", RUN, ""), "ended")
            .query(rate("load_iterations_dropped_total", RUN, ""), "dropped"),
        graph("Users", "short", "Virtual users that are active, by phase.")
            .query(gauge("load_users", RUN, "load_phase"), "{{load_phase}}"),
        states(
            "Phases",
            "What the plan says of each phase, and how it went.",
            &[(0, "not now", "transparent"), (1, "running", "green")],
        )
        .query(
            "max by (load_phase) (load_phase_outcome{job=~\"$job\", instance=~\"$instance\", load_run=~\"$run\", outcome=\"running\"})",
            "{{load_phase}}",
        ),
    ]
}

fn failed() -> Vec<Spec> {
    vec![
        graph("Error rate", "percentunit", "Failed requests as a share of all, by step, over a minute.")
            .query("load_step:http_client_requests_failed:ratio_rate1m{load_scenario=~\"$scenario\", load_step=~\"$step\"}", "{{load_step}}")
            .below_objective("Error rate", 0.01)
            .share(),
        graph("Errors by class", "reqps", "Failed requests each second, by class and status.")
            .query(
                observed(DURATION, &steps(FAILED), "error_type, http_response_status_code"),
                "{{error_type}} {{http_response_status_code}}",
            ),
        graph("Failures that are certain", "percentunit", "The share of bad events that alerts rest on: a lower bound, from five events on.")
            .query("max by (load_step, sli) (client_requests:events_bad:bound5m{load_scenario=~\"$scenario\", load_step=~\"$step\"})", "{{load_step}} {{sli}}")
            .below_objective("Error rate", 0.01),
        graph("Checks that failed", "percentunit", "Failed checks as a share of all, by check.")
            .query(
                format!(
                    "{} / {}",
                    rate("load_checks_total", &steps(", result=\"fail\""), "check"),
                    rate("load_checks_total", STEP, "check")
                ),
                "{{check}}",
            )
            .below(0.01),
        graph("Requests sent again", "reqps", "Retries each second, by step.")
            .query(rate("load_request_retries_total", STEP, "load_step"), "{{load_step}}"),
        table("Statuses", "short", "Requests of the range shown, by step, status and class of error.").query(
            format!(
                "sum by (load_step, http_response_status_code, error_type) (histogram_count(increase({DURATION}{{{STEP}}}[$__range]))) \
                 or sum by (load_step, http_response_status_code, error_type) (increase({DURATION}_count{{{STEP}}}[$__range]))"
            ),
            "",
        ),
    ]
}

/// The views that people know by these names.
fn service() -> Vec<Spec> {
    let stage = |title, description, stage: &str, objective: &str| {
        let matchers = format!("{TARGET}, stage=\"{stage}\"");
        ["0.50", "0.95", "0.99"]
            .iter()
            .zip(["p50", "p95", "p99"])
            .fold(graph(title, "s", description).below_objective(objective, 1.0), |spec, (q, name)| {
                spec.query(quantile(q, "rag_stage_duration_seconds", &matchers, ""), name)
            })
    };
    vec![
        stage("Embedding latency", "Time to embed a question.", "embed", "Embedding latency p99"),
        stage("Search latency", "Time to find the passages for a question.", "search", "Search latency p99"),
        stage(
            "LLM latency",
            "Time to generate an answer, the wait for a slot included.",
            "generate",
            "LLM latency p99",
        ),
    ]
}

fn machine() -> Vec<Spec> {
    vec![
        graph("CPU", "percentunit", "Processor time in use, by host. Waiting for a disk is no use.")
            .query(cpu_busy(), "{{instance}}")
            .below_objective("Host CPU", 0.01)
            .share(),
        graph("Memory", "percentunit", "Memory in use, caches not counted, by host.")
            .query(memory_used(), "{{instance}}")
            .below_objective("Host memory", 0.01)
            .share(),
        graph(
            "Network",
            "Bps",
            "Bytes received and sent each second, loopback included: a local run has nothing else.",
        )
        .query(rate("node_network_receive_bytes_total", TARGET, "instance"), "{{instance}} received")
        .query(rate("node_network_transmit_bytes_total", TARGET, "instance"), "{{instance}} sent"),
    ]
}

fn generator() -> Vec<Spec> {
    vec![
        graph("Schedule lag p99", "s", "How much later than due the generator itself began iterations; above 100 ms the arrival pattern is not the scenario's.")
            .query(quantile("0.99", "load_schedule_lag_seconds", RUN, ""), "p99")
            .below(0.1),
        graph("The generator's processors", "short", "Processors that the generator uses.")
            .query(rate("load_cpu_time_seconds_total", TARGET, "instance"), "{{instance}}"),
        graph("Bytes", "Bps", "What the generator reads and writes on its connections.")
            .query(rate("load_received_bytes_total", STEP, ""), "read")
            .query(rate("load_sent_bytes_total", STEP, ""), "written"),
        stat("Exports that failed", "short", "Exports of measurements that were lost: what a server shows of this run has holes.")
            .query(format!("sum(increase(load_export_failures_total{{{TARGET}}}[$__range]))"), "")
            .below(1.0),
        graph("Exports that wait", "s", "How long the oldest measurements that a receiver has not taken have waited.")
            .query(format!("max by (instance) (load_export_delay_seconds{{{TARGET}}})"), "{{instance}}"),
        stat("Run", "short", "Whether a run is in progress: 1 while it is.")
            .query("sum(load_run_outcome{job=~\"$job\", instance=~\"$instance\", load_run=~\"$run\", outcome=\"running\"})", ""),
        table("The plan", "s", "Each phase's planned length.")
            .query("max by (load_phase) (load_phase_planned_seconds{job=~\"$job\", instance=~\"$instance\", load_run=~\"$run\"})", ""),
    ]
}
