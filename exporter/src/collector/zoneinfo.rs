//! `node_zoneinfo_*` from `/proc/zoneinfo`.

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("zoneinfo", "Memory zones", |_| Box::new(Zoneinfo));

/// Zones of the memory of each node. What is of the whole node is shown under its first zone, as the kernel has it.
struct Zoneinfo;

/// The kernel's names, and the metrics'.
const NAMES: [(&str, &str, MetricType); 34] = [
    ("nr_free_pages", "nr_free_pages", Gauge),
    ("min", "min_pages", Gauge),
    ("low", "low_pages", Gauge),
    ("high", "high_pages", Gauge),
    ("scanned", "scanned_pages", Gauge),
    ("spanned", "spanned_pages", Gauge),
    ("present", "present_pages", Gauge),
    ("managed", "managed_pages", Gauge),
    ("nr_active_anon", "nr_active_anon_pages", Gauge),
    ("nr_inactive_anon", "nr_inactive_anon_pages", Gauge),
    ("nr_isolated_anon", "nr_isolated_anon_pages", Gauge),
    ("nr_anon_pages", "nr_anon_pages", Gauge),
    ("nr_anon_transparent_hugepages", "nr_anon_transparent_hugepages", Gauge),
    ("nr_active_file", "nr_active_file_pages", Gauge),
    ("nr_inactive_file", "nr_inactive_file_pages", Gauge),
    ("nr_isolated_file", "nr_isolated_file_pages", Gauge),
    ("nr_file_pages", "nr_file_pages", Gauge),
    ("nr_slab_reclaimable", "nr_slab_reclaimable_pages", Gauge),
    ("nr_slab_unreclaimable", "nr_slab_unreclaimable_pages", Gauge),
    ("nr_mlock_stack", "nr_mlock_stack_pages", Gauge),
    ("nr_kernel_stack", "nr_kernel_stacks", Gauge),
    ("nr_mapped", "nr_mapped_pages", Gauge),
    ("nr_dirty", "nr_dirty_pages", Gauge),
    ("nr_writeback", "nr_writeback_pages", Gauge),
    ("nr_unevictable", "nr_unevictable_pages", Gauge),
    ("nr_shmem", "nr_shmem_pages", Gauge),
    ("nr_dirtied", "nr_dirtied_total", Counter),
    ("nr_written", "nr_written_total", Counter),
    ("numa_hit", "numa_hit_total", Counter),
    ("numa_miss", "numa_miss_total", Counter),
    ("numa_foreign", "numa_foreign_total", Counter),
    ("numa_interleave", "numa_interleave_total", Counter),
    ("numa_local", "numa_local_total", Counter),
    ("numa_other", "numa_other_total", Counter),
];

impl Collector for Zoneinfo {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("zoneinfo")?;
        let (mut node, mut zone, mut is_past_counts) = ("", "", false);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("Node ") {
                (node, zone) = rest.split_once(", zone").unwrap_or_default();
                is_past_counts = false;
                continue;
            }
            let line = line.trim();
            // Each CPU's page sets follow; their `high` is another one.
            is_past_counts |= line == "pagesets";
            if is_past_counts {
                continue;
            }
            let labels = [("node", node.trim()), ("zone", zone.trim())];
            if let Some(list) = line.strip_prefix("protection:") {
                let list = list.trim().trim_start_matches('(').trim_end_matches(')');
                for (at, value) in list.split(',').enumerate() {
                    if let Ok(value) = value.trim().parse() {
                        let name = format!("node_zoneinfo_protection_{at}");
                        out.gauge(&name, "Pages kept for zones below.", &labels, value);
                    }
                }
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(key), Some(Ok(value))) = (words.next(), words.next().map(str::parse)) else { continue };
            let known = NAMES.iter().find(|(k, ..)| *k == key);
            if let Some((_, name, metric_type)) = known {
                let help = format!("{key} of the zone.");
                out.add(*metric_type, &format!("node_zoneinfo_{name}"), &help, &labels, value);
            }
        }
        Ok(())
    }
}
