//! `node_disk_*` from `/proc/diskstats`, `/sys/block` and udev's database.

use std::collections::HashMap;

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::{read, read_attribute},
    settings::{Flag, Kind},
};

/// The block layer counts in sectors of 512 bytes whatever the device's own are.
const SECTOR_BYTES: f64 = 512.0;
const S_PER_MS: f64 = 0.001;

/// The columns after the device's name (kernel `Documentation/admin-guide/iostats.rst`): metric, type, the
/// factor that turns it into the metric's unit, and help.
#[rustfmt::skip]
const COLUMNS: [(&str, MetricType, f64, &str); 17] = [
    ("node_disk_reads_completed_total", Counter, 1.0, "Reads completed."),
    ("node_disk_reads_merged_total", Counter, 1.0, "Reads merged with a neighbour."),
    ("node_disk_read_bytes_total", Counter, SECTOR_BYTES, "Bytes read."),
    ("node_disk_read_time_seconds_total", Counter, S_PER_MS, "Seconds spent by all reads."),
    ("node_disk_writes_completed_total", Counter, 1.0, "Writes completed."),
    ("node_disk_writes_merged_total", Counter, 1.0, "Writes merged with a neighbour."),
    ("node_disk_written_bytes_total", Counter, SECTOR_BYTES, "Bytes written."),
    ("node_disk_write_time_seconds_total", Counter, S_PER_MS, "Seconds spent by all writes."),
    ("node_disk_io_now", Gauge, 1.0, "Operations in progress."),
    ("node_disk_io_time_seconds_total", Counter, S_PER_MS, "Seconds in which operations were in progress."),
    ("node_disk_io_time_weighted_seconds_total", Counter, S_PER_MS, "Seconds times operations in progress."),
    ("node_disk_discards_completed_total", Counter, 1.0, "Discards completed."),
    ("node_disk_discards_merged_total", Counter, 1.0, "Discards merged with a neighbour."),
    ("node_disk_discarded_sectors_total", Counter, 1.0, "Sectors of 512 bytes discarded."),
    ("node_disk_discard_time_seconds_total", Counter, S_PER_MS, "Seconds spent by all discards."),
    ("node_disk_flush_requests_total", Counter, 1.0, "Flushes completed."),
    ("node_disk_flush_requests_time_seconds_total", Counter, S_PER_MS, "Seconds spent by all flushes."),
];

pub(super) const ENTRY: Entry = Entry::on("diskstats", "Disk I/O", |s| Box::new(Diskstats::new(s))).flags(&[
    Flag::new(
        "collector.diskstats.device-exclude",
        Kind::Pattern(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"),
        "Disks to leave out",
    ),
    Flag::new("collector.diskstats.device-include", Kind::Pattern(""), "The only disks to show"),
    Flag::new("collector.diskstats.ignored-devices", Kind::AliasOf("collector.diskstats.device-exclude"), ""),
]);

/// Disk I/O, and what udev knows of the disks.
pub(super) struct Diskstats {
    devices: Filter,
}

impl Diskstats {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { devices: settings.filter("collector.diskstats.device") }
    }
}

impl Collector for Diskstats {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("diskstats")?;
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            // Old kernels show partitions with four columns that mean something else.
            let [major, minor, device, columns @ ..] = words.as_slice() else { continue };
            if columns.len() < 11 || !self.devices.allows(device) {
                continue;
            }
            for ((name, metric_type, factor, help), column) in COLUMNS.iter().zip(columns) {
                if let Ok(n) = column.parse::<u64>() {
                    let value = n as f64 * factor;
                    out.add(*metric_type, name, help, &[("device", device)], value);
                }
            }
            information(host, out, device, major, minor);
        }
        Ok(())
    }
}

fn information(host: &Host, out: &mut Families, device: &str, major: &str, minor: &str) {
    let udev = udev_properties(host, major, minor);
    let property = |name: &str| udev.get(name).map_or("", String::as_str);
    // A slash in a device's name is an exclamation mark in its path.
    let block = host.sys_path("block").join(device.replace('/', "!"));
    // What has no such file does not rotate.
    let rotational = read_attribute(&block.join("queue/rotational")).unwrap_or_else(|| "0".into());
    let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(property);
    let serial = serials.into_iter().find(|serial| !serial.is_empty()).unwrap_or_default();
    let labels = [
        ("device", device),
        ("major", major),
        ("minor", minor),
        ("path", property("ID_PATH")),
        ("wwn", property("ID_WWN")),
        ("model", property("ID_MODEL")),
        ("serial", serial),
        ("revision", property("ID_REVISION")),
        ("rotational", &rotational),
    ];
    out.gauge("node_disk_info", "What is known of the disk; always 1.", &labels, 1.0);

    for (key, metric, help) in [
        ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "1 where the disk has a write cache."),
        ("ID_ATA_WRITE_CACHE_ENABLED", "node_disk_ata_write_cache_enabled", "1 where its write cache is on."),
        ("ID_ATA_ROTATION_RATE_RPM", "node_disk_ata_rotation_rate_rpm", "Rotations a minute; 0 for an SSD."),
    ] {
        if let Ok(value) = property(key).parse() {
            out.gauge(metric, help, &[("device", device)], value);
        }
    }

    let filesystem_usage = property("ID_FS_USAGE");
    if !filesystem_usage.is_empty() {
        let labels = [
            ("device", device),
            ("type", property("ID_FS_TYPE")),
            ("usage", filesystem_usage),
            ("uuid", property("ID_FS_UUID")),
            ("version", property("ID_FS_VERSION")),
        ];
        out.gauge("node_disk_filesystem_info", "What the disk is formatted as; always 1.", &labels, 1.0);
    }
    if !property("DM_NAME").is_empty() {
        let labels = [
            ("device", device),
            ("name", property("DM_NAME")),
            ("uuid", property("DM_UUID")),
            ("vg_name", property("DM_VG_NAME")),
            ("lv_name", property("DM_LV_NAME")),
            ("lv_layer", property("DM_LV_LAYER")),
        ];
        out.gauge("node_disk_device_mapper_info", "What the mapped device is; always 1.", &labels, 1.0);
    }
}

/// The `E:NAME=value` lines of udev's record of a block device; none where udev does not run.
fn udev_properties(host: &Host, major: &str, minor: &str) -> HashMap<String, String> {
    let path = host.paths.udev_data.join(format!("b{major}:{minor}"));
    let text = read(&path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
