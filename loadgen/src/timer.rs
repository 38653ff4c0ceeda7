//! Timers of a worker, exact to the kernel's clock rather than to Tokio's millisecond wheel.
//!
//! Setting and taking an alarm of the kernel costs more than a request where there is a hypervisor below, so
//! there is at most one in [`SLACK`]. Between them whatever wakes the thread, which under load is a response
//! every few microseconds, makes timers ring that are due ([`Timer::catch_up`]).
//!
//! Invariant: a [`Slot`] has at most one live entry in the queue, so a timeout that is moved for each
//! request costs no memory, however many requests there are.

mod alarm;

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    future::poll_fn,
    io,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use self::alarm::Alarm;

/// The least time from setting the alarm to its ringing: how late a timer may ring that is due before.
const SLACK: Duration = Duration::from_micros(100);

thread_local! {
    /// The timers of this thread's runtime.
    static CURRENT: RefCell<Weak<Shared>> = const { RefCell::new(Weak::new()) };
}

/// The timers of one worker; cloning shares them.
#[derive(Clone)]
pub(crate) struct Timer {
    shared: Rc<Shared>,
}

struct Shared {
    queue: RefCell<BinaryHeap<Reverse<Due>>>,
    alarm: Alarm,
    armed: Cell<Option<Instant>>,
}

struct Due {
    at: Instant,
    entry: Rc<Entry>,
}

struct Entry {
    deadline: Cell<Option<Instant>>,
    queued: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Timer {
    /// The timers of the current thread's runtime; [`Timer::drive`] makes them run.
    ///
    /// # Errors
    /// Where the system has no timer left.
    fn new() -> io::Result<Self> {
        let shared = Shared { queue: RefCell::default(), alarm: Alarm::new()?, armed: Cell::new(None) };
        let shared = Rc::new(shared);
        CURRENT.set(Rc::downgrade(&shared));
        Ok(Self { shared })
    }

    /// The same, running, on the current set of local tasks.
    ///
    /// # Errors
    /// As [`Timer::new`].
    pub(crate) fn start() -> io::Result<Self> {
        let timer = Self::new()?;
        let driver = timer.clone();
        tokio::task::spawn_local(async move { driver.drive().await });
        Ok(timer)
    }

    /// Makes timers of this thread ring that are due; called when the thread has been woken.
    pub(crate) fn catch_up() {
        if let Some(shared) = CURRENT.with_borrow(Weak::upgrade) {
            let now = Instant::now();
            let is_due = shared.queue.borrow().peek().is_some_and(|Reverse(next)| next.at <= now);
            if is_due {
                Self { shared }.fire(now);
            }
        }
    }

    /// Wakes who is due, for ever.
    async fn drive(&self) {
        loop {
            if self.shared.alarm.rang().await.is_err() {
                return;
            }
            self.shared.armed.set(None);
            self.fire(Instant::now());
        }
    }

    /// A timer of one task.
    pub(crate) fn slot(&self) -> Slot {
        let entry = Entry { deadline: Cell::new(None), queued: Cell::new(None), waker: RefCell::new(None) };
        Slot { entry: Rc::new(entry), timer: self.clone() }
    }

    fn fire(&self, now: Instant) {
        loop {
            let mut queue = self.shared.queue.borrow_mut();
            let Some(Reverse(next)) = queue.peek() else { return };
            if next.at > now {
                let at = next.at;
                drop(queue);
                self.arm(at);
                return;
            }
            let Some(Reverse(due)) = queue.pop() else { return };
            drop(queue);
            // An entry that was queued again for an earlier time leaves this one behind.
            if due.entry.queued.get() != Some(due.at) {
                continue;
            }
            due.entry.queued.set(None);
            match due.entry.deadline.get() {
                Some(deadline) if deadline > now => self.queue(due.entry, deadline),
                Some(_) => {
                    if let Some(waker) = due.entry.waker.borrow_mut().take() {
                        waker.wake();
                    }
                }
                None => {}
            }
        }
    }

    fn queue(&self, entry: Rc<Entry>, at: Instant) {
        entry.queued.set(Some(at));
        self.shared.queue.borrow_mut().push(Reverse(Due { at, entry }));
        self.arm(at);
    }

    fn arm(&self, at: Instant) {
        let is_earlier = |at| self.shared.armed.get().is_none_or(|armed| at < armed);
        if is_earlier(at) {
            let at = at.max(Instant::now() + SLACK);
            if is_earlier(at) {
                self.shared.armed.set(Some(at));
                self.shared.alarm.set(at);
            }
        }
    }
}

/// One task's timer: one deadline at a time.
pub(crate) struct Slot {
    entry: Rc<Entry>,
    timer: Timer,
}

impl Slot {
    /// Sets the deadline, or takes it away.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        self.entry.deadline.set(deadline);
        if let Some(at) = deadline
            && self.entry.queued.get().is_none_or(|queued| at < queued)
        {
            self.timer.queue(Rc::clone(&self.entry), at);
        }
    }

