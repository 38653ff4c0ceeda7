//! Charts of a run in progress, a point at a time. Invariant: a point is what the chart of the finished run has at that time, up to
//! the length of its windows, and a step costs the same however long the run is.

use std::collections::BTreeMap;

use assay_model::{Labels, duration};

use super::{
    Chart, Line, PLOTS, Starts, fill_legend, finished, is_idle, one_line_a_process, starts, subject,
};
use crate::{
    sla::Sla,
    source::{Source, SourceError, numbers},
};

/// The most points of a line; then every second one is dropped, and so is every second step from there on.
const MOST_POINTS: usize = 240;

/// How many steps it takes until it is looked again which step is asked most: that reads the whole run.
const SUBJECT_STEPS: usize = 30;

/// The length of rate windows in milliseconds: five of a recording's intervals.
const WINDOW_MS: i64 = 5_000;

/// The charts of a run in progress.
#[derive(Debug, Default)]
pub struct Growing {
    /// Of each plot its lines by legend and labels, in the order in which they first had a point.
    plots: Vec<PlotSoFar>,
    /// How many steps there were, and how often every second point was dropped.
    steps: usize,
    halvings: u32,
    starts: Starts,
}

#[derive(Debug, Default)]
struct PlotSoFar {
    /// What the chart is about, and the matcher that selects it.
    subject: Option<(String, String)>,
    places: BTreeMap<(usize, Labels), usize>,
    lines: Vec<(usize, Line)>,
}

impl Growing {
    /// Adds what holds at a time.
    ///
    /// # Errors
    /// Where the source cannot be read.
    pub fn advance(&mut self, source: &dyn Source, start_ms: i64, now_ms: i64) -> Result<(), SourceError> {
        self.plots.resize_with(PLOTS.len(), PlotSoFar::default);
        self.steps += 1;
        if !self.steps.is_multiple_of(1 << self.halvings) {
            return Ok(());
        }
        let looks_again = self.steps == 1 || self.steps.is_multiple_of(SUBJECT_STEPS);
        if looks_again {
            self.starts = starts(source, now_ms)?;
        }
        for (plot, so_far) in PLOTS.iter().zip(&mut self.plots) {
            if plot.has_subject && (so_far.subject.is_none() || looks_again) {
                let found = subject(start_ms, now_ms, source)?;
                // Another step that is asked more now is another chart.
                if found != so_far.subject {
                    *so_far = PlotSoFar { subject: found, ..PlotSoFar::default() };
                }
                if so_far.subject.is_none() {
                    continue;
                }
            }
            let only = so_far.subject.as_ref().map_or_else(String::new, |(_, matcher)| matcher.clone());
            for (number, (legend, query)) in plot.lines.iter().enumerate() {
                let expression = query.expression(WINDOW_MS, &only);
                for (labels, v) in numbers(source.instant(&expression, now_ms)?) {
                    so_far.add(number, legend, labels, (now_ms, v));
                }
            }
        }
        if self.plots.iter().flat_map(|p| &p.lines).any(|(_, l)| l.points.len() > MOST_POINTS) {
            self.thin();
        }
        Ok(())
    }

    fn thin(&mut self) {
        self.halvings += 1;
        for (_, line) in self.plots.iter_mut().flat_map(|p| &mut p.lines) {
            let mut keeps = false;
            line.points.retain(|_| {
                keeps = !keeps;
                keeps
            });
        }
    }

    /// The charts so far.
    #[must_use]
    pub fn charts(&self, slas: &[Sla]) -> Vec<Chart> {
        let window = duration::format_ms(WINDOW_MS);
        let drawn = PLOTS.iter().zip(&self.plots).filter_map(|(plot, so_far)| {
            let shown = so_far.lines.iter().filter(|(n, line)| !is_idle(plot.lines[*n].0, &line.points));
            let mut lines = shown.map(|(_, line)| line.clone()).collect();
            if plot.by_process {
                lines = one_line_a_process(lines, &self.starts);
            }
            let subject = so_far.subject.as_ref().map_or("", |(name, _)| name.as_str());
            finished(plot, subject, &window, slas, lines)
        });
        drawn.collect()
    }
}

impl PlotSoFar {
    fn add(&mut self, number: usize, legend: &str, labels: Labels, point: (i64, f64)) {
        let place = *self.places.entry((number, labels)).or_insert_with_key(|(_, labels)| {
            let line = Line { name: fill_legend(legend, labels), points: Vec::new() };
            self.lines.push((number, line));
            self.lines.len() - 1
        });
        self.lines[place].1.points.push(point);
    }
}
