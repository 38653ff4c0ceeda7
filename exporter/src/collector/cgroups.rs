//! `node_cgroups_*` from `/proc/cgroups`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::number};

pub(super) const ENTRY: Entry =
    Entry::off("cgroups", "How many cgroups each controller has", |_| Box::new(Cgroups));

/// Controllers of cgroups.
struct Cgroups;

impl Collector for Cgroups {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("cgroups");
        let text = host.read_proc("cgroups")?;
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[name, _hierarchy, n, enabled] = words.as_slice() else { continue };
            let labels = [("subsys_name", name)];
            out.gauge("node_cgroups_cgroups", "cgroups of the controller.", &labels, number(&path, n)?);
            let help = "1 where the controller is enabled.";
            out.gauge("node_cgroups_enabled", help, &labels, number(&path, enabled)?);
        }
        Ok(())
    }
}
