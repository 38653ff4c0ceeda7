//! `node_buddyinfo_blocks` from `/proc/buddyinfo`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("buddyinfo", "Free memory by block size", |_| Box::new(Buddyinfo));

/// Free blocks of memory by node, zone and order.
struct Buddyinfo;

impl Collector for Buddyinfo {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("buddyinfo")?;
        for line in text.lines() {
            // Node 0, zone      DMA      1      0 …
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let ["Node", node, "zone", zone, counts @ ..] = words.as_slice() else { continue };
            for (order, count) in counts.iter().enumerate() {
                let Ok(count) = count.parse() else { continue };
                let labels =
                    [("node", node.trim_end_matches(',')), ("zone", zone), ("size", &*order.to_string())];
                out.gauge("node_buddyinfo_blocks", "Free blocks of 2^size pages.", &labels, count);
            }
        }
        Ok(())
    }
}
