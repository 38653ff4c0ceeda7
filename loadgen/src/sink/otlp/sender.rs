//! Sends messages in order, each again until it is taken. Invariant: a message is given up only if the receiver
//! refuses it for good, or the time after the run is over, whatever the receiver does.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::runtime::Runtime;

use super::{
    exporter::{Queue, Waiting},
    settings::Settings,
    transport::{Problem, Taken, Transport},
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait that a receiver may ask for: within the time for which messages can wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Sends until the queue is over and empty.
pub(super) fn run(runtime: &Runtime, transport: &mut Transport, settings: &Settings, queue: &Queue) {
    let mut sender = Sender { runtime, transport, settings, queue, away_since: None };
    while let Some(waiting) = queue.next() {
        sender.deliver(&waiting);
    }
}

struct Sender<'a> {
    runtime: &'a Runtime,
    transport: &'a mut Transport,
    settings: &'a Settings,
    queue: &'a Queue,
    /// Since when the receiver takes nothing.
    away_since: Option<Instant>,
}

impl Sender<'_> {
    /// Sends one message until it is taken or given up.
    fn deliver(&mut self, waiting: &Waiting) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.queue.flush_until().is_some_and(|until| until <= Instant::now()) {
                return self.give_up();
            }
            let (what, wait) = match self.attempt(waiting) {
                Ok(taken) => {
                    if taken.rejected > 0 {
                        tracing::warn!(
                            "OTLP: {} threw away {} data points: {}",
                            self.settings.url,
                            taken.rejected,
                            taken.message
                        );
                        self.queue.note(|t| t.rejected += taken.rejected);
                    }
                    return self.taken(waiting);
                }
                Err(Problem::Final(what)) => {
                    tracing::error!("OTLP: {} refuses an export: {what}", self.settings.url);
                    self.queue.note(|t| t.problem = Some(what));
                    return self.queue.fail();
                }
                Err(Problem::Passing { what, wait }) => (what, wait),
            };
            if self.away_since.is_none() {
                self.away_since = Some(Instant::now());
                tracing::warn!("OTLP: {} does not take exports, trying again: {what}", self.settings.url);
            }
            self.queue.note(|t| t.problem = Some(what));
            self.pause(pause, wait);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt, which ends with the time after the run, also if it began before.
    fn attempt(&mut self, waiting: &Waiting) -> Result<Taken, Problem> {
        let sending = self.transport.send(waiting.message.clone(), self.settings.timeout);
        let what = "no response by the end of the time after the run".to_owned();
        self.runtime.block_on(async {
            tokio::select! {
                sent = sending => sent,
                () = self.queue.flushed() => Err(Problem::Passing { what, wait: None }),
            }
        })
    }

    fn taken(&mut self, waiting: &Waiting) {
        let now = Instant::now();
        if let Some(since) = self.away_since.take() {
            tracing::warn!("OTLP: {} takes exports again", self.settings.url);
            self.queue.note(|t| {
                t.away += now - since;
                t.back_at = Some(now);
            });
        }
        self.queue.note(|t| t.late += u64::from(t.back_at.is_some_and(|back| waiting.since < back)));
    }

    fn give_up(&mut self) {
        if let Some(since) = self.away_since.replace(Instant::now()) {
            self.queue.note(|t| t.away += since.elapsed());
        }
        self.queue.fail();
    }

    /// Waits before the next attempt, as long as the receiver asks for, else for about `pause`. The end of the
    /// run cuts short what the receiver did not ask for, since the flush has little time.
    fn pause(&self, pause: Duration, asked: Option<Duration>) {
        let wait = match asked {
            Some(asked) => asked.min(LONGEST_WAIT),
            None if self.queue.flush_until().is_some() => FIRST_PAUSE,
            // Spread, so that many generators do not come back at one instant.
            None => pause.mul_f64(rand::rng().random_range(0.5..1.0)),
        };
        self.queue.pause(Instant::now() + wait, asked.is_none());
    }
}
