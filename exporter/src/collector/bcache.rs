//! `node_bcache_*` from `/sys/fs/bcache`.

use std::path::Path;

use assay_model::MetricType::{Counter, Gauge};

use super::{
    Collector, Entry,
    rows::{Row, bcache_number, show},
};
use crate::{
    Failure, Families, Host,
    host::{list, read, read_attribute},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("bcache", "bcache's caches and their devices", |s| {
    Box::new(Bcache { has_priorities: s.switch("collector.bcache.priorityStats") })
})
.flags(&[Flag::new(
    "collector.bcache.priorityStats",
    Kind::Switch(false),
    "Show priority statistics, which are expensive",
)]);

/// Block devices cached by others.
struct Bcache {
    has_priorities: bool,
}

#[rustfmt::skip]
const SET: &[Row] = &[
    ("average_key_size", "average_key_size_sectors", Gauge, 1.0, "Average data for a key."),
    ("cache_available_percent", "cache_available_percent", Gauge, 1.0, "Percentage of the cache without dirty data."),
    ("congested", "congested", Gauge, 1.0, "Congestion."),
    ("root_usage_percent", "root_usage_percent", Gauge, 1.0, "Percentage of the root's tree node in use."),
    ("tree_depth", "tree_depth", Gauge, 1.0, "Depth of the tree."),
    ("internal/active_journal_entries", "active_journal_entries", Gauge, 1.0, "Journal entries newer than the index."),
    ("internal/btree_nodes", "btree_nodes", Gauge, 1.0, "Nodes of the tree."),
    ("internal/btree_read_average_duration_us", "btree_read_average_duration_seconds", Gauge, 1e-9, "Average time to read a node."),
    ("internal/cache_read_races", "cache_read_races_total", Counter, 1.0, "Reads while the bucket was reused."),
];

#[rustfmt::skip]
const STATS: &[Row] = &[
    ("cache_bypass_hits", "cache_bypass_hits_total", Counter, 1.0, "Hits of I/O meant to skip the cache."),
    ("cache_bypass_misses", "cache_bypass_misses_total", Counter, 1.0, "Misses of I/O meant to skip the cache."),
    ("cache_hits", "cache_hits_total", Counter, 1.0, "Hits."),
    ("cache_misses", "cache_misses_total", Counter, 1.0, "Misses."),
    ("cache_miss_collisions", "cache_miss_collisions_total", Counter, 1.0, "Misses whose data came into the cache otherwise."),
    ("cache_readaheads", "cache_readaheads_total", Counter, 1.0, "Readaheads."),
];

impl Collector for Bcache {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let root = host.sys_path("fs/bcache");
        // Sets are named by their UUIDs; other entries are controls.
        for uuid in list(&root).unwrap_or_default().iter().filter(|name| name.contains('-')) {
            let set = root.join(uuid);
            let labels = [("uuid", uuid.as_str())];
            show(out, &set, "node_bcache_", &labels, SET);
            bytes(out, &set.join("btree_cache_size"), "btree_cache_size_bytes", &labels);
            for name in list(&set)? {
                let device = set.join(&name);
                if name.starts_with("bdev") {
                    backing_device(out, &device, uuid, &name);
                } else if name.strip_prefix("cache").is_some_and(|n| n.parse::<u32>().is_ok()) {
                    self.cache_device(out, &device, uuid, &name);
                }
            }
        }
        Ok(())
    }
}

impl Bcache {
    fn cache_device(&self, out: &mut Families, device: &Path, uuid: &str, name: &str) {
        let labels = [("uuid", uuid), ("cache_device", name)];
        let rows: &[Row] = &[("io_errors", "io_errors", Gauge, 1.0, "Errors, as they decay.")];
        show(out, device, "node_bcache_", &labels, rows);
        bytes(out, &device.join("metadata_written"), "metadata_written_bytes_total", &labels);
        bytes(out, &device.join("written"), "written_bytes_total", &labels);
        if !self.has_priorities {
            return;
        }
        let text = read(&device.join("priority_stats")).unwrap_or_default();
        for (key, metric) in [("Unused", "unused"), ("Metadata", "metadata")] {
            let percent = value(&text, key).and_then(|text| text.trim_end_matches('%').parse().ok());
            if let Some(percent) = percent {
                let name = format!("node_bcache_priority_stats_{metric}_percent");
                out.gauge(&name, &format!("Percentage of the cache: {metric}."), &labels, percent);
            }
        }
    }
}

fn backing_device(out: &mut Families, device: &Path, uuid: &str, name: &str) {
    let labels = [("uuid", uuid), ("backing_device", name)];
    show(out, &device.join("stats_total"), "node_bcache_", &labels, STATS);
    bytes(out, &device.join("stats_total/bypassed"), "bypassed_bytes_total", &labels);
    bytes(out, &device.join("dirty_data"), "dirty_data_bytes", &labels);
    let text = read(&device.join("writeback_rate_debug")).unwrap_or_default();
    for (key, metric) in [
        ("target", "dirty_target_bytes"),
        ("rate", "writeback_rate"),
        ("proportional", "writeback_rate_proportional_term"),
        ("integral", "writeback_rate_integral_term"),
        ("change", "writeback_change"),
    ] {
        let per_second = value(&text, key).map(|text| text.trim_end_matches("/sec"));
        if let Some(value) = per_second.and_then(bcache_number) {
            out.gauge(&format!("node_bcache_{metric}"), &format!("Writeback: {key}."), &labels, value);
        }
    }
}

/// The word after `KEY:` on a line of its own.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

fn bytes(out: &mut Families, path: &Path, metric: &str, labels: &[(&str, &str)]) {
    let Some(value) = read_attribute(path).as_deref().and_then(bcache_number) else { return };
    let metric_type = if metric.ends_with("_total") { Counter } else { Gauge };
    let help = format!("{} in bytes.", metric.trim_end_matches("_total").trim_end_matches("_bytes"));
    out.add(metric_type, &format!("node_bcache_{metric}"), &help, labels, value);
}
