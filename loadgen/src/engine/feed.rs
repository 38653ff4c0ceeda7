//! The requests of a trace on their way to the workers: for each worker a thread reads the file ahead, and keeps what is the
//! worker's own.
//!
//! Invariant: each request goes to one worker of one shard, in order, and so many are read ahead and no more. No worker waits
//! for another.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, Once, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::shard::Shard;
use crate::scenario::{executor::Replay, trace::Row};

/// Requests that travel together.
const BATCH: usize = 256;
/// Batches that wait for a worker.
const WAITING: usize = 8;

/// A start, and what it is started with.
#[derive(Debug)]
pub(crate) struct Start {
    /// When it is due, since the start of the phase.
    pub(crate) at: Duration,
    /// The line of the trace, where there is one.
    pub(crate) row: Option<Arc<Row>>,
}

/// The requests of one worker.
pub(crate) struct Share {
    batches: Receiver<Vec<Start>>,
    now: VecDeque<Start>,
}

/// The requests of all workers, each share to be taken once.
#[derive(Clone)]
pub(crate) struct Feed {
    shares: Arc<Vec<Mutex<Option<Share>>>>,
}

impl Feed {
    /// Begins to read, and returns when each worker that gets anything soon has its first requests.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(replay: &Replay, shard: Shard, workers: u32) -> io::Result<Self> {
        let failed = Arc::new(Once::new());
        let share = |worker| {
            let Some(place) = shard.place(worker, workers, replay.max_users()) else { return Ok(None) };
            let (sender, batches) = sync_channel(WAITING);
            let (replay, failed) = (replay.clone(), Arc::clone(&failed));
            thread::Builder::new().name("trace".to_owned()).spawn(move || {
                if let Err(e) = deal(&replay, place, &sender) {
                    // All of them come to the same line.
                    failed.call_once(|| tracing::error!("{e}; what follows is not replayed"));
                }
            })?;
            Ok(Some(Share { batches, now: VecDeque::new() }))
        };
        let mut shares = (0..workers).map(share).collect::<io::Result<Vec<_>>>()?;
        for share in shares.iter_mut().flatten() {
            // The first batch, or the end of the trace.
            share.now = share.batches.recv().unwrap_or_default().into();
        }
        Ok(Self { shares: Arc::new(shares.into_iter().map(Mutex::new).collect()) })
    }

    /// What a worker is to start; nothing the second time.
    pub(crate) fn share(&self, worker: u32) -> Option<Share> {
        let share = self.shares.get(worker as usize)?;
        share.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Iterator for Share {
    type Item = Start;

    fn next(&mut self) -> Option<Start> {
        if self.now.is_empty() {
            self.now = self.batches.recv().ok()?.into();
        }
        self.now.pop_front()
    }
}

/// Reads the trace and gives a worker what is its own.
fn deal(replay: &Replay, (first, step): (u32, u32), sender: &SyncSender<Vec<Start>>) -> Result<(), String> {
    let mut number = 0u64;
    let mut batch = Vec::new();
    replay.starts(|at, row| {
        let is_own = number % u64::from(step) == u64::from(first);
        number += 1;
        if is_own {
            batch.push(Start { at, row: Some(row) });
        }
        // A worker that is gone wants nothing more.
        batch.len() < BATCH || sender.send(std::mem::take(&mut batch)).is_ok()
    })?;
    let _ = sender.send(batch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::trace::{Reading, Source, Trace};

    /// A trace with more requests than wait for a worker.
    fn replay() -> Replay {
        let text: String = (0..4 * BATCH * WAITING).map(|i| format!("{i}\n")).collect();
        let source = Source::Memory(format!("t\n{text}").into_bytes().into());
        let trace = Arc::new(Trace::load("a.csv", source, Reading::default()).expect("a trace"));
        Replay { duration: trace.length, trace, speed: 1.0, vus: 2, max_vus: 2 }
    }

    #[test]
    fn a_worker_that_takes_nothing_stops_no_other() {
        let replay = replay();
        let feed = Feed::start(&replay, Shard::default(), 2).expect("starts");
        let (sender, counts) = sync_channel(1);
        let share = feed.share(1).expect("a share");
        thread::spawn(move || sender.send(share.count()));
        let count = counts.recv_timeout(Duration::from_secs(60)).expect("it is not held up");
        assert_eq!(count as u64, replay.trace.count / 2);
        // What it left is all there.
        let rest: Vec<Start> = feed.share(0).expect("a share").collect();
        assert_eq!(rest.len() as u64, replay.trace.count / 2);
        assert!(rest.iter().enumerate().all(|(i, start)| start.at == Duration::from_secs(2 * i as u64)));
    }
}
