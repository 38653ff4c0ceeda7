//! The boards. One a file; [`all`] lists them.

mod gpu;
mod host;
mod llm;
mod rules;
mod run;
mod stages;

use crate::{
    board::{Row, variable},
    model::{Dashboard, Variable},
    panel::Spec,
    query::quantile,
};

/// The objectives of the SLA whose limits boards draw.
#[cfg(test)]
pub(crate) const OBJECTIVES: [&str; 9] = [
    "Query latency p99",
    "Error rate",
    "Availability",
    "Embedding latency p99",
    "Search latency p99",
    "LLM latency p99",
    "API latency p99",
    "Host CPU",
    "Host memory",
];

/// Every board.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    vec![run::board(), llm::board(), stages::board(), host::board(), gpu::board(), rules::board()]
}

fn row(title: &'static str, per_line: u32, height: u32, panels: Vec<Spec>) -> Row {
    Row { title, per_line, height, panels }
}

/// Adds the median, the 95th and the 99th percentile of a histogram.
fn quantiles(spec: Spec, metric: &str, matchers: &str) -> Spec {
    ["0.50", "0.95", "0.99"]
        .iter()
        .zip(["p50", "p95", "p99"])
        .fold(spec, |spec, (q, name)| spec.query(quantile(q, metric, matchers, ""), name))
}

/// The variables of what a load generator measures.
fn load_variables() -> Vec<Variable> {
    let mut run = variable("run", "Run", "load_users{job=~\"$job\"}", "load_run");
    // Runs that were recorded before they had an id are shown, too.
    run.all_value = Some(".*");
    vec![
        variable("scenario", "Scenario", "load_users{job=~\"$job\"}", "load_scenario"),
        run,
        variable("phase", "Phase", "load_users{job=~\"$job\"}", "load_phase"),
        variable("step", "Step", "load_requests_good_total{job=~\"$job\"}", "load_step"),
    ]
}
