//! The collectors: one kernel facility each, one file each, and the registry that lists them.
//!
//! Invariant: a collector reads through [`Host`] alone, so that it shows what the paths it was given hold;
//! a collector that fails keeps what it had found and never fails the scrape.

mod arp;
mod conntrack;
mod cpu;
mod cpufreq;
mod diskstats;
mod entropy;
mod filefd;
mod filesystem;
mod gpu;
mod hwmon;
mod interrupts;
mod kernel_hung;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod powersupplyclass;
mod pressure;
mod processes;
mod schedstat;
mod selinux;
mod sockstat;
mod softnet;
mod stat;
mod tcpstat;
mod textfile;
mod thermal_zone;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;

use crate::{Failure, Families, Host, Options};

/// Something that can be read at every scrape. Scrapes may overlap: state is guarded by the collector.
pub trait Collector: Send + Sync {
    /// Adds what is there now to `out`.
    ///
    /// # Errors
    /// Where something could not be read; what was added before remains.
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure>;
}

/// A collector that the exporter can have.
pub struct Entry {
    /// As in `--collector.NAME` and `collect[]=NAME`.
    pub name: &'static str,
    /// Whether it runs where nothing was said; node_exporter's choice.
    pub default_on: bool,
    /// What it shows, for `--help`.
    pub about: &'static str,
    /// Makes it.
    pub build: fn(&Options) -> Box<dyn Collector>,
}

const fn on(name: &'static str, about: &'static str, build: fn(&Options) -> Box<dyn Collector>) -> Entry {
    Entry { name, default_on: true, about, build }
}

const fn off(name: &'static str, about: &'static str, build: fn(&Options) -> Box<dyn Collector>) -> Entry {
    Entry { name, default_on: false, about, build }
}

/// All collectors, sorted by name.
pub const REGISTRY: &[Entry] = &[
    on("arp", "ARP entries by device", |o| Box::new(arp::Arp::new(o))),
    on("conntrack", "Connection tracking", |_| Box::new(conntrack::Conntrack)),
    on("cpu", "CPU time by mode, throttling, which CPUs are online", |_| Box::new(cpu::Cpu::default())),
    on("cpufreq", "CPU frequencies", |_| Box::new(cpufreq::Cpufreq)),
    on("diskstats", "Disk I/O", |o| Box::new(diskstats::Diskstats::new(o))),
    on("entropy", "The random number generator's pool", |_| Box::new(entropy::Entropy)),
    on("filefd", "File descriptors in use", |_| Box::new(filefd::Filefd)),
    on("filesystem", "Space and inodes of file systems", |o| Box::new(filesystem::Filesystem::new(o))),
    on("gpu", "NVIDIA GPUs, under dcgm-exporter's names; off by itself where there is no NVML", |o| {
        Box::new(gpu::Gpu::new(o))
    }),
    on("hwmon", "Temperatures, fans, voltages and power", |_| Box::new(hwmon::Hwmon)),
    off("interrupts", "Interrupts by line and CPU", |_| Box::new(interrupts::Interrupts)),
    on("kernel_hung", "Tasks that the kernel found hung", |_| Box::new(kernel_hung::KernelHung)),
    on("loadavg", "Load averages", |_| Box::new(loadavg::Loadavg)),
    on("meminfo", "Memory", |_| Box::new(meminfo::Meminfo)),
    on("netclass", "Network devices' properties", |o| Box::new(netclass::Netclass::new(o))),
    on("netdev", "Network devices' traffic", |o| Box::new(netdev::Netdev::new(o))),
    on("netstat", "Protocols' counters", |o| Box::new(netstat::Netstat::new(o))),
    on("os", "The distribution, from os-release", |_| Box::new(os::Os)),
    on("powersupplyclass", "Batteries and mains", |_| Box::new(powersupplyclass::PowerSupplyClass)),
    on("pressure", "Pressure stall information", |_| Box::new(pressure::Pressure)),
    off("processes", "Processes and threads by state", |_| Box::new(processes::Processes)),
    on("schedstat", "The scheduler's statistics", |_| Box::new(schedstat::Schedstat)),
    on("selinux", "Whether SELinux is enabled", |_| Box::new(selinux::Selinux)),
    on("sockstat", "Sockets in use", |_| Box::new(sockstat::Sockstat)),
    on("softnet", "Packet processing by CPU", |_| Box::new(softnet::Softnet)),
    on("stat", "Boot time, context switches, forks, interrupts, processes", |_| Box::new(stat::Stat)),
    off("tcpstat", "TCP connections by state", |_| Box::new(tcpstat::Tcpstat)),
    on("textfile", "Metrics that other programs leave as files", |o| Box::new(textfile::Textfile::new(o))),
    on("thermal_zone", "Temperatures of zones, and what cools them", |_| Box::new(thermal_zone::ThermalZone)),
    on("time", "The clock, its source and time zone", |_| Box::new(time::Time)),
    on("timex", "How the clock is disciplined", |_| Box::new(timex::Timex)),
    on("udp_queues", "Bytes in UDP queues", |_| Box::new(udp_queues::UdpQueues)),
    on("uname", "The kernel's name and version", |_| Box::new(uname::Uname)),
    on("vmstat", "Paging and out-of-memory kills", |o| Box::new(vmstat::Vmstat::new(o))),
];

/// The registry's entry of that name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.name == name)
}
