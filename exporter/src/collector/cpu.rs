//! `node_cpu_*` from `/proc/stat` and `/sys/devices/system/cpu`.
//!
//! Invariant: a counter shown once never runs backwards, unless the CPU was taken out and put back.

mod info;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host, Settings,
    host::class::{Class, Device},
    process::TICKS_PER_S,
    settings::{Flag, Kind},
};

/// An idle counter that falls by this much means a CPU that came back with fresh counters; by less it is the
/// kernel's own jitter (idle and iowait are not monotonic).
const RESET_S: f64 = 3.0;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();

pub(super) const ENTRY: Entry =
    Entry::on("cpu", "CPU time by mode, throttling, which CPUs are online", |s| Box::new(Cpu::new(s))).flags(
        &[
            Flag::new("collector.cpu.guest", Kind::Switch(true), "Show the time spent in guests"),
            Flag::new("collector.cpu.info", Kind::Switch(false), "Show what /proc/cpuinfo says"),
            Flag::new(
                "collector.cpu.info.flags-include",
                Kind::Pattern(""),
                "Flags of the first CPU to show; turns cpu.info on",
            ),
            Flag::new(
                "collector.cpu.info.bugs-include",
                Kind::Pattern(""),
                "Bugs of the first CPU to show; turns cpu.info on",
            ),
        ],
    );

/// CPU time by mode, throttling, and which CPUs are online or isolated.
#[derive(Default)]
struct Cpu {
    /// Seconds by column, as they were shown last.
    shown: Mutex<BTreeMap<u32, [f64; COLUMNS]>>,
    has_guests: bool,
    info: Option<info::Info>,
    cpus: Class,
}

impl Collector for Cpu {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let now = parse(&host.read_proc_shared("stat")?);
        for (cpu, seconds) in self.monotonic(now) {
            let cpu = cpu.to_string();
            for (mode, s) in MODES.iter().zip(seconds) {
                let labels = [("cpu", cpu.as_str()), ("mode", mode)];
                out.counter(
                    "node_cpu_seconds_total",
                    "Seconds that the CPUs spent in each mode.",
                    &labels,
                    s,
                );
            }
            let guests = if self.has_guests { &GUEST_MODES[..] } else { &[] };
            for (mode, s) in guests.iter().zip(&seconds[MODES.len()..]) {
                let labels = [("cpu", cpu.as_str()), ("mode", mode)];
                let help = "Seconds of user and nice time that the CPUs spent in guests (virtual machines).";
                out.counter("node_cpu_guest_seconds_total", help, &labels, *s);
            }
        }
        let directory = host.sys_path("devices/system/cpu");
        if let Some(info) = &self.info {
            info.show(&host.read_proc_long("cpuinfo")?, out);
        }
        isolated(&directory, out);
        let mut states = States::default();
        // Where the directory cannot be read there is nothing to show.
        let _ = self.cpus.each(host, "devices/system/cpu", |name, cpu| {
            if let Some(number) = name.strip_prefix("cpu").and_then(|number| number.parse().ok()) {
                states.read(number, cpu);
            }
        });
        states.show(out);
        Ok(())
    }
}

impl Cpu {
    fn new(settings: &Settings) -> Self {
        Self {
            shown: Mutex::default(),
            has_guests: settings.switch("collector.cpu.guest"),
            info: info::Info::new(settings),
            cpus: Class::default(),
        }
    }

    fn monotonic(&self, now: BTreeMap<u32, [f64; COLUMNS]>) -> BTreeMap<u32, [f64; COLUMNS]> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|cpu, _| now.contains_key(cpu));
        for (cpu, seconds) in now {
            let before = shown.entry(cpu).or_insert(seconds);
            if before[IDLE] - seconds[IDLE] >= RESET_S {
                *before = seconds;
            }
            for (before, s) in before.iter_mut().zip(seconds) {
                *before = before.max(s);
            }
        }
        shown.clone()
    }
}

