//! `node_memory_*` from `/proc/meminfo`.
//!
//! Invariant: every line that the kernel writes is shown, under the kernel's name; node_exporter 1.11 shows
//! those that it knows.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::number};

pub(super) const ENTRY: Entry = Entry::on("meminfo", "Memory", |_| Box::new(Meminfo));

/// Memory.
pub(super) struct Meminfo;

const BYTES_PER_KIB: f64 = 1024.0;

impl Collector for Meminfo {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("meminfo");
        let text = host.read_proc("meminfo")?;
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(':') else { continue };
            let mut words = rest.split_ascii_whitespace();
            let Some(value) = words.next() else { continue };
            let value = number(&path, value)?;
            let key = key.replace('(', "_").replace(')', "");
            let help = format!("{key} of /proc/meminfo.");
            if words.next() == Some("kB") {
                out.gauge(&format!("node_memory_{key}_bytes"), &help, &[], value * BYTES_PER_KIB);
            } else {
                out.gauge(&format!("node_memory_{key}"), &help, &[], value);
            }
        }
        Ok(())
    }
}
