//! `node_bcachefs_*` from `/sys/fs/bcachefs`.

use std::path::Path;

use super::{Collector, Entry, rows::human_bytes};
use crate::{
    Failure, Families, Host,
    host::{list, read, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry = Entry::on("bcachefs", "bcachefs file systems", |_| Box::new(Bcachefs));

/// bcachefs file systems and their devices.
struct Bcachefs;

impl Collector for Bcachefs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let root = host.sys_path("fs/bcachefs");
        for uuid in list(&root)? {
            let directory = root.join(&uuid);
            filesystem(out, &directory, &uuid);
            for name in list(&directory)? {
                if let Some(device) = name.strip_prefix("dev-") {
                    self::device(out, &directory.join(&name), &uuid, device);
                }
            }
        }
        Ok(())
    }
}

fn filesystem(out: &mut Families, directory: &Path, uuid: &str) {
    let labels = [("uuid", uuid)];
    out.gauge("node_bcachefs_info", "A file system; always 1.", &labels, 1.0);
    if let Some(bytes) = read_attribute(&directory.join("btree_cache_size")).as_deref().and_then(human_bytes)
    {
        out.gauge("node_bcachefs_btree_cache_size_bytes", "Size of the tree's cache.", &labels, bytes);
    }
    for counter in list(&directory.join("counters")).unwrap_or_default() {
        let text = read(&directory.join("counters").join(&counter)).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("since filesystem creation:"));
        // Amounts of data have units.
        if let Some(value) = total.and_then(human_bytes) {
            let help = format!("{counter} since the file system was made.");
            out.counter(&format!("node_bcachefs_{counter}_total"), &help, &labels, value);
        }
    }
    let text = read(&directory.join("compression_stats")).unwrap_or_default();
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [algorithm, compressed, uncompressed, ..] = words.as_slice() else { continue };
        let labels = [("uuid", uuid), ("algorithm", algorithm)];
        for (state, size) in [("compressed", compressed), ("uncompressed", uncompressed)] {
            if let Some(bytes) = human_bytes(size) {
                let name = format!("node_bcachefs_compression_{state}_bytes");
                out.gauge(&name, &format!("Data by algorithm, {state}."), &labels, bytes);
            }
        }
    }
    let text = read(&directory.join("errors")).unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(kind), Some(count)) = (words.next(), words.next()) else { continue };
        // A count as wide as its column runs into the time after it; node_exporter shows it so, and so do we.
        if let Ok(count) = count.parse() {
            let labels = [("uuid", uuid), ("error_type", kind)];
            out.counter("node_bcachefs_errors_total", "Errors by type.", &labels, count);
        }
    }
    let text = read(&directory.join("btree_write_stats")).unwrap_or_default();
    for (kind, rest) in text.lines().filter_map(|line| line.split_once(':')) {
        let mut words = rest.split_ascii_whitespace();
        let labels = [("uuid", uuid), ("type", kind.trim())];
        if let Some(n) = words.next().and_then(|n| n.parse().ok()) {
            out.counter("node_bcachefs_btree_writes_total", "Writes of tree nodes.", &labels, n);
        }
        if let Some(bytes) = words.next().and_then(human_bytes) {
            let help = "Average size of a write of a tree node.";
            out.gauge("node_bcachefs_btree_write_average_size_bytes", help, &labels, bytes);
        }
    }
}

fn device(out: &mut Families, directory: &Path, uuid: &str, device: &str) {
    let text = |file: &str| read_attribute(&directory.join(file)).unwrap_or_default();
    let labels = [("uuid", uuid), ("device", device), ("label", &text("label")), ("state", &text("state"))];
    out.gauge("node_bcachefs_device_info", "A device of the file system; always 1.", &labels, 1.0);
    let labels = &labels[..2];
    if let Some(bytes) = human_bytes(&text("bucket_size")) {
        out.gauge("node_bcachefs_device_bucket_size_bytes", "Size of a bucket.", labels, bytes);
    }
    for (file, name) in [("nbuckets", "buckets"), ("durability", "durability")] {
        if let Some(value) = read_attribute_number(&directory.join(file)) {
            out.gauge(
                &format!("node_bcachefs_device_{name}"),
                &format!("{name} of the device."),
                labels,
                value,
            );
        }
    }
    let mut operation = String::new();
    for (key, value) in
        read(&directory.join("io_done")).unwrap_or_default().lines().filter_map(|l| l.split_once(':'))
    {
        match (key.trim(), value.trim()) {
            (key, "") => key.clone_into(&mut operation),
            (key, value) => {
                let labels = [labels[0], labels[1], ("operation", operation.as_str()), ("data_type", key)];
                if let Ok(bytes) = value.parse() {
                    let help = "Bytes read and written by type of data.";
                    out.counter("node_bcachefs_device_io_done_bytes_total", help, &labels, bytes);
                }
            }
        }
    }
    let text = read(&directory.join("io_errors")).unwrap_or_default();
    let total =
        text.lines().skip_while(|line| !line.starts_with("IO errors since filesystem creation")).skip(1);
    for (kind, value) in
        total.take_while(|line| line.starts_with(' ')).filter_map(|line| line.split_once(':'))
    {
        if let Ok(n) = value.trim().parse() {
            let labels = [labels[0], labels[1], ("type", kind.trim())];
            out.counter("node_bcachefs_device_io_errors_total", "Errors by type.", &labels, n);
        }
    }
}
