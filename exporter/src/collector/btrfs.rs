//! `node_btrfs_*` from `/sys/fs/btrfs`.
//!
//! What node_exporter asks mounted file systems for as root (unused bytes and error counts of devices, by ioctl) is absent.

use std::{fs, path::Path};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry = Entry::on("btrfs", "btrfs file systems", |_| Box::new(Btrfs));

/// btrfs file systems, their allocations and commits.
struct Btrfs;

impl Collector for Btrfs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let root = host.sys_path("fs/btrfs");
        // `features` lies beside the file systems.
        for name in list(&root).unwrap_or_default().iter().filter(|name| name.contains('-')) {
            show(out, &root.join(name));
        }
        Ok(())
    }
}

const SECTOR_BYTES: f64 = 512.0;

fn show(out: &mut Families, directory: &Path) {
    let uuid = read_attribute(&directory.join("metadata_uuid")).unwrap_or_default();
    let uuid = uuid.as_str();
    let labels = [("label", &*read_attribute(&directory.join("label")).unwrap_or_default()), ("uuid", uuid)];
    out.gauge("node_btrfs_info", "A file system; always 1.", &labels, 1.0);
    let devices = list(&directory.join("devices")).unwrap_or_default();
    for device in &devices {
        // A device that is missing has no size.
        let sectors = read_attribute_number(&directory.join("devices").join(device).join("size"));
        let labels = [("device", device.as_str()), ("uuid", uuid)];
        let help = "Size of a device that is part of the file system.";
        out.gauge("node_btrfs_device_size_bytes", help, &labels, sectors.unwrap_or(0.0) * SECTOR_BYTES);
    }
    let allocation = directory.join("allocation");
    if let Some(bytes) = read_attribute_number(&allocation.join("global_rsv_size")) {
        out.gauge(
            "node_btrfs_global_rsv_size_bytes",
            "Size of the global reserve.",
            &[("uuid", uuid)],
            bytes,
        );
    }
    commits(out, directory, uuid);
    for kind in ["data", "metadata", "system"] {
        let group = allocation.join(kind);
        let labels = [("uuid", uuid), ("block_group_type", kind)];
        if let Some(bytes) = read_attribute_number(&group.join("bytes_reserved")) {
            out.gauge("node_btrfs_reserved_bytes", "Space reserved for a data type.", &labels, bytes);
        }
        for mode in list(&group).unwrap_or_default() {
            if !fs::metadata(group.join(&mode)).is_ok_and(|m| m.is_dir()) {
                continue;
            }
            let number = |file: &str| read_attribute_number(&group.join(&mode).join(file));
            let labels = [labels[0], labels[1], ("mode", mode.as_str())];
            if let Some(bytes) = number("used_bytes") {
                out.gauge("node_btrfs_used_bytes", "Space used by a layout and data type.", &labels, bytes);
            }
            if let Some(bytes) = number("total_bytes") {
                let help = "Space allocated for a layout and data type.";
                out.gauge("node_btrfs_size_bytes", help, &labels, bytes);
            }
            if let Some(ratio) = ratio(&mode, devices.len() as f64) {
                let help = "Space that data takes on disks, by its own size.";
                out.gauge("node_btrfs_allocation_ratio", help, &labels, ratio);
            }
        }
    }
}

/// How much more space a layout takes on `devices` than its data (btrfs' `btrfs_raid_array`).
fn ratio(mode: &str, devices: f64) -> Option<f64> {
    Some(match mode {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => return None,
    })
}

/// Kernels before 5.17 have no such file; node_exporter then shows zeros.
fn commits(out: &mut Families, directory: &Path, uuid: &str) {
    let text = read(&directory.join("commit_stats")).unwrap_or_default();
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    const MS_PER_S: f64 = 1000.0;
    let labels = [("uuid", uuid)];
    out.counter("node_btrfs_commits_total", "Commits.", &labels, number("commits "));
    let seconds = number("last_commit_ms ") / MS_PER_S;
    out.gauge("node_btrfs_last_commit_seconds", "Time that the last commit took.", &labels, seconds);
    let seconds = number("max_commit_ms ") / MS_PER_S;
    out.gauge("node_btrfs_max_commit_seconds", "Time that the longest commit took.", &labels, seconds);
    let seconds = number("total_commit_ms ") / MS_PER_S;
    out.counter("node_btrfs_commit_seconds_total", "Time that all commits took.", &labels, seconds);
}
