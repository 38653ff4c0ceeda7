//! A run as it happens: what users see, what the service does, what the machine has left.
//!
//! Invariant: every expression selects on `$job` and `$instance` and ranges over `$__rate_interval`.

use serde_json::json;

use crate::{
    model::{Annotation, Annotations, Dashboard, DataSource, Link, Panel, Templating, TimeRange, Variable},
    panels::{
        Layout,
        Limit::{Above, Below, None as NoLimit},
        Spec, graph, heatmap, stat,
    },
};

/// The dashboard "Assay: a run".
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "assay-run",
        title: "Assay: a run",
        description: "A load run as it happens: what users see, what the service does, what the machine has left.",
        tags: vec!["assay"],
        timezone: "browser",
        editable: false,
        graph_tooltip: 1,
        time: TimeRange { from: "now-15m", to: "now" },
        refresh: "10s",
        schema_version: 42,
        version: 1,
        links: vec![Link {
            title: "Assay",
            r#type: "dashboards",
            icon: "external link",
            tooltip: "The other dashboards of Assay",
            tags: vec!["assay"],
            as_dropdown: true,
            target_blank: false,
            include_vars: true,
            keep_time: true,
        }],
        annotations: Annotations { list: vec![firing_alerts()] },
        templating: Templating { list: variables() },
        panels: panels(),
    }
}

fn firing_alerts() -> Annotation {
    Annotation {
        name: "Firing alerts",
        datasource: DataSource::selected(),
        enable: true,
        icon_color: "red",
        expr: "ALERTS{alertstate=\"firing\", alertname!=\"Watchdog\"}".to_owned(),
        step: "10s",
        title_format: "{{alertname}}",
        text_format: "{{severity}}",
        tag_keys: "alertname,severity",
    }
}

fn variables() -> Vec<Variable> {
    let query = |name, label, selector: &str, of: &str| Variable {
        r#type: "query",
        name,
        label,
        query: format!("label_values({selector}, {of})"),
        definition: Some(format!("label_values({selector}, {of})")),
        datasource: Some(DataSource::selected()),
        refresh: 2,
        sort: 1,
        multi: true,
        include_all: true,
        all_value: Some(".+"),
        current: Some(json!({"text": ["All"], "value": ["$__all"]})),
    };
    vec![
        Variable {
            r#type: "datasource",
            name: "datasource",
            label: "Data source",
            query: "prometheus".to_owned(),
            definition: None,
            datasource: None,
            refresh: 1,
            sort: 0,
            multi: false,
            include_all: false,
            all_value: None,
            current: None,
        },
        query("job", "Job", "{__name__=~\"up|load_users\"}", "job"),
        query("instance", "Instance", "{__name__=~\"up|load_users\", job=~\"$job\"}", "instance"),
        query("scenario", "Scenario", "load_users{job=~\"$job\"}", "load_scenario"),
        query("step", "Step", "load_requests_good_total{job=~\"$job\"}", "load_step"),
    ]
}

/// The matchers that every target carries.
const TARGET: &str = "job=~\"$job\", instance=~\"$instance\"";
/// The matchers of what loadgen measures of each step.
const STEP: &str =
    "job=~\"$job\", instance=~\"$instance\", load_scenario=~\"$scenario\", load_step=~\"$step\"";
/// The matchers of what loadgen measures of a whole scenario.
const SCENARIO: &str = "job=~\"$job\", instance=~\"$instance\", load_scenario=~\"$scenario\"";

fn quantile(q: &str, metric: &str, matchers: &str) -> String {
    format!("histogram_quantile({q}, sum(rate({metric}{{{matchers}}}[$__rate_interval])))")
}

fn rate(metric: &str, matchers: &str) -> String {
    format!("sum(rate({metric}{{{matchers}}}[$__rate_interval]))")
}

