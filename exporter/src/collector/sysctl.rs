//! `node_sysctl_*` from `/proc/sys`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host, Settings,
    host::{number, read},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::off("sysctl", "Kernel parameters that are asked for", |s| Box::new(Sysctl::new(s))).flags(&[
        Flag::new(
            "collector.sysctl.include",
            Kind::List(&[]),
            "A parameter, as fs.file-nr, or with names for its values, as fs.file-nr:total,current,max; may be repeated",
        ),
        Flag::new(
            "collector.sysctl.include-info",
            Kind::List(&[]),
            "A parameter whose values are texts; may be repeated",
        ),
    ]);

/// Kernel parameters.
struct Sysctl {
    numbers: Vec<String>,
    texts: Vec<String>,
}

impl Sysctl {
    fn new(settings: &Settings) -> Self {
        let list = |name: &str| settings.list(name).iter().filter(|n| !n.is_empty()).cloned().collect();
        Self { numbers: list("collector.sysctl.include"), texts: list("collector.sysctl.include-info") }
    }
}

impl Collector for Sysctl {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        for asked in &self.numbers {
            let (name, keys) = asked.split_once(':').unwrap_or((asked, ""));
            let path = host.proc_path("sys").join(name.replace('.', "/"));
            let text = read(&path)?;
            let values: Vec<&str> = text.split_ascii_whitespace().collect();
            let metric = format!("node_sysctl_{}", clean(name));
            let help = format!("sysctl {name}");
            if !keys.is_empty() {
                let keys: Vec<&str> = keys.split(',').collect();
                if keys.len() != values.len() {
                    let message = format!("{} values where {} are named", values.len(), keys.len());
                    return Err(Failure::Layout { path, message });
                }
                for (at, (key, value)) in keys.iter().zip(&values).enumerate() {
                    let help = format!("{help}, field {at}");
                    out.untyped(&format!("{metric}_{}", clean(key)), &help, &[], number(&path, value)?);
                }
            } else if let [value] = values.as_slice() {
                out.untyped(&metric, &help, &[], number(&path, value)?);
            } else {
                for (at, value) in values.iter().enumerate() {
                    out.untyped(&metric, &help, &[("index", &at.to_string())], number(&path, value)?);
                }
            }
        }
        for name in &self.texts {
            let text = read(&host.proc_path("sys").join(name.replace('.', "/")))?;
            for (at, value) in text.split_ascii_whitespace().enumerate() {
                let labels = [("name", name.as_str()), ("value", value), ("index", &*at.to_string())];
                out.gauge("node_sysctl_info", "A text of a parameter; always 1.", &labels, 1.0);
            }
        }
        Ok(())
    }
}

fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
