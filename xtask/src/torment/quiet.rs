//! How quiet the machine is, and what is allowed by that.
//!
//! Invariant: the measure has nothing to do with what is tried, so that a slow program does not allow itself more.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

/// A machine is quiet while work takes no more than this many times its processor time.
const QUIET: f64 = 1.25;
/// How much work there is in a measurement.
const WORK: Duration = Duration::from_millis(200);

/// What is allowed, and why.
pub(super) struct Allowed {
    pub(super) ms: f64,
    /// As a limit in the table.
    pub(super) text: String,
}

/// The result of `work`, and what is allowed: `quiet_ms`, or as many times as much as the machine was slower before or
/// after than a quiet one.
pub(super) fn around<T>(quiet_ms: f64, work: impl FnOnce() -> T) -> Result<(T, Allowed)> {
    let before = slowness()?;
    let result = work();
    let slowness = before.max(slowness()?);
    let ms = if slowness < QUIET { quiet_ms } else { quiet_ms * slowness };
    let text = format!("{ms:.0} ms (the machine's work took {slowness:.1} times its processor time)");
    Ok((result, Allowed { ms, text }))
}

/// How many times its processor time work takes, with as much of it at once as there are processors: 1 on a machine
/// that does nothing else.
fn slowness() -> Result<f64> {
    let processors = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        let mut found = workers.into_iter().map(|w| w.join().map_err(|_| anyhow!("a thread panicked"))?);
        found.try_fold(1.0, |most: f64, one| Ok(most.max(one?)))
    })
}

fn work() -> Result<f64> {
    let (begun, before) = (Instant::now(), processor_time()?);
    loop {
        let used = processor_time()?.saturating_sub(before);
        if used >= WORK {
            return Ok(begun.elapsed().as_secs_f64() / used.as_secs_f64());
        }
        std::hint::black_box((0..100_000u64).fold(1u64, |a, b| a.wrapping_mul(31) ^ b));
    }
}

/// The processor time of this thread.
fn processor_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("no processor time")?;
    Ok(Duration::from_nanos(first.parse()?))
}
