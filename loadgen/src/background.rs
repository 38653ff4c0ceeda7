//! Work next to the load: one thread of lower priority, which ends when it is asked to. Invariant: the load's own threads wait for
//! none of it, and it is over when its handle is gone.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The work's handle. Dropped, it ends the work and waits for that.
pub(crate) struct Background {
    over: Arc<Over>,
    name: &'static str,
    thread: Option<JoinHandle<()>>,
}

/// Whether the work is to end.
#[derive(Default)]
pub(crate) struct Over {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Background {
    /// Starts the work, which asks what it is given when to end.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub(crate) fn start(name: &'static str, work: impl FnOnce(&Over) + Send + 'static) -> io::Result<Self> {
        // The engine spreads its work over the pool that it is called in: here, one thread that yields to the load's.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(move |_| name.to_owned())
            .start_handler(|_| assay_platform::priority::lower())
            .build()
            .map_err(io::Error::other)?;
        let over = Arc::<Over>::default();
        let own = Arc::clone(&over);
        let thread =
            thread::Builder::new().name(name.to_owned()).spawn(move || pool.install(|| work(&own)))?;
        Ok(Self { over, name, thread: Some(thread) })
    }

    /// Ends the work and waits for that.
    pub(crate) fn stop(&mut self) {
        *self.over.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("{}: the work panicked", self.name);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Over {
    /// Rests for a time; false if the work is to end.
    pub(crate) fn rest(&self, time: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = self.changed.wait_timeout_while(is_over, time, |is_over| !*is_over);
        !*rested.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Rests until an instant; false if the work is to end.
    pub(crate) fn rest_until(&self, until: Instant) -> bool {
        self.rest(until.saturating_duration_since(Instant::now()))
    }
}
