//! Which rate to try next: raised by a factor until one breaks, then halved in between, then measured around the edge.
//!
//! A single window proves little on a shared machine, so a rate is broken when two windows broke, and holds
//! when more windows held than broke. Invariant: the next rate depends on what the windows showed alone, and
//! no search is longer than its plan allows.

use serde::Serialize;

use super::{Estimate, edge::Edge, limits::Misses};
use crate::scenario::capacity::SearchPlan;

/// Windows that break until their rate counts as broken.
const BREAKS: u32 = 2;
/// The gap, as a share of the lowest rate that broke, at which halving gives way to measuring around the edge.
const GAP: f64 = 0.05;

/// What a search found. Rates are iterations each second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchResult {
    /// How it ended.
    pub end: SearchEnd,
    /// The highest rate that keeps the objectives, with its interval of 95 %; `None` where the windows do not tell.
    pub capacity_per_s: Option<Estimate>,
    /// The objective that is missed above it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The windows that tell it, around it.
    pub windows_around: usize,
    /// The highest rate that held.
    pub highest_held_per_s: Option<f64>,
    /// The lowest rate that broke.
    pub lowest_broken_per_s: Option<f64>,
    /// Windows that held at the highest rate that held.
    pub windows_held: u32,
    /// Windows that broke at that rate; at most one.
    pub windows_broken: u32,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// The capacity is known as precisely as was asked.
    Found,
    /// The highest rate of the plan is confirmed; the target bears at least that.
    NothingBroke,
    /// The lowest rate of the plan broke.
    NothingHeld,
    /// The search was stopped, or used up its windows.
    Unfinished,
}

/// A search under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    trials: Trials,
    /// Windows around the edge, once it is known.
    edge: Option<Edge>,
    windows: u32,
}

impl Search {
    /// Takes in what a window at a rate showed.
    pub(super) fn note(&mut self, plan: &SearchPlan, rate_per_s: f64, held: bool, misses: &[Misses]) {
        self.windows += 1;
        if let Some(edge) = &mut self.edge {
            return edge.note(rate_per_s, misses, plan.confirm, plan.to_per_s);
        }
        self.trials.note(rate_per_s, held);
        if let (Next::End(SearchEnd::Found), true) = (self.trials.decide(plan), plan.confirm > 0) {
            let (held, broken) = self.trials.bracket();
            let middle =
                held.zip(broken).map(|(held, broken)| f64::midpoint(held.rate_per_s, broken.rate_per_s));
            self.edge = middle.map(|middle| Edge::around(middle, plan.to_per_s));
        }
    }

    /// The rate of the next window; `None` where the search is over.
    pub(super) fn next(&self, plan: &SearchPlan) -> Option<f64> {
        match self.decide(plan) {
            Next::Try(rate) if self.windows < plan.max_windows => Some(rate),
            _ => None,
        }
    }

    fn decide(&self, plan: &SearchPlan) -> Next {
        match &self.edge {
            None => self.trials.decide(plan),
            Some(edge) if edge.is_within(plan.precision, plan.confirm) => Next::End(SearchEnd::Found),
            Some(edge) => Next::Try(four_digits(edge.next_per_s())),
        }
    }

    /// What was found so far; `objectives` are those of the misses, in words.
    pub(super) fn result(&self, plan: &SearchPlan, objectives: &[String]) -> SearchResult {
        let (held, broken) = self.trials.bracket();
        let found = self.edge.as_ref().and_then(Edge::found);
        SearchResult {
            end: match self.decide(plan) {
                Next::Try(_) => SearchEnd::Unfinished,
                Next::End(end) => end,
            },
            capacity_per_s: found.map(|f| f.rate_per_s),
            decided_by: found.and_then(|f| objectives.get(f.objective).cloned()),
            windows_around: self.edge.as_ref().map_or(0, Edge::windows),
            highest_held_per_s: held.map(|t| t.rate_per_s),
            lowest_broken_per_s: broken.map(|t| t.rate_per_s),
            windows_held: held.map_or(0, |t| t.held),
            windows_broken: held.map_or(0, |t| t.broke),
        }
    }
}

/// What the windows of each rate showed, ascending by rate.
#[derive(Clone, Debug, Default)]
struct Trials {
    list: Vec<Trial>,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    rate_per_s: f64,
    held: u32,
    broke: u32,
}

impl Trial {
    fn is_broken(self) -> bool {
        self.broke >= BREAKS
    }

