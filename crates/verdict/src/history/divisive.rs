//! Change points of a series: E-divisive means (Matteson and James 2014, "A nonparametric approach for multiple change point
//! analysis of multivariate data", with α = 1), significance by permutation.
//!
//! The energy distance between what is before and after a point is largest where the distribution changes. The best split of all
//! segments is held against the best splits of the same values in random orders; what is left is split again until a split is no
//! better than chance. The paper lets what is after a point end before its segment does, so that a level that comes back hides
//! nothing; but with more splits to choose from chance does better, and plain steps are missed. So this comes second here, when no
//! plain split is left, and must be surer. Invariant: the same values have the same change points, whatever else is looked at: the orders are drawn
//! from a fixed seed.

use crate::random::Random;

/// The fewest values before and after a change point.
pub(super) const FEWEST: usize = 3;
/// How many random orders a split is held against at most.
const ORDERS: u32 = 499;
/// How often chance may do as well as a plain split.
const ALPHA: f64 = 0.01;
/// The same of a split whose second part ends before its segment.
const ALPHA_ENDING: f64 = 0.002;
/// The seed of the orders.
const SEED: u64 = 0x5eed_0a55_a700_0001;

/// A point from which on values are of another kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    /// The index of the first value after it.
    pub(super) at: usize,
    /// How likely chance does as well.
    pub(super) p: f64,
}

/// The splits of a segment that are looked at.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// All that is before against all that is after.
    Plain,
    /// All that is before against what comes next, for however long.
    Ending,
}

/// The change points of a series, in order.
pub(super) fn change_points(values: &[f64]) -> Vec<Split> {
    let mut random = Random(SEED);
    let mut splits: Vec<Split> = Vec::new();
    loop {
        let segments = segments(values.len(), &splits);
        let mut found = |kind| next(values, &segments, kind, &mut random);
        let Some(split) = found(Kind::Plain).or_else(|| found(Kind::Ending)) else { break };
        splits.push(split);
        splits.sort_by_key(|s| s.at);
    }
    splits
}

/// The best split of all segments, if it is better than chance.
fn next(
    values: &[f64],
    segments: &[std::ops::Range<usize>],
    kind: Kind,
    random: &mut Random,
) -> Option<Split> {
    let best =
        segments.iter().filter_map(|s| best(&values[s.clone()], kind).map(|(at, q)| (s.start + at, q)));
    let (at, q) = best.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Split { at, p: chance(values, segments, kind, q, random)? })
}

fn segments(count: usize, splits: &[Split]) -> Vec<std::ops::Range<usize>> {
    let starts = std::iter::once(0).chain(splits.iter().map(|s| s.at));
    let ends = splits.iter().map(|s| s.at).chain([count]);
    starts.zip(ends).map(|(from, to)| from..to).collect()
}

/// How likely a split as good as `q` is if each segment's values are in random order; `None` if that is too likely.
fn chance(
    values: &[f64],
    segments: &[std::ops::Range<usize>],
    kind: Kind,
    q: f64,
    random: &mut Random,
) -> Option<f64> {
    let alpha = if kind == Kind::Plain { ALPHA } else { ALPHA_ENDING };
    // Rounding differs with the order; a split that is the same one counts as one that does as well.
    let q = q * (1.0 - 1e-9);
    let (mut shuffled, mut as_good) = (values.to_vec(), 0u32);
    for _ in 0..ORDERS {
        let mut found = false;
        for segment in segments {
            let part = &mut shuffled[segment.clone()];
            random.shuffle(part);
            found |= best(part, kind).is_some_and(|(_, other)| other >= q);
        }
        as_good += u32::from(found);
        if f64::from(as_good + 1) > alpha * f64::from(ORDERS + 1) {
            return None;
        }
    }
    Some(f64::from(as_good + 1) / f64::from(ORDERS + 1))
}

/// The best split of a segment: the first index after it, and its scaled energy distance. `None` if the segment is too short or
/// all of one value.
fn best(values: &[f64], kind: Kind) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * FEWEST {
        return None;
    }
    let sums = Distances::of(values);
    // A table of reciprocals spares the divisions, which would be most of the work.
    let parts: Vec<f64> = (0..=count).map(|n| 1.0 / (n.max(1) as f64)).collect();
    let mut best: Option<(usize, f64)> = None;
    for at in FEWEST..=count - FEWEST {
        let before = sums.within(0, at) * parts[at - 1];
        let ends = if kind == Kind::Plain { count } else { at + FEWEST };
        for end in ends..=count {
            let after = sums.within(at, end) * parts[end - at - 1];
            // n·m / (n + m) times the energy distance of n values before and m after the point.
            let own = (end - at) as f64 * before + at as f64 * after;
            let q = 2.0 * parts[end] * (sums.between(at, end) - own);
            if q > best.map_or(0.0, |(_, q)| q) {
                best = Some((at, q));
            }
        }
    }
    best
}

/// Sums of the distances between values, so that those of any two stretches are a few additions.
struct Distances {
    count: usize,
    /// At `i` and `j`, the sum of |a − b| over all a of the first `i` and b of the first `j` values.
    sums: Vec<f64>,
}

impl Distances {
    fn of(values: &[f64]) -> Self {
        let count = values.len();
        let width = count + 1;
        let mut sums = vec![0.0; width * width];
        for i in 0..count {
            let mut row = 0.0;
            for j in 0..count {
                row += (values[i] - values[j]).abs();
                sums[(i + 1) * width + j + 1] = sums[i * width + j + 1] + row;
            }
        }
        Self { count, sums }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.sums[i * (self.count + 1) + j]
    }

    /// Over all pairs within `from..to`, each once.
    fn within(&self, from: usize, to: usize) -> f64 {
        (self.at(to, to) - 2.0 * self.at(from, to) + self.at(from, from)) / 2.0
    }

    /// Over all pairs of one of `0..at` and one of `at..end`.
    fn between(&self, at: usize, end: usize) -> f64 {
        self.at(at, end) - self.at(at, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f64; 14] =
        [1.02, 0.97, 1.05, 0.99, 1.01, 0.95, 1.12, 1.03, 1.16, 1.09, 1.21, 1.08, 0.98, 1.02];

    /// `scipy.stats.energy_distance(v[:6], v[6:12])` of scipy 1.17.1 is the root of this, with n² in place of n·(n − 1).
    #[test]
    fn distances_agree_with_scipy() {
        let sums = Distances::of(&VALUES);
        let squared = 2.0 * sums.between(6, 12) / 36.0
            - 2.0 * sums.within(0, 6) / 36.0
            - 2.0 * sums.within(6, 12) / 36.0;
        assert!((squared.sqrt() - SCIPY).abs() < 1e-12, "{}", squared.sqrt());
    }

    const SCIPY: f64 = 0.3651483716701109;

    /// The splits and values that the sums of the definition give in numpy 2: over every split and every end, and over every split.
    #[test]
    fn the_best_split_is_that_of_the_definition() {
        for (kind, want) in [(Kind::Ending, NUMPY[0]), (Kind::Plain, NUMPY[1])] {
            let (at, q) = best(&VALUES, kind).expect("long enough");
            assert_eq!(at, want.0);
            assert!((q - want.1).abs() < 1e-12, "{q}");
            assert_eq!(best(&VALUES[..5], kind), None);
            assert_eq!(best(&[2.0; 8], kind), None);
        }
    }

    const NUMPY: [(usize, f64); 2] = [(6, 0.3386666666666669), (6, 0.1897142857142857)];
}
