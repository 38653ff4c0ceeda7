//! When a target's samples were taken. Invariant: a time is one at which the target answered.

use assay_model::{Column, Labels, METRIC_NAME, Matcher, QueryError, Queryable, is_stale};

/// How many series of a target without `up` are looked at: each push or record has all of them.
const SERIES: usize = 64;
/// The interval of a target whose own cannot be told, because it has too few samples.
const UNKNOWN_INTERVAL_MS: i64 = 10_000;

/// What distinguishes targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The label `job`, or empty.
    pub job: String,
    /// The label `instance`, or empty.
    pub instance: String,
}

impl TargetKey {
    /// The target that a series is of.
    #[must_use]
    pub fn of(labels: &Labels) -> Self {
        let label = |name: &str| labels.get(name).unwrap_or_default().to_owned();
        Self { job: label("job"), instance: label("instance") }
    }
}

impl std::fmt::Display for TargetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.job.as_str(), self.instance.as_str()) {
            ("", "") => f.write_str("the series without job and instance"),
            (job, "") => write!(f, "job {job:?}"),
            (job, instance) => write!(f, "target {job}/{instance}"),
        }
    }
}

/// A target's samples, by their times in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// When it answered, ascending.
    pub times_ms: Vec<i64>,
    /// The time between two scrapes, by the median.
    pub interval_ms: i64,
    /// When its process started, each start once.
    pub process_starts_ms: Vec<i64>,
}

impl Target {
    /// Reads what a source knows of a target within a span of time.
    pub(super) fn read(
        source: &dyn Queryable,
        key: &TargetKey,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Self, QueryError> {
        let own = [Matcher::equal("job", &key.job), Matcher::equal("instance", &key.instance)];
        let columns = |name: Option<&str>, most: usize| -> Result<Vec<Column>, QueryError> {
            let mut matchers = own.to_vec();
            matchers.extend(name.map(|n| Matcher::equal(METRIC_NAME, n)));
            let mut out = Vec::new();
            for series in source.select(&matchers, from_ms, to_ms)?.into_iter().take(most) {
                let mut column = Column::default();
                series.read(from_ms, to_ms, &mut column)?;
                out.push(column);
            }
            Ok(out)
        };
        let mut times_ms: Vec<i64> = Vec::new();
        let up = columns(Some("up"), usize::MAX)?;
        for column in &up {
            let answered = column.times.iter().zip(&column.values).filter(|(_, v)| **v == 1.0);
            times_ms.extend(answered.map(|(t, _)| *t));
        }
        if up.iter().all(Column::is_empty) {
            for column in columns(None, SERIES)? {
                let floats = column.times.iter().zip(&column.values).filter(|(_, v)| !is_stale(**v));
                times_ms.extend(floats.map(|(t, _)| *t));
                let histograms = column.histogram_times.iter().zip(&column.histograms);
                times_ms.extend(histograms.filter(|(_, h)| !is_stale(h.sum)).map(|(t, _)| *t));
            }
        }
        times_ms.sort_unstable();
        times_ms.dedup();
        let mut process_starts_ms: Vec<i64> = Vec::new();
        for column in columns(Some("process_start_time_seconds"), usize::MAX)? {
            let seconds = column.values.into_iter().filter(|v| v.is_finite() && *v > 0.0);
            process_starts_ms.extend(seconds.map(|s| (s * 1000.0).round() as i64));
        }
        process_starts_ms.sort_unstable();
        process_starts_ms.dedup();
        Ok(Self { interval_ms: interval_ms(&times_ms), times_ms, process_starts_ms })
    }

    /// The last time before `t_ms` at which it answered.
    #[must_use]
    pub fn before(&self, t_ms: i64) -> Option<i64> {
        let at = self.times_ms.partition_point(|t| *t < t_ms);
        at.checked_sub(1).map(|i| self.times_ms[i])
    }
}

fn interval_ms(times_ms: &[i64]) -> i64 {
    let mut distances: Vec<i64> = times_ms.windows(2).map(|w| w[1] - w[0]).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().unwrap_or(UNKNOWN_INTERVAL_MS)
}
