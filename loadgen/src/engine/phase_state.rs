//! Whether the users of a worker may start iterations while a phase runs. Invariant: a signal never goes back: a phase that is
//! to end ends.

use std::{cell::Cell, rc::Rc, time::Instant};

use tokio::sync::Notify;

use crate::timer::Slot;

/// The state of the current phase on one worker; cloning shares it.
#[derive(Clone)]
pub(crate) struct PhaseState {
    shared: Rc<Shared>,
}

struct Shared {
    is_ending: Cell<bool>,
    ending: Notify,
    /// While set, no iteration starts.
    is_paused: Cell<bool>,
    resumed: Notify,
}

impl PhaseState {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            is_ending: Cell::new(false),
            ending: Notify::new(),
            is_paused: Cell::new(false),
            resumed: Notify::new(),
        };
        Self { shared: Rc::new(shared) }
    }

    /// No iteration starts any more; who sleeps between iterations wakes.
    pub(crate) fn end(&self) {
        self.shared.is_ending.set(true);
        self.shared.ending.notify_waiters();
        self.pause(false);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.shared.is_ending.get()
    }

    /// Holds iterations back, or lets them continue.
    pub(crate) fn pause(&self, paused: bool) {
        self.shared.is_paused.set(paused);
        if !paused {
            self.shared.resumed.notify_waiters();
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.shared.is_paused.get()
    }

    /// Returns when the phase is not paused.
    pub(crate) async fn resumed(&self) {
        while self.is_paused() && !self.is_ending() {
            self.shared.resumed.notified().await;
        }
    }

    /// Sleeps until `at`, or until the phase is to end: then false.
    pub(crate) async fn sleep_until(&self, slot: &Slot, at: Instant) -> bool {
        if self.is_ending() {
            return false;
        }
        tokio::select! {
            biased;
            () = slot.sleep_until(at) => true,
            () = self.shared.ending.notified() => false,
        }
    }

    /// Returns when the phase is to end.
    pub(crate) async fn ended(&self) {
        while !self.is_ending() {
            self.shared.ending.notified().await;
        }
    }
}
