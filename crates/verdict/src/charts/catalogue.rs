//! Which charts there are. Invariant: every expression reads the names that loadgen, a RAG service,
//! node_exporter or dcgm-exporter emit, and nothing that only recording rules write.

/// A chart to be: `WINDOW` stands for the rate window, `SUBJECT` for what `subject` found, in expressions for its matcher.
pub(super) struct Plot {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) note: &'static str,
    /// An expression over `RANGE` whose first series' first label names what the chart is about.
    pub(super) subject: Option<&'static str>,
    /// Legend, with labels in braces, and expression.
    pub(super) lines: &'static [(&'static str, &'static str)],
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
    subject: None,
    lines: &[],
    limits_of: None,
    keep_zero: false,
    by_process: false,
};

/// In the order shown.
pub(super) const PLOTS: &[Plot] = &[
    Plot {
        id: "latency",
        title: "Latency of SUBJECT",
        unit: "s",
        note: "From the first byte sent, and from the instant that the schedule asked for; over WINDOW.",
        subject: Some(
            "topk(1, sum by (load_step) (histogram_count(increase(http_client_request_duration_seconds[RANGE]))))",
        ),
        lines: &[
            (
                "p50",
                "histogram_quantile(0.50, sum(rate(http_client_request_duration_seconds{SUBJECT}[WINDOW])))",
            ),
            (
                "p95",
                "histogram_quantile(0.95, sum(rate(http_client_request_duration_seconds{SUBJECT}[WINDOW])))",
            ),
            (
                "p99",
                "histogram_quantile(0.99, sum(rate(http_client_request_duration_seconds{SUBJECT}[WINDOW])))",
            ),
            (
                "p99 from the schedule",
                "histogram_quantile(0.99, sum(rate(load_request_latency_seconds{SUBJECT}[WINDOW])))",
            ),
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
            ("requests", "sum(histogram_count(rate(http_client_request_duration_seconds[WINDOW])))"),
            ("iterations", "sum(rate(load_iterations_total[WINDOW]))"),
            ("offered", "sum(load_rate_target_per_second) > 0"),
            ("dropped", "sum(rate(load_iterations_dropped_total[WINDOW])) > 0"),
        ],
        ..NONE
    },
    Plot {
        id: "errors",
        title: "Failed requests",
        unit: "/s",
        note: "By class of error.",
        lines: &[
            (
                "{error_type}",
                "sum by (error_type) (histogram_count(rate(http_client_request_duration_seconds{error_type!=\"\"}[WINDOW])))",
            ),
            (
                "all",
                "sum(histogram_count(rate(http_client_request_duration_seconds{error_type!=\"\"}[WINDOW]))) or 0 * sum(histogram_count(rate(http_client_request_duration_seconds[WINDOW])))",
            ),
        ],
        keep_zero: true,
        ..NONE
    },
    Plot {
        id: "users",
        title: "Users and concurrency",
        unit: "",
        note: "Active users, and requests in flight on average (Little's law).",
        lines: &[
            ("users", "sum(load_users)"),
            ("in flight", "histogram_sum(sum(rate(http_client_request_duration_seconds[WINDOW])))"),
        ],
        ..NONE
    },
    Plot {
        id: "stages",
        title: "Stage latency p95",
        unit: "s",
        note: "As the service measures its own stages.",
        lines: &[(
            "{stage}",
            "histogram_quantile(0.95, sum by (stage) (rate(rag_stage_duration_seconds[WINDOW])))",
        )],
        limits_of: Some("rag_stage_duration_seconds"),
        ..NONE
    },
    Plot {
        id: "first-token",
        title: "Time to first token",
        unit: "s",
        note: "As the client sees the stream.",
        lines: &[
            (
                "p50",
                "histogram_quantile(0.50, sum(rate(gen_ai_client_operation_time_to_first_chunk_seconds[WINDOW])))",
            ),
            (
                "p95",
                "histogram_quantile(0.95, sum(rate(gen_ai_client_operation_time_to_first_chunk_seconds[WINDOW])))",
            ),
            (
                "gap between tokens p95",
                "histogram_quantile(0.95, sum(rate(gen_ai_client_operation_time_per_output_chunk_seconds[WINDOW])))",
            ),
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
            ("active", "sum(rag_llm_active)"),
            ("waiting", "sum(rag_llm_queued)"),
            ("slots", "sum(rag_llm_slots)"),
            ("running {model_name}", "sum by (model_name) (vllm:num_requests_running)"),
            ("waiting {model_name}", "sum by (model_name) (vllm:num_requests_waiting)"),
        ],
        ..NONE
    },
    Plot {
        id: "tokens",
        title: "Tokens",
        unit: "/s",
        note: "Tokens read and written by the model, per second.",
        lines: &[(
            "{gen_ai_token_type}",
            "sum by (gen_ai_token_type) (histogram_sum(rate(gen_ai_client_token_usage[WINDOW])))",
        )],
        ..NONE
    },
    Plot {
        id: "cpu",
        title: "Processors",
        unit: "percent",
        note: "Busy part of each host's processors.",
        lines: &[(
            "{instance}",
            "100 - 100 * sum by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[WINDOW])) / sum by (instance) (rate(node_cpu_seconds_total[WINDOW]))",
        )],
        limits_of: Some("node_cpu_seconds_total"),
        ..NONE
    },
    Plot {
        id: "processes",
        title: "Processors by process",
        unit: "",
        note: "How many processors each scraped process keeps busy.",
        lines: &[("{job}", "sum by (job) (rate(process_cpu_seconds_total[WINDOW]))")],
        by_process: true,
        ..NONE
    },
    Plot {
        id: "memory",
        title: "Memory",
        unit: "percent",
        note: "Used memory of each host, caches not counted.",
        lines: &[("{instance}", "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)")],
        limits_of: Some("node_memory_MemAvailable_bytes"),
        ..NONE
    },
    Plot {
        id: "resident",
        title: "Memory by process",
        unit: "bytes",
        note: "Resident memory of each scraped process.",
        lines: &[("{job}", "sum by (job) (process_resident_memory_bytes)")],
        by_process: true,
        ..NONE
    },
    Plot {
        id: "gpu",
        title: "GPU",
        unit: "percent",
        note: "Busy part and used memory of each GPU.",
        lines: &[
            ("busy {gpu}", "DCGM_FI_DEV_GPU_UTIL"),
            ("memory {gpu}", "100 * DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"),
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
        lines: &[("lag", "histogram_quantile(0.99, sum(rate(load_schedule_lag_seconds[WINDOW])))")],
        ..NONE
    },
    Plot {
        id: "network",
        title: "Network",
        unit: "bytes",
        note: "Received and sent per second, loopback included.",
        lines: &[
            ("received", "sum(rate(node_network_receive_bytes_total[WINDOW]))"),
            ("sent", "sum(rate(node_network_transmit_bytes_total[WINDOW]))"),
        ],
        ..NONE
    },
];
