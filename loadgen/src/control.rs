//! Steering a run from outside: from a keyboard, a signal handler, an alert.
//!
//! Invariant: a handle never blocks, and steering a run that has ended does nothing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a run may be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Stop,
    Abort,
    EndPhase,
    Pause(bool),
}

/// Steers a run from outside.
#[derive(Clone, Debug)]
pub struct Control {
    signals: UnboundedSender<Signal>,
    stops: Arc<AtomicUsize>,
}

/// The run's end of its [`Control`]s.
pub(crate) type Signals = UnboundedReceiver<Signal>;

impl Control {
    /// A handle, and the end that a run listens at.
    pub(crate) fn new() -> (Self, Signals) {
        let (signals, receiver) = unbounded_channel();
        (Self { signals, stops: Arc::default() }, receiver)
    }

    /// Ends the run: requests in flight get a second, the record is completed.
    pub fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Relaxed);
        let _ = self.signals.send(Signal::Stop);
    }

    /// How often the run was asked to stop, also after it had ended.
    #[must_use]
    pub fn stops(&self) -> usize {
        self.stops.load(Ordering::Relaxed)
    }

    /// Ends the run as [`Control::stop`] does; it then counts as aborted: by an alert, say.
    pub fn abort(&self) {
        let _ = self.signals.send(Signal::Abort);
    }

    /// Ends the current phase, as if its time were over.
    pub fn end_phase(&self) {
        let _ = self.signals.send(Signal::EndPhase);
    }

    /// Holds new iterations back, or lets them continue.
    pub fn pause(&self, paused: bool) {
        let _ = self.signals.send(Signal::Pause(paused));
    }
}
