//! `node_load1`, `node_load5` and `node_load15` from `/proc/loadavg`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::number};

pub(super) const ENTRY: Entry = Entry::on("loadavg", "Load averages", |_| Box::new(Loadavg));

/// Load averages.
pub(super) struct Loadavg;

const AVERAGES: [(&str, &str); 3] = [
    ("node_load1", "Load average over 1 minute."),
    ("node_load5", "Load average over 5 minutes."),
    ("node_load15", "Load average over 15 minutes."),
];

impl Collector for Loadavg {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("loadavg");
        let text = host.read_proc("loadavg")?;
        for ((name, help), word) in AVERAGES.into_iter().zip(text.split_ascii_whitespace()) {
            out.gauge(name, help, &[], number(&path, word)?);
        }
        Ok(())
    }
}
