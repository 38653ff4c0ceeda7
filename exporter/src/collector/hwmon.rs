//! `node_hwmon_*` from `/sys/class/hwmon`: temperatures, fans, voltages, currents, power.
//!
//! The files are described in the kernel's `Documentation/hwmon/sysfs-interface.rst`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::{list, read_attribute},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::on("hwmon", "Temperatures, fans, voltages and power", |s| Box::new(Hwmon::new(s)))
        .runs(Runs::Aside)
        .flags(&[
            Flag::new("collector.hwmon.chip-include", Kind::Pattern(""), "The only chips to show"),
            Flag::new("collector.hwmon.chip-exclude", Kind::Pattern(""), "Chips to leave out"),
            Flag::new(
                "collector.hwmon.sensor-include",
                Kind::Pattern(""),
                "The only sensors to show, as CHIP;SENSOR",
            ),
            Flag::new(
                "collector.hwmon.sensor-exclude",
                Kind::Pattern(""),
                "Sensors to leave out, as CHIP;SENSOR",
            ),
        ]);

/// Hardware sensors.
struct Hwmon {
    chips: Filter,
    sensors: Filter,
}

impl Hwmon {
    fn new(settings: &Settings) -> Self {
        Self {
            chips: settings.filter("collector.hwmon.chip"),
            sensors: settings.filter("collector.hwmon.sensor"),
        }
    }
}

const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// The files of one sensor: by element (`input`, `max`, `label` and so on; empty for `pwm1` itself), the text.
type Sensor = BTreeMap<String, String>;

impl Collector for Hwmon {
    fn may_hang(&self, host: &Host) -> bool {
        fs::read_dir(host.sys_path("class/hwmon")).is_ok_and(|mut chips| chips.next().is_some())
    }

    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/hwmon");
        for (directory, chip) in chips(&class)? {
            if !self.chips.allows(&chip) {
                continue;
            }
            if let Some(name) =
                read_attribute(&directory.join("name")).map(|n| clean(&n)).filter(|n| !n.is_empty())
            {
                let labels = [("chip", chip.as_str()), ("chip_name", &name)];
                out.gauge("node_hwmon_chip_names", "The driver's name of the chip; always 1.", &labels, 1.0);
            }
            for ((kind, number), elements) in sensors(&directory) {
                let sensor = format!("{kind}{number}");
                if self.sensors.allows(&format!("{chip};{sensor}")) {
                    show(out, &chip, kind, &sensor, &elements);
                }
            }
        }
        Ok(())
    }
}

/// The directories of all chips with their names. Chips of one parent are distinguished by their drivers' names and, where
/// these are equal too, by their numbers.
fn chips(class: &Path) -> Result<Vec<(PathBuf, String)>, Failure> {
    let entries: Vec<(String, PathBuf, String)> = list(class)?
        .into_iter()
        .filter_map(|entry| {
            let directory = class.join(&entry);
            let chip = chip(&directory)?;
            Some((entry, directory, chip))
        })
        .collect();
    let named = |(_, directory, chip): &(String, PathBuf, String)| {
        let name = read_attribute(&directory.join("name")).map(|name| clean(&name)).unwrap_or_default();
        format!("{chip}_{name}")
    };
    let is_alone = |chip: &str| entries.iter().filter(|(_, _, other)| other == chip).count() < 2;
    Ok(entries
        .iter()
        .map(|entry| {
            let (number, directory, chip) = entry;
            let chip = if is_alone(chip) {
                chip.clone()
            } else {
                let with_name = named(entry);
                match entries.iter().filter(|other| named(other) == with_name).count() {
                    1 => with_name,
                    _ => format!("{chip}_{}", clean(number)),
                }
            };
            (directory.clone(), chip)
        })
        .collect())
}

/// A name for the chip that stays when chips are numbered again: its device's bus and address where it has them.
fn chip(directory: &Path) -> Option<String> {
    let last = |path: &Path| path.file_name().map(|name| clean(&name.to_string_lossy())).unwrap_or_default();
    if let Ok(device) = fs::canonicalize(directory.join("device")) {
        let (name, bus) = (last(&device), device.parent().map(last).unwrap_or_default());
        if !name.is_empty() {
            return Some(if bus.is_empty() { name } else { format!("{bus}_{name}") });
        }
    }
    let name = read_attribute(&directory.join("name")).map(|name| clean(&name)).unwrap_or_default();
    let name = if name.is_empty() { last(&fs::canonicalize(directory).ok()?) } else { name };
    (!name.is_empty()).then_some(name)
}

/// Lower case, letters and digits, underscores for the rest.
fn clean(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let cleaned: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }).collect();
    cleaned.trim_matches('_').to_owned()
}

