//! The requests of a trace on their way to the workers: one thread reads the file ahead, and deals the requests out.
//!
//! Invariant: each request goes to one worker of one shard, in order, and so many are read ahead and no more.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::shard::Shard;
use crate::scenario::{Replay, trace::Row};

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
        let places = (0..workers).map(|worker| shard.place(worker, workers, replay.max_users()));
        let places: Vec<Option<(u32, u32)>> = places.collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = places.iter().map(|_| sync_channel(WAITING)).unzip();
        let has_place: Vec<bool> = places.iter().map(Option::is_some).collect();
        let replay = replay.clone();
        thread::Builder::new().name("trace".to_owned()).spawn(move || {
            if let Err(e) = deal(&replay, &places, &senders) {
                tracing::error!("{e}; what follows is not replayed");
            }
        })?;
        let shares = receivers.into_iter().zip(has_place).map(|(batches, has_place): (Receiver<_>, _)| {
            // The first batch, or the end of the trace; nothing ever comes for who has no users.
            let now = has_place.then(|| batches.recv().unwrap_or_default());
            Mutex::new(has_place.then(|| Share { batches, now: VecDeque::from(now.unwrap_or_default()) }))
        });
        Ok(Self { shares: Arc::new(shares.collect()) })
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

/// Reads the trace and gives each worker what is its own.
fn deal(
    replay: &Replay,
    places: &[Option<(u32, u32)>],
    senders: &[SyncSender<Vec<Start>>],
) -> Result<(), String> {
    let mut number = 0u64;
    let mut batches: Vec<Vec<Start>> = senders.iter().map(|_| Vec::new()).collect();
    replay.starts(|at, row| {
        let n = number;
        number += 1;
        let is_own = |(first, step): (u32, u32)| n % u64::from(step) == u64::from(first);
        let Some(worker) = places.iter().position(|place| place.is_some_and(is_own)) else { return true };
        batches[worker].push(Start { at, row: Some(row) });
        // A worker that is gone wants nothing more, and so does the phase then.
        batches[worker].len() < BATCH || senders[worker].send(std::mem::take(&mut batches[worker])).is_ok()
    })?;
    for (batch, sender) in batches.into_iter().zip(senders) {
        if !batch.is_empty() {
            let _ = sender.send(batch);
        }
    }
    Ok(())
}
