//! `node_dmi_info` from `/sys/class/dmi/id`.

use std::sync::OnceLock;

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read},
};

pub(super) const ENTRY: Entry =
    Entry::on("dmi", "The machine's vendor, model and firmware", |_| Box::new(Dmi::default()));

/// What the firmware says of the machine. It is read once: it does not change while the kernel runs.
#[derive(Default)]
struct Dmi {
    labels: OnceLock<Vec<(&'static str, String)>>,
}

/// The files, which are the labels too but for one. Serial numbers are for root alone.
const FILES: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

impl Collector for Dmi {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.sys_path("class/dmi/id");
        let labels = match self.labels.get() {
            Some(labels) => labels,
            None => {
                list(&directory)?;
                let shown = FILES.iter().filter_map(|file| {
                    let text = read(&directory.join(file)).ok()?;
                    let label = if *file == "sys_vendor" { "system_vendor" } else { file };
                    Some((label, text.trim().to_owned()))
                });
                self.labels.get_or_init(|| shown.collect())
            }
        };
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        out.gauge("node_dmi_info", "What the firmware says of the machine; always 1.", &labels, 1.0);
        Ok(())
    }
}
