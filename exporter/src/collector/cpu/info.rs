//! `node_cpu_info` and its kind, from `/proc/cpuinfo`.

use regex::Regex;

use crate::{Families, Settings};

/// What to show of `/proc/cpuinfo`.
pub(super) struct Info {
    flags: Option<Regex>,
    bugs: Option<Regex>,
}

/// Labels of `node_cpu_info`, and the keys of x86's cpuinfo.
const LABELS: [(&str, &str); 10] = [
    ("package", "physical id"),
    ("core", "core id"),
    ("cpu", "processor"),
    ("vendor", "vendor_id"),
    ("family", "cpu family"),
    ("model", "model"),
    ("model_name", "model name"),
    ("microcode", "microcode"),
    ("stepping", "stepping"),
    ("cachesize", "cache size"),
];

impl Info {
    /// `None` where nothing of it was asked for.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let flags = settings.pattern("collector.cpu.info.flags-include");
        let bugs = settings.pattern("collector.cpu.info.bugs-include");
        let is_on = settings.switch("collector.cpu.info") || flags.is_some() || bugs.is_some();
        is_on.then_some(Self { flags, bugs })
    }

    pub(super) fn show(&self, cpuinfo: &str, out: &mut Families) {
        for (at, cpu) in cpuinfo.split("\n\n").filter(|cpu| cpu.contains("processor")).enumerate() {
            let value = |key: &str| {
                let mut pairs = cpu.lines().filter_map(|line| line.split_once(':'));
                pairs.find(|(name, _)| name.trim() == key).map_or("", |(_, value)| value.trim())
            };
            let labels = LABELS.map(|(label, key)| (label, value(key)));
            out.gauge("node_cpu_info", "What is known of the CPU; always 1.", &labels, 1.0);
            if let Ok(mhz) = value("cpu MHz").parse::<f64>() {
                let help = "The frequency that the hardware runs at.";
                out.gauge("node_cpu_frequency_hertz", help, &labels[..3], mhz * 1e6);
            }
            if at == 0 {
                show_matching(out, "node_cpu_flag_info", "flag", value("flags"), self.flags.as_ref());
                show_matching(out, "node_cpu_bug_info", "bug", value("bugs"), self.bugs.as_ref());
            }
        }
    }
}

fn show_matching(out: &mut Families, name: &str, label: &str, words: &str, pattern: Option<&Regex>) {
    let Some(pattern) = pattern else { return };
    for word in words.split_ascii_whitespace().filter(|word| pattern.is_match(word)) {
        let help = format!("The first CPU has the {label}; always 1.");
        out.gauge(name, &help, &[(label, word)], 1.0);
    }
}
