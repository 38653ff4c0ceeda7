//! `node_interrupts_total` from `/proc/interrupts`.

use super::Collector;
use crate::{Failure, Families, Host};

/// Interrupts by line and CPU. Off unless asked for: it has a series for each of both.
pub(super) struct Interrupts;

impl Collector for Interrupts {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("interrupts")?;
        let mut lines = text.lines();
        let cpus: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(|cpu| cpu.trim_start_matches("CPU"))
            .collect();
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
            for (cpu, count) in cpus.iter().zip(counts) {
                let Ok(count) = count.parse() else { continue };
                let labels = [("cpu", *cpu), ("type", kind), ("info", &info), ("devices", &devices)];
                out.counter("node_interrupts_total", "Interrupts by line and CPU.", &labels, count);
            }
        }
        Ok(())
    }
}
