//! How a user learns to start an iteration. Invariant: it holds one message at most, for a user gets the next
//! only after it has said that it is free.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

use crate::scenario::trace::Row;

/// When an iteration is due, and the line of a trace that it is for.
pub(super) type Message = (Instant, Option<Arc<Row>>);

/// A place for one iteration that is due; sender and receiver share a thread.
#[derive(Default)]
pub(super) struct Mailbox {
    due: Cell<Option<Message>>,
    is_closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Makes the user start an iteration.
    pub(super) fn send(&self, due: Message) {
        self.due.set(Some(due));
        self.wake();
    }

    /// No message follows.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    /// The next message; `None` where none will come.
    pub(super) async fn receive(&self) -> Option<Message> {
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
