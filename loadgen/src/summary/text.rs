//! The summary for a person. Invariant: a row has the figures of one step of one phase, and says from which
//! instant they run.

use assay_model::duration;
use assay_text::{Page, counted};

use super::{Outcome, Percentiles, StepSummary, Summary, seconds};

impl Summary {
    /// The summary as a table for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        Page::written(|out| self.write_text(out))
    }

    fn write_text(&self, out: &mut Page) {
        let how = match self.outcome {
            Outcome::Completed => "completed",
            Outcome::Interrupted => "interrupted",
            Outcome::Aborted => "aborted",
        };
        let took = duration::format_ms((self.duration_s * 1e3) as i64);
        out.line(format_args!(
            "{} {how} in {took}: {}, {} failed",
            self.scenario,
            counted(self.requests, "request"),
            self.errors
        ));
        if self.interrupted > 0 {
            out.line(format_args!(
                "cut off by the stop, and in no figure: {}",
                counted(self.interrupted, "request")
            ));
        }
        if let Some(alert) = &self.aborted_by {
            out.line(format_args!("aborted: {alert}"));
        }
        for p in &self.phases {
            let note = if p.warmup { " (warm-up)" } else { "" };
            out.line("");
            out.line(format_args!(
                "{}{note}: {} · {:.1} requests/s, {:.1} good/s · {}",
                p.name,
                duration::format_ms((p.duration_s * 1e3) as i64),
                p.rate_per_s,
                p.goodput_per_s,
                counted(p.iterations, "iteration")
            ));
            out.line(format_args!(
                "  {:LABEL$} {:>9} {:>9} {:>9} {:>9} {:>9}",
                "", "p50", "p95", "p99", "p99.9", "max"
            ));
            for s in &p.steps {
                write_step(out, s);
            }
        }
        if let Some(capacity) = &self.capacity {
            out.line("");
            out.lines(capacity.to_text());
        }
        let failed: Vec<_> = self.checks.iter().filter(|c| c.failed > 0).collect();
        out.line("");
        out.line(format_args!("checks: {} passed, {} failed", self.checks_passed, self.checks_failed));
        for c in failed {
            out.line(format_args!(
                "  {} · {}: {} of {} failed",
                c.step,
                c.name,
                c.failed,
                c.passed + c.failed
            ));
        }
        for t in &self.thresholds {
            let value = t.value.map_or_else(|| "no data".to_owned(), |v| format!("{v:.4}"));
            let met = if t.passed { "met" } else { "missed" };
            out.line(format_args!("threshold {met}: {} ({value})", t.threshold));
        }
        for note in &self.notes {
            out.line(format_args!("note: {note}"));
        }
        for warning in &self.warnings {
            out.line(format_args!("warning: {warning}"));
        }
    }
}

/// The width of what a row is about: with five times behind it, a row has 75 columns.
const LABEL: usize = 22;

/// A step: its counts, its times, what it generated, what went wrong.
fn write_step(out: &mut Page, s: &StepSummary) {
    out.line(format_args!("  {}: {}, {} failed", s.name, counted(s.requests, "request"), s.errors));
    write_times(out, "from first byte sent", &s.duration);
    write_spread(out, &s.duration);
    write_times(out, "from schedule", &s.latency);
    if let Some(g) = &s.generation {
        let times = |p: &Option<Percentiles>| p.unwrap_or_default();
        write_times(out, "sent to first chunk", &times(&g.time_to_first_chunk));
        write_times(out, "chunk to chunk", &times(&g.time_per_output_chunk));
        write_times(out, "per output token", &times(&g.time_per_output_token));
        let counted = if g.is_counted_by_server { "" } else { " (chunks counted as tokens)" };
        out.line(format_args!(
            "    {} tokens in, {} out, {:.1} out/s{counted}",
            g.input_tokens, g.output_tokens, g.output_tokens_per_s
        ));
        let apart = [(g.cached_tokens, "in from a cache"), (g.reasoning_tokens, "out for reasoning")];
        let apart: Vec<String> =
            apart.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !apart.is_empty() {
            out.line(format_args!("    of them {}", apart.join(", ")));
        }
        if let Some(rate) = g.output_tokens_per_s_per_user {
            out.line(format_args!("    {rate:.1} out/s for each user"));
        }
    }
    if s.cancelled > 0 {
        out.line(format_args!("    {} cancelled, counted apart", s.cancelled));
    }
    for (class, n) in &s.error_types {
        out.line(format_args!("    {n} failed: {class}"));
    }
}

fn write_times(out: &mut Page, what: &str, p: &Percentiles) {
    let known = *p != Percentiles::default();
    let time = |s: f64| if known { seconds(s) } else { "–".to_owned() };
    out.line(format_args!(
        "    {what:20} {:>9} {:>9} {:>9} {:>9} {:>9}",
        time(p.p50),
        time(p.p95),
        time(p.p99),
        time(p.p999),
        time(p.max)
    ));
}

/// Where the times lie: the least, the mean, and how they scatter.
fn write_spread(out: &mut Page, p: &Percentiles) {
    if *p != Percentiles::default() {
        out.line(format_args!(
            "    {:20} least {}, mean {}, standard deviation {}",
            "",
            seconds(p.min),
            seconds(p.mean),
            seconds(p.stddev)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_into_eighty_columns() {
        let mut out = Page::new();
        let times = Percentiles {
            p50: 123.456,
            p95: 0.123_456,
            p99: 1e-4,
            p999: 4000.0,
            max: 86_400.0,
            ..Percentiles::default()
        };
        write_times(&mut out, "from first byte sent", &times);
        write_times(&mut out, "sent to first chunk", &Percentiles::default());
        write_spread(&mut out, &Percentiles { min: 1e-4, mean: 100.0, stddev: 1000.0, ..times });
        let text = out.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains('–') && !text.contains(" 0 s"), "{text}");
    }
}
