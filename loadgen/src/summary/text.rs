//! The summary for a person. Invariant: a row has the figures of one step of one phase, and says from which
//! instant they run.

use assay_model::duration;
use assay_text::Page;

use super::{Outcome, Percentiles, Summary, seconds};

impl Summary {
    /// The summary as a table for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Page::new();
        self.write_text(&mut out);
        out.into_text()
    }

    fn write_text(&self, out: &mut Page) {
        let how = match self.outcome {
            Outcome::Completed => "completed",
            Outcome::Interrupted => "interrupted",
            Outcome::Aborted => "aborted",
        };
        let took = duration::format_ms((self.duration_s * 1e3) as i64);
        out.line(format_args!(
            "{} {how} in {took}: {} requests, {} failed",
            self.scenario, self.requests, self.errors
        ));
        if self.interrupted > 0 {
            out.line(format_args!(
                "{} requests were cut off by the stop and are in no figure",
                self.interrupted
            ));
        }
        if let Some(alert) = &self.aborted_by {
            out.line(format_args!("aborted: {alert}"));
        }
        for p in &self.phases {
            let note = if p.warmup { " (warm-up)" } else { "" };
            out.line("");
            out.line(format_args!(
                "{}{note}: {} · {:.1} requests/s, {:.1} good/s · {} iterations",
                p.name,
                duration::format_ms((p.duration_s * 1e3) as i64),
                p.rate_per_s,
                p.goodput_per_s,
                p.iterations
            ));
            let width = p.steps.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(10);
            out.line(format_args!(
                "  {:width$} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}  from",
                "step", "requests", "failed", "p50", "p95", "p99", "p99.9", "max"
            ));
            for s in &p.steps {
                write_times(
                    out,
                    &s.name,
                    width,
                    Some((s.requests, s.errors)),
                    &s.duration,
                    "first byte sent",
                );
                write_times(out, "", width, None, &s.latency, "schedule");
                if let Some(g) = &s.generation {
                    let times = |p: &Option<Percentiles>| p.unwrap_or_default();
                    write_times(out, "", width, None, &times(&g.time_to_first_chunk), "sent to first chunk");
                    write_times(out, "", width, None, &times(&g.time_per_output_chunk), "chunk to chunk");
                    write_times(out, "", width, None, &times(&g.time_per_output_token), "per output token");
                    let counted = if g.is_counted_by_server { "" } else { " (chunks counted as tokens)" };
                    out.line(format_args!(
                        "  {:width$} {} tokens in, {} out, {:.1} out/s{counted}",
                        "", g.input_tokens, g.output_tokens, g.output_tokens_per_s
                    ));
                }
                for (class, n) in &s.error_types {
                    out.line(format_args!("  {:width$} {:>9} {n:>7}  failed: {class}", "", ""));
                }
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

fn write_times(
    out: &mut Page,
    name: &str,
    width: usize,
    counts: Option<(u64, u64)>,
    p: &Percentiles,
    from: &str,
) {
    let known = *p != Percentiles::default();
    let time = |s: f64| if known { seconds(s) } else { "–".to_owned() };
    let (requests, errors) = counts.map_or_else(Default::default, |(r, e)| (r.to_string(), e.to_string()));
    out.line(format_args!(
        "  {name:width$} {requests:>9} {errors:>7} {:>9} {:>9} {:>9} {:>9} {:>9}  {from}",
        time(p.p50),
        time(p.p95),
        time(p.p99),
        time(p.p999),
        time(p.max)
    ));
}
