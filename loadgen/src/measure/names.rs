//! The instruments, under both of their names. Invariant: a name here is the one that Prometheus gives the
//! OTLP instrument (dots to underscores, the unit and `_total` appended), so that a series is called the same
//! whichever way it came.

use assay_model::MetricType;

/// One instrument.
#[derive(Debug)]
pub struct Instrument {
    /// OpenTelemetry's name.
    pub otlp: &'static str,
    /// Its unit, in UCUM.
    pub unit: &'static str,
    /// The series' name in Prometheus.
    pub prometheus: &'static str,
    /// What kind of series it makes.
    pub kind: MetricType,
    /// What it says.
    pub help: &'static str,
}

macro_rules! instruments {
    ($($(#[$doc:meta])* $name:ident = $otlp:literal, $unit:literal, $prometheus:literal, $kind:ident, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Instrument = Instrument {
                otlp: $otlp, unit: $unit, prometheus: $prometheus, kind: MetricType::$kind, help: $help,
            };
        )*
        /// All instruments.
        pub const INSTRUMENTS: &[&Instrument] = &[$(&$name),*];
    };
}

instruments! {
    RUN_INFO = "load.run.info", "", "load_run_info", Gauge,
        "The run: its scenario, mode and shard; always 1.";
    RUN_OUTCOME = "load.run.outcome", "", "load_run_outcome", Gauge,
        "How the run stands: 1 for the outcome that holds.";
    PHASE_INFO = "load.phase.info", "", "load_phase_info", Gauge,
        "A planned phase: its executor, and whether it only warms up; always 1.";
    PHASE_PLANNED = "load.phase.planned", "s", "load_phase_planned_seconds", Gauge,
        "How long a phase is meant to be; for executors that count iterations, at most.";
    PHASE_START = "load.phase.start_time", "s", "load_phase_start_time_seconds", Gauge,
        "When a phase began, in Unix time; 0 until then.";
    PHASE_END = "load.phase.end_time", "s", "load_phase_end_time_seconds", Gauge,
        "When a phase ended, in Unix time; 0 until then.";
    PHASE_OUTCOME = "load.phase.outcome", "", "load_phase_outcome", Gauge,
        "How a phase stands: 1 for the outcome that holds.";
    REQUEST_DURATION = "http.client.request.duration", "s", "http_client_request_duration_seconds", Histogram,
        "Time from the first byte sent to the end of the response.";
    REQUEST_LATENCY = "load.request.latency", "s", "load_request_latency_seconds", Histogram,
        "Time from the instant that the schedule intended to the end of the response.";
    REQUEST_MIN = "load.request.duration.min", "s", "load_request_duration_min_seconds", Gauge,
        "The shortest time from the first byte sent to the end of the response, in the phase so far.";
    REQUEST_MAX = "load.request.duration.max", "s", "load_request_duration_max_seconds", Gauge,
        "The longest time from the first byte sent to the end of the response, in the phase so far.";
    REQUEST_PART = "load.request.part", "s", "load_request_part_seconds", Histogram,
        "Time spent in a part of a request: lookup, connecting, tls, sending, waiting, receiving.";
    REQUESTS_GOOD = "load.requests.good", "{request}", "load_requests_good_total", Counter,
        "Requests that succeeded and met all their objectives.";
    REQUEST_RETRIES = "load.request.retries", "{retry}", "load_request_retries_total", Counter,
        "Requests that were sent again after a failure.";
    REQUESTS_INTERRUPTED = "load.requests.interrupted", "{request}", "load_requests_interrupted_total", Counter,
        "Requests that a person's stop cut off; they are in no other figure but for the gaps between their pieces of content.";
    REQUESTS_CANCELLED = "load.requests.cancelled", "{request}", "load_requests_cancelled_total", Counter,
        "Requests that the scenario had their clients cancel; they are in no other figure but for the gaps between their pieces of content.";
    TOKENS_CANCELLED = "load.tokens.cancelled", "{token}", "load_tokens_cancelled_total", Counter,
        "Output tokens that had come of requests when their clients cancelled them; in no other figure.";
    ITERATION_DURATION = "load.iteration.duration", "s", "load_iteration_duration_seconds", Histogram,
        "Time from the instant that an iteration was due to its end, the closing think time left out.";
    ITERATIONS = "load.iterations", "{iteration}", "load_iterations_total", Counter,
        "Iterations that ended, completely or at a failed step.";
    ITERATIONS_DROPPED = "load.iterations.dropped", "{iteration}", "load_iterations_dropped_total", Counter,
        "Iterations that the schedule intended and that never started, because no user was free.";
    USERS = "load.users", "{user}", "load_users", Gauge,
        "Virtual users that are active.";
    RATE_TARGET = "load.rate.target", "{request}/s", "load_rate_target_per_second", Gauge,
        "Iterations each second that the schedule intends.";
    CHECKS = "load.checks", "{check}", "load_checks_total", Counter,
        "Checks applied to responses, by result.";
    SCHEDULE_LAG = "load.schedule.lag", "s", "load_schedule_lag_seconds", Histogram,
        "How much later than due the generator itself started iterations.";
    EXPORT_FAILURES = "load.export.failures", "{export}", "load_export_failures_total", Counter,
        "Exports of measurements that failed after all retries.";
    EXPORT_DELAY = "load.export.delay", "s", "load_export_delay_seconds", Gauge,
        "How long the oldest measurements that a receiver has not taken yet have waited.";
    CPU_TIME = "load.cpu.time", "s", "load_cpu_time_seconds_total", Counter,
        "Processor time of the generator's workers.";
    BYTES_RECEIVED = "load.received", "By", "load_received_bytes_total", Counter,
        "Bytes read from the sockets of requests.";
    BYTES_SENT = "load.sent", "By", "load_sent_bytes_total", Counter,
        "Bytes written to the sockets of requests.";
    GEN_AI_DURATION = "gen_ai.client.operation.duration", "s", "gen_ai_client_operation_duration_seconds",
        Histogram, "Time from the first byte sent to the last content of a generation.";
    GEN_AI_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk", "s",
        "gen_ai_client_operation_time_to_first_chunk_seconds", Histogram,
        "Time from the first byte sent to the first content of a generation.";
    GEN_AI_PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk", "s",
        "gen_ai_client_operation_time_per_output_chunk_seconds", Histogram,
        "Time between consecutive pieces of content of a generation.";
    GEN_AI_PER_TOKEN = "gen_ai.client.operation.time_per_output_token", "s",
        "gen_ai_client_operation_time_per_output_token_seconds", Histogram,
        "Time from the first content to the last of a generation, for each output token after the first.";
    GEN_AI_TOKENS = "gen_ai.client.token.usage", "{token}", "gen_ai_client_token_usage", Histogram,
        "Tokens of a generation, by type: input and output.";
    TOKENS_CACHED = "load.tokens.cached", "{token}", "load_tokens_cached_total", Counter,
        "Input tokens that the server had in a cache; they are among the input tokens.";
    TOKENS_REASONING = "load.tokens.reasoning", "{token}", "load_tokens_reasoning_total", Counter,
        "Output tokens that the server counts as reasoning; they are among the output tokens.";
}

