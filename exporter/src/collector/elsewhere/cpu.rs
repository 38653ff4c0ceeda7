//! `node_cpu_seconds_total` from the system's own count.

use super::Collector;
use crate::{Failure, Families, Host, sys::cpu_times};

pub(super) struct Cpu;

impl Collector for Cpu {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let times = cpu_times::read().map_err(|cause| Failure::Other(format!("CPU times: {cause}")))?;
        for (cpu, modes) in times.iter().enumerate() {
            let cpu = cpu.to_string();
            for (mode, seconds) in modes {
                let labels = [("cpu", cpu.as_str()), ("mode", mode)];
                let help = "Seconds that the CPUs spent in each mode.";
                out.counter("node_cpu_seconds_total", help, &labels, *seconds);
            }
        }
        Ok(())
    }
}
