//! `node_swap_*` from `/proc/swaps`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("swap", "Swap devices and files", |_| Box::new(Swap));

/// Swap devices and files.
struct Swap;

const BYTES_PER_KIB: f64 = 1024.0;

impl Collector for Swap {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("swaps")?;
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[device, kind, size, used, priority] = words.as_slice() else { continue };
            let labels = [("device", device), ("swap_type", kind)];
            let number = |text: &str| text.parse::<f64>().unwrap_or(0.0);
            out.gauge("node_swap_size_bytes", "Size.", &labels, number(size) * BYTES_PER_KIB);
            out.gauge("node_swap_used_bytes", "Used part.", &labels, number(used) * BYTES_PER_KIB);
            out.gauge("node_swap_priority", "Priority.", &labels, number(priority));
        }
        Ok(())
    }
}
