//! Traces of phases. Invariant: a trace is read once, however many modes change the phase that replays it.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use assay_yaml::MapReader;

use super::{Parser, names};

/// What a replay may last: from one pass of the trace to all of them, in seconds.
const LENGTHS_S: RangeInclusive<f64> = 1e-6..=100.0 * 365.25 * 86_400.0;
use crate::scenario::trace::{Reading, Source, Trace, Unit};

impl<'d> Parser<'d> {
    /// The trace of a phase, with what it says of how to read it.
    pub(in crate::scenario) fn trace(&mut self, map: &mut MapReader<'_>) -> Option<Arc<Trace>> {
        self.names.define(names::TRACE);
        let file_node = map.require(&mut self.cx, "trace");
        let unit = map.get("unit").and_then(|n| {
            let unit = n.as_str().and_then(Unit::of);
            if unit.is_none() {
                let message = format!("expected s, ms, us or ns, found {}", n.describe());
                self.cx.error(n, message);
            }
            unit
        });
        let time = map.get("time").and_then(|n| self.cx.string(n));
        let mut length = |p: &mut Self, key| map.get(key).and_then(|n| p.duration(n));
        let spread = length(self, "spread");
        let from = length(self, "from").unwrap_or(Duration::ZERO);
        let to = length(self, "to");
        if let (Some(to), Some(n)) = (to, map.get("to"))
            && to <= from
        {
            self.cx.error(n, "the end is not after the beginning; raise to, or lower from");
        }
        let node = file_node?;
        let file = self.cx.string(node)?;
        let reading = Reading { time, unit, spread, from, to };
        let known = self.traces.iter().find(|t| t.is(&file, &reading));
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        let source = match (self.files.large)(&file) {
            Some(path) => Ok(Source::File(path)),
            None => (self.files.read)(&file).map(|bytes| Source::Memory(bytes.into())),
        };
        let read = source
            .map_err(|e| vec![(None, format!("cannot be read: {e}"))])
            .and_then(|source| Trace::load(&file, source, reading));
        match read {
            Ok(trace) => {
                self.traces.push(Arc::new(trace));
                self.traces.last().map(Arc::clone)
            }
            Err(problems) => {
                for (line, problem) in problems {
                    let line = line.map(|n| format!(":{n}")).unwrap_or_default();
                    self.cx.error(node, format!("{file}{line}: {problem}"));
                }
                None
            }
        }
    }

    /// How much faster a trace of this length is replayed, and how long that takes with all repetitions.
    pub(in crate::scenario) fn passes(
        &mut self,
        map: &mut MapReader<'_>,
        length: Option<Duration>,
    ) -> Option<(f64, Duration)> {
        let speed = match map.get("speed") {
            Some(n) => self.positive(n),
            None => Some(1.0),
        };
        let repeat = self.count(map, "repeat", Some(1));
        let (length_s, speed, repeat) = (length?.as_secs_f64(), speed?, repeat?);
        let (shortest, longest) = (LENGTHS_S.start(), LENGTHS_S.end());
        let pass_s = length_s / speed;
        if let Some(n) = map.get("speed").filter(|_| !LENGTHS_S.contains(&pass_s)) {
            let (least, most) = (length_s / longest, length_s / shortest);
            let message = format!(
                "at {speed:e} times its speed the trace of {length_s} s would take {pass_s:.0e} s; expected a speed from about {least:.0e} to {most:.0e}"
            );
            self.cx.error(n, message);
            return None;
        }
        let total_s = pass_s * f64::from(repeat);
        if total_s > *longest {
            let n = map.get("repeat").unwrap_or_else(|| map.node());
            let message = format!(
                "{repeat} passes of {pass_s} s each are more than a hundred years; expected {:.0} or fewer",
                (longest / pass_s).floor()
            );
            self.cx.error(n, message);
            return None;
        }
        Some((speed, Duration::from_secs_f64(total_s)))
    }
}
