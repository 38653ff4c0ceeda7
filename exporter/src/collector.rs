//! The collectors: one kernel facility each, one file each, and the registry that lists them.
//!
//! A new collector is a file with an [`Entry`] and a word in the list below. Invariant: a collector reads through
//! [`Host`] alone, so that it shows what the paths it was given hold; a collector that fails keeps what it had found
//! and never fails the scrape.

#[cfg(any(not(target_os = "linux"), test))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod fields;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(not(target_os = "linux"))]
mod textfile;

use crate::{Failure, Families, Host, Settings, settings::Flag};

/// Something that can be read at every scrape. Scrapes may overlap: state is guarded by the collector.
pub trait Collector: Send + Sync {
    /// Adds what is there now to `out`.
    ///
    /// # Errors
    /// Where something could not be read; what was added before remains.
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure>;

    /// Starts what takes a while on its own, of a collector that runs [`Runs::Last`]; what comes back does the rest of
    /// [`collect`](Self::collect). In between the other collectors run.
    fn begin(&self, _host: &Host) -> Begun<'_> {
        Box::new(|host, out| self.collect(host, out))
    }

    /// Whether [`collect`](Self::collect) may hang now, of a collector that [`Runs::Aside`]. Where there is nothing to
    /// wait for, such as on a host without sensors, no thread is woken. The question itself must not hang.
    fn may_hang(&self, _host: &Host) -> bool {
        true
    }
}

/// The rest of a collection that has begun.
pub type Begun<'a> = Box<dyn FnOnce(&Host, &mut Families) -> Result<(), Failure> + 'a>;

/// A collector that the exporter can have.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As in `--collector.NAME` and `collect[]=NAME`.
    pub name: &'static str,
    /// Whether it runs by default; node_exporter's choice.
    pub default_on: bool,
    /// What it shows, for `--help`.
    pub about: &'static str,
    /// Its own switches.
    pub flags: &'static [Flag],
    /// Where it runs.
    pub runs: Runs,
    /// What is wrong with the values of its switches, where they name files, a problem a line.
    pub check: fn(&Settings) -> Result<(), String>,
    /// Makes it.
    pub build: fn(&Settings) -> Box<dyn Collector>,
}

/// Where a collector runs. The order is that in which results are put together: of two equal series the first stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runs {
    /// In the thread that scrapes: it reads the kernel's memory and cannot hang.
    Here,
    /// There too, after the others, because it may wait until the deadline, of which it takes care itself.
    Last,
    /// In a thread of its own, because it may hang.
    Aside,
}

impl Entry {
    const fn on(name: &'static str, about: &'static str, build: fn(&Settings) -> Box<dyn Collector>) -> Self {
        Self { name, default_on: true, about, flags: &[], runs: Runs::Here, check: |_| Ok(()), build }
    }

    #[cfg(target_os = "linux")]
    const fn off(
        name: &'static str,
        about: &'static str,
        build: fn(&Settings) -> Box<dyn Collector>,
    ) -> Self {
        Self { default_on: false, ..Self::on(name, about, build) }
    }

    const fn flags(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }

    #[cfg(target_os = "linux")]
    const fn check(self, check: fn(&Settings) -> Result<(), String>) -> Self {
        Self { check, ..self }
    }

    const fn runs(self, runs: Runs) -> Self {
        Self { runs, ..self }
    }
}

macro_rules! collectors {
    ($($name:ident),* $(,)?) => {
        $(#[cfg(target_os = "linux")] mod $name;)*

        /// All collectors, sorted by name; textfile is last, so that what a file says cannot replace the host's own.
        #[cfg(target_os = "linux")]
        pub const REGISTRY: &[Entry] = &[$($name::ENTRY),*];

        /// The collectors of Linux.
        const LINUX: &[&str] = &[$(stringify!($name)),*];
    };
}

collectors!(
    arp,
    bcache,
    bcachefs,
    bonding,
    btrfs,
    buddyinfo,
    cgroups,
    conntrack,
    containers,
    cpu,
    cpu_vulnerabilities,
    cpufreq,
    diskstats,
    dmi,
    drm,
    edac,
    entropy,
    ethtool,
    fibrechannel,
    filefd,
    filesystem,
    gpu,
    groups,
    hwmon,
    infiniband,
    interrupts,
    ipvs,
    kernel_hung,
    ksmd,
    lnstat,
    loadavg,
    mdadm,
    meminfo,
    meminfo_numa,
    mountstats,
    netclass,
    netdev,
    netstat,
    nfs,
    nfsd,
    nvme,
    os,
    powersupplyclass,
    pressure,
    processes,
    rapl,
    schedstat,
    selinux,
    slabinfo,
    sockstat,
    softirqs,
    softnet,
    stat,
    swap,
    sysctl,
    systemd,
    tapestats,
    tcpstat,
    thermal_zone,
    time,
    timex,
    udp_queues,
    uname,
    vmstat,
    watchdog,
    xfrm,
    xfs,
    zfs,
    zoneinfo,
    textfile,
);

/// All collectors of this system; textfile is last here too.
#[cfg(not(target_os = "linux"))]
pub const REGISTRY: &[Entry] = &{
    let mut all = [textfile::ENTRY; elsewhere::ENTRIES.len() + 1];
    let mut at = 0;
    while at < elsewhere::ENTRIES.len() {
        all[at] = elsewhere::ENTRIES[at];
        at += 1;
    }
    all
};

/// Collectors of node_exporter 1.11 that no system has here.
const MISSING: &[&str] =
    &["drbd", "logind", "network_route", "ntp", "pcidevice", "perf", "qdisc", "runit", "supervisord", "wifi"];

/// Collectors of node_exporter 1.11, or of this exporter on Linux, that are not here. Turning one of them off is accepted.
pub fn absent() -> impl Iterator<Item = &'static str> {
    MISSING.iter().chain(LINUX).copied().filter(|name| entry(name).is_none())
}

/// The registry's entry of that name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.name == name)
}

/// The switches of all collectors.
pub fn flags() -> impl Iterator<Item = &'static Flag> {
    REGISTRY.iter().flat_map(|entry| entry.flags)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_switches_are_unique_and_sorted() {
        let names: Vec<_> = REGISTRY.iter().map(|e| e.name).filter(|name| *name != "textfile").collect();
        assert!(names.is_sorted(), "{names:?}");
        let all: Vec<_> = flags().map(|flag| flag.name).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        #[cfg(target_os = "linux")]
        assert_eq!(absent().collect::<Vec<_>>(), MISSING);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_guide_lists_what_is_off_and_what_is_absent() {
        let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exporter.md");
        let guide = std::fs::read_to_string(guide).expect("the guide");
        let listed = |head: &str| -> Vec<&str> {
            let after = guide.split_once(head).map_or("", |(_, after)| after);
            after.split('.').next().unwrap_or_default().split('`').skip(1).step_by(2).collect()
        };
        let off: Vec<_> = REGISTRY.iter().filter(|entry| !entry.default_on).map(|entry| entry.name).collect();
        assert_eq!(listed("\nOff by default: "), off);
        assert_eq!(listed("\nAbsent: "), MISSING);
    }
}