    fn holds(self) -> bool {
        !self.is_broken() && self.held > self.broke
    }
}

/// What comes next.
enum Next {
    Try(f64),
    End(SearchEnd),
}

impl Trials {
    fn note(&mut self, rate_per_s: f64, held: bool) {
        let at = self.list.partition_point(|t| t.rate_per_s < rate_per_s);
        if self.list.get(at).is_none_or(|t| t.rate_per_s != rate_per_s) {
            self.list.insert(at, Trial { rate_per_s, held: 0, broke: 0 });
        }
        let trial = &mut self.list[at];
        trial.held += u32::from(held);
        trial.broke += u32::from(!held);
    }

    /// The highest rate that held below the lowest that broke, and the latter.
    fn bracket(&self) -> (Option<Trial>, Option<Trial>) {
        let broken = self.list.iter().position(|t| t.is_broken());
        let below = &self.list[..broken.unwrap_or(self.list.len())];
        (below.iter().rev().find(|t| t.holds()).copied(), broken.map(|at| self.list[at]))
    }

    fn decide(&self, plan: &SearchPlan) -> Next {
        let (held, broken) = self.bracket();
        let open = |t: &&Trial| !t.holds() && broken.is_none_or(|b| t.rate_per_s < b.rate_per_s);
        if let Some(undecided) = self.list.iter().find(open) {
            return Next::Try(undecided.rate_per_s);
        }
        match (held, broken) {
            (None, None) => Next::Try(plan.from_per_s),
            (None, Some(_)) => Next::End(SearchEnd::NothingHeld),
            (Some(held), None) if held.rate_per_s < plan.to_per_s => {
                Next::Try(four_digits(held.rate_per_s * plan.factor).min(plan.to_per_s))
            }
            (Some(held), None) if held.held < plan.confirm => Next::Try(held.rate_per_s),
            (Some(_), None) => Next::End(SearchEnd::NothingBroke),
            (Some(held), Some(broken)) => {
                let (low, high) = (held.rate_per_s, broken.rate_per_s);
                let middle = four_digits(f64::midpoint(low, high));
                let is_between = low < middle && middle < high;
                // Without windows around the edge, the gap is all that is known.
                let gap = if plan.confirm > 0 { GAP.max(plan.precision / 2.0) } else { plan.precision };
                if is_between && high - low > gap * high {
                    Next::Try(middle)
                } else {
                    Next::End(SearchEnd::Found)
                }
            }
        }
    }
}

