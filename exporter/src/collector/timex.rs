//! `node_timex_*` from `adjtimex(2)`.

use std::io::ErrorKind;

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{Failure, Families, Host, sys};

pub(super) const ENTRY: Entry = Entry::on("timex", "How the clock is disciplined", |_| Box::new(Timex));

/// How the clock is disciplined.
pub(super) struct Timex;

/// What adjtimex returns where the clock is not synchronized.
const NOT_SYNCHRONIZED: i32 = 5;
const NS_PER_S: f64 = 1e9;
const US_PER_S: f64 = 1e6;
/// Frequencies are in parts per million, with 16 bits after the point.
const SCALED_PPM: f64 = 1e6 * 65536.0;

impl Collector for Timex {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let (t, status) = match sys::adjtimex::read() {
            Ok(read) => read,
            Err(cause) if cause.kind() == ErrorKind::PermissionDenied => {
                return Err(Failure::Absent("adjtimex".into()));
            }
            Err(cause) => return Err(Failure::Other(format!("adjtimex: {cause}"))),
        };
        let is_nano = t.status & libc::STA_NANO != 0;
        let per_s = if is_nano { NS_PER_S } else { US_PER_S };
        let synchronized = f64::from(u8::from(status != NOT_SYNCHRONIZED));
        #[rustfmt::skip]
        let values: [(&str, MetricType, f64, &str); 17] = [
            ("sync_status", Gauge, synchronized, "1 where the clock is synchronized."),
            ("offset_seconds", Gauge, t.offset as f64 / per_s, "Offset from the reference clock."),
            ("frequency_adjustment_ratio", Gauge, 1.0 + t.freq as f64 / SCALED_PPM, "Adjustment of the frequency."),
            ("maxerror_seconds", Gauge, t.maxerror as f64 / US_PER_S, "Largest error."),
            ("estimated_error_seconds", Gauge, t.esterror as f64 / US_PER_S, "Estimated error."),
            ("status", Gauge, f64::from(t.status), "The status bits."),
            ("loop_time_constant", Gauge, t.constant as f64, "Time constant of the phase-locked loop."),
            ("tick_seconds", Gauge, t.tick as f64 / US_PER_S, "Seconds between clock ticks."),
            ("pps_frequency_hertz", Gauge, t.ppsfreq as f64 / SCALED_PPM, "Frequency of the pulse per second."),
            ("pps_jitter_seconds", Gauge, t.jitter as f64 / per_s, "Jitter of the pulse per second."),
            ("pps_shift_seconds", Gauge, f64::from(t.shift), "Interval of the pulse per second."),
            ("pps_stability_hertz", Gauge, t.stabil as f64 / SCALED_PPM, "Stability of the pulse per second."),
            ("pps_jitter_total", Counter, t.jitcnt as f64, "Pulses beyond the jitter limit."),
            ("pps_calibration_total", Counter, t.calcnt as f64, "Calibration intervals."),
            ("pps_error_total", Counter, t.errcnt as f64, "Calibration errors."),
            ("pps_stability_exceeded_total", Counter, t.stbcnt as f64, "Times that stability was exceeded."),
            ("tai_offset_seconds", Gauge, f64::from(t.tai), "Offset of International Atomic Time."),
        ];
        for (name, metric_type, value, help) in values {
            out.add(metric_type, &format!("node_timex_{name}"), help, &[], value);
        }
        Ok(())
    }
}
