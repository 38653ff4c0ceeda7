//! The expressions that several panels share. Invariant: a histogram is read native first, and classic if there is no
//! native one.

/// The matchers of everything that a target exposes.
pub(crate) const TARGET: &str = "job=~\"$job\", instance=~\"$instance\"";
/// The matchers of what loadgen measures of a run.
pub(crate) const RUN: &str = "job=~\"$job\", instance=~\"$instance\", load_scenario=~\"$scenario\", load_run=~\"$run\", load_phase=~\"$phase\"";
/// The matchers of what loadgen measures of a step.
pub(crate) const STEP: &str = "job=~\"$job\", instance=~\"$instance\", load_scenario=~\"$scenario\", load_run=~\"$run\", load_phase=~\"$phase\", load_step=~\"$step\"";
/// Requests that a person's stop did not cut off.
pub(crate) const ENDED: &str = ", error_type!=\"interrupted\"";
/// Requests that failed.
pub(crate) const FAILED: &str = ", error_type!~\"|interrupted\"";

/// Seconds from the first byte sent to the end of the response.
pub(crate) const DURATION: &str = "http_client_request_duration_seconds";

/// A counter's rate, summed by labels.
pub(crate) fn rate(metric: &str, matchers: &str, by: &str) -> String {
    sum(by, &format!("rate({metric}{{{matchers}}}[$__rate_interval])"))
}

/// A gauge, summed by labels.
pub(crate) fn gauge(metric: &str, matchers: &str, by: &str) -> String {
    sum(by, &format!("{metric}{{{matchers}}}"))
}

fn sum(by: &str, of: &str) -> String {
    if by.is_empty() { format!("sum({of})") } else { format!("sum by ({by}) ({of})") }
}

/// A quantile of a histogram over `range`, by labels.
pub(crate) fn quantile_over(q: &str, metric: &str, matchers: &str, by: &str, range: &str) -> String {
    let native = sum(by, &format!("rate({metric}{{{matchers}}}[{range}])"));
    let le = if by.is_empty() { "le".to_owned() } else { format!("{by}, le") };
    let classic = sum(&le, &format!("rate({metric}_bucket{{{matchers}}}[{range}])"));
    format!("histogram_quantile({q}, {native}) or histogram_quantile({q}, {classic})")
}

/// A quantile of a histogram, by labels.
pub(crate) fn quantile(q: &str, metric: &str, matchers: &str, by: &str) -> String {
    quantile_over(q, metric, matchers, by, "$__rate_interval")
}

/// Observations of a histogram over `range`, by labels, each second.
pub(crate) fn observed_over(metric: &str, matchers: &str, by: &str, range: &str) -> String {
    let native = sum(by, &format!("histogram_count(rate({metric}{{{matchers}}}[{range}]))"));
    let classic = sum(by, &format!("rate({metric}_count{{{matchers}}}[{range}])"));
    format!("({native} or {classic})")
}

/// Observations of a histogram, by labels, each second.
pub(crate) fn observed(metric: &str, matchers: &str, by: &str) -> String {
    observed_over(metric, matchers, by, "$__rate_interval")
}

/// What a histogram observed, added up, by labels, each second.
pub(crate) fn total(metric: &str, matchers: &str, by: &str) -> String {
    let native = sum(by, &format!("histogram_sum(rate({metric}{{{matchers}}}[$__rate_interval]))"));
    let classic = sum(by, &format!("rate({metric}_sum{{{matchers}}}[$__rate_interval])"));
    format!("({native} or {classic})")
}

/// Failed requests as a share of all over `range`; 0 if none failed.
pub(crate) fn error_ratio_over(range: &str) -> String {
    let failed = observed_over(DURATION, &format!("{STEP}{FAILED}"), "", range);
    let all = observed_over(DURATION, &format!("{STEP}{ENDED}"), "", range);
    format!("({failed} or 0 * {all}) / {all}")
}

/// The share of processor time that is used, by host. Waiting for a disk is no use.
pub(crate) fn cpu_busy() -> String {
    let of = |more: &str| rate("node_cpu_seconds_total", &format!("{TARGET}{more}"), "instance");
    format!("1 - {} / {}", of(", mode=~\"idle|iowait\""), of(""))
}

/// The share of memory that is used, caches not counted, by host.
pub(crate) fn memory_used() -> String {
    format!("1 - node_memory_MemAvailable_bytes{{{TARGET}}} / node_memory_MemTotal_bytes{{{TARGET}}}")
}
