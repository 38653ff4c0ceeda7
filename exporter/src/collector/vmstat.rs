//! `node_vmstat_*` from `/proc/vmstat`.

use super::{Collector, Entry, fields::Fields};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::number,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::on("vmstat", "Paging and out-of-memory kills", |s| Box::new(Vmstat::new(s))).flags(&[Flag::new(
        "collector.vmstat.fields",
        Kind::Pattern("^(oom_kill|pgpg|pswp|pg.*fault).*"),
        "Fields of /proc/vmstat to show",
    )]);

/// Paging and out-of-memory kills. The kernel mixes counters and gauges: all are untyped.
pub(super) struct Vmstat {
    fields: Fields,
}

impl Vmstat {
    pub(super) fn new(settings: &Settings) -> Self {
        let shown = Filter { include: settings.pattern("collector.vmstat.fields"), exclude: None };
        Self { fields: Fields::new(shown) }
    }
}

impl Collector for Vmstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("vmstat");
        let text = host.read_proc("vmstat")?;
        for (field, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let describe = || (format!("node_vmstat_{field}"), format!("{field} of /proc/vmstat."));
            self.fields.show(out, field, describe, || number(&path, value))?;
        }
        Ok(())
    }
}