/// What exports, as the scope of metrics and spans, and as the service of their resource.
pub(crate) const EXPORTER: &str = "loadgen";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The attributes of the resource of generator `instance`.
pub(crate) fn resource(instance: &str) -> [(&'static str, &str); 3] {
    [("service.name", EXPORTER), ("service.instance.id", instance), ("service.version", VERSION)]
}

/// Attributes, OpenTelemetry's name and the label's.
pub const ATTRIBUTES: &[(&str, &str)] = &[
    ("load.scenario", "load_scenario"),
    ("load.run", "load_run"),
    ("load.mode", "load_mode"),
    ("load.shard", "load_shard"),
    ("executor", "executor"),
    ("warmup", "warmup"),
    ("outcome", "outcome"),
    ("load.phase", "load_phase"),
    ("load.step", "load_step"),
    ("part", "part"),
    ("check", "check"),
    ("result", "result"),
    ("http.request.method", "http_request_method"),
    ("http.response.status_code", "http_response_status_code"),
    ("error.type", "error_type"),
    ("server.address", "server_address"),
    ("server.port", "server_port"),
    ("gen_ai.operation.name", "gen_ai_operation_name"),
    ("gen_ai.token.type", "gen_ai_token_type"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Prometheus' rules (`storage/remote/otlptranslator`, v3.5): sanitise, append the unit, then `_total`.
    fn translated(i: &Instrument) -> String {
        let mut name = i.otlp.replace('.', "_");
        let unit = match i.unit {
            "s" => "seconds",
            "By" => "bytes",
            "{request}/s" => "per_second",
            _ => "",
        };
        if !unit.is_empty() {
            name = format!("{name}_{unit}");
        }
        if i.kind == MetricType::Counter {
            name.push_str("_total");
        }
        name
    }

    #[test]
    fn names_are_those_that_prometheus_gives_the_instruments() {
        for i in INSTRUMENTS {
            assert_eq!(i.prometheus, translated(i));
        }
        for (attribute, label) in ATTRIBUTES {
            assert_eq!(attribute.replace('.', "_"), *label);
        }
    }
}
