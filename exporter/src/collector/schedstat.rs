//! `node_schedstat_*` from `/proc/schedstat`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("schedstat", "The scheduler's statistics", |_| Box::new(Schedstat));

/// What the scheduler did on each CPU.
pub(super) struct Schedstat;

const NS_PER_S: f64 = 1e9;

impl Collector for Schedstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("schedstat")?;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let cpu = words.next().and_then(|word| word.strip_prefix("cpu"));
            let Some(cpu) = cpu.filter(|n| n.parse::<u32>().is_ok()) else { continue };
            // Columns 7 to 9 (kernel `Documentation/scheduler/sched-stats.rst`).
            let numbers: Vec<f64> = words.filter_map(|w| w.parse().ok()).collect();
            let [.., running_ns, waiting_ns, timeslices] = numbers.as_slice() else { continue };
            let labels = [("cpu", cpu)];
            let help = "Seconds in which tasks ran.";
            out.counter("node_schedstat_running_seconds_total", help, &labels, running_ns / NS_PER_S);
            let help = "Seconds in which tasks waited to run, summed over tasks.";
            out.counter("node_schedstat_waiting_seconds_total", help, &labels, waiting_ns / NS_PER_S);
            out.counter("node_schedstat_timeslices_total", "Timeslices run.", &labels, *timeslices);
        }
        Ok(())
    }
}
