//! Boot time, context switches, forks, interrupts and process counts from `/proc/stat`.

use assay_model::MetricType::{self, Counter, Gauge};

use super::Collector;
use crate::{Failure, Families, Host, host::number};

/// What `/proc/stat` has beside CPU time.
pub(super) struct Stat;

const LINES: [(&str, &str, MetricType, &str); 6] = [
    ("intr", "node_intr_total", Counter, "Interrupts served."),
    ("ctxt", "node_context_switches_total", Counter, "Context switches."),
    ("processes", "node_forks_total", Counter, "Forks."),
    ("btime", "node_boot_time_seconds", Gauge, "When the host was booted, in seconds since the Unix epoch."),
    ("procs_running", "node_procs_running", Gauge, "Processes that can run."),
    ("procs_blocked", "node_procs_blocked", Gauge, "Processes that wait for I/O."),
];

impl Collector for Stat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("stat");
        let text = crate::host::read(&path)?;
        for line in text.lines() {
            // Interrupts are a long line; its first number is their sum.
            let mut words = line.split_ascii_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
            if let Some((_, name, metric_type, help)) = LINES.iter().find(|(k, ..)| *k == key) {
                out.add(*metric_type, name, help, &[], number(&path, value)?);
            }
        }
        Ok(())
    }
}
