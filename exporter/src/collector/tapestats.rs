//! `node_tape_*` from `/sys/class/scsi_tape`.

use assay_model::MetricType::{Counter, Gauge};

use super::{
    Collector, Entry,
    rows::{Row, show},
};
use crate::{
    Failure, Families, Filter, Host,
    host::list,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("tapestats", "Tape drives", |s| {
    Box::new(Tapestats(Filter { include: None, exclude: s.pattern("collector.tapestats.ignored-devices") }))
})
.flags(&[Flag::new("collector.tapestats.ignored-devices", Kind::Pattern("^$"), "Drives to leave out")]);

/// Tape drives' I/O.
struct Tapestats(Filter);

#[rustfmt::skip]
const STATS: &[Row] = &[
    ("in_flight", "io_now", Gauge, 1.0, "Operations in progress."),
    ("io_ns", "io_time_seconds_total", Counter, 1e-9, "Time of all operations."),
    ("other_cnt", "io_others_total", Counter, 1.0, "Operations other than reads and writes."),
    ("read_byte_cnt", "read_bytes_total", Counter, 1.0, "Bytes read."),
    ("read_cnt", "reads_completed_total", Counter, 1.0, "Reads."),
    ("read_ns", "read_time_seconds_total", Counter, 1e-9, "Time of all reads."),
    ("write_byte_cnt", "written_bytes_total", Counter, 1.0, "Bytes written."),
    ("write_cnt", "writes_completed_total", Counter, 1.0, "Writes."),
    ("write_ns", "write_time_seconds_total", Counter, 1e-9, "Time of all writes."),
    ("resid_cnt", "residual_total", Counter, 1.0, "Operations that moved less than they were asked to."),
];

impl Collector for Tapestats {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/scsi_tape");
        for name in list(&class)? {
            // A drive has several devices, one for each mode; they share statistics.
            let is_plain = name.strip_prefix("st").is_some_and(|n| n.parse::<u32>().is_ok());
            if is_plain && self.0.allows(&name) {
                show(out, &class.join(&name).join("stats"), "node_tape_", &[("device", &name)], STATS);
            }
        }
        Ok(())
    }
}
