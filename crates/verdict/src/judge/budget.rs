//! Error budgets. Invariant: a burn rate of 1 over the whole window spends the budget exactly.
//!
//! The limit of an objective with `error_budget` is the budget: of bad events where the comparison is `<` or
//! `<=`, of good ones where it is `>` or `>=`. The burn rate is the bad part divided by the allowed part, as in
//! Google's SRE workbook; the peak is the worst tenth of the window.

use assay_promql::ast::BinaryOp;

use crate::{
    sla::Objective,
    source::{Source, SourceError, series},
    verdict::{Budget, ObjectiveRow, Window},
};

/// The budget of a measured row, or `None` where value or limit is missing.
pub(super) fn of(
    row: &ObjectiveRow,
    objective: &Objective,
    window: &Window,
    source: &dyn Source,
) -> Result<Option<Budget>, SourceError> {
    let (Some(value), Some(limit)) = (row.value, row.limit) else { return Ok(None) };
    let scale = if matches!(objective.unit.as_str(), "percent" | "%") { 100.0 } else { 1.0 };
    let bad_when_high = matches!(objective.require.op, BinaryOp::Lss | BinaryOp::Lte);
    let bad = |v: f64| if bad_when_high { v / scale } else { 1.0 - v / scale };
    let (allowed_ratio, bad_ratio) = (bad(limit), bad(value));
    // A tenth of the window, but not so short that a single scrape decides.
    let peak_window_ms = (window.len_ms() / 10).max(5_000).min(window.len_ms());
    let over_time = source.range(
        &objective.require.measure(peak_window_ms),
        window.start_ms + peak_window_ms,
        window.end_ms,
        peak_window_ms,
    )?;
    let worst = series(over_time)
        .iter()
        .filter(|s| s.labels.to_pairs() == row.labels)
        .flat_map(|s| s.samples.values.clone())
        .filter(|v| !v.is_nan())
        .map(bad)
        .fold(None, |most: Option<f64>, v| Some(most.map_or(v, |m| m.max(v))));
    Ok(Some(Budget {
        allowed_ratio,
        bad_ratio,
        burn_rate: burn(bad_ratio, allowed_ratio),
        peak_burn_rate: worst.map(|w| burn(w, allowed_ratio)),
        peak_window_ms,
    }))
}

/// A budget of nothing is spent by the first bad event, and untouched until then.
fn burn(bad_ratio: f64, allowed_ratio: f64) -> f64 {
    if allowed_ratio > 0.0 {
        bad_ratio / allowed_ratio
    } else if bad_ratio > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burn_rates() {
        assert!((burn(0.02, 0.01) - 2.0).abs() < 1e-12);
        assert_eq!((burn(0.0, 0.0), burn(0.1, 0.0)), (0.0, f64::INFINITY));
    }
}
