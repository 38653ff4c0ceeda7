//! Windows as CSV, ready for a plot. Invariant: one row a window, in the order in which they ran; times are
//! seconds, and what was not measured is empty.

use super::{CapacitySummary, Window};

const COLUMNS: &str = "users,rate_per_s,achieved_per_s,requests_per_s,goodput_per_s,good_ratio,error_ratio,\
dropped_ratio,throughput_ratio,duration_p50_s,duration_p95_s,duration_p99_s,latency_p50_s,latency_p95_s,latency_p99_s,\
latency_p999_s,first_chunk_p50_s,first_chunk_p99_s,output_tokens_per_s,output_tokens_per_s_per_user,held,generator_late,phase";

impl CapacitySummary {
    /// The windows as CSV with a header.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = format!("{COLUMNS}\n");
        for window in &self.windows {
            out.push_str(&row(window));
            out.push('\n');
        }
        out
    }
}

fn row(w: &Window) -> String {
    let maybe = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
    let numbers = [
        w.rate_per_s,
        w.achieved_per_s,
        w.requests_per_s,
        w.goodput_per_s,
        w.good_ratio,
        w.error_ratio,
        w.dropped_ratio,
        w.throughput_ratio,
        w.duration.p50,
        w.duration.p95,
        w.duration.p99,
        w.latency.p50,
        w.latency.p95,
        w.latency.p99,
        w.latency.p999,
    ];
    let mut cells = vec![w.users.map(|n| n.to_string()).unwrap_or_default()];
    cells.extend(numbers.iter().map(ToString::to_string));
    cells.extend([
        maybe(w.first_chunk.map(|p| p.p50)),
        maybe(w.first_chunk.map(|p| p.p99)),
        maybe(w.output_tokens_per_s),
        maybe(w.output_tokens_per_s_per_user),
        w.missed.is_empty().to_string(),
        w.is_generator_late.to_string(),
        w.phase.clone(),
    ]);
    cells.join(",")
}
