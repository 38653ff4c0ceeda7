//! `node_ksmd_*` from `/sys/kernel/mm/ksm`.

use assay_model::MetricType::{Counter, Gauge};

use super::{
    Collector, Entry,
    rows::{Row, show},
};
use crate::{Failure, Families, Host, host::list};

pub(super) const ENTRY: Entry =
    Entry::off("ksmd", "Memory pages merged because they are equal", |_| Box::new(Ksmd));

/// Kernel samepage merging.
struct Ksmd;

#[rustfmt::skip]
const FILES: &[Row] = &[
    ("full_scans", "full_scans_total", Counter, 1.0, "Times that all mergeable areas were scanned."),
    ("general_profit", "general_profit_bytes", Gauge, 1.0, "Memory saved, less what merging costs."),
    ("merge_across_nodes", "merge_across_nodes", Gauge, 1.0, "1 where pages of several NUMA nodes can be merged."),
    ("pages_shared", "pages_shared", Gauge, 1.0, "Shared pages in use."),
    ("pages_sharing", "pages_sharing", Gauge, 1.0, "Sites that share them: what is saved."),
    ("pages_to_scan", "pages_to_scan", Gauge, 1.0, "Pages to scan before sleeping."),
    ("pages_unshared", "pages_unshared", Gauge, 1.0, "Unique pages checked again and again."),
    ("pages_volatile", "pages_volatile", Gauge, 1.0, "Pages that change too fast."),
    ("run", "run", Gauge, 1.0, "1 where merging runs."),
    ("sleep_millisecs", "sleep_seconds", Gauge, 1e-3, "Time between scans."),
];

impl Collector for Ksmd {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.sys_path("kernel/mm/ksm");
        list(&directory)?;
        show(out, &directory, "node_ksmd_", &[], FILES);
        Ok(())
    }
}
