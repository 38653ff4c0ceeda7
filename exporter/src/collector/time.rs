//! `node_time_*`: the clock, the time zone, and `/sys/devices/system/clocksource`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::class::Class};

pub(super) const ENTRY: Entry =
    Entry::on("time", "The clock, its source and time zone", |_| Box::new(Time::default()));

/// The clock, its source and its time zone.
#[derive(Default)]
struct Time {
    sources: Class,
}

impl Collector for Time {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let now = SystemTime::now();
        let now_s = now.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        out.gauge("node_time_seconds", "The host's clock, in seconds since the Unix epoch.", &[], now_s);

        let zone = jiff::tz::TimeZone::system();
        let zone = zone.to_offset_info(jiff::Timestamp::now());
        let labels = [("time_zone", zone.abbreviation())];
        let offset_s = f64::from(zone.offset().seconds());
        out.gauge("node_time_zone_offset_seconds", "The time zone's offset from UTC.", &labels, offset_s);

        // Where the directory cannot be read there is nothing to show.
        let _ = self.sources.each(host, "devices/system/clocksource", |name, attributes| {
            let Some(device) = name.strip_prefix("clocksource") else { return };
            for source in attributes.text("available_clocksource").unwrap_or_default().split_whitespace() {
                let labels = [("device", device), ("clocksource", source)];
                out.gauge("node_time_clocksource_available_info", "Clock sources there are.", &labels, 1.0);
            }
            let current = attributes.text("current_clocksource").unwrap_or_default();
            if !current.is_empty() {
                let labels = [("device", device), ("clocksource", current.as_str())];
                out.gauge("node_time_clocksource_current_info", "The clock source in use.", &labels, 1.0);
            }
        });
        Ok(())
    }
}
