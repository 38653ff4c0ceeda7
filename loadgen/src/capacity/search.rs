//! Which rate to try next: raised by a factor until one breaks, then halved in between, then confirmed.
//!
//! A single window proves little on a shared machine, so a rate is broken when two windows broke, and holds
//! when more windows held than broke. Invariant: the next rate depends on what the windows showed alone, and
//! no search is longer than its plan allows.

use serde::Serialize;

use crate::scenario::capacity::SearchPlan;

/// Windows that break until their rate counts as broken.
const BREAKS: u32 = 2;

/// What a search found. Rates are iterations each second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchResult {
    /// How it ended.
    pub end: SearchEnd,
    /// The highest rate that held.
    pub highest_held_per_s: Option<f64>,
    /// The lowest rate that broke.
    pub lowest_broken_per_s: Option<f64>,
    /// Windows that held at the highest rate that held.
    pub windows_held: u32,
    /// Windows that broke at that rate; at most one.
    pub windows_broken: u32,
    /// Windows that had to hold for the rate to count as confirmed.
    pub windows_wanted: u32,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// The rate is confirmed, and a little above it the objectives break.
    Found,
    /// The highest rate of the plan is confirmed; the target bears at least that.
    NothingBroke,
    /// The lowest rate of the plan broke.
    NothingHeld,
    /// The search was stopped, or used up its windows.
    Unfinished,
}

/// What the windows of each rate showed, ascending by rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials {
    list: Vec<Trial>,
    windows: u32,
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
    /// Takes in what a window at a rate showed.
    pub(super) fn note(&mut self, rate_per_s: f64, held: bool) {
        self.windows += 1;
        let at = self.list.partition_point(|t| t.rate_per_s < rate_per_s);
        if self.list.get(at).is_none_or(|t| t.rate_per_s != rate_per_s) {
            self.list.insert(at, Trial { rate_per_s, held: 0, broke: 0 });
        }
        let trial = &mut self.list[at];
        trial.held += u32::from(held);
        trial.broke += u32::from(!held);
    }

    /// The rate of the next window; `None` where the search is over.
    pub(super) fn next(&self, plan: &SearchPlan) -> Option<f64> {
        match self.decide(plan) {
            Next::Try(rate) if self.windows < plan.max_windows => Some(rate),
            _ => None,
        }
    }

    /// What was found so far.
    pub(super) fn result(&self, plan: &SearchPlan) -> SearchResult {
        let (held, broken) = self.bracket();
        SearchResult {
            end: match self.decide(plan) {
                Next::Try(_) => SearchEnd::Unfinished,
                Next::End(end) => end,
            },
            highest_held_per_s: held.map(|t| t.rate_per_s),
            lowest_broken_per_s: broken.map(|t| t.rate_per_s),
            windows_held: held.map_or(0, |t| t.held),
            windows_broken: held.map_or(0, |t| t.broke),
            windows_wanted: plan.confirm,
        }
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
                Next::Try(rounded(held.rate_per_s * plan.factor).min(plan.to_per_s))
            }
            (Some(held), None) => confirm(held, plan, SearchEnd::NothingBroke),
            (Some(held), Some(broken)) => {
                let (low, high) = (held.rate_per_s, broken.rate_per_s);
                let middle = rounded(f64::midpoint(low, high));
                let is_between = low < middle && middle < high;
                if is_between && high - low > plan.precision * high {
                    Next::Try(middle)
                } else {
                    confirm(held, plan, SearchEnd::Found)
                }
            }
        }
    }
}

fn confirm(trial: Trial, plan: &SearchPlan, end: SearchEnd) -> Next {
    if trial.held < plan.confirm { Next::Try(trial.rate_per_s) } else { Next::End(end) }
}

/// Four significant digits: a rate that a person can read and type again.
fn rounded(rate_per_s: f64) -> f64 {
    format!("{rate_per_s:.3e}").parse().unwrap_or(rate_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(precision: f64) -> SearchPlan {
        SearchPlan {
            from_per_s: 10.0,
            to_per_s: 10_000.0,
            factor: 2.0,
            precision,
            confirm: 3,
            max_windows: 60,
        }
    }

    /// Searches on a target that holds where `holds` says so, given the rate and the number of the window.
    fn search(plan: &SearchPlan, holds: impl Fn(f64, u32) -> bool) -> (SearchResult, Vec<f64>) {
        let (mut trials, mut rates) = (Trials::default(), Vec::new());
        while let Some(rate) = trials.next(plan) {
            trials.note(rate, holds(rate, trials.windows));
            rates.push(rate);
        }
        (trials.result(plan), rates)
    }

    #[test]
    fn finds_the_edge_and_confirms_it() {
        let (found, rates) = search(&plan(0.05), |rate, _| rate <= 237.0);
        assert_eq!(found.end, SearchEnd::Found);
        let (low, high) =
            (found.highest_held_per_s.expect("held"), found.lowest_broken_per_s.expect("broke"));
        assert!(low <= 237.0 && high > 237.0 && high - low <= 0.05 * high, "{found:?}");
        assert_eq!((found.windows_held, found.windows_broken), (3, 0));
        assert_eq!(&rates[..7], [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0], "a break is tried again");
        assert!(rates.len() <= 20, "{rates:?}");
    }

    #[test]
    fn one_window_that_breaks_by_chance_changes_nothing() {
        // Every fifth window breaks whatever the rate.
        let (found, _) = search(&plan(0.05), |rate, n| rate <= 237.0 && n % 5 != 3);
        assert_eq!(found.end, SearchEnd::Found);
        assert!(found.highest_held_per_s.is_some_and(|r| (220.0..=237.0).contains(&r)), "{found:?}");
    }

    #[test]
    fn a_rate_that_does_not_keep_holding_is_not_reported() {
        // 160 holds once and then never again.
        let (found, _) = search(&plan(0.3), |rate, n| rate < 150.0 || (rate < 170.0 && n < 6));
        assert!(found.highest_held_per_s.is_some_and(|r| r < 150.0), "{found:?}");
        assert_eq!((found.end, found.windows_held), (SearchEnd::Found, 3));
    }

    #[test]
    fn the_ends_of_the_range_are_told() {
        let (all, rates) = search(&plan(0.05), |_, _| true);
        assert_eq!((all.end, all.highest_held_per_s), (SearchEnd::NothingBroke, Some(10_000.0)));
        assert_eq!((all.lowest_broken_per_s, all.windows_held, rates.len()), (None, 3, 13));
        let (none, rates) = search(&plan(0.05), |_, _| false);
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
            assert!(search(&plan(0.01), noise).1.len() <= 60);
        }
    }
}
