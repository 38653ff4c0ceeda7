//! The open model: iterations start when the schedule says, whatever users are free.
//!
//! Invariant: an iteration keeps its scheduled instant while it waits for a user, so its latency has the wait
//! in it; one that never got a user is counted as dropped. The backlog takes no memory: it is the schedule
//! not yet read. A user's task lives as long as the phase, so that starting an iteration is a message to it.

mod mailbox;

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinSet};

use self::mailbox::Mailbox;
use super::{
    feed::Start,
    iteration::iterate,
    phase_state::PhaseState,
    pool::{Lease, Pool},
    request::WorkerCx,
};
use crate::{
    scenario::{IterationShape, TRACE},
    timer::Slot,
};

/// A worker's share of an open phase.
pub(crate) struct Share<S> {
    pub(crate) start: Instant,
    /// When the phase ends, unless it is ended before.
    pub(crate) end: Instant,
    /// This worker's starts.
    pub(crate) starts: S,
    /// This worker's users that are there from the start.
    pub(crate) users: Vec<u32>,
    /// Those that are added when no other is free.
    pub(crate) spare: VecDeque<u32>,
    /// What think times are multiplied by.
    pub(crate) shape: IterationShape,
}

/// How late a start may be found to be due when the phase ends, and still be part of it.
const LAST_MOMENT: Duration = Duration::from_millis(1);
/// How late a driver may find the end of its phase without asking why.
const LATE: Duration = Duration::from_millis(2);
/// How long a driver that finds the end of its phase late lets users become free whose responses came meanwhile.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Users that are free, and since when.
#[derive(Default)]
struct Free {
    users: RefCell<VecDeque<(Rc<Mailbox>, Instant)>>,
    freed: Notify,
}

/// Where iterations are started from.
struct Driver {
    cx: Rc<WorkerCx>,
    pool: Pool,
    state: PhaseState,
    free: Rc<Free>,
    spare: VecDeque<u32>,
    shape: IterationShape,
    /// When the phase ends, unless it is ended before.
    end: Instant,
    has_caught_up: bool,
    /// The users' tasks, and how each is reached.
    running: JoinSet<()>,
    mailboxes: Vec<Rc<Mailbox>>,
}

/// Starts a worker's share of the iterations and waits for all of them to end.
pub(crate) async fn drive<S: Iterator<Item = Start>>(
    cx: Rc<WorkerCx>,
    pool: Pool,
    state: PhaseState,
    share: Share<S>,
) {
    let Share { start, end, mut starts, users, spare, shape } = share;
    let (free, running) = (Rc::<Free>::default(), JoinSet::new());
    let mut driver = Driver {
        cx,
        pool,
        state,
        free,
        spare,
        shape,
        end,
        has_caught_up: false,
        running,
        mailboxes: Vec::new(),
    };
    for index in users {
        if let Some(mailbox) = driver.employ(index) {
            driver.free.users.borrow_mut().push_back((mailbox, start));
        }
    }
    let slot = driver.cx.timer.slot();
    while let Some(Start { at, row }) = starts.next() {
        let due = start + at;
        let Some((user, since)) = driver.next(&slot, due).await else {
            // This one and all that were due by the end never started.
            let by = start.elapsed();
            let dropped =
                u64::from(at <= by) + starts.by_ref().take_while(|next| next.at <= by).count() as u64;
            driver.cx.tally(|t| t.dropped += dropped);
            break;
        };
        driver.cx.tally(|t| t.lag.record(due.max(since).elapsed().as_secs_f64()));
        user.send((due, row));
    }
    driver.mailboxes.iter().for_each(|m| m.close());
    while driver.running.join_next().await.is_some() {}
}

impl Driver {
    /// The user for the iteration that is due at `due`, at that instant, and since when it was free; `None` if the
    /// phase ends first.
    ///
    /// A thread that was kept from running finds the end of the phase late, and what was due by then not started. That
    /// is its own fault and no user's: it starts what users are free for, late, which the lag shows.
    async fn next(&mut self, slot: &Slot, due: Instant) -> Option<(Rc<Mailbox>, Instant)> {
        self.state.resumed().await;
        let waited_for_no_user = Instant::now() < due;
        if !self.state.sleep_until(slot, due).await && !self.is_still_to_start(due, waited_for_no_user) {
            return None;
        }
        loop {
            // The user that has been free the longest, or a new one, or the next that becomes free.
            if let Some(found) = self.free.users.borrow_mut().pop_front() {
                return Some(found);
            }
            if let Some(index) = self.spare.pop_front() {
                if let Some(mailbox) = self.employ(index) {
                    return Some((mailbox, Instant::now()));
                }
                continue;
            }
            if self.state.is_ending() {
                // Once: what no user is free for after that, no user was free for.
                let late = Instant::now().saturating_duration_since(self.end);
                if late < LATE || std::mem::replace(&mut self.has_caught_up, true) {
                    return None;
                }
                slot.sleep_until(Instant::now() + CATCH_UP).await;
                continue;
            }
            tokio::select! {
                biased;
                () = self.free.freed.notified() => {}
                () = self.state.ended() => {}
            }
        }
    }

    /// Whether an iteration is still to be started though the phase is ending: it was due a moment ago, so that its
    /// timer and that of the end rang together, however late both did if no user was waited for before; or this thread
    /// finds the end late.
    fn is_still_to_start(&self, due: Instant, waited_for_no_user: bool) -> bool {
        let now = Instant::now();
        let is_due = |within| now.checked_duration_since(due).is_some_and(|late| late < within);
        let is_end_late = now.saturating_duration_since(self.end) >= LATE;
        let is_by_the_end = now >= self.end && (waited_for_no_user || is_end_late);
        !self.cx.is_stopping.get() && (is_due(LAST_MOMENT) || (is_by_the_end && now >= due))
    }

    /// Gives a user its task; `None` where there is no such user.
    fn employ(&mut self, index: u32) -> Option<Rc<Mailbox>> {
        let user = self.pool.lend(&self.cx, index)?;
        let mailbox = Rc::<Mailbox>::default();
        self.mailboxes.push(Rc::clone(&mailbox));
        self.running.spawn_local(work(
            Rc::clone(&self.cx),
            self.pool.clone(),
            user,
            Rc::clone(&mailbox),
            Rc::clone(&self.free),
            self.shape,
        ));
        Some(mailbox)
    }
}

/// A user's task: an iteration for each message.
async fn work(
    cx: Rc<WorkerCx>,
    pool: Pool,
    mut user: Lease,
    mailbox: Rc<Mailbox>,
    free: Rc<Free>,
    shape: IterationShape,
) {
    while let Some((due, row)) = mailbox.receive().await {
        let active = pool.activate();
        if let Some(row) = row {
            user.context.set(TRACE, row.to_value());
        }
        iterate(&cx, &mut user, due, shape).await;
        drop(active);
        free.users.borrow_mut().push_back((Rc::clone(&mailbox), Instant::now()));
        free.freed.notify_one();
    }
}
