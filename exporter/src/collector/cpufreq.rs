//! `node_cpu_{frequency,scaling_frequency}*_hertz` from `/sys/devices/system/cpu/cpu*/cpufreq`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::class::{Class, Device},
};

pub(super) const ENTRY: Entry = Entry::on("cpufreq", "CPU frequencies", |_| Box::new(Cpufreq::default()));

/// Frequencies that the kernel asks for and the hardware runs at.
#[derive(Default)]
struct Cpufreq {
    cpus: Class,
}

const FREQUENCIES: [(&str, &str, &str); 6] = [
    ("cpufreq/cpuinfo_cur_freq", "node_cpu_frequency_hertz", "The frequency that the hardware runs at."),
    ("cpufreq/cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "The lowest frequency of the hardware."),
    ("cpufreq/cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "The highest frequency of the hardware."),
    (
        "cpufreq/scaling_cur_freq",
        "node_cpu_scaling_frequency_hertz",
        "The frequency that the kernel asks for.",
    ),
    (
        "cpufreq/scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "The lowest frequency that may be asked for.",
    ),
    (
        "cpufreq/scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "The highest frequency that may be asked for.",
    ),
];

impl Collector for Cpufreq {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        self.cpus.each(host, "devices/system/cpu", |name, attributes| {
            let Some(cpu) = name.strip_prefix("cpu").filter(|n| n.parse::<u32>().is_ok()) else { return };
            if attributes.has("cpufreq") {
                show(out, cpu, attributes);
            }
        })
    }
}

fn show(out: &mut Families, cpu: &str, attributes: &mut Device<'_>) {
    for (file, metric, help) in FREQUENCIES {
        if let Some(khz) = attributes.number(file) {
            out.gauge(metric, help, &[("cpu", cpu)], khz * 1000.0);
        }
    }
    let governor = attributes.text("cpufreq/scaling_governor").unwrap_or_default();
    let governors = attributes.text("cpufreq/scaling_available_governors").unwrap_or_default();
    for known in governors.split_whitespace() {
        let labels = [("cpu", cpu), ("governor", known)];
        let is_in_force = f64::from(u8::from(known == governor));
        let help = "1 for the governor in force.";
        out.gauge("node_cpu_scaling_governor", help, &labels, is_in_force);
    }
}
