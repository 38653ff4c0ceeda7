//! Slot by slot, in the order of time.
//!
//! Invariant: each rule commits before the next one of any group is evaluated.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Environment, State};
use crate::{file::RuleId, overlay::View};

/// Replays the rules for which `chosen` is true, by their places.
pub(super) fn run(state: &mut State<'_>, chosen: &dyn Fn(RuleId) -> bool) {
    // By time, then by place in the order.
    let mut due: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    for (place, g) in state.order.iter().enumerate() {
        let slots = state.groups[*g];
        if slots.len() > 0 && (0..state.runs[*g].len()).any(|r| chosen(RuleId { group: *g, rule: r })) {
            due.push(Reverse((slots.first_ms, place)));
        }
    }
    while let Some(Reverse((t_ms, place))) = due.pop() {
        let g = state.order[place];
        group(state, g, t_ms, chosen);
        let next_ms = t_ms + state.groups[g].interval_ms;
        if next_ms <= state.groups[g].last_ms {
            due.push(Reverse((next_ms, place)));
        }
    }
}

/// Evaluates the rules of one group at one slot.
fn group(state: &mut State<'_>, g: usize, t_ms: i64, chosen: &dyn Fn(RuleId) -> bool) {
    for r in 0..state.runs[g].len() {
        if !chosen(RuleId { group: g, rule: r }) {
            continue;
        }
        let room = state.hold(0);
        let run = &mut state.runs[g][r];
        if let Err(message) = room {
            run.fail_at(t_ms, t_ms, 1, message);
            continue;
        }
        let view = View { source: state.source, overlay: &state.overlay, hidden: &state.hidden };
        let written = run.step(t_ms, &Environment::of(&state.engine, &view, state.options));
        run.commit(t_ms, written, &mut state.overlay);
    }
}
