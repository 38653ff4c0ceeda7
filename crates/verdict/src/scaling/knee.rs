//! Where the mean time begins to grow with the load: level up to a point, and a straight line from there on, fitted by least squares. Invariant: a knee is only where that fits better than no change and better than a steady rise.

use super::{Knee, Level};
use crate::findings::Confidence;

/// How many levels of different load it takes, and how far apart the lowest and the highest are.
const FEWEST: usize = 5;
const SPREAD: f64 = 1.5;
/// How much longer requests must take at the highest load than at low ones.
const GROWTH: f64 = 1.5;
/// What the fit may leave of the squares that a straight line leaves.
const BETTER: f64 = 0.7;
/// Into how many steps the loads are cut to look for the point.
const STEPS: u32 = 100;

/// The knee of levels by load.
///
/// # Errors
/// Why there is none.
pub(super) fn of(levels: &[Level]) -> Result<Knee, String> {
    let measured = levels.iter().filter(|l| l.mean_s > 0.0);
    let mut points: Vec<(f64, f64)> = measured.map(|l| (l.load, l.mean_s)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let loads = super::different_loads(points.iter().map(|p| p.0));
    let spread = loads.last().zip(loads.first()).map_or(0.0, |(high, low)| high / low);
    if loads.len() < FEWEST || spread < SPREAD {
        return Err(format!(
            "a knee takes {FEWEST} different loads of which the highest is {SPREAD} times the lowest; this run has {}",
            loads.len()
        ));
    }
    let knee = fit(&points).ok_or("the mean time has no knee at the loads of this run")?;
    let left_out = (0..points.len()).filter_map(|i| {
        let rest: Vec<_> = points.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
        fit(&rest)
    });
    let found: Vec<f64> = left_out.collect();
    let low = found.iter().copied().fold(knee, f64::min);
    let high = found.iter().copied().fold(knee, f64::max);
    // Where leaving one level out leaves no knee, one level is all that it rests on.
    let confidence = match (high - low) / knee {
        _ if found.len() < points.len() => Confidence::Low,
        width if width <= 0.2 && points.len() >= 8 => Confidence::High,
        width if width <= 0.5 => Confidence::Medium,
        _ => Confidence::Low,
    };
    Ok(Knee { load: knee, interval: (low, high), confidence })
}

/// Where the rise begins, if there is one.
fn fit(points: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let bent = |knee: f64| {
        let above: Vec<_> = points.iter().map(|(x, y)| ((x - knee).max(0.0), *y)).collect();
        (knee, regression(&above))
    };
    let at = |i: u32| first + (last - first) * f64::from(i) / f64::from(STEPS);
    let (knee, line) = (1..STEPS).map(|i| bent(at(i))).min_by(|a, b| a.1.left.total_cmp(&b.1.left))?;
    let straight = regression(points).left;
    let grows = line.slope * (last - knee) >= (GROWTH - 1.0) * line.level;
    (grows && line.left <= BETTER * straight).then_some(knee)
}

/// A line through points, and the sum of the squares that it leaves.
struct Line {
    slope: f64,
    /// Its height at zero.
    level: f64,
    left: f64,
}

fn regression(points: &[(f64, f64)]) -> Line {
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x0, y0) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - x0, y - y0)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    Line { slope, level: y0 - slope * x0, left: (yy - slope * xy).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::tests::level;

    /// Levels of a closed system with so many servers of 100 ms: level up to as many users, and proportional above.
    fn closed(servers: f64, users: &[f64], noise: f64) -> Vec<Level> {
        let mean = |(i, n): (usize, &f64)| {
            let wobble = 1.0 + noise * if i % 2 == 0 { 1.0 } else { -1.0 };
            level(*n, 0.1 * (n / servers).max(1.0) * wobble)
        };
        users.iter().enumerate().map(mean).collect()
    }

    #[test]
    fn the_knee_is_where_servers_run_out() {
        let users = [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 30.0];
        for noise in [0.0, 0.05] {
            let knee = of(&closed(8.0, &users, noise)).expect("has a knee");
            assert!((6.0..=10.0).contains(&knee.load), "{knee:?}");
            assert!(knee.interval.0 <= knee.load && knee.load <= knee.interval.1, "{knee:?}");
        }
    }

    #[test]
    fn what_is_level_or_rises_all_along_has_none() {
        let users = [2.0, 4.0, 6.0, 8.0, 10.0, 12.0];
        assert!(of(&closed(50.0, &users, 0.05)).is_err());
        let steady: Vec<Level> = users.iter().map(|n| level(*n, 0.1 * n)).collect();
        assert!(of(&steady).is_err());
        assert!(of(&closed(3.0, &users[..3], 0.0)).is_err());
    }
}