/// Four significant digits: a rate that a person can read and type again.
pub(super) fn four_digits(rate_per_s: f64) -> f64 {
    format!("{rate_per_s:.3e}").parse().unwrap_or(rate_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan that ends with the gap.
    fn plan(precision: f64) -> SearchPlan {
        SearchPlan {
            from_per_s: 10.0,
            to_per_s: 10_000.0,
            factor: 2.0,
            precision,
            confirm: 0,
            max_windows: 60,
        }
    }

    /// Searches on a target whose thousand requests miss as many objectives as `missed` says, given the rate and the
    /// number of the window; ten may.
    fn measured(plan: &SearchPlan, missed: impl Fn(f64, u32) -> f64) -> (SearchResult, Vec<f64>) {
        let (mut search, mut rates) = (Search::default(), Vec::new());
        while let Some(rate) = search.next(plan) {
            let missed = missed(rate, search.windows);
            let never = Misses { missed: 0.0, of: 1000.0, allowed: 0.01 };
            search.note(plan, rate, missed <= 10.0, &[never, Misses { missed, ..never }]);
            rates.push(rate);
        }
        (search.result(plan, &["errors".to_owned(), "latency".to_owned()]), rates)
    }

    /// The same where a window holds or breaks as a whole.
    fn search(plan: &SearchPlan, holds: impl Fn(f64, u32) -> bool) -> (SearchResult, Vec<f64>) {
        measured(plan, |rate, n| if holds(rate, n) { 0.0 } else { 1000.0 })
    }

    #[test]
    fn finds_the_edge() {
        let (found, rates) = search(&plan(0.05), |rate, _| rate <= 237.0);
        assert_eq!(found.end, SearchEnd::Found);
        let (low, high) =
            (found.highest_held_per_s.expect("held"), found.lowest_broken_per_s.expect("broke"));
        assert!(low <= 237.0 && high > 237.0 && high - low <= 0.05 * high, "{found:?}");
        assert_eq!(&rates[..7], [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0], "a break is tried again");
        assert!(rates.len() <= 20 && found.capacity_per_s.is_none(), "{rates:?}");
    }

    #[test]
    fn the_interval_is_around_the_edge() {
        // The share doubles with each twentieth of the rate, and windows scatter by a fifth; at 237/s it is what may be missed.
        let scatter =
            |n: u32| 0.8 + 0.4 * (crate::seed::mix(u64::from(n)) >> 40) as f64 / (1u64 << 24) as f64;
        let share =
            |rate: f64, n: u32| (10.0 * ((rate / 237.0 - 1.0) * 20.0).exp2() * scatter(n)).min(1000.0);
        let (found, rates) = measured(&SearchPlan { confirm: 3, ..plan(0.05) }, share);
        let interval = found.capacity_per_s.expect("an interval");
        let (low, high) = (interval.low.expect("an end"), interval.high.expect("an end"));
        assert!((0.95..1.0).contains(&(low / 237.0)) && (1.0..1.05).contains(&(high / 237.0)), "{found:?}");
        assert!((high - low) / interval.mean <= 0.05, "{found:?}");
        assert_eq!((found.end, found.decided_by.as_deref()), (SearchEnd::Found, Some("latency")));
        assert_eq!((found.windows_around, rates.len() > 18), (18, true));
        // The rates of a round are six, around the edge.
        let round = &rates[rates.len() - 6..];
        assert!(round.is_sorted() && round[0] < 237.0 && round[5] > 237.0, "{round:?}");
    }

    #[test]
    fn a_step_lies_between_two_of_the_rates() {
        let (found, _) = search(&SearchPlan { confirm: 3, ..plan(0.1) }, |rate, _| rate <= 237.0);
        let interval = found.capacity_per_s.expect("an interval");
        assert!(interval.low.is_some_and(|low| low <= 237.0 && low > 230.0), "{found:?}");
        assert!(interval.high.is_some_and(|high| high > 237.0 && high < 244.0), "{found:?}");
    }

    #[test]
    fn an_edge_that_was_missed_is_followed() {
        // What held at first breaks from a fifth below on, once the rates are measured.
        let share = |rate: f64, n: u32| {
            let edge = if n < 15 { 237.0 } else { 200.0 };
            (10.0 * ((rate / edge - 1.0) * 20.0).exp2()).min(1000.0)
        };
        let (found, _) = measured(&SearchPlan { confirm: 3, max_windows: 100, ..plan(0.1) }, share);
        let interval = found.capacity_per_s.expect("an interval");
        assert!((190.0..210.0).contains(&interval.mean), "{found:?}");
    }

    #[test]
    fn one_window_that_breaks_by_chance_changes_nothing() {
        // Every fifth window breaks whatever the rate.
        let (found, _) = search(&plan(0.05), |rate, n| rate <= 237.0 && n % 5 != 3);
        assert_eq!(found.end, SearchEnd::Found);
        assert!(found.highest_held_per_s.is_some_and(|r| (220.0..=237.0).contains(&r)), "{found:?}");
    }

    #[test]
    fn the_ends_of_the_range_are_reported() {
        let plan = SearchPlan { confirm: 3, ..plan(0.05) };
        let (all, rates) = search(&plan, |_, _| true);
        assert_eq!((all.end, all.highest_held_per_s), (SearchEnd::NothingBroke, Some(10_000.0)));
        assert_eq!((all.lowest_broken_per_s, all.windows_held, rates.len()), (None, 3, 13));
        let (none, rates) = search(&plan, |_, _| false);
        assert_eq!((none.end, none.highest_held_per_s), (SearchEnd::NothingHeld, None));
        assert_eq!((none.lowest_broken_per_s, rates.len()), (Some(10.0), 2));
    }

    #[test]
    fn a_search_ends_with_its_windows() {
        let short = SearchPlan { max_windows: 4, ..plan(0.001) };
        let (found, rates) = search(&short, |rate, _| rate <= 237.0);
        assert_eq!((found.end, rates.len()), (SearchEnd::Unfinished, 4));
        assert_eq!(found.highest_held_per_s, Some(80.0));
        // Chance alone never keeps a search going.
        for seed in 0u64..200 {
            let noise = |_: f64, n: u32| crate::seed::mix(seed * 1000 + u64::from(n)).is_multiple_of(2);
            let plan = SearchPlan { confirm: 3, ..plan(0.01) };
            assert!(search(&plan, noise).1.len() <= 60);
        }
    }
}
