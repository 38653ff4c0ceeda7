//! `node_vmstat_*` from `/proc/vmstat`.

use super::Collector;
use crate::{Failure, Families, Filter, Host, Options, host::number};

/// Paging and out-of-memory kills. The kernel mixes counters and gauges: all are untyped.
pub(super) struct Vmstat {
    fields: Filter,
}

impl Vmstat {
    pub(super) fn new(options: &Options) -> Self {
        Self { fields: options.vmstat_fields.clone() }
    }
}

impl Collector for Vmstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("vmstat");
        let text = crate::host::read(&path)?;
        for (field, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            if self.fields.allows(field) {
                let help = format!("{field} of /proc/vmstat.");
                out.untyped(&format!("node_vmstat_{field}"), &help, &[], number(&path, value)?);
            }
        }
        Ok(())
    }
}