fn requests(more: &str) -> String {
    let metric = "http_client_request_duration_seconds";
    format!("sum(histogram_count(rate({metric}{{{STEP}{more}}}[$__rate_interval])))")
}

/// Requests that failed, as a share of all; 0 where none did.
fn error_ratio() -> String {
    format!("({} or vector(0)) / {}", requests(", error_type!=\"\""), requests(""))
}

fn cpu_ratio() -> String {
    format!(
        "1 - avg by (instance) (sum by (instance, cpu) \
         (rate(node_cpu_seconds_total{{{TARGET}, mode=~\"idle|iowait\"}}[$__rate_interval])))"
    )
}

fn memory_ratio() -> String {
    format!("1 - node_memory_MemAvailable_bytes{{{TARGET}}} / node_memory_MemTotal_bytes{{{TARGET}}}")
}

fn panels() -> Vec<Panel> {
    Layout::default()
        .row("At a glance", 6, 4, &glance())
        .row("What users see", 2, 8, &users())
        .row("What the service does", 3, 8, &service())
        .row("What the machine has left", 2, 8, &machine())
        .row("Is the measurement sound", 3, 7, &generator())
        .alert_list(7)
        .finish()
}

const LATENCY: &str = "http_client_request_duration_seconds";

fn glance() -> Vec<Spec> {
    vec![
        stat(
            "Query latency p99",
            "s",
            Below(5.0),
            "99 % of requests were answered within this time, from the first byte sent.",
            quantile("0.99", LATENCY, STEP),
        ),
        stat("Throughput", "reqps", NoLimit, "Requests completed per second, failed ones too.", requests("")),
        stat("Error rate", "percentunit", Below(0.01), "Failed requests as a share of all.", error_ratio()),
        stat(
            "Users",
            "short",
            NoLimit,
            "Virtual users that are active now.",
            format!("sum(load_users{{{SCENARIO}}})"),
        ),
        stat(
            "CPU",
            "percentunit",
            Below(0.8),
            "The busiest host's CPU time in use.",
            format!("max({})", cpu_ratio()),
        ),
        stat(
            "Memory",
            "percentunit",
            Below(0.8),
            "The fullest host's memory in use.",
            format!("max({})", memory_ratio()),
        ),
    ]
}

fn users() -> Vec<Spec> {
    vec![
        graph(
            "Query latency",
            "s",
            Below(5.0),
            "Response time from the first byte sent, over the steps selected.",
            [
                (quantile("0.50", LATENCY, STEP), "p50"),
                (quantile("0.95", LATENCY, STEP), "p95"),
                (quantile("0.99", LATENCY, STEP), "p99"),
            ],
        ),
        graph(
            "Throughput",
            "reqps",
            NoLimit,
            "Requests completed per second, by step.",
            [(
                format!("sum by (load_step) (histogram_count(rate({LATENCY}{{{STEP}}}[$__rate_interval])))"),
                "{{load_step}}",
            )],
        ),
        graph(
            "Error rate",
            "percentunit",
            Below(0.01),
            "Failed requests as a share of all; a request with no answer counts as failed.",
            [(error_ratio(), "errors")],
        ),
        graph(
            "Availability",
            "percentunit",
            Above(0.99),
            "Requests that succeeded as a share of all.",
            [(format!("1 - {}", error_ratio()), "available")],
        ),
        heatmap(
            "Latency distribution",
            "Response times over time; two bands mean two kinds of answer.",
            rate(LATENCY, STEP),
        ),
        graph(
            "Users",
            "short",
            NoLimit,
            "Virtual users active, by phase.",
            [(format!("sum by (load_phase) (load_users{{{SCENARIO}}})"), "{{load_phase}}")],
        ),
    ]
}

fn stage(q: &str, stage: &str) -> String {
    quantile(q, "rag_stage_duration_seconds", &format!("{TARGET}, stage=\"{stage}\""))
}

