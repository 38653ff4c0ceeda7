//! `node_nf_conntrack_*` from `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("conntrack", "Connection tracking", |_| Box::new(Conntrack));

/// Connection tracking; the statistics are summed over CPUs.
pub(super) struct Conntrack;

/// The file's columns that are shown, with their help texts.
const STATISTICS: [(&str, &str); 8] = [
    ("found", "Lookups that found an entry."),
    ("invalid", "Packets that cannot be tracked."),
    ("ignore", "Packets already connected to an entry."),
    ("insert", "Entries put into the table."),
    ("insert_failed", "Entries that could not be put into the table."),
    ("drop", "Packets dropped because an entry could not be made."),
    ("early_drop", "Entries dropped to make room in a full table."),
    ("search_restart", "Lookups restarted because the table was resized."),
];

impl Collector for Conntrack {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let entries = host.read_proc_number("sys/net/netfilter/nf_conntrack_count")?;
        out.gauge("node_nf_conntrack_entries", "Connections being tracked.", &[], entries);
        let limit = host.read_proc_number("sys/net/netfilter/nf_conntrack_max")?;
        out.gauge("node_nf_conntrack_entries_limit", "Connections that can be tracked.", &[], limit);
        let text = host.read_proc("net/stat/nf_conntrack")?;
        let mut lines = text.lines();
        let columns: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let mut sums = [0u64; STATISTICS.len()];
        for line in lines {
            for (column, value) in columns.iter().zip(line.split_whitespace()) {
                if let Some(at) = STATISTICS.iter().position(|(name, _)| name == column) {
                    sums[at] += u64::from_str_radix(value, 16).unwrap_or(0);
                }
            }
        }
        for ((name, help), sum) in STATISTICS.iter().zip(sums) {
            // node_exporter shows these counters as gauges, and so must we.
            out.gauge(&format!("node_nf_conntrack_stat_{name}"), help, &[], sum as f64);
        }
        Ok(())
    }
}
