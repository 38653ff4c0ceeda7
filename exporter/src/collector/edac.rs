//! `node_edac_*` from `/sys/devices/system/edac/mc`.

use std::path::Path;

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute_number},
};

pub(super) const ENTRY: Entry = Entry::on("edac", "Memory errors that ECC found", |_| Box::new(Edac));

/// Memory errors by controller and row. Each file that is there is shown; node_exporter before 1.12 loses all for one.
struct Edac;

impl Collector for Edac {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.sys_path("devices/system/edac/mc");
        for name in list(&directory).unwrap_or_default() {
            let Some(controller) = name.strip_prefix("mc").filter(|n| n.parse::<u32>().is_ok()) else {
                continue;
            };
            let mc = directory.join(&name);
            for (prefix, kind) in [("ce", "correctable"), ("ue", "uncorrectable")] {
                let labels = [("controller", controller)];
                let family = format!("node_edac_{kind}_errors_total");
                count(out, &family, &mc.join(format!("{prefix}_count")), &labels);
                let family = format!("node_edac_csrow_{kind}_errors_total");
                let labels = [("controller", controller), ("csrow", "unknown")];
                count(out, &family, &mc.join(format!("{prefix}_noinfo_count")), &labels);
            }
            for row in list(&mc)? {
                let Some(csrow) = row.strip_prefix("csrow") else { continue };
                let labels = [("controller", controller), ("csrow", csrow)];
                for (prefix, kind) in [("ce", "correctable"), ("ue", "uncorrectable")] {
                    let family = format!("node_edac_csrow_{kind}_errors_total");
                    count(out, &family, &mc.join(&row).join(format!("{prefix}_count")), &labels);
                }
            }
        }
        Ok(())
    }
}

fn count(out: &mut Families, family: &str, path: &Path, labels: &[(&str, &str)]) {
    if let Some(n) = read_attribute_number(path) {
        out.counter(family, "Memory errors found by ECC.", labels, n);
    }
}