fn parse(stat: &str) -> BTreeMap<u32, [f64; COLUMNS]> {
    let mut cpus = BTreeMap::new();
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let cpu = words.next().and_then(|w| w.strip_prefix("cpu")).and_then(|n| n.parse().ok());
        let Some(cpu) = cpu else { continue };
        let mut seconds = [0.0; COLUMNS];
        // Kernels before 2.6.33 have fewer columns.
        for (s, ticks) in seconds.iter_mut().zip(words) {
            *s = ticks.parse::<u64>().unwrap_or(0) as f64 / TICKS_PER_S;
        }
        cpus.insert(cpu, seconds);
    }
    cpus
}

fn isolated(directory: &Path, out: &mut Families) {
    let Some(text) = crate::host::read_attribute(&directory.join("isolated")) else { return };
    for cpu in parse_cpu_list(&text) {
        let help = "1 for a CPU that the scheduler leaves alone.";
        out.gauge("node_cpu_isolated", help, &[("cpu", &cpu.to_string())], 1.0);
    }
}

/// The numbers of a list such as `0-2,5`.
fn parse_cpu_list(text: &str) -> BTreeSet<u32> {
    let mut cpus = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            cpus.extend(first..=last);
        }
    }
    cpus
}

/// What the CPUs' directories say.
#[derive(Default)]
struct States {
    /// By package and core. Sibling threads show the count of the core, and all of them that of the package.
    core_throttles: BTreeMap<(String, String), f64>,
    package_throttles: BTreeMap<String, f64>,
    online: BTreeMap<u32, Option<f64>>,
}

impl States {
    fn read(&mut self, number: u32, cpu: &mut Device<'_>) {
        self.online.insert(number, cpu.number("online"));
        let core_count = cpu.number("thermal_throttle/core_throttle_count");
        // Where there is none for the core there is none for the package.
        if core_count.is_none() {
            return;
        }
        let package_count = cpu.number("thermal_throttle/package_throttle_count");
        let (package, core) = (cpu.number("topology/physical_package_id"), cpu.number("topology/core_id"));
        let (Some(package), Some(core)) = (package, core) else { return };
        if let Some(n) = core_count {
            self.core_throttles.insert((package.to_string(), core.to_string()), n);
        }
        if let Some(n) = package_count {
            self.package_throttles.insert(package.to_string(), n);
        }
    }

    fn show(self, out: &mut Families) {
        for ((package, core), n) in self.core_throttles {
            let labels = [("package", package.as_str()), ("core", core.as_str())];
            out.counter("node_cpu_core_throttles_total", "Times that the core was throttled.", &labels, n);
        }
        for (package, n) in self.package_throttles {
            let help = "Times that the package was throttled.";
            out.counter("node_cpu_package_throttles_total", help, &[("package", &package)], n);
        }
        // Where the kernel cannot take CPUs out there is nothing to show. The first CPU often cannot be taken out
        // and then has no state of its own.
        if self.online.values().all(Option::is_none) {
            return;
        }
        for (cpu, state) in self.online {
            let help = "1 for a CPU that is online.";
            out.gauge("node_cpu_online", help, &[("cpu", &cpu.to_string())], state.unwrap_or(1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_run_backwards_except_for_a_cpu_that_came_back() {
        let cpu = Cpu::default();
        let show = |idle: f64, iowait: f64| {
            let mut seconds = [0.0; COLUMNS];
            (seconds[IDLE], seconds[IDLE + 1]) = (idle, iowait);
            let shown = cpu.monotonic([(0, seconds)].into())[&0];
            (shown[IDLE], shown[IDLE + 1])
        };
        assert_eq!(show(100.0, 5.0), (100.0, 5.0));
        assert_eq!(show(99.5, 5.5), (100.0, 5.5), "jitter is held back");
        assert_eq!(show(98.0, 5.0), (100.0, 5.5));
        assert_eq!(show(2.0, 0.1), (2.0, 0.1), "a reset is shown");
    }

    #[test]
    fn cpu_lists_have_ranges() {
        assert_eq!(parse_cpu_list("0-2,5\n").into_iter().collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert!(parse_cpu_list("").is_empty());
    }
}
