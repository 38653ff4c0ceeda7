//! A user of a closed model: its next iteration starts when the last has ended and its pause is over.
//!
//! Invariant: an iteration is due at the end of the pause before it, however late the worker comes to it, and
//! none starts outside the user's intervals.

use std::{
    ops::Range,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    iteration::iterate,
    phase_state::PhaseState,
    pool::{Lease, Pool},
    request::WorkerCx,
};
use crate::scenario::{IterationShape, executor::Budget};

/// How many iterations a user may still start.
#[derive(Clone, Debug)]
pub(crate) enum IterationsLeft {
    /// As many as there is time for.
    Unlimited,
    /// So many of this user.
    Own(u64),
    /// So many of all users on all workers.
    Shared(Arc<AtomicU64>),
}

impl IterationsLeft {
    /// What a budget leaves each user; `shared` is the count that the workers share.
    pub(crate) fn of(budget: Budget, shared: &Arc<AtomicU64>) -> Self {
        match budget {
            Budget::Unlimited => Self::Unlimited,
            Budget::PerUser(iterations) => Self::Own(iterations),
            Budget::Shared(_) => Self::Shared(Arc::clone(shared)),
        }
    }

    fn take(&mut self) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Own(left) => {
                let had = *left > 0;
                *left = left.saturating_sub(1);
                had
            }
            Self::Shared(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
            }
        }
    }
}

/// What a user is to do in a phase.
pub(crate) struct Assignment {
    pub(crate) start: Instant,
    pub(crate) active: Vec<Range<Duration>>,
    pub(crate) left: IterationsLeft,
    /// What think times are multiplied by.
    pub(crate) shape: IterationShape,
}

/// Drives a user through a phase.
pub(crate) async fn drive(
    cx: Rc<WorkerCx>,
    mut user: Lease,
    pool: Pool,
    state: PhaseState,
    mut assignment: Assignment,
) {
    for interval in std::mem::take(&mut assignment.active) {
        let from = assignment.start + interval.start;
        let until = assignment.start + interval.end;
        if !state.sleep_until(&user.slot, from).await {
            return;
        }
        let _active = pool.activate();
        let mut due = from;
        while due < until && !state.is_ending() {
            if state.is_paused() {
                state.resumed().await;
                due = due.max(Instant::now());
                continue;
            }
            if !assignment.left.take() {
                return;
            }
            cx.tally(|t| t.lag.record(due.elapsed().as_secs_f64()));
            let done = iterate(&cx, &mut user, due, assignment.shape).await;
            due = done.at + done.pause;
            if !done.pause.is_zero() && !state.sleep_until(&user.slot, due.min(until)).await {
                return;
            }
        }
    }
}
