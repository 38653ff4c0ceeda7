//! A window of a run as something to query. Invariant: what is read over a range lies within the window; what is read at
//! one time, at an offset or at a fixed time is what the run holds.

use std::sync::{Arc, OnceLock};

use assay_model::{
    Access, Column, ExemplarsBySeries, Labels, Matcher, MetricMetadata, QueryError, Queryable, Selected,
    Series, Texts,
};

use super::{
    AFTER_MS, Added, BEFORE_MS, RunData, Target, TargetKey,
    counters::{Counted, Facts, additions},
};
use crate::verdict::{AddedSample, Window};

/// The series of a run as a window is judged by.
pub struct WindowView<'a> {
    data: &'a RunData<'a>,
    window: Window,
    added: Added,
}

impl<'a> WindowView<'a> {
    pub(super) fn new(data: &'a RunData<'a>, window: &Window) -> Self {
        Self { data, window: window.clone(), added: Added::default() }
    }

    /// The samples that were added for what was read so far, and that count; they are forgotten here.
    pub fn take_added(&self) -> Vec<AddedSample> {
        self.added.take()
    }
}

impl Queryable for WindowView<'_> {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        self.data.source.select(matchers, start_ms, end_ms)
    }

    fn heeds_access(&self) -> bool {
        true
    }

    fn select_for<'q>(
        &'q self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        access: Access,
    ) -> Selected<'q> {
        let from_ms = self.window.start_ms + 1;
        match access {
            Access::Plain => self.data.source.select(matchers, start_ms, end_ms),
            _ if end_ms < from_ms => Ok(Vec::new()),
            Access::Range => {
                let found = self.data.source.select(matchers, start_ms.max(from_ms), end_ms)?;
                Ok(found.into_iter().map(|series| Box::new(Clipped { series, from_ms }) as _).collect())
            }
            Access::Counter => {
                let (from_ms, to_ms) = (from_ms - BEFORE_MS, self.window.end_ms + AFTER_MS);
                let mut out: Vec<Box<dyn Series + 'q>> = Vec::new();
                for series in self.data.source.select(matchers, from_ms, to_ms)? {
                    let target = self.data.target(&TargetKey::of(series.labels()))?;
                    out.push(Box::new(Complete { view: self, series, target, column: OnceLock::new() }));
                }
                Ok(out)
            }
        }
    }

    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.data.source.label_values_within(name, matchers, start_ms, end_ms)
    }

    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.data.source.label_names_within(matchers, start_ms, end_ms)
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.data.source.time_range()
    }

    fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
        self.data.source.metadata(metric)
    }

    fn exemplars(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> ExemplarsBySeries {
        self.data.source.exemplars(matchers, start_ms, end_ms)
    }
}

/// A series without what lies before the window.
struct Clipped<'a> {
    series: Box<dyn Series + 'a>,
    from_ms: i64,
}

impl Series for Clipped<'_> {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        self.series.read(start_ms.max(self.from_ms), end_ms, out)
    }
}

/// A counter within the window, with what is known of it added.
struct Complete<'a> {
    view: &'a WindowView<'a>,
    series: Box<dyn Series + 'a>,
    target: Arc<Target>,
    column: OnceLock<Column>,
}

impl Complete<'_> {
    fn complete(&self) -> Result<Column, QueryError> {
        let window = &self.view.window;
        let mut raw = Column::default();
        self.series.read(window.start_ms - BEFORE_MS, window.end_ms + AFTER_MS, &mut raw)?;
        let facts = Facts { target: &self.target, phase: self.view.data.phase_of(self.series.labels()) };
        let mut out = Column::default();
        (out.times, out.values, out.starts) = self.fill(raw.times, raw.values, &raw.starts, &facts);
        (out.histogram_times, out.histograms, out.histogram_starts) =
            self.fill(raw.histogram_times, raw.histograms, &raw.histogram_starts, &facts);
        Ok(out)
    }

    /// Times, values and start times within the window, the additions among them.
    fn fill<T: Counted>(
        &self,
        times: Vec<i64>,
        values: Vec<T>,
        starts: &[i64],
        facts: &Facts<'_>,
    ) -> (Vec<i64>, Vec<T>, Vec<i64>) {
        let window = &self.view.window;
        let samples: Vec<(i64, T)> = times.into_iter().zip(values).collect();
        let mut all: Vec<(i64, T, i64)> = Vec::new();
        for addition in additions(&samples, window, facts) {
            if addition.counts {
                let sample = AddedSample {
                    series: self.series.labels().to_string(),
                    t_ms: addition.t_ms,
                    count: addition.value.count(),
                    why: addition.why,
                };
                self.view.added.note(self.series.labels(), sample);
            }
            all.push((addition.t_ms, addition.value, 0));
        }
        for (i, (t_ms, value)) in samples.into_iter().enumerate() {
            if t_ms > window.start_ms && t_ms <= window.end_ms {
                all.push((t_ms, value, starts.get(i).copied().unwrap_or(0)));
            }
        }
        all.sort_by_key(|(t, ..)| *t);
        let mut out = (Vec::new(), Vec::new(), Vec::new());
        for (t_ms, value, start_ms) in all {
            out.0.push(t_ms);
            out.1.push(value);
            out.2.push(start_ms);
        }
        if starts.is_empty() {
            out.2.clear();
        }
        out
    }
}

impl Series for Complete<'_> {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        let column = match self.column.get() {
            Some(column) => column,
            None => {
                let column = self.complete()?;
                self.column.get_or_init(|| column)
            }
        };
        out.append_within(column, start_ms, end_ms);
        Ok(())
    }
}
