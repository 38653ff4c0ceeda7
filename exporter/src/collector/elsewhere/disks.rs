//! `node_filesystem_*` and `node_disk_*_bytes_total`. Both ask what may hang: a share whose server is gone.

use sysinfo::{Disk, DiskRefreshKind, Disks};

use super::{Collector, known};
use crate::{Failure, Families, Host};

/// Space of file systems.
pub(super) struct Space;

/// What was read and written.
pub(super) struct Traffic;

fn name(disk: &Disk) -> String {
    disk.name().to_string_lossy().into_owned()
}

impl Collector for Space {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let what = DiskRefreshKind::nothing().with_storage();
        let disks = known(Disks::new_with_refreshed_list_specifics(what))?;
        for disk in &disks {
            let (device, point) = (name(disk), disk.mount_point().to_string_lossy());
            let fstype = disk.file_system().to_string_lossy();
            let space = (disk.total_space(), disk.available_space());
            show(out, [&device, &point, &fstype], disk.is_read_only(), space);
        }
        #[cfg(windows)]
        if disks.is_empty() {
            for drive in crate::sys::drives::all() {
                let labels = [&*drive.root, &drive.root, &drive.file_system];
                show(out, labels, drive.is_read_only, (drive.size, drive.available));
            }
        }
        Ok(())
    }
}

fn show(out: &mut Families, labels: [&str; 3], is_read_only: bool, (size, available): (u64, u64)) {
    let [device, point, fstype] = labels;
    // A volume without a name of its own is known by where it is.
    let device = if device.is_empty() { point } else { device };
    let labels = [("device", device), ("mountpoint", point), ("fstype", fstype)];
    out.gauge("node_filesystem_size_bytes", "Size.", &labels, size as f64);
    let help = "Free space for users other than root.";
    out.gauge("node_filesystem_avail_bytes", help, &labels, available as f64);
    let read_only = f64::from(u8::from(is_read_only));
    out.gauge("node_filesystem_readonly", "1 where the mount is read-only.", &labels, read_only);
}

impl Collector for Traffic {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let what = DiskRefreshKind::nothing().with_io_usage();
        // A disk with two mounts has one count.
        let mut seen = std::collections::BTreeSet::new();
        for disk in &known(Disks::new_with_refreshed_list_specifics(what))? {
            let point = disk.mount_point().to_string_lossy();
            let device =
                Some(name(disk)).filter(|name| !name.is_empty()).unwrap_or_else(|| point.into_owned());
            if !seen.insert(device.clone()) {
                continue;
            }
            let (usage, labels) = (disk.usage(), [("device", device.as_str())]);
            let (read, written) = (usage.total_read_bytes as f64, usage.total_written_bytes as f64);
            out.counter("node_disk_read_bytes_total", "Bytes read.", &labels, read);
            out.counter("node_disk_written_bytes_total", "Bytes written.", &labels, written);
        }
        Ok(())
    }
}
