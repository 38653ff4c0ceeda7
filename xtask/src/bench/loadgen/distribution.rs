//! Percentiles: those that a tool reports next to the true ones. Invariant: the true ones are computed from
//! every single value, none is interpolated.

/// The percentiles that are compared.
pub(super) const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

/// How far a reported percentile may be from the truth: this share of it, or so many seconds.
pub(super) const SHARE: f64 = 0.01;
pub(super) const ABSOLUTE_S: f64 = 0.000_2;

/// By [`QUANTILES`], in seconds; NaN where it is not known.
pub(super) type Percentiles = [f64; 5];

/// The percentiles of values (in any order), by nearest rank.
pub(super) fn percentiles(values: &mut [f64]) -> Percentiles {
    values.sort_by(f64::total_cmp);
    QUANTILES.map(|q| {
        let rank = (q * values.len() as f64).ceil() as usize;
        values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    })
}

/// Whether every percentile that is known is within the limits.
pub(super) fn is_true(reported: &Percentiles, truth: &Percentiles) -> bool {
    let within = |(r, t): (&f64, &f64)| r.is_nan() || (r - t).abs() <= (SHARE * t).max(ABSOLUTE_S);
    reported.iter().zip(truth).all(within)
}

/// The head of a table of comparisons.
pub(super) fn head(first: &str) -> String {
    format!(
        "| {first} | p50 | p90 | p95 | p99 | p99.9 | largest error | within 1 % or 0.2 ms |\n|---|---|---|---|---|---|---|---|"
    )
}

/// A row: the reported percentiles, the true ones in brackets, in milliseconds.
pub(super) fn row(name: &str, reported: &Percentiles, truth: &Percentiles) -> String {
    let mut row = format!("| {name} |");
    let mut worst = 0f64;
    for (r, t) in reported.iter().zip(truth) {
        if r.is_nan() {
            row.push_str(" – |");
            continue;
        }
        row.push_str(&format!(" {:.3} ({:.3}) |", r * 1e3, t * 1e3));
        if (r - t).abs() > worst.abs() {
            worst = r - t;
        }
    }
    let verdict = if is_true(reported, truth) { "yes" } else { "no" };
    format!("{row} {:+.3} ms | {verdict} |", worst * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert_eq!(percentiles(&mut values), [500.0, 900.0, 950.0, 990.0, 999.0]);
        assert!(percentiles(&mut [])[0].is_nan());
    }

    #[test]
    fn a_row_says_what_is_off() {
        let truth = [0.1, 0.1, 0.1, 0.1, 0.1];
        let check = |last: f64, want: bool| {
            let reported = [0.1, f64::NAN, 0.1, 0.1, last];
            assert_eq!(is_true(&reported, &truth), want, "{last}");
            assert!(row("x", &reported, &truth).ends_with(if want { "yes |" } else { "no |" }));
        };
        check(0.100_9, true);
        check(0.101_1, false);
        assert!(is_true(&[0.001_19; 5], &[0.001; 5]) && !is_true(&[0.001_21; 5], &[0.001; 5]));
    }
}
