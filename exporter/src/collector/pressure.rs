//! `node_pressure_*_seconds_total` from `/proc/pressure`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::number};

pub(super) const ENTRY: Entry = Entry::on("pressure", "Pressure stall information", |_| Box::new(Pressure));

/// Pressure stall information.
pub(super) struct Pressure;

/// The word that begins a line, the metric's word and help.
type Line = (&'static str, &'static str, &'static str);

/// Resource, the file's line, the metric's word and help. For the whole system no task can have the CPU where
/// all wait for it, so that `full` means nothing there; `irq` has no other line.
const FILES: [(&str, &[Line]); 4] = [
    ("cpu", &[("some", "waiting", "Seconds in which a task waited for a CPU.")]),
    (
        "io",
        &[
            ("some", "waiting", "Seconds in which a task waited for I/O."),
            ("full", "stalled", "Seconds in which no task could run for waiting for I/O."),
        ],
    ),
    (
        "memory",
        &[
            ("some", "waiting", "Seconds in which a task waited for memory."),
            ("full", "stalled", "Seconds in which no task could run for waiting for memory."),
        ],
    ),
    ("irq", &[("full", "stalled", "Seconds in which no task could run for interrupts.")]),
];

/// Two divisions, as node_exporter has them, round as it does.
const US_PER_MS: f64 = 1000.0;
const MS_PER_S: f64 = 1000.0;

impl Collector for Pressure {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        for (resource, lines) in FILES {
            let path = host.proc_path("pressure").join(resource);
            let text = match host.read_proc(&format!("pressure/{resource}")) {
                // Older kernels have no file for interrupts.
                Err(Failure::Absent(_)) if resource == "irq" => continue,
                // A kernel booted with psi=0 has the files and refuses to read them.
                Err(Failure::Read { cause, path }) if cause.raw_os_error() == Some(EOPNOTSUPP) => {
                    return Err(Failure::Absent(path));
                }
                other => other?,
            };
            for (kind, word, help) in lines {
                let total = text
                    .lines()
                    .filter_map(|line| line.strip_prefix(kind))
                    .find_map(|line| line.split_ascii_whitespace().find_map(|w| w.strip_prefix("total=")));
                if let Some(total) = total {
                    let seconds = number(&path, total)? / MS_PER_S / US_PER_MS;
                    let name = format!("node_pressure_{resource}_{word}_seconds_total");
                    out.counter(&name, help, &[], seconds);
                }
            }
        }
        Ok(())
    }
}

const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();
