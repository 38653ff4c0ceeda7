//! `node_power_supply_*` from `/sys/class/power_supply`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host,
    host::{list, read_attribute, read_attribute_number},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("powersupplyclass", "Batteries and mains", |s| {
    let ignored = Filter { include: None, exclude: s.pattern("collector.powersupply.ignored-supplies") };
    Box::new(PowerSupplyClass(ignored))
})
.flags(&[Flag::new(
    "collector.powersupply.ignored-supplies",
    Kind::Pattern("^$"),
    "Power supplies to leave out",
)]);

/// Batteries and mains.
struct PowerSupplyClass(Filter);

/// File, metric, and the divisor from the kernel's unit (micro, or tenths of a degree).
#[rustfmt::skip]
const ATTRIBUTES: [(&str, &str, f64); 24] = [
    ("online", "online", 1.0),
    ("present", "present", 1.0),
    ("capacity", "capacity", 1.0),
    ("cycle_count", "cyclecount", 1.0),
    ("time_to_empty_now", "time_to_empty_seconds", 1.0),
    ("time_to_full_now", "time_to_full_seconds", 1.0),
    ("current_now", "current_ampere", 1e6),
    ("current_max", "current_max", 1e6),
    ("energy_now", "energy_watthour", 1e6),
    ("energy_empty", "energy_empty", 1e6),
    ("energy_full", "energy_full", 1e6),
    ("energy_full_design", "energy_full_design", 1e6),
    ("charge_now", "charge_ampere", 1e6),
    ("charge_empty", "charge_empty", 1e6),
    ("charge_full", "charge_full", 1e6),
    ("charge_full_design", "charge_full_design", 1e6),
    ("power_now", "power_watt", 1e6),
    ("voltage_now", "voltage_volt", 1e6),
    ("voltage_max", "voltage_max", 1e6),
    ("voltage_max_design", "voltage_max_design", 1e6),
    ("voltage_min", "voltage_min", 1e6),
    ("voltage_min_design", "voltage_min_design", 1e6),
    ("temp", "temp_celsius", 10.0),
    ("temp_ambient", "temp_ambient_celsius", 10.0),
];

const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
    "scope",
];

impl Collector for PowerSupplyClass {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/power_supply");
        for name in list(&class)?.into_iter().filter(|name| self.0.allows(name)) {
            let directory = class.join(&name);
            for (file, metric, divisor) in ATTRIBUTES {
                if let Some(value) = read_attribute_number(&directory.join(file)) {
                    let help = format!("{file} of the power supply.");
                    let labels = [("power_supply", name.as_str())];
                    out.gauge(&format!("node_power_supply_{metric}"), &help, &labels, value / divisor);
                }
            }
            let texts = TEXTS.map(|file| read_attribute(&directory.join(file)).unwrap_or_default());
            let mut labels = vec![("power_supply", name.as_str())];
            labels.extend(TEXTS.into_iter().zip(texts.iter().map(String::as_str)));
            out.gauge("node_power_supply_info", "What is known of the power supply; always 1.", &labels, 1.0);
        }
        Ok(())
    }
}
