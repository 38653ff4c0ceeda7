//! macOS and Windows: what `sysinfo` knows of them, under the names that the same facts have on Linux, so that boards and
//! rules work unchanged.
//!
//! Invariant: a counter is the system's own count; nothing is made of percentages. What a system does not give is absent,
//! and `docs/exporter.md` lists what there is.

mod cpu;
mod disks;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use sysinfo::{Networks, System};

use super::{Collector, Entry, Runs};
use crate::{Failure, Families, Host};

/// The collectors but those that need no system's help.
pub(super) const ENTRIES: &[Entry] = &[
    Entry::on("cpu", "CPU time by mode", |_| Box::new(cpu::Cpu)),
    Entry::on("diskstats", "Bytes read and written", |_| Box::new(disks::Traffic)).runs(Runs::Aside),
    Entry::on("filesystem", "Space of file systems", |_| Box::new(disks::Space)).runs(Runs::Aside),
    // Windows has none, and what is made to look like it is no load.
    #[cfg(not(windows))]
    Entry::on("loadavg", "Load averages", |_| Box::new(Load)),
    Entry::on("meminfo", "Memory", |_| Box::new(Memory)),
    Entry::on("netdev", "Network devices' traffic", |_| Box::new(Network::default())),
    Entry::on("time", "The clock, and when the host was booted", |_| Box::new(Time)),
    Entry::on("uname", "The system's name and version", |_| Box::new(Uname)),
];

/// What the system answered.
fn known<T>(answer: Result<T, sysinfo::Error>) -> Result<T, Failure> {
    answer.map_err(|cause| Failure::Other(cause.to_string()))
}

#[cfg(not(windows))]
struct Load;

#[cfg(not(windows))]
impl Collector for Load {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let load = known(System::load_average())?;
        for (name, help, value) in [
            ("node_load1", "Load over a minute.", load.one),
            ("node_load5", "Load over five minutes.", load.five),
            ("node_load15", "Load over fifteen minutes.", load.fifteen),
        ] {
            out.gauge(name, help, &[], value);
        }
        Ok(())
    }
}

struct Memory;

impl Collector for Memory {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut system = known(System::new())?;
        system.refresh_memory();
        for (name, help, bytes) in [
            ("node_memory_MemTotal_bytes", "Memory.", system.total_memory()),
            ("node_memory_MemFree_bytes", "Memory that nothing uses.", system.free_memory()),
            ("node_memory_MemAvailable_bytes", "Memory that programs can have.", system.available_memory()),
            ("node_memory_SwapTotal_bytes", "Swap space.", system.total_swap()),
            ("node_memory_SwapFree_bytes", "Swap space that nothing uses.", system.free_swap()),
        ] {
            out.gauge(name, help, &[], bytes as f64);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Network {
    networks: Mutex<Option<Networks>>,
}

impl Collector for Network {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let networks = match &mut *networks {
            Some(networks) => networks,
            none => none.insert(known(Networks::new())?),
        };
        networks.refresh(true);
        // The order is the names', whatever the system's is.
        for (device, data) in networks.iter().collect::<BTreeMap<_, _>>() {
            let device = device.to_string_lossy();
            let labels = [("device", &*device)];
            for (name, help, value) in [
                ("receive_bytes", "Bytes received.", data.total_received()),
                ("receive_packets", "Packets received.", data.total_packets_received()),
                ("receive_errs", "Receive errors.", data.total_errors_on_received()),
                ("transmit_bytes", "Bytes transmitted.", data.total_transmitted()),
                ("transmit_packets", "Packets transmitted.", data.total_packets_transmitted()),
                ("transmit_errs", "Transmit errors.", data.total_errors_on_transmitted()),
            ] {
                out.counter(&format!("node_network_{name}_total"), help, &labels, value as f64);
            }
            out.gauge("node_network_mtu_bytes", "The largest packet.", &labels, data.mtu() as f64);
        }
        Ok(())
    }
}

struct Time;

impl Collector for Time {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        out.gauge("node_time_seconds", "The host's clock, in seconds since the Unix epoch.", &[], now_s);
        let help = "When the host was booted, in seconds since the Unix epoch.";
        out.gauge("node_boot_time_seconds", help, &[], known(System::boot_time())? as f64);
        Ok(())
    }
}

struct Uname;

impl Collector for Uname {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let (sysname, release) = (known(System::name())?, known(System::kernel_version())?);
        let (version, nodename) = (known(System::long_os_version())?, known(System::host_name())?);
        let labels = [
            ("sysname", sysname.as_str()),
            ("release", &release),
            ("version", &version),
            ("machine", std::env::consts::ARCH),
            ("nodename", &nodename),
        ];
        out.gauge("node_uname_info", "The system's name and version; always 1.", &labels, 1.0);
        Ok(())
    }
}
