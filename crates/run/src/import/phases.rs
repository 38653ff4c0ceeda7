//! The phases of a load, as its own series tell them: an imported run has no description that lists them.
//!
//! Invariant: a phase is the time in which loadgen had users in it; which of them only warmed up no series tells, so
//! none is marked so.

use std::{collections::BTreeMap, path::Path};

use assay_model::{Column, METRIC_NAME, Matcher, Queryable, is_stale};
use assay_tsdb::{Database, OpenOptions};

use crate::Phase;

/// The gauge of virtual users, one series for each phase and shard.
const USERS: &str = "load_users";
const PHASE: &str = "load_phase";

/// The phases in the order in which they began; empty where the data is no load's, or cannot be read.
pub(super) fn phases(data: &Path) -> Vec<Phase> {
    let mut spans: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let Ok(database) = Database::open(data, OpenOptions::default()) else { return Vec::new() };
    let Ok(series) = database.select(&[Matcher::equal(METRIC_NAME, USERS)], i64::MIN, i64::MAX) else {
        return Vec::new();
    };
    for one in series {
        let mut column = Column::default();
        let Some(name) = one.labels().get(PHASE).map(str::to_owned) else { continue };
        if one.read(i64::MIN, i64::MAX, &mut column).is_err() {
            continue;
        }
        if let Some((start, end)) = span(&column) {
            let known = spans.entry(name).or_insert((start, end));
            *known = (known.0.min(start), known.1.max(end));
        }
    }
    let mut phases: Vec<Phase> = spans
        .into_iter()
        .map(|(name, (start_ms, end_ms))| Phase { name, start_ms, end_ms: Some(end_ms), warmup: false })
        .collect();
    phases.sort_by_key(|p| p.start_ms);
    phases
}

/// From the last sample before there were users to the first after: what was counted in between is the phase's.
fn span(users: &Column) -> Option<(i64, i64)> {
    let there = |v: &f64| *v > 0.0 && !is_stale(*v);
    let first = users.values.iter().position(there)?;
    let last = users.values.iter().rposition(there)?;
    let end = (last + 1).min(users.times.len() - 1);
    Some((users.times[first.saturating_sub(1)], users.times[end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_reaches_from_zero_to_zero() {
        let check = |values: &[f64], want: Option<(i64, i64)>| {
            let times = (0..values.len() as i64).map(|i| i * 1000).collect();
            let column = Column { times, values: values.to_vec(), ..Column::default() };
            assert_eq!(span(&column), want, "{values:?}");
        };
        check(&[0.0, 0.0, 2.0, 5.0, 0.0, 0.0], Some((1000, 4000)));
        check(&[3.0, 3.0], Some((0, 1000)));
        check(&[0.0, 3.0, assay_model::stale_nan()], Some((0, 2000)));
        check(&[0.0, 0.0], None);
        check(&[], None);
    }
}