fn sensors(directory: &Path) -> BTreeMap<(&'static str, u32), Sensor> {
    let mut sensors: BTreeMap<_, Sensor> = BTreeMap::new();
    // Old drivers have their files below the device.
    for directory in [directory.to_owned(), directory.join("device")] as [PathBuf; 2] {
        for file in list(&directory).unwrap_or_default() {
            let Some((kind, number, element)) = parse(&file) else { continue };
            if let Some(text) = read_attribute(&directory.join(&file)) {
                sensors.entry((kind, number)).or_default().insert(element.to_owned(), text);
            }
        }
    }
    sensors
}

/// `temp1_crit_alarm` is the element `crit_alarm` of the first temperature.
fn parse(file: &str) -> Option<(&'static str, u32, &str)> {
    let (kind, rest) = KINDS
        .iter()
        .filter_map(|kind| Some((*kind, file.strip_prefix(kind)?)))
        .find(|(_, rest)| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, element) = rest.split_at(digits);
    let number = if number.is_empty() { 0 } else { number.parse().ok()? };
    match element {
        "" => Some((kind, number, "")),
        element => Some((kind, number, element.strip_prefix('_')?)),
    }
}

fn show(out: &mut Families, chip: &str, kind: &str, sensor: &str, elements: &Sensor) {
    let labels = [("chip", chip), ("sensor", sensor)];
    if let Some(label) = elements.get("label") {
        let labels = [labels[0], labels[1], ("label", label)];
        out.gauge("node_hwmon_sensor_label", "What the sensor is called; always 1.", &labels, 1.0);
    }
    for (element, text) in elements.iter().filter(|(element, _)| *element != "label") {
        let Ok(value) = text.parse::<f64>() else { continue };
        if (kind, element.as_str()) == ("freq", "input") {
            // A clock is known by its label alone.
            if let Some(label) = elements.get("label") {
                let labels = [("chip", chip), ("sensor", &clean(label))];
                out.gauge("node_hwmon_freq_freq_mhz", "Hardware clock in MHz.", &labels, value * 1e-6);
            }
            continue;
        }
        let (suffix, factor, metric_type) = unit(kind, element);
        let name = match (kind, element.as_str()) {
            ("beep_enable", _) => "beep_enabled".to_owned(),
            ("vrm", _) => "voltage_regulator_version".to_owned(),
            (_, "") => kind.to_owned(),
            // A control that is both set and read (`pwm1`, `pwm1_input`) keeps the two apart.
            (_, "input") if !elements.contains_key("") => kind.to_owned(),
            (_, element) => format!("{kind}_{}", clean(element)),
        };
        let help = format!("Hardware sensor: {kind} {element}.");
        out.add(metric_type, &format!("node_hwmon_{name}{suffix}"), help.trim_end(), &labels, value * factor);
    }
}

/// The unit after the metric's name, and the factor from the kernel's unit to it.
fn unit(kind: &str, element: &str) -> (&'static str, f64, MetricType) {
    const MILLI: f64 = 1e-3;
    const MICRO: f64 = 1e-6;
    match (kind, element) {
        (_, "fault" | "alarm") => ("", 1.0, Gauge),
        (_, "beep") => ("_enabled", 1.0, Gauge),
        ("update_interval", _) => ("_seconds", MILLI, Gauge),
        ("in" | "cpu", _) => ("_volts", MILLI, Gauge),
        ("temp", "type") => ("", 1.0, Gauge),
        ("temp", _) => ("_celsius", MILLI, Gauge),
        ("curr", _) => ("_amps", MILLI, Gauge),
        ("energy", _) => ("_joule_total", MICRO, Counter),
        ("power", "accuracy") => ("", MICRO, Gauge),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", MILLI, Gauge)
        }
        ("power", _) => ("_watt", MICRO, Gauge),
        ("humidity", _) => ("", MICRO, Gauge),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", 1.0, Gauge),
        _ => ("", 1.0, Gauge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_taken_apart() {
        let check = |file: &str, want: Option<(&str, u32, &str)>| assert_eq!(parse(file), want, "{file}");
        check("temp1_input", Some(("temp", 1, "input")));
        check("temp12_crit_alarm", Some(("temp", 12, "crit_alarm")));
        check("pwm3", Some(("pwm", 3, "")));
        check("update_interval", Some(("update_interval", 0, "")));
        check("intrusion0_alarm", Some(("intrusion", 0, "alarm")));
        check("in0_input", Some(("in", 0, "input")));
        check("uevent", None);
        check("temperature", None);
        check("fan1input", None);
        assert_eq!(clean(" Core-Temp.0 "), "core_temp_0");
    }
}