fn service() -> Vec<Spec> {
    vec![
        graph(
            "Embedding latency",
            "s",
            NoLimit,
            "Time to embed a question.",
            [
                (stage("0.50", "embed"), "p50"),
                (stage("0.95", "embed"), "p95"),
                (stage("0.99", "embed"), "p99"),
            ],
        ),
        graph(
            "Search latency",
            "s",
            NoLimit,
            "Time to find the passages for a question.",
            [
                (stage("0.50", "search"), "p50"),
                (stage("0.95", "search"), "p95"),
                (stage("0.99", "search"), "p99"),
            ],
        ),
        graph(
            "LLM latency",
            "s",
            NoLimit,
            "Time to generate an answer, the wait for a slot included.",
            [
                (stage("0.50", "generate"), "p50"),
                (stage("0.95", "generate"), "p95"),
                (stage("0.99", "generate"), "p99"),
            ],
        ),
        graph(
            "Time to first token",
            "s",
            NoLimit,
            "From the first byte sent to the first chunk of a streamed answer.",
            [
                (quantile("0.50", "gen_ai_client_operation_time_to_first_chunk_seconds", SCENARIO), "p50"),
                (quantile("0.95", "gen_ai_client_operation_time_to_first_chunk_seconds", SCENARIO), "p95"),
            ],
        ),
        graph(
            "Time per output token",
            "s",
            NoLimit,
            "The gap between the chunks of a streamed answer.",
            [
                (quantile("0.50", "gen_ai_client_operation_time_per_output_chunk_seconds", SCENARIO), "p50"),
                (quantile("0.95", "gen_ai_client_operation_time_per_output_chunk_seconds", SCENARIO), "p95"),
            ],
        ),
        graph(
            "Queries in the service",
            "short",
            NoLimit,
            "Answers being generated, and queries waiting for a slot.",
            [
                (format!("sum(rag_llm_active{{{TARGET}}})"), "generating"),
                (format!("sum(rag_llm_queued{{{TARGET}}})"), "waiting"),
            ],
        ),
    ]
}

fn machine() -> Vec<Spec> {
    vec![
        graph("CPU", "percentunit", Below(0.8), "CPU time in use, by host.", [(cpu_ratio(), "{{instance}}")]),
        graph(
            "Memory",
            "percentunit",
            Below(0.8),
            "Memory in use, by host.",
            [(memory_ratio(), "{{instance}}")],
        ),
        graph(
            "Network",
            "Bps",
            NoLimit,
            "Bytes received and sent per second, loopback included: a local run has nothing else.",
            [
                (rate("node_network_receive_bytes_total", TARGET), "received"),
                (rate("node_network_transmit_bytes_total", TARGET), "sent"),
            ],
        ),
        graph(
            "Load",
            "short",
            NoLimit,
            "Processes that run or wait to, averaged over one minute.",
            [(format!("node_load1{{{TARGET}}}"), "{{instance}}")],
        ),
    ]
}

fn generator() -> Vec<Spec> {
    vec![
        graph(
            "Schedule lag p99",
            "s",
            Below(0.01),
            "How late requests left against the schedule; much of it means that the generator was the bottleneck.",
            [(quantile("0.99", "load_schedule_lag_seconds", SCENARIO), "p99")],
        ),
        graph(
            "Iterations",
            "ops",
            NoLimit,
            "Iterations completed per second, and those dropped for want of a free user.",
            [
                (rate("load_iterations_total", SCENARIO), "completed"),
                (rate("load_iterations_dropped_total", SCENARIO), "dropped"),
            ],
        ),
        graph(
            "Checks failed",
            "percentunit",
            Below(0.01),
            "Failed checks as a share of all.",
            [(
                format!(
                    "({} or vector(0)) / {}",
                    rate("load_checks_total", &format!("{SCENARIO}, result=\"fail\"")),
                    rate("load_checks_total", SCENARIO),
                ),
                "failed",
            )],
        ),
    ]
}
