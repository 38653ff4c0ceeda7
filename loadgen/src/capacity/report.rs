//! Windows and the rate that was found, for a person. Invariant: a rate is never told without its interval, or
//! the windows that confirm it.

use assay_text::{Page, counted};

use super::{CapacitySummary, Estimate, SearchEnd, SearchResult, search::four_digits};
use crate::measure::percentiles::seconds;

impl CapacitySummary {
    /// A table of the windows, ascending by rate, and what the search found.
    #[must_use]
    pub fn to_text(&self) -> String {
        Page::written(|out| self.write_text(out))
    }

    fn write_text(&self, out: &mut Page) {
        out.line(format_args!("loads, with {}", self.objectives.join(", ")));
        out.line(format_args!(
            "  {:>9} {:>8} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9}",
            "load", "ended/s", "good/s", "failed", "p50", "p99", "late p99", "chunk p99"
        ));
        let mut windows: Vec<_> = self.windows.iter().collect();
        windows.sort_by(|a, b| a.users.cmp(&b.users).then(a.rate_per_s.total_cmp(&b.rate_per_s)));
        for w in windows {
            out.line(format_args!(
                "  {:>9} {:>8.2} {:>8.2} {:>6.2}% {:>9} {:>9} {:>9} {:>9}",
                w.level().to_string(),
                w.achieved_per_s,
                w.goodput_per_s,
                w.error_ratio * 100.0,
                seconds(w.duration.p50),
                seconds(w.duration.p99),
                seconds(w.latency.p99),
                w.first_chunk.map_or_else(|| "–".to_owned(), |p| seconds(p.p99))
            ));
            for missed in &w.missed {
                out.line(format_args!("            broke: {missed}"));
            }
            if w.is_generator_late {
                out.line("            the generator itself was late");
            }
        }
        self.write_levels(out);
        if let Some(found) = &self.search {
            out.line(conclusion(found));
        }
    }
}

impl CapacitySummary {
    /// What loads came to that were held several times, and which are best.
    fn write_levels(&self, out: &mut Page) {
        for l in self.levels.iter().filter(|l| l.windows > 1 && self.search.is_none()) {
            let tokens =
                l.output_tokens_per_s.map(|t| format!(", {} tokens/s", interval(&t))).unwrap_or_default();
            out.line(format_args!(
                "  {} over {} windows: {} good/s{tokens}",
                l.level(),
                l.windows,
                interval(&l.goodput_per_s)
            ));
        }
        if self.search.is_some() || self.levels.len() < 2 {
            return;
        }
        if let Some(best) = self.levels.iter().find(|l| l.is_best_goodput) {
            out.line(format_args!(
                "most good requests: {:.2}/s at {}",
                best.goodput_per_s.mean,
                best.level()
            ));
        }
        let front: Vec<String> = self
            .levels
            .iter()
            .filter(|l| l.is_pareto == Some(true))
            .filter_map(|l| {
                let (each, all) = (l.output_tokens_per_s_per_user?.mean, l.output_tokens_per_s?.mean);
                Some(format!("{} ({each:.1} each, {all:.1} in all)", l.level()))
            })
            .collect();
        if !front.is_empty() {
            out.line(format_args!("tokens/s that no other load beats: {}", front.join(", ")));
        }
    }
}

/// A mean with its interval.
fn interval(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{:.2} ({low:.2} to {high:.2})", estimate.mean),
        _ => format!("{:.2}", estimate.mean),
    }
}

fn conclusion(found: &SearchResult) -> String {
    if let Some(capacity) = &found.capacity_per_s {
        let start = if found.end == SearchEnd::Unfinished { "the search did not end; so far: " } else { "" };
        let end = |rate: Option<f64>| four_digits(rate.unwrap_or(capacity.mean));
        let by = found.decided_by.as_deref().unwrap_or("the objectives");
        return format!(
            "{start}capacity: {} iterations/s, 95 % interval {} (above it, {by} is missed; {} around it)",
            four_digits(capacity.mean),
            format_args!("{} to {}", end(capacity.low), end(capacity.high)),
            counted(found.windows_around as u64, "window")
        );
    }
    let held = found.highest_held_per_s.map(|rate| {
        let (held, all) = (found.windows_held, found.windows_held + found.windows_broken);
        format!("{rate} iterations/s ({held} of {} held)", counted(u64::from(all), "window"))
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
