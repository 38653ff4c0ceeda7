//! The thread that owns the storage.
//!
//! Invariant: a sample that the storage refuses (out of order, say) costs that sample and is counted; any
//! other error ends the recording, and what is on disk then is left as it is.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        OnceLock,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use assay_model::{Labels, MetricMetadata};
use assay_tsdb::{Head, HeadOptions, HeadSnapshot, SeriesRef};

use super::{RecordError, Row, RowValue, zeros::Began};
use crate::time::{SteadyClock, Steps, to_rfc3339};

/// What other threads ask for.
#[derive(Debug)]
pub(super) enum Command {
    Rows(Vec<Row>),
    Describe(Vec<(String, MetricMetadata)>),
    Commit(SyncSender<()>),
    Snapshot(SyncSender<HeadSnapshot>),
    Finish,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordStats {
    /// Series.
    pub series: u64,
    /// Samples on record, zeros and stale markers among them.
    pub samples: u64,
    /// Samples that the storage refused.
    pub refused: u64,
    /// Samples that were refused for being more than ten minutes ahead of the clock, as Prometheus refuses them.
    pub ahead: u64,
    /// The time of the latest sample, in milliseconds since the Unix epoch.
    pub last_ms: Option<i64>,
}

pub(super) struct Owner {
    head: Head,
    run_start_ms: i64,
    clock: SteadyClock,
    steps: Steps,
    /// The series so far, so that a row's labels are hashed once.
    series: HashMap<Labels, RecordedSeries>,
    stats: RecordStats,
}

#[derive(Clone, Copy)]
struct RecordedSeries {
    place: SeriesRef,
    began: Began,
}

/// How far ahead of the clock a sample may be (Prometheus, `scrape/manager.go`: `maxAheadTime`).
const MOST_AHEAD_MS: i64 = 600_000;
/// After so many refusals the log says no more about them.
const LOGGED_REFUSALS: u64 = 5;

impl Owner {
    pub(super) fn create(data: &Path, run_start_ms: i64, clock: SteadyClock) -> Result<Self, RecordError> {
        let head = Head::create(data, HeadOptions::default())?;
        let (series, stats, steps) = (HashMap::new(), RecordStats::default(), Steps::of(clock));
        Ok(Self { head, run_start_ms, clock, steps, series, stats })
    }

    /// Serves until told to finish, or until no one can send any more.
    pub(super) fn run(
        mut self,
        commands: &Receiver<Command>,
        commit_every: Duration,
        failure: &OnceLock<String>,
        note: &dyn Fn(String),
    ) -> Result<Self, RecordError> {
        match self.serve(commands, commit_every, failure, note) {
            Ok(()) => Ok(self),
            Err(error) => {
                tracing::error!("recording has stopped: {error}");
                tell(failure, &error);
                Err(error)
            }
        }
    }

    fn serve(
        &mut self,
        commands: &Receiver<Command>,
        commit_every: Duration,
        failure: &OnceLock<String>,
        note: &dyn Fn(String),
    ) -> Result<(), RecordError> {
        let mut due = Instant::now() + commit_every;
        loop {
            match commands.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Command::Rows(rows)) => rows.into_iter().try_for_each(|row| self.take(row))?,
                Ok(Command::Describe(families)) => {
                    families.iter().for_each(|(name, m)| self.head.set_metadata(name, m));
                }
                Ok(Command::Commit(reply)) => {
                    // Whoever waits for the reply has to find the reason when there is none.
                    self.head.commit().inspect_err(|e| tell(failure, e))?;
                    // Whoever asked may have gone.
                    let _ = reply.send(());
                }
                Ok(Command::Snapshot(reply)) => {
                    let _ = reply.send(self.head.queryable());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Finish) | Err(RecvTimeoutError::Disconnected) => {
                    self.steps.look().into_iter().for_each(note);
                    return Ok(self.head.commit()?);
                }
            }
            if Instant::now() >= due {
                self.head.commit()?;
                self.steps.look().into_iter().for_each(note);
                due = Instant::now() + commit_every;
            }
        }
    }

    fn take(&mut self, row: Row) -> Result<(), RecordError> {
        if row.t_ms > self.clock.now_ms().saturating_add(MOST_AHEAD_MS) {
            self.stats.ahead += 1;
            if self.stats.ahead <= LOGGED_REFUSALS {
                let (labels, at) = (&row.labels, to_rfc3339(row.t_ms));
                tracing::warn!("a sample is not on record: {labels} at {at} is more than 10 minutes ahead");
            }
            return Ok(());
        }
        let series = match self.series.get_mut(&row.labels) {
            Some(series) => series,
            None => match self.head.series(&row.labels) {
                Ok(place) => {
                    let new = RecordedSeries { place, began: Began::default() };
                    self.series.entry(row.labels.clone()).or_insert(new)
                }
                Err(error) => return self.refused(Err(error)).map(drop),
            },
        };
        let (place, zero) = (series.place, series.began.zero_before(&row, self.run_start_ms));
        if let Some((t_ms, zero)) = zero {
            self.append(place, t_ms, &zero)?;
        }
        self.append(place, row.t_ms, &row.value)?;
        for mut exemplar in row.exemplars {
            exemplar.t_ms = exemplar.t_ms.or(Some(row.t_ms));
            let result = self.head.append_exemplar_to(place, &exemplar);
            self.refused(result)?;
        }
        Ok(())
    }

    fn append(&mut self, series: SeriesRef, t_ms: i64, value: &RowValue) -> Result<(), RecordError> {
        let result = match value {
            RowValue::Float(v) => {
                self.head.append_to(series, t_ms, *v);
                Ok(())
            }
            RowValue::Histogram(h) => self.head.append_histogram_to(series, t_ms, h),
            RowValue::FloatHistogram(h) => self.head.append_float_histogram_to(series, t_ms, h),
        };
        if self.refused(result)? {
            return Ok(());
        }
        self.stats.last_ms = self.stats.last_ms.max(Some(t_ms));
        Ok(())
    }

    /// Whether the sample was refused; any other error is passed on.
    fn refused(&mut self, result: Result<(), assay_tsdb::Error>) -> Result<bool, RecordError> {
        match result {
            Ok(()) => Ok(false),
            Err(error @ assay_tsdb::Error::Sample { .. }) => {
                self.stats.refused += 1;
                if self.stats.refused <= LOGGED_REFUSALS {
                    tracing::warn!("a sample is not on record: {error}");
                }
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes one block of everything.
    pub(super) fn finish(self) -> Result<RecordStats, RecordError> {
        let (head, mut stats) = (self.head.stats(), self.stats);
        (stats.series, stats.samples) = (head.series, head.samples);
        self.head.finish()?;
        Ok(stats)
    }
}

/// Leaves the reason for all who send samples from now on.
fn tell(failure: &OnceLock<String>, error: &impl std::fmt::Display) {
    // The first reason stays.
    let _ = failure.set(error.to_string());
}
