//! `node_slabinfo_*` from `/proc/slabinfo`, which root alone can read.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::off("slabinfo", "The kernel's caches of objects", |s| {
    Box::new(Slabinfo(Filter {
        include: s.pattern("collector.slabinfo.slabs-include"),
        exclude: s.pattern("collector.slabinfo.slabs-exclude"),
    }))
})
.flags(&[
    Flag::new("collector.slabinfo.slabs-include", Kind::Pattern(".*"), "The only caches to show"),
    Flag::new("collector.slabinfo.slabs-exclude", Kind::Pattern(""), "Caches to leave out"),
]);

/// The kernel's caches of objects.
struct Slabinfo(Filter);

const COLUMNS: [(&str, &str); 5] = [
    ("node_slabinfo_active_objects", "Objects in use."),
    ("node_slabinfo_objects", "Objects."),
    ("node_slabinfo_object_size_bytes", "Size of an object."),
    ("node_slabinfo_objects_per_slab", "Objects in a slab."),
    ("node_slabinfo_pages_per_slab", "Pages of a slab."),
];

impl Collector for Slabinfo {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("slabinfo")?;
        for line in text.lines().skip(1).filter(|line| !line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            let Some(slab) = words.next().filter(|slab| self.0.allows(slab)) else { continue };
            for ((name, help), value) in COLUMNS.iter().zip(words) {
                if let Ok(value) = value.parse() {
                    out.gauge(name, help, &[("slab", slab)], value);
                }
            }
        }
        Ok(())
    }
}
