//! `replay`: iterations that start when the requests of a trace were made.

use std::{sync::Arc, time::Duration};

use assay_text::counted;
use assay_yaml::{
    MapReader,
    shape::{Key, Kind},
};

use super::{Executes, Plan, length};
use crate::scenario::{
    parse::Parser,
    shape,
    trace::{Row, Trace, Unit},
};

/// Iterations that start when the requests of a trace were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    pub(crate) trace: Arc<Trace>,
    /// How much faster than it was.
    pub speed: f64,
    /// How long it lasts; a trace that is shorter begins again.
    pub duration: Duration,
    /// Users that are there from the start.
    pub vus: u32,
    /// Users that there may be at most.
    pub max_vus: u32,
}

impl Executes for Replay {
    const NAME: &'static str = "replay";
    const ABOUT: &'static str = "Iterations that start when the requests of a trace were made, whether earlier ones have ended or not. Templates have the line as `trace`. k6 has no such executor.";
    const KEYS: &'static [Key] = &[
        Key::new("trace", Kind::Special("file"), "mooncake.jsonl", "The trace, relative to the scenario: `.csv` with a header, `.jsonl`, or an access log (`.log`)").required(),
        Key::new("time", Kind::Text, "timestamp", "The column, or the member of the JSON documents, that has the instants").otherwise("the usual names"),
        Key::new("unit", Kind::Word(&Unit::NAMES), "ms", "What instants that are numbers count; dates need none").otherwise("`ms` for Mooncake's traces, else `s`"),
        Key::new("spread", Kind::Duration, "1s", "Over what time lines with the same instant are spread evenly; it ends at the next instant of the trace at the latest").otherwise("`1s` for access logs, which have whole seconds; else `0`"),
        Key::new("from", Kind::Duration, "5s", "Where the replay begins: this long after the first line of the trace").otherwise("the first line"),
        Key::new("to", Kind::Duration, "20s", "Where the replay ends: this long after the first line of the trace; a request at that instant is left out").otherwise("the last line"),
        Key::new("speed", Kind::Positive, "2", "How many times as fast as it was recorded; below 1 is slower").or("1"),
        Key::new("repeat", Kind::Whole(1), "3", "How many times the trace is replayed, one pass after the other").or("1"),
        shape::ALLOCATION[0],
        shape::ALLOCATION[1],
    ];

    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let trace = p.trace(options);
        let passes = p.passes(options, trace.as_ref().map(|t| t.length));
        let (vus, max_vus) = p.allocation(options);
        let (trace, (speed, duration)) = (trace?, passes?);
        Some(Self { trace, speed, duration, vus: vus?, max_vus: max_vus? })
    }

    fn describe(&self) -> String {
        let passes = self.duration.div_duration_f64(self.trace.length.div_f64(self.speed));
        let speed =
            if self.speed == 1.0 { String::new() } else { format!(" at {} times its speed", self.speed) };
        format!(
            "{} of {} over {}{speed}, up to {:.1}/s",
            counted((self.trace.count as f64 * passes).round() as u64, "request"),
            self.trace.file,
            length(self.duration),
            self.trace.highest_rate_per_s() * self.speed
        )
    }

    fn duration(&self) -> Duration {
        self.duration
    }

    fn max_users(&self) -> u32 {
        Self::max_users(self)
    }

    fn scaled(&self, scale: f64) -> Self {
        Self { duration: self.duration.mul_f64(scale), ..self.clone() }
    }

    fn plan(&self) -> Plan<'_> {
        Plan::Replay(self)
    }
}

impl Replay {
    /// The most users there may be at a time.
    pub(crate) fn max_users(&self) -> u32 {
        self.vus.max(self.max_vus)
    }

    /// The rate of the trace `at` into the phase, each second.
    pub(crate) fn rate_at(&self, at: Duration) -> f64 {
        let pass_s = self.trace.length.as_secs_f64();
        let into_s = (at.as_secs_f64() * self.speed) % pass_s;
        self.trace.rate_at(Duration::from_secs_f64(into_s)) * self.speed
    }

    /// Gives each request with its instant in the phase, in order, until there are enough.
    ///
    /// # Errors
    /// What is wrong with the file, where it is no longer as it was.
    pub(crate) fn starts(&self, mut take: impl FnMut(Duration, Arc<Row>) -> bool) -> Result<(), String> {
        let pass = self.trace.length.div_f64(self.speed);
        let mut begins = Duration::ZERO;
        let mut wants_more = true;
        while wants_more && begins < self.duration {
            self.trace
                .rows(|row| {
                    let at = begins + row.at.div_f64(self.speed);
                    wants_more = at < self.duration && take(at, Arc::new(row));
                    wants_more
                })
                .map_err(|(line, e)| {
                    let line = line.map(|n| format!(":{n}")).unwrap_or_default();
                    format!("{}{line}: {e}", self.trace.file)
                })?;
            begins += pass;
        }
        Ok(())
    }
}
