//! `node_zfs_*` from `/proc/spl/kstat/zfs`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read},
};

pub(super) const ENTRY: Entry = Entry::on("zfs", "ZFS", |_| Box::new(Zfs));

/// ZFS' statistics. What counts and what measures is not told apart there: all are untyped.
struct Zfs;

/// File, and the metrics' prefix.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "abd"),
    ("arcstats", "arc"),
    ("dbufstats", "dbuf"),
    ("dmu_tx", "dmu_tx"),
    ("dnodestats", "dnode"),
    ("fm", "fm"),
    ("vdev_cache_stats", "vdev_cache"),
    ("vdev_mirror_stats", "vdev_mirror"),
    ("xuio_stats", "xuio"),
    ("zfetchstats", "zfetch"),
    ("zil", "zil"),
];

const STATES: [&str; 7] = ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

impl Collector for Zfs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let root = host.proc_path("spl/kstat/zfs");
        let entries = list(&root)?;
        for (file, prefix) in FILES {
            // Files come and go with versions of ZFS.
            let Ok(text) = read(&root.join(file)) else { continue };
            for (name, value) in named(&text) {
                let help = format!("kstat.zfs.misc.{file}.{name}");
                out.untyped(&format!("node_zfs_{prefix}_{}", clean(name)), &help, &[], value);
            }
        }
        for pool in entries.iter().filter(|name| root.join(name).is_dir()) {
            self::pool(out, &root.join(pool), pool);
        }
        Ok(())
    }
}

fn pool(out: &mut Families, directory: &std::path::Path, pool: &str) {
    let labels = [("zpool", pool)];
    if let Ok(state) = read(&directory.join("state")) {
        for known in STATES {
            let is_in = f64::from(u8::from(state.trim().eq_ignore_ascii_case(known)));
            let labels = [("zpool", pool), ("state", known)];
            out.gauge("node_zfs_zpool_state", "1 for the pool's state.", &labels, is_in);
        }
    }
    // It is gone from OpenZFS 2.1 on.
    if let Ok(text) = read(&directory.join("io")) {
        let mut lines = text.lines().skip(1);
        let names = lines.next().unwrap_or_default().split_ascii_whitespace();
        for (name, value) in names.zip(lines.next().unwrap_or_default().split_ascii_whitespace()) {
            if let Ok(value) = value.parse() {
                let help = format!("kstat.zfs.misc.io.{name}");
                out.untyped(&format!("node_zfs_zpool_{}", clean(name)), &help, &labels, value);
            }
        }
    }
    for name in list(directory).unwrap_or_default().iter().filter(|name| name.starts_with("objset-")) {
        let Ok(text) = read(&directory.join(name)) else { continue };
        // The name, which may have blanks, is what comes after the type.
        let dataset = text.lines().find_map(|line| {
            let rest = line.strip_prefix("dataset_name")?.trim_start();
            Some(rest.split_once(' ')?.1.trim())
        });
        let Some(dataset) = dataset else { continue };
        for (name, value) in named(&text) {
            let labels = [("zpool", pool), ("dataset", dataset)];
            let help = format!("kstat.zfs.misc.objset.{name}");
            out.untyped(&format!("node_zfs_zpool_dataset_{}", clean(name)), &help, &labels, value);
        }
    }
}

/// The lines `name type data` whose type is a number of 64 bits, signed or not.
fn named(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().skip(2).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (name, kind, value) = (words.next()?, words.next()?, words.next()?);
        if matches!(kind, "3" | "4") { Some((name, value.parse().ok()?)) } else { None }
    })
}

fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
