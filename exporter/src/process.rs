//! `process_*`: this process, under the names that Prometheus' client libraries share.

use std::{path::Path, sync::OnceLock};

use rustix::process::{Resource, getrlimit};

use crate::{
    Families, Host, Paths,
    host::{own_descriptors, read, read_records},
};

/// The kernel's unit for processes' times, for user space, on every Linux architecture.
pub(crate) const TICKS_PER_S: f64 = 100.0;

/// What `/proc/self/stat` says, times in ticks.
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

/// Adds this process' CPU time, threads, memory, file descriptors, network traffic and start time. What cannot be read
/// is left out.
pub fn own(out: &mut Families) {
    own_of(&Host::new(Paths::default(), None), out);
}

/// The same, where the host is read too.
pub(crate) fn own_of(host: &Host, out: &mut Families) {
    if let Some(stat) = read_records(Path::new("/proc/self/stat")).ok().as_deref().and_then(parse_stat) {
        let help = "User and system CPU time in seconds.";
        out.counter("process_cpu_seconds_total", help, &[], stat.cpu_ticks / TICKS_PER_S);
        out.gauge("process_threads", "Threads.", &[], stat.threads);
        out.gauge("process_virtual_memory_bytes", "Virtual memory.", &[], stat.virtual_bytes);
        let resident = stat.resident_pages * rustix::param::page_size() as f64;
        out.gauge("process_resident_memory_bytes", "Resident memory.", &[], resident);
        if let Some(boot_s) = boot_time_s() {
            let help = "When the process started, in seconds since the Unix epoch.";
            out.gauge("process_start_time_seconds", help, &[], boot_s + stat.start_ticks / TICKS_PER_S);
        }
    }
    if let Some(n) = own_descriptors() {
        out.gauge("process_open_fds", "Open file descriptors.", &[], n as f64);
    }
    let limit = |resource| getrlimit(resource).current.unwrap_or(u64::MAX) as f64;
    out.gauge("process_max_fds", "File descriptors that may be open.", &[], limit(Resource::Nofile));
    let help = "Virtual memory that there may be.";
    out.gauge("process_virtual_memory_max_bytes", help, &[], limit(Resource::As));
    if let Some((received, sent)) = network_bytes(host) {
        let help = "Bytes received in the process' network namespace.";
        out.counter("process_network_receive_bytes_total", help, &[], received);
        let help = "Bytes sent in the process' network namespace.";
        out.counter("process_network_transmit_bytes_total", help, &[], sent);
    }
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command is in parentheses and may hold anything; the state, field 3 of proc_pid_stat(5), follows.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// When the host was booted; read once, so that a start time does not change with the clock.
pub(crate) fn boot_time_s() -> Option<f64> {
    static BOOT_TIME_S: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT_TIME_S.get_or_init(|| {
        let text = read(Path::new("/proc/stat")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
    })
}

/// Bytes in and out, from the pair of lines that begin with `IpExt:`.
fn network_bytes(host: &Host) -> Option<(f64, f64)> {
    let text = if host.paths.procfs == Path::new("/proc") {
        host.read_proc_shared("net/netstat").ok()?
    } else {
        read(Path::new("/proc/self/net/netstat")).ok()?.into()
    };
    let mut lines = text.lines().filter(|line| line.starts_with("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let mut pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_parentheses_and_blanks() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 3 0 7000 1048576 256 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.cpu_ticks, stat.threads, stat.start_ticks), (200.0, 3.0, 7000.0));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (1_048_576.0, 256.0));
        assert!(parse_stat("42 (a) S 1").is_none());
    }
}
