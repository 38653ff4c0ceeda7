//! `node_rapl_*_joules_total` from `/sys/class/powercap`.

use std::collections::HashMap;

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read, read_attribute},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("rapl", "Energy that processors used", |s| {
    Box::new(Rapl { has_zone_label: s.switch("collector.rapl.enable-zone-label") })
})
.flags(&[Flag::new(
    "collector.rapl.enable-zone-label",
    Kind::Switch(false),
    "Use one metric with the label rapl_zone, rather than one for each zone",
)]);

/// Energy by zone. Since 2020 the kernel lets root alone read it; elsewhere there is nothing to collect.
struct Rapl {
    has_zone_label: bool,
}

const UJ_PER_J: f64 = 1e6;

impl Collector for Rapl {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/powercap");
        let mut seen: HashMap<String, usize> = HashMap::new();
        for entry in list(&class)? {
            let directory = class.join(&entry);
            let Some(name) = read_attribute(&directory.join("name")) else { continue };
            // `package-0` has its number; zones of one name without numbers are counted.
            let (name, index) = match name.rsplit_once('-').filter(|(_, n)| n.parse::<u32>().is_ok()) {
                Some((name, index)) => (name.to_owned(), index.to_owned()),
                None => {
                    let n = seen.entry(name.clone()).or_default();
                    *n += 1;
                    (name, (*n - 1).to_string())
                }
            };
            let path = directory.join("energy_uj");
            let energy = match read(&path) {
                Err(Failure::Read { cause, path })
                    if cause.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    return Err(Failure::Absent(path));
                }
                Err(Failure::Absent(_)) => continue,
                other => other?,
            };
            let joules = crate::host::number(&path, energy.trim())? / UJ_PER_J;
            let directory = directory.to_string_lossy();
            let help = "Energy that the zone used.";
            if self.has_zone_label {
                let labels = [("index", index.as_str()), ("path", &*directory), ("rapl_zone", &name)];
                out.counter("node_rapl_joules_total", help, &labels, joules);
            } else {
                let labels = [("index", index.as_str()), ("path", &*directory)];
                let zone: String =
                    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                out.counter(&format!("node_rapl_{zone}_joules_total"), help, &labels, joules);
            }
        }
        Ok(())
    }
}
