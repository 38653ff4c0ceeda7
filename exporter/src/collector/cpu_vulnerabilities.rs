//! `node_cpu_vulnerabilities_info` from `/sys/devices/system/cpu/vulnerabilities`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute},
};

pub(super) const ENTRY: Entry =
    Entry::off("cpu_vulnerabilities", "Which vulnerabilities the CPUs have", |_| {
        Box::new(CpuVulnerabilities)
    });

/// What the kernel says of each vulnerability that it knows.
struct CpuVulnerabilities;

impl Collector for CpuVulnerabilities {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let directory = host.sys_path("devices/system/cpu/vulnerabilities");
        for codename in list(&directory)? {
            let Some(text) = read_attribute(&directory.join(&codename)) else { continue };
            let (state, mitigation) = state(&text);
            let labels = [("codename", codename.as_str()), ("state", state), ("mitigation", mitigation)];
            out.gauge("node_cpu_vulnerabilities_info", "A vulnerability; always 1.", &labels, 1.0);
        }
        Ok(())
    }
}

fn state(text: &str) -> (&'static str, &str) {
    let after = |prefix: &str| text.strip_prefix(prefix).map(|rest| rest.trim_start_matches(':').trim());
    if text.starts_with("Not affected") {
        ("not affected", "")
    } else if let Some(rest) = after("Mitigation") {
        ("mitigation", rest)
    } else if let Some(rest) = after("Vulnerable") {
        ("vulnerable", rest)
    } else {
        ("unknown", "")
    }
}
