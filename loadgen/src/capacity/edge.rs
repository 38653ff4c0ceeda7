//! The highest rate that keeps its objectives, as an interval.
//!
//! Windows are held at six rates around the edge that halving found, round after round. Each objective is a share that may
//! be missed, so the log-odds of missing it are fitted as a straight line over the rate (a quasi-binomial regression:
//! windows scatter more than their requests, since neighbours wait in the same queue), and Fieller's interval is where the
//! line crosses the share that is allowed. Shares are used, not the windows' percentiles: the mean of percentiles of short
//! windows is below the percentile of the whole, their pooled shares are not. Where the edge turns out to be elsewhere, the rates move
//! there. Invariant: every window near the centre counts, whatever it showed, those from before a move too; around the final
//! centre each rate has as many as any other, give or take one.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{levels::Estimate, limits::Misses};
use crate::scenario::capacity::EDGE_RATES;

/// The rates of a round.
const RATES: usize = EDGE_RATES as usize;
/// How far the outermost rates are from the centre, as a share of it.
const SPAN: f64 = 0.06;
/// How often the rates may be moved to where the edge seems to be.
const MOVES: u32 = 2;
/// The rounds from which on an interval is known, as wide as it may be.
const LEAST_ROUNDS: usize = 2;
/// By this factor shares differ from what is allowed on both sides of a cliff.
const CLIFF: f64 = 4.0;

/// Windows around the edge.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    centre_per_s: f64,
    moves: u32,
    windows: Vec<Point>,
    /// How many of them were held since the last move.
    fresh: usize,
    found: Option<Crossing>,
}

/// A window: its rate as a share of the centre's, less 1, and how often it missed each objective.
#[derive(Clone, Debug)]
struct Point {
    rate: f64,
    misses: Vec<Misses>,
}

/// Where an objective is missed as often as it may be. Rates are iterations each second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    /// The rate, with its interval of 95 %.
    pub(super) rate_per_s: Estimate,
    /// The objective's number.
    pub(super) objective: usize,
}

/// A fitted line: where it crosses 0, and the interval around that where there is one.
struct Line {
    crossing: f64,
    interval: Option<(f64, f64)>,
    /// Whether the line is surely not 0 at the centre.
    is_off: bool,
}

impl Edge {
    /// Around this rate, which is at most `highest_per_s` less the span.
    pub(super) fn around(centre_per_s: f64, highest_per_s: f64) -> Self {
        let centre_per_s = centre_per_s.min(highest_per_s / (1.0 + SPAN));
        Self { centre_per_s, moves: 0, windows: Vec::new(), fresh: 0, found: None }
    }

    /// The rate of the next window.
    pub(super) fn next_per_s(&self) -> f64 {
        let step = (self.fresh % RATES) as f64 / (RATES - 1) as f64;
        self.centre_per_s * (1.0 + SPAN * (2.0 * step - 1.0))
    }

    /// Takes a window in; `rounds` are wanted before the rates are moved, and no rate above `highest_per_s`.
    pub(super) fn note(&mut self, rate_per_s: f64, misses: &[Misses], rounds: u32, highest_per_s: f64) {
        self.windows.push(Point { rate: rate_per_s / self.centre_per_s - 1.0, misses: misses.to_vec() });
        self.fresh += 1;
        if !self.fresh.is_multiple_of(RATES) || self.fresh / RATES < LEAST_ROUNDS.min(rounds as usize) {
            return;
        }
        let lines = (0..misses.len()).filter_map(|objective| Some((objective, self.line(objective)?)));
        let Some((objective, line)) = lines.min_by(|a, b| a.1.crossing.total_cmp(&b.1.crossing)) else {
            return;
        };
        // Of a line that is flat by chance the crossing is anywhere, and tells nothing of the centre.
        let is_elsewhere = line.is_off && line.crossing.abs() > SPAN;
        if is_elsewhere && self.has_rounds(rounds) && self.moves < MOVES {
            self.move_by(line.crossing.clamp(-1.5 * SPAN, 1.5 * SPAN), highest_per_s);
            return;
        }
        let of = |share: f64| self.centre_per_s * (1.0 + share);
        self.found = line.interval.map(|(low, high)| {
            let rate_per_s = Estimate { mean: of(line.crossing), low: Some(of(low)), high: Some(of(high)) };
            Crossing { rate_per_s, objective }
        });
    }

    /// Whether there were as many rounds; after a move, which keeps windows, fewer.
    fn has_rounds(&self, rounds: u32) -> bool {
        let wanted = if self.moves == 0 { rounds as usize } else { LEAST_ROUNDS.min(rounds as usize) };
        self.fresh / RATES >= wanted
    }

    /// Moves the rates by a share of them, and keeps what is near.
    fn move_by(&mut self, share: f64, highest_per_s: f64) {
        let moved = Self::around(self.centre_per_s * (1.0 + share), highest_per_s);
        let scale = self.centre_per_s / moved.centre_per_s;
        let windows = std::mem::take(&mut self.windows).into_iter();
        let windows = windows.map(|w| Point { rate: (1.0 + w.rate) * scale - 1.0, ..w });
        let near = windows.filter(|w| w.rate.abs() <= 2.0 * SPAN).collect();
        *self = Self { moves: self.moves + 1, windows: near, ..moved };
    }

    /// The windows that count.
    pub(super) fn windows(&self) -> usize {
        self.windows.len()
    }

    /// What is known by now.
    pub(super) fn found(&self) -> Option<&Crossing> {
        self.found.as_ref()
    }

