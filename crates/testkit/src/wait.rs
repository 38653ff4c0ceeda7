//! Waiting for what another program or thread does. Invariant: a test waits for a condition, never for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a condition may take on a machine that is busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until the answer is yes.
///
/// # Panics
/// If the condition does not hold within [`PATIENCE`]; `what` completes "in time: …".
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for_some(what, || condition().then_some(()));
}

/// Asks until there is an answer, and returns it.
///
/// # Panics
/// As [`wait_for`].
pub fn wait_for_some<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        // A pause between questions, not a guess at how long the answer takes.
        thread::sleep(Duration::from_millis(20));
    }
}
