//! What the exporter counts of itself, kept by `prometheus-client`.
//!
//! Invariant: a counter is on record at zero before it counts. Names of scrapes served are those of Prometheus' Go
//! client (`promhttp_*`), so that boards for node_exporter find them.

use std::sync::atomic::AtomicU64;

use assay_model::expo::{Dialect, parse_families};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{Families, families::ConflictReason};

type Labels = Vec<(&'static str, String)>;

/// The exporter's own metrics.
pub(crate) struct Own {
    registry: Registry,
    requests: Family<Labels, Counter>,
    in_flight: Gauge,
    late: Family<Labels, Counter>,
    dropped: Family<Labels, Counter>,
    pushes: Family<Labels, Counter>,
    pushed_samples: Counter<u64, AtomicU64>,
}

/// A scrape that is being served.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Own {
    pub(crate) fn new() -> Self {
        let own = Self {
            registry: Registry::default(),
            requests: Family::default(),
            in_flight: Gauge::default(),
            late: Family::default(),
            dropped: Family::default(),
            pushes: Family::default(),
            pushed_samples: Counter::default(),
        };
        for code in ["200", "500", "503"] {
            let _ = own.requests.get_or_create(&vec![("code", code.to_owned())]);
        }
        for reason in [ConflictReason::Duplicate, ConflictReason::Type, ConflictReason::Name] {
            let _ = own.dropped.get_or_create(&vec![("reason", reason.to_string())]);
        }
        own.register()
    }

    fn register(mut self) -> Self {
        let registry = &mut self.registry;
        let help = "Scrapes by HTTP status code";
        registry.register("promhttp_metric_handler_requests", help, self.requests.clone());
        let help = "Scrapes being served";
        registry.register("promhttp_metric_handler_requests_in_flight", help, self.in_flight.clone());
        let help = "Times that a scrape was answered without the collector";
        registry.register("exporter_collector_late", help, self.late.clone());
        let help = "Samples left out because another has their name and labels, or their family another type";
        registry.register("exporter_samples_dropped", help, self.dropped.clone());
        self
    }

    /// With `--push`: the metrics about it.
    pub(crate) fn register_push(&mut self) {
        for result in ["ok", "error"] {
            let _ = self.pushes.get_or_create(&vec![("result", result.to_owned())]);
        }
        let help = "Remote write requests by their result";
        self.registry.register("exporter_push_requests", help, self.pushes.clone());
        let help = "Samples that a server took by remote write";
        self.registry.register("exporter_push_samples", help, self.pushed_samples.clone());
    }

    pub(crate) fn request(&self, code: u16) {
        self.requests.get_or_create(&vec![("code", code.to_string())]).inc();
    }

    /// Counts a scrape as being served until the result is dropped.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn late(&self, collector: &str) {
        self.late.get_or_create(&vec![("collector", collector.to_owned())]).inc();
    }

    pub(crate) fn dropped(&self, reason: ConflictReason) {
        self.dropped.get_or_create(&vec![("reason", reason.to_string())]).inc();
    }

    pub(crate) fn pushed(&self, result: Result<u64, ()>) {
        let text = if result.is_ok() { "ok" } else { "error" };
        self.pushes.get_or_create(&vec![("result", text.to_owned())]).inc();
        self.pushed_samples.inc_by(result.unwrap_or(0));
    }

    pub(crate) fn show(&self, out: &mut Families) {
        let mut text = String::new();
        // Writing to a string cannot fail, and what the client writes is OpenMetrics.
        if encode(&mut text, &self.registry).is_err() {
            return;
        }
        for family in parse_families(&text, Dialect::OpenMetrics).unwrap_or_default() {
            for metric in family.metrics {
                out.push(family.metric_type, &family.name, &family.help, metric);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_there_at_zero_under_its_whole_name() {
        let own = Own::new();
        own.request(200);
        let mut out = Families::new();
        own.show(&mut out);
        let mut text = String::new();
        assay_model::expo::write_text(&mut text, &out.finish());
        for line in [
            "# TYPE promhttp_metric_handler_requests_total counter",
            "promhttp_metric_handler_requests_total{code=\"200\"} 1",
            "promhttp_metric_handler_requests_total{code=\"503\"} 0",
            "promhttp_metric_handler_requests_in_flight 0",
            "exporter_samples_dropped_total{reason=\"duplicate\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
