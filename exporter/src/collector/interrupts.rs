//! `node_interrupts_total` from `/proc/interrupts`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::off("interrupts", "Interrupts by line and CPU", |s| Box::new(Interrupts::new(s))).flags(&[
        Flag::new(
            "collector.interrupts.name-include",
            Kind::Pattern(""),
            "The only lines to show, as TYPE;INFO;DEVICES",
        ),
        Flag::new(
            "collector.interrupts.name-exclude",
            Kind::Pattern(""),
            "Lines to leave out, as TYPE;INFO;DEVICES",
        ),
        Flag::new("collector.interrupts.include-zeros", Kind::Switch(true), "Show counts of zero"),
    ]);

/// Interrupts by line and CPU. Off unless asked for: it has a series for each of both.
struct Interrupts {
    names: Filter,
    has_zeros: bool,
}

impl Interrupts {
    fn new(settings: &Settings) -> Self {
        Self {
            names: settings.filter("collector.interrupts.name"),
            has_zeros: settings.switch("collector.interrupts.include-zeros"),
        }
    }
}

/// The numbers of the CPUs that a table's header names as `CPU0 CPU1 …`.
pub(super) fn cpus(header: Option<&str>) -> Vec<&str> {
    let names = header.unwrap_or_default().split_ascii_whitespace();
    names.map(|cpu| cpu.trim_start_matches("CPU")).collect()
}

impl Collector for Interrupts {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("interrupts")?;
        let mut lines = text.lines();
        let cpus = cpus(lines.next());
        for (kind, rest) in lines.filter_map(|line| line.split_once(':')) {
            let (kind, words) = (kind.trim(), rest.split_ascii_whitespace().collect::<Vec<_>>());
            // ERR and MIS have one number for all CPUs, and no words after it.
            let Some((counts, details)) = words.split_at_checked(cpus.len()).filter(|(_, d)| !d.is_empty())
            else {
                continue;
            };
            // A numbered line names its controller, then its devices.
            let is_numbered = kind.bytes().all(|b| b.is_ascii_digit());
            let (info, devices) = details.split_at(if is_numbered { 1 } else { details.len() });
            let (info, devices) = (info.join(" "), devices.join(" "));
            if !self.names.allows(&format!("{kind};{info};{devices}")) {
                continue;
            }
            for (cpu, count) in cpus.iter().zip(counts) {
                let Ok(count) = count.parse::<f64>() else { continue };
                if count == 0.0 && !self.has_zeros {
                    continue;
                }
                let labels = [("cpu", *cpu), ("type", kind), ("info", &info), ("devices", &devices)];
                out.counter("node_interrupts_total", "Interrupts by line and CPU.", &labels, count);
            }
        }
        Ok(())
    }
}
