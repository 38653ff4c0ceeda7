//! What the kernel says of one process.

use std::{ops::AddAssign, path::Path};

use crate::{
    host::{Descriptors, read_attribute},
    process::{TICKS_PER_S, boot_time_s},
};

const BYTES_PER_KIB: f64 = 1024.0;

/// `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Clone, Debug)]
pub(super) struct Stat {
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) start_ticks: u64,
    pub(super) threads: f64,
    pub(super) virtual_bytes: f64,
    pub(super) resident_bytes: f64,
    minor_faults: f64,
    major_faults: f64,
    user_ticks: f64,
    system_ticks: f64,
}

/// What a process has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) user_s: f64,
    pub(super) system_s: f64,
    pub(super) read_bytes: f64,
    pub(super) write_bytes: f64,
    pub(super) major_faults: f64,
    pub(super) minor_faults: f64,
    pub(super) voluntary: f64,
    pub(super) involuntary: f64,
}

/// A process as it was read. Files that this user may not read count as zero: there is nothing to tell them from that.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) stat: Stat,
    pub(super) swapped_bytes: f64,
    pub(super) descriptors: f64,
    pub(super) most_descriptors: f64,
    read_bytes: f64,
    write_bytes: f64,
    voluntary: f64,
    involuntary: f64,
}

impl Stat {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The state is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<f64>().ok();
        Some(Self {
            comm,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            minor_faults: number(10)?,
            major_faults: number(12)?,
            user_ticks: number(14)?,
            system_ticks: number(15)?,
            threads: number(20)?,
            start_ticks: field(22)?.parse().ok()?,
            virtual_bytes: number(23)?,
            resident_bytes: number(24)? * rustix::param::page_size() as f64,
        })
    }

    /// In seconds since the Unix epoch.
    pub(super) fn start_s(&self) -> f64 {
        boot_time_s().unwrap_or(0.0) + self.start_ticks as f64 / TICKS_PER_S
    }
}

impl Sample {
    pub(super) fn read(directory: &Path, stat: Stat, descriptors: Descriptors) -> Self {
        let status = read_attribute(&directory.join("status")).unwrap_or_default();
        let io = read_attribute(&directory.join("io")).unwrap_or_default();
        let number = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.split_ascii_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
        };
        let limits = read_attribute(&directory.join("limits")).unwrap_or_default();
        let most = number(&limits, "Max open files");
        Self {
            stat,
            swapped_bytes: number(&status, "VmSwap:") * BYTES_PER_KIB,
            descriptors: descriptors.count(directory).unwrap_or(0) as f64,
            most_descriptors: most,
            read_bytes: number(&io, "read_bytes:"),
            write_bytes: number(&io, "write_bytes:"),
            voluntary: number(&status, "voluntary_ctxt_switches:"),
            involuntary: number(&status, "nonvoluntary_ctxt_switches:"),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            user_s: self.stat.user_ticks / TICKS_PER_S,
            system_s: self.stat.system_ticks / TICKS_PER_S,
            read_bytes: self.read_bytes,
            write_bytes: self.write_bytes,
            major_faults: self.stat.major_faults,
            minor_faults: self.stat.minor_faults,
            voluntary: self.voluntary,
            involuntary: self.involuntary,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.user_s += more.user_s;
        self.system_s += more.system_s;
        self.read_bytes += more.read_bytes;
        self.write_bytes += more.write_bytes;
        self.major_faults += more.major_faults;
        self.minor_faults += more.minor_faults;
        self.voluntary += more.voluntary;
        self.involuntary += more.involuntary;
    }
}
