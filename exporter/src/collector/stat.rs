//! Boot time, context switches, forks, interrupts and process counts from `/proc/stat`.

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::number,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::on("stat", "Boot time, context switches, forks, interrupts, processes", |s| {
        Box::new(Stat { has_softirqs: s.switch("collector.stat.softirq") })
    })
    .flags(&[Flag::new("collector.stat.softirq", Kind::Switch(false), "Show softirqs by vector")]);

/// What `/proc/stat` has in addition to CPU time.
struct Stat {
    has_softirqs: bool,
}

/// The columns after the sum of the line `softirq` (`include/linux/interrupt.h`).
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

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
        let text = host.read_proc_shared("stat")?;
        for line in text.lines() {
            // Interrupts are a long line; its first number is their sum.
            let mut words = line.split_ascii_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
            if self.has_softirqs && key == "softirq" {
                for (vector, n) in VECTORS.iter().zip(words) {
                    let n = number(&path, n)?;
                    out.counter("node_softirqs_total", "Softirqs by vector.", &[("vector", vector)], n);
                }
            } else if let Some((_, name, metric_type, help)) = LINES.iter().find(|(k, ..)| *k == key) {
                out.add(*metric_type, name, help, &[], number(&path, value)?);
            }
        }
        Ok(())
    }
}
