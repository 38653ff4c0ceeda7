//! `node_watchdog_*` from `/sys/class/watchdog`.

use assay_model::MetricType::Gauge;

use super::{
    Collector, Entry,
    rows::{Row, show},
};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute},
};

pub(super) const ENTRY: Entry = Entry::on("watchdog", "Watchdog timers", |_| Box::new(Watchdog));

/// Watchdog timers.
struct Watchdog;

#[rustfmt::skip]
const NUMBERS: &[Row] = &[
    ("bootstatus", "bootstatus", Gauge, 1.0, "The device's status at boot."),
    ("fw_version", "fw_version", Gauge, 1.0, "Version of the firmware."),
    ("nowayout", "nowayout", Gauge, 1.0, "1 where the timer cannot be stopped."),
    ("timeleft", "timeleft_seconds", Gauge, 1.0, "Time before the host is reset."),
    ("timeout", "timeout_seconds", Gauge, 1.0, "Time that the timer waits."),
    ("pretimeout", "pretimeout_seconds", Gauge, 1.0, "Time between the warning and the reset."),
    ("access_cs0", "access_cs0", Gauge, 1.0, "1 where the device boots from its first flash."),
];

const TEXTS: [&str; 5] = ["options", "identity", "state", "status", "pretimeout_governor"];

impl Collector for Watchdog {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/watchdog");
        for name in list(&class)? {
            let directory = class.join(&name);
            show(out, &directory, "node_watchdog_", &[("name", &name)], NUMBERS);
            let texts = TEXTS.map(|file| read_attribute(&directory.join(file)).unwrap_or_default());
            let mut labels = vec![("name", name.as_str())];
            labels.extend(TEXTS.into_iter().zip(texts.iter().map(String::as_str)));
            out.gauge("node_watchdog_info", "A timer; always 1.", &labels, 1.0);
        }
        Ok(())
    }
}
