//! `node_mountstats_nfs_*` from `/proc/self/mountstats`: each NFS mount's traffic and operations.

use std::collections::HashSet;

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::read};

pub(super) const ENTRY: Entry = Entry::off("mountstats", "NFS mounts' statistics", |_| Box::new(Mountstats));

/// NFS mounts. Of several mounts of one export by one protocol from one address the first is shown.
struct Mountstats;

const BYTES: [&str; 8] = [
    "read_bytes",
    "write_bytes",
    "direct_read_bytes",
    "direct_write_bytes",
    "total_read_bytes",
    "total_write_bytes",
    "read_pages",
    "write_pages",
];

/// In the kernel's order (`include/linux/nfs_iostat.h`); an empty name is one that node_exporter does not show.
const EVENTS: [&str; 27] = [
    "inode_revalidate",
    "dnode_revalidate",
    "data_invalidate",
    "attribute_invalidate",
    "vfs_open",
    "vfs_lookup",
    "vfs_access",
    "vfs_update_page",
    "vfs_read_page",
    "vfs_read_pages",
    "vfs_write_page",
    "vfs_write_pages",
    "vfs_getdents",
    "vfs_setattr",
    "vfs_flush",
    "vfs_fsync",
    "vfs_lock",
    "vfs_file_release",
    "",
    "truncation",
    "write_extension",
    "silly_rename",
    "short_read",
    "short_write",
    "jukebox_delay",
    "pnfs_read",
    "pnfs_write",
];

/// Of an operation: metric, and milliseconds.
const OPERATIONS: [(&str, bool); 8] = [
    ("requests_total", false),
    ("transmissions_total", false),
    ("major_timeouts_total", false),
    ("sent_bytes_total", false),
    ("received_bytes_total", false),
    ("queue_time_seconds_total", true),
    ("response_time_seconds_total", true),
    ("request_time_seconds_total", true),
];

/// Of a transport, with the columns after the port of TCP and RDMA, and those of UDP.
const TRANSPORT: [(&str, MetricType, usize, Option<usize>); 10] = [
    ("bind_total", Counter, 0, Some(0)),
    ("connect_total", Counter, 1, None),
    ("idle_time_seconds", Gauge, 3, None),
    ("sends_total", Counter, 4, Some(1)),
    ("receives_total", Counter, 5, Some(2)),
    ("bad_transaction_ids_total", Counter, 6, Some(3)),
    ("backlog_queue_total", Counter, 8, Some(5)),
    ("maximum_rpc_slots", Gauge, 9, Some(6)),
    ("sending_queue_total", Counter, 10, Some(7)),
    ("pending_queue_total", Counter, 11, Some(8)),
];

const MS_PER_S: f64 = 1000.0;

/// Times that ran backwards are huge; they are shown within what a float holds exactly, as node_exporter does.
const MANTISSA: u64 = 1 << 53;

impl Collector for Mountstats {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = read(&host.proc_path("self/mountstats"))?;
        let mountinfo = read(&host.proc_path("self/mountinfo"))?;
        // NFS mounts come in the same order in both.
        let addresses: Vec<&str> = mountinfo
            .lines()
            .filter_map(|line| line.split_once(" - nfs"))
            .map(|(_, options)| options.split([' ', ',']).find_map(|o| o.strip_prefix("addr=")).unwrap_or(""))
            .collect();
        let mounts = text.split("\ndevice ").filter(|mount| {
            let line = mount.lines().next().unwrap_or_default();
            line.contains("with fstype nfs") && line.contains("statvers=")
        });
        let mut seen = HashSet::new();
        for (at, mount) in mounts.enumerate() {
            let export = mount.trim_start_matches("device ").split(' ').next().unwrap_or_default();
            let protocol =
                field(mount, "xprt:").and_then(|xprt| xprt.split_whitespace().next()).unwrap_or("");
            let address = addresses.get(at).copied().unwrap_or_default();
            if seen.insert((export, protocol, address)) {
                let labels = [("export", export), ("protocol", protocol), ("mountaddr", address)];
                show(out, mount, &labels);
            }
        }
        Ok(())
    }
}

fn field<'t>(mount: &'t str, key: &str) -> Option<&'t str> {
    mount.lines().find_map(|line| line.trim_start().strip_prefix(key))
}

fn show(out: &mut Families, mount: &str, labels: &[(&str, &str); 3]) {
    let numbers = |key: &str| -> Vec<f64> {
        let words = field(mount, key).unwrap_or_default().split_ascii_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let mut add = |name: &str, value: f64| {
        let help = format!("{name} of the mount.");
        out.counter(&format!("node_mountstats_nfs_{name}_total"), &help, labels, value);
    };
    if let Some(age) = numbers("age:").first() {
        add("age_seconds", *age);
    }
    for (name, value) in BYTES.iter().zip(numbers("bytes:")) {
        add(name, value);
    }
    for (name, value) in EVENTS.iter().zip(numbers("events:")).filter(|(name, _)| !name.is_empty()) {
        add(&format!("event_{name}"), value);
    }
    let transports = mount.lines().filter_map(|line| line.trim_start().strip_prefix("xprt:"));
    for (at, transport) in transports.enumerate() {
        let mut words = transport.split_ascii_whitespace();
        let is_udp = words.next() == Some("udp");
        // The port comes first.
        let columns: Vec<f64> = words.skip(1).filter_map(|word| word.parse().ok()).collect();
        for (name, metric_type, column, udp_column) in TRANSPORT {
            let column = if is_udp { udp_column } else { Some(column) };
            let value = column.map_or(Some(0.0), |column| columns.get(column).copied());
            if let Some(value) = value {
                let number = at.to_string();
                let labels = [labels[0], labels[1], labels[2], ("transport", number.as_str())];
                let help = format!("{name} of the transport.");
                out.add(metric_type, &format!("node_mountstats_nfs_transport_{name}"), &help, &labels, value);
            }
        }
    }
    let operations = mount.lines().skip_while(|line| line.trim() != "per-op statistics").skip(1);
    for (operation, rest) in operations.filter_map(|line| line.trim().split_once(':')) {
        let labels = [labels[0], labels[1], labels[2], ("operation", operation)];
        for ((name, is_ms), value) in OPERATIONS.iter().zip(rest.split_ascii_whitespace()) {
            let Ok(value) = value.parse::<u64>() else { continue };
            let value = if *is_ms { (value % MANTISSA) as f64 / MS_PER_S } else { value as f64 };
            let help = format!("{name} of the operation.");
            out.counter(&format!("node_mountstats_nfs_operations_{name}"), &help, &labels, value);
        }
    }
}
