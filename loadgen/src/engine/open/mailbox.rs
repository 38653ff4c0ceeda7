//! How a user learns to start an iteration. Invariant: it holds one message at most, for a user gets the next
//! only after it has said that it is free.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
    time::Instant,
};

/// A place for one instant at which an iteration is due; sender and receiver share a thread.
#[derive(Default)]
pub(super) struct Mailbox {
    due: Cell<Option<Instant>>,
    is_closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Makes the user start the iteration that was due at `due`.
    pub(super) fn send(&self, due: Instant) {
        self.due.set(Some(due));
        self.wake();
    }

    /// No message follows.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    /// The next message; `None` where none will come.
    pub(super) async fn receive(&self) -> Option<Instant> {
        poll_fn(|cx| {
            if let Some(due) = self.due.take() {
                return Poll::Ready(Some(due));
            }
            if self.is_closed.get() {
                return Poll::Ready(None);
            }
            let mut waker = self.waker.borrow_mut();
            if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn wake(&self) {
        // Kept for the next time: it is the same task that waits each time.
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
