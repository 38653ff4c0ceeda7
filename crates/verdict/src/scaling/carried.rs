//! Between which two levels the objectives break. Invariant: a load that is said to hold did hold in a level of the run.

use super::{Carried, Level, is_same};
use crate::findings::Confidence;

/// How near the load that missed must be to the one that held for the two to be sure.
const NEAR: f64 = 0.15;

/// What is carried, given the levels by load.
///
/// # Errors
/// Why nothing can be said.
pub(super) fn of(levels: &[Level]) -> Result<Carried, String> {
    let decided: Vec<&Level> = levels.iter().filter(|l| l.held.is_some()).collect();
    if decided.is_empty() {
        return Err(match levels.len() {
            0 => "no finished phase had a known load and twenty requests or more".to_owned(),
            _ => "whether the objectives were kept was not decided at any load".to_owned(),
        });
    }
    let (cut, contradictions) = cut(&decided);
    let held = decided[..cut].iter().rev().find(|l| l.held == Some(true));
    let missed = decided[cut..].iter().find(|l| l.held == Some(false));
    let same = |l: &&&Level| held.is_some_and(|h| is_same(h.load, l.load));
    let alike = decided.iter().filter(same);
    let windows = (alike.clone().filter(|l| l.held == Some(true)).count(), alike.count());
    let confidence = match (held, missed) {
        _ if contradictions > 0 => Confidence::Low,
        (Some(h), Some(m)) if m.load - h.load <= NEAR * m.load && windows.0 >= 2 => Confidence::High,
        (Some(_), _) => Confidence::Medium,
        (None, _) => Confidence::Low,
    };
    let limiting = missed.or(held).map_or("", |l| l.strained_by.as_str());
    Ok(Carried {
        held: held.map(|l| l.load),
        held_requests_per_s: held.map(|l| l.requests_per_s),
        missed: missed.map(|l| l.load),
        estimate: held.zip(missed).and_then(|(h, m)| between(h, m)),
        levels: windows,
        limited_by: limiting.to_owned(),
        confidence,
    })
}

/// Before which level the objectives break: where the fewest levels speak against it, the lowest of several. Levels of one
/// load are on one side.
fn cut(levels: &[&Level]) -> (usize, usize) {
    let against = |at: usize| {
        let below = levels[..at].iter().filter(|l| l.held == Some(false)).count();
        let above = levels[at..].iter().filter(|l| l.held == Some(true)).count();
        below + above
    };
    let is_edge =
        |at: &usize| *at == 0 || *at == levels.len() || !is_same(levels[at - 1].load, levels[*at].load);
    (0..=levels.len())
        .filter(is_edge)
        .map(|at| (at, against(at)))
        .min_by_key(|(at, against)| (*against, *at))
        .unwrap_or_default()
}

/// Where the objective that is nearest to its limit reaches it, if it grows by a constant factor with each step of load.
fn between(held: &Level, missed: &Level) -> Option<f64> {
    let (low, high) = (held.strain.filter(|s| *s > 0.0)?.ln(), missed.strain?.ln());
    if low >= 0.0 || high <= 0.0 || missed.load <= held.load {
        return None;
    }
    Some(held.load + (missed.load - held.load) * low / (low - high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::tests::level;

    fn levels(list: &[(f64, bool, f64)]) -> Vec<Level> {
        list.iter()
            .map(|(load, held, strain)| Level {
                held: Some(*held),
                strain: Some(*strain),
                strained_by: "p99".to_owned(),
                ..level(*load, 0.1)
            })
            .collect()
    }

    #[test]
    fn the_objectives_break_between_two_levels() {
        let found = of(&levels(&[(5.0, true, 0.25), (20.0, true, 0.5), (40.0, false, 2.0)])).expect("known");
        assert_eq!(
            (found.held, found.missed, found.confidence),
            (Some(20.0), Some(40.0), Confidence::Medium)
        );
        assert!(found.estimate.is_some_and(|e| (e - 30.0).abs() < 1e-9), "{found:?}");
        assert_eq!((found.levels, found.limited_by.as_str()), ((1, 1), "p99"));
    }

    #[test]
    fn windows_of_one_rate_confirm_each_other() {
        let found =
            of(&levels(&[(90.0, true, 0.8), (90.5, true, 0.9), (91.0, true, 0.7), (100.0, false, 1.2)]));
        let found = found.expect("known");
        assert_eq!((found.levels, found.confidence), ((3, 3), Confidence::High));
        // One of them that broke by chance leaves the rate where it is, and makes it less sure.
        let mut list =
            levels(&[(90.0, true, 0.8), (90.5, true, 0.9), (91.0, true, 0.7), (100.0, false, 1.2)]);
        list[1].held = Some(false);
        let found = of(&list).expect("known");
        assert_eq!((found.held, found.levels, found.confidence), (Some(91.0), (2, 3), Confidence::Low));
    }

    #[test]
    fn what_never_broke_or_never_held_has_one_end() {
        let all = of(&levels(&[(5.0, true, 0.2), (50.0, true, 0.9)])).expect("known");
        assert_eq!((all.held, all.missed, all.estimate), (Some(50.0), None, None));
        let none = of(&levels(&[(5.0, false, 2.0), (50.0, false, 9.0)])).expect("known");
        assert_eq!((none.held, none.missed), (None, Some(5.0)));
        assert!(of(&[level(5.0, 0.1)]).is_err());
        assert!(of(&[]).is_err());
    }
}
