//! The numbers of a cgroup, of version 2 or 1.

use std::path::{Path, PathBuf};

use crate::{
    Failure, Host,
    host::{read, read_attribute, read_attribute_number},
    process::TICKS_PER_S,
};

type MoreLabels = Vec<(&'static str, &'static str)>;

/// What a cgroup says.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// Metric without its prefix, more labels, value.
    pub(super) values: Vec<(&'static str, MoreLabels, f64)>,
    /// By device as `8:0`: reads and writes in bytes and operations.
    pub(super) io: Vec<(String, Vec<(&'static str, f64)>)>,
    pub(super) first_pid: Option<u32>,
}

/// Reads one version of cgroups.
pub(super) enum Reader {
    V2(PathBuf),
    /// The folder with a hierarchy for each controller.
    V1(PathBuf),
}

const US_PER_S: f64 = 1e6;
const NS_PER_S: f64 = 1e9;

/// Limits from here on mean that there is none.
const NO_LIMIT: f64 = (1u64 << 62) as f64;

impl Reader {
    pub(super) fn find(host: &Host) -> Result<Self, Failure> {
        let root = host.sys_path("fs/cgroup");
        if root.join("cgroup.controllers").exists() {
            Ok(Self::V2(root))
        } else if root.join("memory").exists() {
            Ok(Self::V1(root))
        } else {
            Err(Failure::Absent(root))
        }
    }

    /// Where all cgroups are directories.
    pub(super) fn tree(&self) -> PathBuf {
        match self {
            Self::V2(root) => root.clone(),
            Self::V1(root) => root.join("memory"),
        }
    }

    pub(super) fn read(&self, id: &str) -> Stats {
        let relative = id.trim_start_matches('/');
        let mut stats = Stats::default();
        match self {
            Self::V2(root) => v2(&root.join(relative), &mut stats),
            Self::V1(root) => v1(root, relative, &mut stats),
        }
        stats
    }
}

/// The numbers of lines `key value`.
struct Pairs(String);

impl Pairs {
    fn read(path: &Path) -> Self {
        Self(read(path).unwrap_or_default())
    }

    fn get(&self, key: &str) -> Option<f64> {
        let mut pairs = self.0.lines().filter_map(|line| line.split_once(' '));
        pairs.find(|(k, _)| *k == key)?.1.trim().parse().ok()
    }
}

impl Stats {
    fn add(&mut self, name: &'static str, value: Option<f64>) {
        self.add_with(name, &[], value);
    }

    fn add_with(&mut self, name: &'static str, labels: &[(&'static str, &'static str)], value: Option<f64>) {
        self.values.extend(value.map(|value| (name, labels.to_vec(), value)));
    }

    /// What both versions say of memory, with the names of `memory.stat`.
    fn memory(&mut self, usage: Option<f64>, stat: &Pairs, names: [&str; 6]) {
        let [inactive_file, active_file, rss, cache, mapped, swap] = names.map(|name| stat.get(name));
        self.add("memory_usage_bytes", usage);
        let working_set = usage.map(|usage| (usage - inactive_file.unwrap_or(0.0)).max(0.0));
        self.add("memory_working_set_bytes", working_set);
        self.add("memory_total_inactive_file_bytes", inactive_file);
        self.add("memory_total_active_file_bytes", active_file);
        self.add("memory_rss", rss);
        self.add("memory_cache", cache);
        self.add("memory_mapped_file", mapped);
        self.add("memory_swap", swap);
    }

    fn faults(&mut self, stat: &Pairs, [minor, major]: [&str; 2]) {
        for scope in ["container", "hierarchy"] {
            for (kind, name) in [("pgfault", minor), ("pgmajfault", major)] {
                let labels = [("failure_type", kind), ("scope", scope)];
                self.add_with("memory_failures_total", &labels, stat.get(name));
            }
        }
    }

    fn processes(&mut self, directory: &Path) {
        let text = read(&directory.join("cgroup.procs")).unwrap_or_default();
        self.first_pid = text.lines().next().and_then(|pid| pid.parse().ok());
        self.add("processes", Some(text.lines().count() as f64));
        self.add("threads", read_attribute_number(&directory.join("pids.current")));
        // `max` is no limit, which cAdvisor shows as 0.
        let most = read_attribute(&directory.join("pids.max"));
        self.add("threads_max", most.map(|text| text.parse().unwrap_or(0.0)));
    }
}

/// A limit; `max`, and numbers that no machine has, are 0.
fn limit(path: &Path) -> Option<f64> {
    let text = read_attribute(path)?;
    Some(text.parse().ok().filter(|bytes| *bytes < NO_LIMIT).unwrap_or(0.0))
}

fn v2(directory: &Path, stats: &mut Stats) {
    let cpu = Pairs::read(&directory.join("cpu.stat"));
    let seconds = |key: &str| cpu.get(key).map(|us| us / US_PER_S);
    stats.add_with("cpu_usage_seconds_total", &[("cpu", "total")], seconds("usage_usec"));
    stats.add("cpu_user_seconds_total", seconds("user_usec"));
    stats.add("cpu_system_seconds_total", seconds("system_usec"));
    let max = read_attribute(&directory.join("cpu.max")).unwrap_or_default();
    if let Some((quota, period)) = max.split_once(' ') {
        stats.add("spec_cpu_period", period.parse().ok());
        if let Ok(quota) = quota.parse::<f64>() {
            stats.add("spec_cpu_quota", Some(quota));
            stats.add("cpu_cfs_periods_total", cpu.get("nr_periods"));
            stats.add("cpu_cfs_throttled_periods_total", cpu.get("nr_throttled"));
            stats.add("cpu_cfs_throttled_seconds_total", seconds("throttled_usec"));
            stats.add("cpu_cfs_burst_periods_total", cpu.get("nr_bursts"));
            stats.add("cpu_cfs_burst_seconds_total", seconds("burst_usec"));
        }
    }
    let weight = read_attribute_number(&directory.join("cpu.weight"));
    // As runtimes turn shares into weights, backwards.
    stats.add("spec_cpu_shares", weight.map(|w| (2.0 + (w - 1.0) * 262_142.0 / 9999.0).floor()));

    let stat = Pairs::read(&directory.join("memory.stat"));
    let number = |file: &str| read_attribute_number(&directory.join(file));
    let names = ["inactive_file", "active_file", "anon", "file", "file_mapped", ""];
    stats.memory(number("memory.current"), &stat, names);
    stats.add("memory_swap", number("memory.swap.current"));
    stats.add("memory_max_usage_bytes", number("memory.peak"));
    stats.add("memory_file_dirty_bytes", stat.get("file_dirty"));
    stats.add("memory_file_writeback_bytes", stat.get("file_writeback"));
    stats.add("memory_kernel_usage", stat.get("kernel"));
    stats.faults(&stat, ["pgfault", "pgmajfault"]);
    stats.add("memory_pgscan_total", stat.get("pgscan"));
    stats.add("memory_pgsteal_total", stat.get("pgsteal"));
    stats.add("memory_workingset_refault_file_total", stat.get("workingset_refault_file"));
    stats.add("memory_workingset_refault_anon_total", stat.get("workingset_refault_anon"));
    let events = Pairs::read(&directory.join("memory.events"));
    stats.add("memory_events_high_total", events.get("high"));
    stats.add("memory_events_max_total", events.get("max"));
    stats.add("oom_events_total", events.get("oom_kill"));
    stats.add("spec_memory_limit_bytes", limit(&directory.join("memory.max")));
    stats.add("spec_memory_reservation_limit_bytes", limit(&directory.join("memory.min")));
    stats.add("spec_memory_swap_limit_bytes", limit(&directory.join("memory.swap.max")));

    // 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0
    for line in read(&directory.join("io.stat")).unwrap_or_default().lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(device) = words.next() else { continue };
        let counts = words.filter_map(|word| {
            let (key, value) = word.split_once('=')?;
            let name = match key {
                "rbytes" => "reads_bytes",
                "wbytes" => "writes_bytes",
                "rios" => "reads",
                "wios" => "writes",
                _ => return None,
            };
            Some((name, value.parse().ok()?))
        });
        stats.io.push((device.to_owned(), counts.collect()));
    }
    pressure(directory, stats);
    stats.processes(directory);
}

fn pressure(directory: &Path, stats: &mut Stats) {
    for (resource, some, full) in [
        ("cpu", "pressure_cpu_waiting_seconds_total", "pressure_cpu_stalled_seconds_total"),
        ("memory", "pressure_memory_waiting_seconds_total", "pressure_memory_stalled_seconds_total"),
        ("io", "pressure_io_waiting_seconds_total", "pressure_io_stalled_seconds_total"),
    ] {
        let text = read(&directory.join(format!("{resource}.pressure"))).unwrap_or_default();
        for (kind, name) in [("some ", some), ("full ", full)] {
            let line = text.lines().find(|line| line.starts_with(kind));
            let total =
                line.and_then(|line| line.split_ascii_whitespace().find_map(|w| w.strip_prefix("total=")));
            stats.add(name, total.and_then(|us| us.parse::<f64>().ok()).map(|us| us / US_PER_S));
        }
    }
}

fn v1(root: &Path, relative: &str, stats: &mut Stats) {
    let at = |controller: &str| root.join(controller).join(relative);
    let number = |controller: &str, file: &str| read_attribute_number(&at(controller).join(file));
    let ns = number("cpuacct", "cpuacct.usage");
    stats.add_with("cpu_usage_seconds_total", &[("cpu", "total")], ns.map(|ns| ns / NS_PER_S));
    let cpuacct = Pairs::read(&at("cpuacct").join("cpuacct.stat"));
    stats.add("cpu_user_seconds_total", cpuacct.get("user").map(|t| t / TICKS_PER_S));
    stats.add("cpu_system_seconds_total", cpuacct.get("system").map(|t| t / TICKS_PER_S));
    stats.add("spec_cpu_shares", number("cpu", "cpu.shares"));
    stats.add("spec_cpu_period", number("cpu", "cpu.cfs_period_us"));
    if let Some(quota) = number("cpu", "cpu.cfs_quota_us").filter(|quota| *quota > 0.0) {
        let cpu = Pairs::read(&at("cpu").join("cpu.stat"));
        stats.add("spec_cpu_quota", Some(quota));
        stats.add("cpu_cfs_periods_total", cpu.get("nr_periods"));
        stats.add("cpu_cfs_throttled_periods_total", cpu.get("nr_throttled"));
        stats.add("cpu_cfs_throttled_seconds_total", cpu.get("throttled_time").map(|ns| ns / NS_PER_S));
    }
    let memory = at("memory");
    let stat = Pairs::read(&memory.join("memory.stat"));
    let names = [
        "total_inactive_file",
        "total_active_file",
        "total_rss",
        "total_cache",
        "total_mapped_file",
        "total_swap",
    ];
    stats.memory(number("memory", "memory.usage_in_bytes"), &stat, names);
    stats.add("memory_max_usage_bytes", number("memory", "memory.max_usage_in_bytes"));
    stats.add("memory_failcnt", number("memory", "memory.failcnt"));
    stats.faults(&stat, ["pgfault", "pgmajfault"]);
    stats.add("oom_events_total", Pairs::read(&memory.join("memory.oom_control")).get("oom_kill"));
    stats.add("spec_memory_limit_bytes", limit(&memory.join("memory.limit_in_bytes")));
    stats.add("spec_memory_reservation_limit_bytes", limit(&memory.join("memory.soft_limit_in_bytes")));
    stats.add("spec_memory_swap_limit_bytes", limit(&memory.join("memory.memsw.limit_in_bytes")));
    // 8:0 Read 4096
    for (file, read_name, write_name) in [
        ("blkio.throttle.io_service_bytes", "reads_bytes", "writes_bytes"),
        ("blkio.throttle.io_serviced", "reads", "writes"),
    ] {
        for line in read(&at("blkio").join(file)).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[device, kind, value] = words.as_slice() else { continue };
            let name = match kind {
                "Read" => read_name,
                "Write" => write_name,
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                stats.io.push((device.to_owned(), vec![(name, value)]));
            }
        }
    }
    let pids = at("pids");
    stats.processes(if pids.exists() { &pids } else { &memory });
}
