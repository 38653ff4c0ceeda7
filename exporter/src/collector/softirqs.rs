//! `node_softirqs_functions_total` from `/proc/softirqs`.

use super::{Collector, Entry, interrupts::cpus};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("softirqs", "Softirqs by type and CPU", |_| Box::new(Softirqs));

/// Softirqs. Off by default: there is a series for each of ten types and each CPU.
struct Softirqs;

impl Collector for Softirqs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("softirqs")?;
        let mut lines = text.lines();
        let cpus = cpus(lines.next());
        for (kind, counts) in lines.filter_map(|line| line.split_once(':')) {
            for (cpu, count) in cpus.iter().zip(counts.split_ascii_whitespace()) {
                let Ok(count) = count.parse() else { continue };
                let labels = [("cpu", *cpu), ("type", kind.trim())];
                out.counter("node_softirqs_functions_total", "Softirqs by type and CPU.", &labels, count);
            }
        }
        Ok(())
    }
}