    /// Whether there were as many rounds, and the interval is at most this share of the rate.
    pub(super) fn is_within(&self, precision: f64, rounds: u32) -> bool {
        let width = |e: &Estimate| e.high.zip(e.low).map(|(high, low)| (high - low) / e.mean);
        let width = self.found.as_ref().and_then(|f| width(&f.rate_per_s));
        self.has_rounds(rounds) && width.is_some_and(|width| width <= precision)
    }

    /// The line of an objective; `None` where it rises nowhere.
    fn line(&self, objective: usize) -> Option<Line> {
        let points: Vec<(f64, Misses)> = self.windows.iter().map(|w| (w.rate, w.misses[objective])).collect();
        if points.iter().all(|(_, m)| m.missed == 0.0)
            || points.iter().any(|(_, m)| m.of == 0.0 || m.allowed <= 0.0)
        {
            return None;
        }
        cliff(&points).or_else(|| Fit::of(&points)?.line())
    }
}

/// Where a step lies that is too steep for a line: every window up to a rate misses far less than it may, and every one
/// above far more.
fn cliff(points: &[(f64, Misses)]) -> Option<Line> {
    let share = |m: &Misses| m.missed / m.of / m.allowed;
    let held = points.iter().filter(|(_, m)| share(m) * CLIFF <= 1.0).map(|p| p.0).fold(f64::NAN, f64::max);
    let broke = points.iter().filter(|(_, m)| share(m) >= CLIFF).map(|p| p.0).fold(f64::NAN, f64::min);
    let is_clean = points
        .iter()
        .all(|(rate, m)| share(m) * CLIFF <= 1.0 && *rate <= held || share(m) >= CLIFF && *rate >= broke);
    (is_clean && held < broke).then(|| Line {
        crossing: f64::midpoint(held, broke),
        interval: Some((held, broke)),
        is_off: true,
    })
}

/// The fitted log-odds over what is allowed, `at + slope × rate`, and the covariance of the two.
struct Fit {
    at: f64,
    slope: f64,
    covariance: Matrix,
    freedom: f64,
}

/// A symmetric matrix of two rows.
#[derive(Clone, Copy, Default)]
struct Matrix {
    a: f64,
    b: f64,
    c: f64,
}

impl Matrix {
    fn inverse(self) -> Option<Self> {
        let determinant = self.a * self.c - self.b * self.b;
        let scaled = |v: f64| v / determinant;
        (determinant.abs() > 1e-12).then(|| Self { a: scaled(self.c), b: scaled(-self.b), c: scaled(self.a) })
    }
}

impl Fit {
    /// The quasi-likelihood's maximum by Newton's steps, none of them large.
    fn of(points: &[(f64, Misses)]) -> Option<Self> {
        let (mut at, mut slope) = (0.0, 8.0);
        let expected = |at: f64, slope: f64, rate: f64, m: &Misses| {
            let odds = m.allowed / (1.0 - m.allowed) * (at + slope * rate).clamp(-60.0, 60.0).exp();
            odds / (1.0 + odds)
        };
        let mut inverse = Matrix::default();
        for _ in 0..100 {
            let (mut score, mut information) = ((0.0, 0.0), Matrix::default());
            for (rate, m) in points {
                let p = expected(at, slope, *rate, m);
                let (residual, weight) = (m.missed - m.of * p, m.of * p * (1.0 - p));
                score = (score.0 + residual, score.1 + residual * rate);
                information.a += weight;
                information.b += weight * rate;
                information.c += weight * rate * rate;
            }
            inverse = information.inverse()?;
            let step = (inverse.a * score.0 + inverse.b * score.1, inverse.b * score.0 + inverse.c * score.1);
            let damped = 1f64.min(2.0 / step.0.abs()).min(40.0 / step.1.abs());
            (at, slope) = (at + damped * step.0, slope + damped * step.1);
            if step.0.abs() < 1e-9 && step.1.abs() < 1e-9 {
                break;
            }
        }
        let freedom = points.len() as f64 - 2.0;
        let scatter = points.iter().map(|(rate, m)| {
            let p = expected(at, slope, *rate, m);
            (m.missed - m.of * p).powi(2) / (m.of * p * (1.0 - p))
        });
        // Never below what independent requests scatter.
        let scatter = (scatter.sum::<f64>() / freedom).max(1.0);
        let covariance = Matrix { a: inverse.a * scatter, b: inverse.b * scatter, c: inverse.c * scatter };
        // The logarithm of a mean that scatters is below that of the true one, on average by half its variance.
        let at = at + covariance.a / 2.0;
        (at.is_finite() && slope.is_finite() && scatter.is_finite()).then_some(Self {
            at,
            slope,
            covariance,
            freedom,
        })
    }

    /// Where it crosses 0, with Fieller's interval; `None` where it does not rise.
    fn line(&self) -> Option<Line> {
        let t = StudentsT::new(0.0, 1.0, self.freedom).ok()?.inverse_cdf(0.975);
        // The roots of (at + slope × x)² = t² × variance(at + slope × x).
        let a = self.slope.powi(2) - t * t * self.covariance.c;
        let half = self.at * self.slope - t * t * self.covariance.b;
        let c = self.at.powi(2) - t * t * self.covariance.a;
        let root = (half * half - a * c).sqrt();
        let interval = (a > 0.0 && root.is_finite()).then(|| ((-half - root) / a, (-half + root) / a));
        let is_off = self.at.powi(2) > t * t * self.covariance.a;
        (self.slope > 0.0).then(|| Line { crossing: -self.at / self.slope, interval, is_off })
    }
}
