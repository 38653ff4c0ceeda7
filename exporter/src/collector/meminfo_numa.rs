//! `node_memory_numa_*` from `/sys/devices/system/node/node*/{meminfo,numastat}`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read},
};

pub(super) const ENTRY: Entry = Entry::off("meminfo_numa", "Memory by NUMA node", |_| Box::new(MeminfoNuma));

/// Memory of each NUMA node.
struct MeminfoNuma;

const BYTES_PER_KIB: f64 = 1024.0;

impl Collector for MeminfoNuma {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.sys_path("devices/system/node");
        for name in list(&directory)? {
            let Some(node) = name.strip_prefix("node").filter(|n| n.parse::<u32>().is_ok()) else { continue };
            let labels = [("node", node)];
            // Node 0 MemTotal: 134182340 kB
            for line in read(&directory.join(&name).join("meminfo"))?.lines() {
                let Some((key, rest)) = line.split_once(':') else { continue };
                let Some(key) = key.split_ascii_whitespace().nth(2) else { continue };
                let mut words = rest.split_ascii_whitespace();
                let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else { continue };
                let factor = if words.next() == Some("kB") { BYTES_PER_KIB } else { 1.0 };
                let name = format!("node_memory_numa_{}", key.replace('(', "_").replace(')', ""));
                out.gauge(&name, &format!("{key} of the node."), &labels, value * factor);
            }
            let text = read(&directory.join(&name).join("numastat"))?;
            for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
                if let Ok(value) = value.trim().parse() {
                    let help = format!("{key} of the node.");
                    out.counter(&format!("node_memory_numa_{key}_total"), &help, &labels, value);
                }
            }
        }
        Ok(())
    }
}
