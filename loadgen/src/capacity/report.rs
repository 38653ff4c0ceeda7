//! Windows and the rate that was found, for a person. Invariant: a rate is never told without the interval it
//! lies in and the windows that confirm it.

use assay_text::Page;

use super::{CapacitySummary, SearchEnd, SearchResult};
use crate::measure::percentiles::seconds;

impl CapacitySummary {
    /// A table of the windows, ascending by rate, and what the search found.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Page::new();
        self.write_text(&mut out);
        out.into_text()
    }

    fn write_text(&self, out: &mut Page) {
        out.line(format_args!("rates, with {}", self.objectives.join(", ")));
        out.line(format_args!(
            "  {:>9} {:>9} {:>9} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9}  window",
            "target/s", "ended/s", "good/s", "failed", "dropped", "p50", "p99", "late p99", "chunk p99"
        ));
        let mut windows: Vec<_> = self.windows.iter().collect();
        windows.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
        for w in windows {
            let verdict = match w.missed.as_slice() {
                [] => "held".to_owned(),
                missed => format!("broke: {}", missed.join(", ")),
            };
            let late = if w.is_generator_late { " (the generator itself was late)" } else { "" };
            out.line(format_args!(
                "  {:>9} {:>9.2} {:>9.2} {:>6.2}% {:>7.2}% {:>9} {:>9} {:>9} {:>9}  {verdict}{late}",
                w.rate_per_s,
                w.achieved_per_s,
                w.goodput_per_s,
                w.error_ratio * 100.0,
                w.dropped_ratio * 100.0,
                seconds(w.duration.p50),
                seconds(w.duration.p99),
                seconds(w.latency.p99),
                w.first_chunk.map_or_else(|| "-".to_owned(), |p| seconds(p.p99))
            ));
        }
        if let Some(found) = &self.search {
            out.line(conclusion(found));
        }
    }
}

fn conclusion(found: &SearchResult) -> String {
    let held = found.highest_held_per_s.map(|rate| {
        let (held, all) = (found.windows_held, found.windows_held + found.windows_broken);
        format!("{rate} iterations/s ({held} of {all} windows held)")
    });
    let broken = found.lowest_broken_per_s.map(|rate| format!("{rate}/s broke")).unwrap_or_default();
    match (found.end, held) {
        (SearchEnd::Found, Some(held)) => format!("highest rate that holds: {held}; {broken}"),
        (SearchEnd::NothingBroke, Some(held)) => {
            format!("highest rate that holds: at least {held}; nothing broke, so search further up")
        }
        (SearchEnd::Unfinished, Some(held)) => {
            let above = if broken.is_empty() { "nothing broke yet" } else { &broken };
            format!("the search did not end; so far: {held}; {above}")
        }
        (_, None) if broken.is_empty() => "the search did not end; no rate has held yet".to_owned(),
        (_, _) => format!("no rate held: {broken}; search further down"),
    }
}
