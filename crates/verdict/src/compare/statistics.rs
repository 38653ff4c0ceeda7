//! Two samples against each other, by ranks. Invariant: nothing assumes a distribution, and values that follow
//! each other closely count for less.
//!
//! Sources: Mann and Whitney 1947 with the tie correction (Lehmann, Nonparametrics, 1975); the shift of Hodges and
//! Lehmann 1963 with its confidence interval from the ordered differences; Cliff 1993 for delta. Serial
//! correlation widens the variance by (1 + r) / (1 - r), r the lag-one autocorrelation (Bartlett 1946).

/// How the new values differ from the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Difference {
    /// The two-sided p value of no difference.
    pub(super) p: f64,
    /// The median of all differences new − base.
    pub(super) shift: f64,
    /// The confidence interval of the shift.
    pub(super) low: f64,
    /// Its upper end.
    pub(super) high: f64,
    /// P(new > base) − P(new < base), from −1 to 1.
    pub(super) delta: f64,
}

/// Compares; `confidence` is that of the interval, such as 0.95. Both samples hold at least two numbers.
pub(super) fn compare(base: &[f64], new: &[f64], confidence: f64) -> Difference {
    let (n, m) = (base.len() as f64, new.len() as f64);
    let mut differences: Vec<f64> = new.iter().flat_map(|x| base.iter().map(move |y| x - y)).collect();
    differences.sort_by(f64::total_cmp);
    let above = differences.iter().filter(|d| **d > 0.0).count() as f64;
    let below = differences.iter().filter(|d| **d < 0.0).count() as f64;
    let deviation = deviation(base, new) * inflation(base, new);
    // How far U lies from its expectation, drawn in by half for continuity.
    let distance = ((above - below) / 2.0).abs() - 0.5;
    let p = if deviation > 0.0 { 2.0 * (1.0 - normal(distance.max(0.0) / deviation)) } else { 1.0 };
    let margin = quantile((1.0 + confidence) / 2.0) * deviation;
    let pairs = n * m;
    let lower = ((pairs / 2.0 - margin).floor().max(0.0) as usize).min(differences.len() - 1);
    let upper = differences.len() - 1 - lower;
    Difference {
        p: p.clamp(0.0, 1.0),
        shift: median(&differences),
        low: differences[lower.min(upper)],
        high: differences[upper.max(lower)],
        delta: (above - below) / pairs,
    }
}

/// The standard deviation of U, ties counted.
fn deviation(base: &[f64], new: &[f64]) -> f64 {
    let (n, m) = (base.len() as f64, new.len() as f64);
    let all = n + m;
    let mut values: Vec<f64> = base.iter().chain(new).copied().collect();
    values.sort_by(f64::total_cmp);
    let ties: f64 = values
        .chunk_by(|a, b| a == b)
        .map(|run| {
            let t = run.len() as f64;
            t * t * t - t
        })
        .sum();
    (n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)))).max(0.0).sqrt()
}

/// How much serial correlation widens the deviation; at least 1.
fn inflation(base: &[f64], new: &[f64]) -> f64 {
    let r = f64::midpoint(autocorrelation(base), autocorrelation(new)).clamp(0.0, 0.9);
    ((1.0 + r) / (1.0 - r)).sqrt()
}

fn autocorrelation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let covariance: f64 = values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// The median of sorted or unsorted values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The standard normal distribution function, right to 7.5e-8 (Abramowitz and Stegun 26.2.17).
fn normal(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530]
        .iter()
        .fold(0.0, |sum, c| (sum + c) * t);
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if z >= 0.0 { 1.0 - tail } else { tail }
}

/// The inverse of [`normal`] between 0.5 and 1, by bisection.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Holm's correction: the p values with what it costs to look at several, in the order given.
pub(super) fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut out = vec![1.0; values.len()];
    let mut least = 0.0f64;
    for (rank, i) in order.into_iter().enumerate() {
        least = least.max((values[i] * (values.len() - rank) as f64).min(1.0));
        out[i] = least;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() <= by, "{a} against {b}");
    }

    #[test]
    fn the_normal_distribution() {
        near(normal(0.0), 0.5, 1e-7);
        near(normal(1.96), 0.975_002, 1e-6);
        near(normal(-1.0), 0.158_655, 1e-6);
        near(quantile(0.975), 1.959_964, 1e-5);
    }

    /// Samples that do not overlap, without ties: U and its deviation follow from their sizes alone.
    #[test]
    fn agrees_with_the_textbook() {
        let base = [1.1, 0.9, 1.2, 0.8, 1.0, 1.05];
        let new = [1.9, 1.6, 2.1, 1.7, 2.0, 1.8];
        let d = compare(&base, &new, 0.95);
        // U = 36 of 36: z = (36 − 18 − 0.5) / sqrt(39).
        near(d.p, 2.0 * (1.0 - normal(17.5 / 39f64.sqrt())), 1e-9);
        near(d.p, 0.005_075, 1e-5);
        near(d.shift, 0.85, 0.051);
        assert!(d.low > 0.5 && d.high < 1.2 && d.low < d.shift && d.shift < d.high, "{d:?}");
        near(d.delta, 1.0, 0.0);
    }

    #[test]
    fn equal_samples_do_not_differ() {
        let same = [1.0, 2.0, 3.0, 2.0, 1.0, 2.5, 1.5, 2.2];
        let d = compare(&same, &same, 0.95);
        near(d.shift, 0.0, 1e-12);
        assert!(d.p > 0.9 && d.low <= 0.0 && d.high >= 0.0, "{d:?}");
        let flat = compare(&[5.0; 8], &[5.0; 8], 0.95);
        assert_eq!((flat.p, flat.shift, flat.low, flat.high), (1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn a_drift_within_a_sample_counts_for_less() {
        let alternating = [1.0, 1.2, 0.9, 1.1, 1.0, 1.2, 0.9, 1.1];
        let drifting = [1.0, 1.05, 1.1, 1.12, 1.2, 1.22, 1.3, 1.31];
        near(inflation(&alternating, &alternating), 1.0, 0.0);
        assert!(inflation(&drifting, &drifting) > 1.5);
    }

    #[test]
    fn holm_orders_and_bounds() {
        let corrected = holm(&[0.01, 0.04, 0.03]);
        near(corrected[0], 0.03, 1e-12);
        near(corrected[1], 0.06, 1e-12);
        near(corrected[2], 0.06, 1e-12);
        assert!(holm(&[]).is_empty());
    }
}
