//! The open model: iterations start when the schedule says, whoever is free.
//!
//! Invariant: an iteration keeps its scheduled instant while it waits for a user, so its latency has the wait
//! in it; one that never got a user is counted as dropped. The backlog takes no memory: it is the schedule
//! not yet read.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinSet};

use super::{
    control::PhaseState,
    iteration::iterate,
    pool::{Lease, Pool},
    request::WorkerCx,
};

/// A worker's share of an open phase.
pub(crate) struct Share<S> {
    pub(crate) start: Instant,
    /// This worker's starts, as times into the phase.
    pub(crate) starts: S,
    /// This worker's users that are there from the start.
    pub(crate) users: Vec<u32>,
    /// Those that are added when no other is free.
    pub(crate) spare: VecDeque<u32>,
    /// What think times are multiplied by.
    pub(crate) think: f64,
}

/// Users that are free, and since when.
type Free = Rc<RefCell<VecDeque<(Lease, Instant)>>>;

/// Starts a worker's share of the iterations and waits for all of them to end.
pub(crate) async fn drive<S: Iterator<Item = Duration>>(
    cx: Rc<WorkerCx>,
    pool: Pool,
    state: PhaseState,
    mut share: Share<S>,
) {
    let free: Free = Rc::default();
    let freed = Rc::new(Notify::new());
    for index in share.users.drain(..) {
        if let Some(lease) = pool.lend(&cx, index) {
            free.borrow_mut().push_back((lease, share.start));
        }
    }
    let slot = cx.timer.slot();
    let mut running = JoinSet::new();
    while let Some(at) = share.starts.next() {
        let due = share.start + at;
        state.resumed().await;
        let started = state.sleep_until(&slot, due).await;
        let user = match started {
            true => next_user(&cx, &pool, &state, &free, &freed, &mut share.spare).await,
            false => None,
        };
        let Some((mut user, since)) = user else {
            // This one and all that were due by now never started.
            let by = share.start.elapsed();
            let dropped =
                u64::from(at <= by) + share.starts.by_ref().take_while(|at| *at <= by).count() as u64;
            cx.tally(|t| t.dropped += dropped);
            break;
        };
        cx.tally(|t| t.lag.record(due.max(since).elapsed().as_secs_f64()));
        let (cx, free, freed, think) = (Rc::clone(&cx), Rc::clone(&free), Rc::clone(&freed), share.think);
        let active = pool.activate();
        running.spawn_local(async move {
            iterate(&cx, &mut user, due, think).await;
            drop(active);
            free.borrow_mut().push_back((user, Instant::now()));
            freed.notify_one();
        });
        // What has ended is let go of, so that the set does not grow with the run.
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

/// The user that has been free the longest, or a new one, or the next that becomes free; `None` where the
/// phase ends first.
async fn next_user(
    cx: &Rc<WorkerCx>,
    pool: &Pool,
    state: &PhaseState,
    free: &Free,
    freed: &Notify,
    spare: &mut VecDeque<u32>,
) -> Option<(Lease, Instant)> {
    loop {
        if let Some(found) = free.borrow_mut().pop_front() {
            return Some(found);
        }
        if let Some(index) = spare.pop_front() {
            if let Some(lease) = pool.lend(cx, index) {
                return Some((lease, Instant::now()));
            }
            continue;
        }
        tokio::select! {
            biased;
            () = freed.notified() => {}
            () = state.ended() => return None,
        }
    }
}
