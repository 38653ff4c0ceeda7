//! Plain lines for logs, once every few seconds, or a line of JSON each second. Invariant: a line stands for
//! itself; nothing is overwritten.

use std::{
    io::{self, Write},
    time::Duration,
};

use assay_text::{Clean, document};

use super::View;
use crate::{measure::percentiles::seconds, progress::Progress};

/// How often a line is written.
const EVERY: Duration = Duration::from_secs(5);

/// Plain lines.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    phase: Option<usize>,
    next: Duration,
}

impl Lines<io::Stderr> {
    /// Lines on the standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(io::stderr())
    }
}

impl<W: Write> Lines<W> {
    /// Lines on any writer.
    pub fn new(out: W) -> Self {
        Self { out, phase: None, next: Duration::ZERO }
    }
}

impl<W: Write + Send> View for Lines<W> {
    fn update(&mut self, p: &Progress) {
        let Some(phase) = p.phases.get(p.current) else { return };
        // A reader that went away is no reason to stop the load.
        if self.phase != Some(p.current) {
            self.phase = Some(p.current);
            self.next = p.elapsed + EVERY;
            let note = if phase.warmup { ", warm-up" } else { "" };
            let line = format!(
                "[{:>5.0}s] {} begins: {}{note}, {:.0} s, {}",
                p.elapsed.as_secs_f64(),
                phase.name,
                phase.executor,
                phase.length.as_secs_f64(),
                p.target
            );
            let _ = writeln!(self.out, "{}", Clean(line));
            return;
        }
        if p.elapsed < self.next && !phase.is_over {
            return;
        }
        self.next = p.elapsed + EVERY;
        let _ = writeln!(self.out, "{}", Clean(line(p)));
    }
}

fn line(p: &Progress) -> String {
    let phase = p.phases.get(p.current).map_or("", |p| p.name.as_str());
    let q = |q: f64| match p.now.count() {
        0 => "-".to_owned(),
        _ => seconds(p.now.quantile(q)),
    };
    let mut line = format!(
        "[{:>5.0}s] {phase}: {} users, {:.1} requests/s, p50 {}, p99 {}, {} failed of {}",
        p.elapsed.as_secs_f64(),
        p.users,
        p.rate_per_s(),
        q(0.5),
        q(0.99),
        p.errors,
        p.requests
    );
    if let Some(first) = p.first_chunk.as_ref().filter(|f| f.count() > 0) {
        line.push_str(&format!(
            ", first chunk p99 {}, {:.0} chunks/s",
            seconds(first.quantile(0.99)),
            p.chunks_per_s()
        ));
    }
    if p.dropped > 0 {
        line.push_str(&format!(", {} dropped", p.dropped));
    }
    if let Some((class, n)) = p.error_classes.first() {
        line.push_str(&format!(" ({class}: {n})"));
    }
    line
}

/// A JSON object each second.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// JSON lines on any writer.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> View for JsonLines<W> {
    fn update(&mut self, p: &Progress) {
        let phase = p.phases.get(p.current).map_or("", |p| p.name.as_str());
        let quantile = |q: f64| Some(p.now.quantile(q)).filter(|v| v.is_finite());
        let line = serde_json::json!({
            "elapsed_s": p.elapsed.as_secs_f64(),
            "phase": phase,
            "users": p.users,
            "requests": p.requests,
            "errors": p.errors,
            "rate_per_s": p.rate_per_s(),
            "p50_s": quantile(0.5),
            "p99_s": quantile(0.99),
            "dropped_iterations": p.dropped,
            "error_types": p.error_classes,
        });
        let _ = writeln!(self.out, "{}", document(line.to_string()));
    }
}
