//! `node_thermal_zone_temp` and `node_cooling_device_*` from `/sys/class/thermal`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry =
    Entry::on("thermal_zone", "Temperatures of zones, and what cools them", |_| Box::new(ThermalZone));

/// Temperatures of zones, and what cools them.
pub(super) struct ThermalZone;

const MILLI: f64 = 1000.0;

impl Collector for ThermalZone {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/thermal");
        for entry in list(&class)? {
            let directory = class.join(&entry);
            let kind = read_attribute(&directory.join("type")).unwrap_or_default();
            let number = |file: &str| read_attribute_number(&directory.join(file));
            if let Some(zone) = entry.strip_prefix("thermal_zone") {
                let labels = [("zone", zone), ("type", &*kind)];
                // A sensor that is asleep refuses to be read.
                if let Some(milli) = number("temp") {
                    out.gauge("node_thermal_zone_temp", "Degrees Celsius.", &labels, milli / MILLI);
                }
            } else if let Some(name) = entry.strip_prefix("cooling_device") {
                let labels = [("name", name), ("type", &*kind)];
                if let Some(state) = number("cur_state") {
                    let help = "How much the device cools.";
                    out.gauge("node_cooling_device_cur_state", help, &labels, state);
                }
                if let Some(state) = number("max_state") {
                    let help = "How much the device can cool.";
                    out.gauge("node_cooling_device_max_state", help, &labels, state);
                }
            }
        }
        Ok(())
    }
}
