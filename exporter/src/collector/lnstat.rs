//! `node_lnstat_*_total` from `/proc/net/stat`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read},
};

pub(super) const ENTRY: Entry = Entry::off("lnstat", "The kernel's network caches", |_| Box::new(Lnstat));

/// Statistics of network caches: a file each, with a row for each CPU.
struct Lnstat;

impl Collector for Lnstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.proc_path("net/stat");
        for subsystem in list(&directory)? {
            let text = read(&directory.join(&subsystem))?;
            let mut lines = text.lines();
            let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
            for (cpu, line) in lines.enumerate() {
                let cpu = cpu.to_string();
                let labels = [("subsystem", subsystem.as_str()), ("cpu", &cpu)];
                for (name, value) in names.iter().zip(line.split_ascii_whitespace()) {
                    if let Ok(value) = u64::from_str_radix(value, 16) {
                        let metric = format!("node_lnstat_{name}_total");
                        out.counter(&metric, "Statistics of network caches.", &labels, value as f64);
                    }
                }
            }
        }
        Ok(())
    }
}