    /// Ready when the deadline has passed; pending for ever where there is none.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.entry.deadline.get() else { return Poll::Pending };
        // As long as the entry is queued for no later than the deadline, the queue will tell.
        if self.entry.queued.get().is_none() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.queue(Rc::clone(&self.entry), deadline);
        }
        let mut waker = self.entry.waker.borrow_mut();
        if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether the deadline has passed, by the clock. For a task that always has something to do: it can keep the
    /// timers' own task from running, so that [`Slot::poll`] would learn of the deadline late.
    pub(crate) fn has_passed(&self) -> bool {
        self.entry.deadline.get().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Sleeps until `at`; returns at once where that has passed.
    pub(crate) async fn sleep_until(&self, at: Instant) {
        if Instant::now() >= at {
            return;
        }
        self.set(Some(at));
        poll_fn(|cx| self.poll(cx)).await;
        self.set(None);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.entry.deadline.set(None);
        self.entry.waker.borrow_mut().take();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn on_worker<F: Future>(work: impl FnOnce(Timer) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new()
            .block_on(&runtime, async { work(Timer::start().expect("a timer")).await })
    }

    #[test]
    fn sleepers_wake_in_order_and_never_early() {
        on_worker(|timer| async move {
            let start = Instant::now();
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = [5u64, 1, 3]
                .into_iter()
                .map(|ms| {
                    let (slot, order) = (timer.slot(), Rc::clone(&order));
                    tokio::task::spawn_local(async move {
                        let at = start + Duration::from_millis(ms);
                        slot.sleep_until(at).await;
                        assert!(Instant::now() >= at);
                        order.borrow_mut().push(ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            assert_eq!(*order.borrow(), [1, 3, 5]);
        });
    }

    #[test]
    fn who_is_due_is_woken_without_the_alarm() {
        on_worker(|timer| async move {
            // Nobody drives these timers: only catching up wakes the sleeper.
            let own = Timer::new().expect("a timer");
            let at = Instant::now() + Duration::from_micros(50);
            let slot = own.slot();
            let sleeper = tokio::task::spawn_local(async move { slot.sleep_until(at).await });
            tokio::task::yield_now().await;
            assert_eq!(own.shared.queue.borrow().len(), 1);
            while Instant::now() < at {
                std::hint::spin_loop();
            }
            Timer::catch_up();
            sleeper.await.expect("no panic");
            drop(timer);
        });
    }

    #[test]
    fn a_deadline_moved_a_million_times_is_queued_once() {
        on_worker(|timer| async move {
            let slot = timer.slot();
            let far = Instant::now() + Duration::from_secs(60);
            for i in 0..1_000_000u64 {
                slot.set(Some(far + Duration::from_nanos(i)));
                slot.set(None);
            }
            assert_eq!(timer.shared.queue.borrow().len(), 1);
            // Moving it forward works, though an older entry is still queued.
            slot.sleep_until(Instant::now() + Duration::from_millis(1)).await;
            assert!(Instant::now() < far);
        });
    }
}
