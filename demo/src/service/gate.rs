//! Slots of a stage, and the bounded queue before them.
//!
//! Invariant: no more than `slots` are inside and no more than `max_waiting` wait; one more is turned away at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{failure::Failure, metrics::Stage};

/// The way into a stage.
pub(crate) struct Gate {
    stage: Stage,
    slots: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// One who waits; leaves the queue when dropped, also when the client has left.
struct Waiting<'g>(&'g Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(crate) fn new(stage: Stage, slots: usize, max_waiting: usize) -> Self {
        Self { stage, slots: Semaphore::new(slots.max(1)), waiting: AtomicUsize::new(0), max_waiting }
    }

    /// A slot, free when dropped.
    ///
    /// # Errors
    /// When the queue is full.
    pub(crate) async fn enter(&self) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Waiting(self);
        if waiting >= self.max_waiting {
            return Err(Failure::Busy { stage: self.stage, waiting });
        }
        // The semaphore is never closed.
        let closed = |_| Failure::Unavailable { stage: self.stage, cause: "it has stopped".to_owned() };
        self.slots.acquire().await.map_err(closed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_turns_away_and_a_place_is_free_when_its_owner_leaves() {
        let gate = Arc::new(Gate::new(Stage::Search, 1, 1));
        let inside = gate.enter().await.unwrap();
        let waits = {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.enter().await.map(drop) })
        };
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let busy = gate.enter().await.map(drop).unwrap_err().to_string();
        assert_eq!(busy, "the queue for stage search is full (1 waiting); try again later");
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
        drop(inside);
        assert!(gate.enter().await.is_ok());
    }
}
