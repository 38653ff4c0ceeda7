//! Which charts there are. Invariant: every expression reads the names that loadgen, a RAG service,
//! node_exporter or dcgm-exporter emit, and nothing that only recording rules write; histograms are read in whatever form a run has them.

use assay_model::duration;

use crate::histogram::{FAILURES, Histogram, REQUESTS, STAGES};

/// What a line shows.
#[derive(Clone, Copy)]
pub(super) enum Query {
    /// An expression, in which `WINDOW` stands for the rate window.
    Text(&'static str),
    /// A quantile of a histogram.
    Quantile(f64, Histogram<'static>),
    /// How many a histogram observes each second.
    Count(Histogram<'static>),
    /// The same of a part of another: zero where there is only the other.
    CountOf(Histogram<'static>, Histogram<'static>),
    /// By how much a histogram's sum grows each second.
    Sum(Histogram<'static>),
}

impl Query {
    /// The expression over a window of so many milliseconds; `subject` is the matcher that `SUBJECT` stands for.
    pub(super) fn expression(self, window_ms: i64, subject: &str) -> String {
        let (window, seconds) = (duration::format_ms(window_ms), window_ms as f64 / 1e3);
        let text = match self {
            Self::Text(text) => text.to_owned(),
            Self::Quantile(q, histogram) => histogram.quantile(q),
            Self::Count(histogram) => format!("{} / {seconds}", histogram.count()),
            Self::CountOf(part, all) => format!("({} or 0 * {}) / {seconds}", part.count(), all.count()),
            Self::Sum(histogram) => format!("{} / {seconds}", histogram.sum()),
        };
        text.replace("WINDOW", &window).replace("RANGE", &window).replace("SUBJECT", subject)
    }
}

/// A chart to be.
pub(super) struct Plot {
    pub(super) id: &'static str,
    /// `SUBJECT` stands for what the chart is about.
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) note: &'static str,
    /// Whether it is about the step that is asked most.
    pub(super) has_subject: bool,
    /// Legend, with labels in braces, and what is shown.
    pub(super) lines: &'static [(&'static str, Query)],
    /// The metric whose objectives' limits are drawn.
    pub(super) limits_of: Option<&'static str>,
    /// Whether a chart of zeros says something.
    pub(super) keep_zero: bool,
    /// Whether its lines are jobs, of which several may be one process.
    pub(super) by_process: bool,
}

const NONE: Plot = Plot {
    id: "",
    title: "",
    unit: "",
    note: "",
    has_subject: false,
    lines: &[],
    limits_of: None,
    keep_zero: false,
    by_process: false,
};

const OF_SUBJECT: Histogram<'static> =
    Histogram { matchers: "SUBJECT, error_type!=\"interrupted\"", ..REQUESTS };
const LATENCY: Histogram<'static> = Histogram { metric: "load_request_latency_seconds", ..OF_SUBJECT };
const FIRST_CHUNK: Histogram<'static> =
    Histogram { metric: "gen_ai_client_operation_time_to_first_chunk_seconds", matchers: "", by: "" };
const CHUNKS: Histogram<'static> =
    Histogram { metric: "gen_ai_client_operation_time_per_output_chunk_seconds", ..FIRST_CHUNK };
const TOKENS: Histogram<'static> =
    Histogram { metric: "gen_ai_client_token_usage", matchers: "", by: "gen_ai_token_type" };
const LAG: Histogram<'static> = Histogram { metric: "load_schedule_lag_seconds", matchers: "", by: "" };

/// In the order shown.
pub(super) const PLOTS: &[Plot] = &[
    Plot {
        id: "latency",
        title: "Latency of SUBJECT",
        unit: "s",
        note: "From the first byte sent, and from the instant that the schedule asked for; over WINDOW.",
        has_subject: true,
        lines: &[
            ("p50", Query::Quantile(0.5, OF_SUBJECT)),
            ("p95", Query::Quantile(0.95, OF_SUBJECT)),
            ("p99", Query::Quantile(0.99, OF_SUBJECT)),
            ("p99 from the schedule", Query::Quantile(0.99, LATENCY)),
        ],
        limits_of: Some("http_client_request_duration_seconds"),
        ..NONE
    },
    Plot {
        id: "throughput",
        title: "Throughput",
        unit: "/s",
        note: "Requests answered and iterations finished per second, and what was offered.",
        lines: &[
            ("requests", Query::Count(REQUESTS)),
            ("iterations", Query::Text("sum(rate(load_iterations_total[WINDOW]))")),
            ("offered", Query::Text("sum(load_rate_target_per_second) > 0")),
            ("dropped", Query::Text("sum(rate(load_iterations_dropped_total[WINDOW])) > 0")),
        ],
        ..NONE
    },
    Plot {
        id: "errors",
        title: "Failed requests",
        unit: "/s",
        note: "By class of error.",
        lines: &[
            ("{error_type}", Query::Count(Histogram { by: "error_type", ..FAILURES })),
            ("all", Query::CountOf(FAILURES, REQUESTS)),
        ],
        keep_zero: true,
        ..NONE
    },
    Plot {
        id: "users",
        title: "Users and concurrency",
        unit: "",
        note: "Active users, and requests in flight on average (Little's law).",
        lines: &[("users", Query::Text("sum(load_users)")), ("in flight", Query::Sum(REQUESTS))],
        ..NONE
    },
    Plot {
        id: "stages",
        title: "Stage latency p95",
        unit: "s",
        note: "As the service measures its own stages.",
        lines: &[("{stage}", Query::Quantile(0.95, STAGES))],
        limits_of: Some("rag_stage_duration_seconds"),
        ..NONE
    },
    Plot {
        id: "first-token",
        title: "Time to first token",
        unit: "s",
        note: "As the client sees the stream.",
        lines: &[
            ("p50", Query::Quantile(0.5, FIRST_CHUNK)),
            ("p95", Query::Quantile(0.95, FIRST_CHUNK)),
            ("gap between tokens p95", Query::Quantile(0.95, CHUNKS)),
        ],
        limits_of: Some("gen_ai_client_operation_time_to_first_chunk_seconds"),
        ..NONE
    },
    Plot {
        id: "model-queue",
        title: "Model slots",
        unit: "",
        note: "Answers being generated, and those that wait for a slot.",
        lines: &[
            ("active", Query::Text("sum(rag_llm_active)")),
            ("waiting", Query::Text("sum(rag_llm_queued)")),
            ("slots", Query::Text("sum(rag_llm_slots)")),
            ("running {model_name}", Query::Text("sum by (model_name) (vllm:num_requests_running)")),
            ("waiting {model_name}", Query::Text("sum by (model_name) (vllm:num_requests_waiting)")),
        ],
        ..NONE
    },
    Plot {
        id: "tokens",
        title: "Tokens",
        unit: "/s",
        note: "Tokens read and written by the model, per second.",
        lines: &[("{gen_ai_token_type}", Query::Sum(TOKENS))],
        ..NONE
    },
    Plot {
        id: "cpu",
        title: "Processors",
        unit: "percent",
        note: "Busy part of each host's processors.",
        lines: &[(
            "{instance}",
            Query::Text(
                "100 - 100 * sum by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[WINDOW])) / sum by (instance) (rate(node_cpu_seconds_total[WINDOW]))",
            ),
        )],
        limits_of: Some("node_cpu_seconds_total"),
        ..NONE
    },
    Plot {
        id: "processes",
        title: "Processors by process",
        unit: "",
        note: "How many processors each scraped process keeps busy.",
        lines: &[("{job}", Query::Text("sum by (job) (rate(process_cpu_seconds_total[WINDOW]))"))],
        by_process: true,
        ..NONE
    },
    Plot {
        id: "memory",
        title: "Memory",
        unit: "percent",
        note: "Used memory of each host, caches not counted.",
        lines: &[(
            "{instance}",
            Query::Text("100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"),
        )],
        limits_of: Some("node_memory_MemAvailable_bytes"),
        ..NONE
    },
    Plot {
        id: "resident",
        title: "Memory by process",
        unit: "bytes",
        note: "Resident memory of each scraped process.",
        lines: &[("{job}", Query::Text("sum by (job) (process_resident_memory_bytes)"))],
        by_process: true,
        ..NONE
    },
    Plot {
        id: "gpu",
        title: "GPU",
        unit: "percent",
        note: "Busy part and used memory of each GPU.",
        lines: &[
            ("busy {gpu}", Query::Text("DCGM_FI_DEV_GPU_UTIL")),
            (
                "memory {gpu}",
                Query::Text("100 * DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"),
            ),
        ],
        limits_of: Some("DCGM_FI_DEV_FB_USED"),
        keep_zero: true,
        ..NONE
    },
    Plot {
        id: "generator",
        title: "Generator's schedule lag p99",
        unit: "s",
        note: "How late the generator starts what is due: its own health.",
        lines: &[("lag", Query::Quantile(0.99, LAG))],
        ..NONE
    },
    Plot {
        id: "network",
        title: "Network",
        unit: "bytes",
        note: "Received and sent per second, loopback included.",
        lines: &[
            ("received", Query::Text("sum(rate(node_network_receive_bytes_total[WINDOW]))")),
            ("sent", Query::Text("sum(rate(node_network_transmit_bytes_total[WINDOW]))")),
        ],
        ..NONE
    },
];
