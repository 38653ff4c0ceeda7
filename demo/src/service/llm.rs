//! The language model: a queue, a batch, and a pace, as a server with continuous batching has them.
//!
//! Invariant: one task owns the batch. At every step it takes in what there are free slots for, first come first
//! served, and every answer in the batch gets one token; an answer that nobody reads any more loses its slot.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::options::LlmOptions;

/// A handle to the model. The model stops when the last handle is dropped and the last answer is done.
#[derive(Clone)]
pub struct Llm {
    jobs: mpsc::UnboundedSender<Job>,
    load: Arc<Load>,
    max_queue: usize,
}

/// How many answers the model is at, and how many wait.
#[derive(Debug, Default)]
struct Load {
    active: AtomicUsize,
    queued: AtomicUsize,
}

/// So many wait already that one more is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{queued} questions are waiting for the model; try again later")]
pub struct Overloaded {
    /// How many wait.
    pub queued: usize,
}

struct Job {
    prompt_tokens: u32,
    answer: std::vec::IntoIter<String>,
    tokens: mpsc::UnboundedSender<String>,
}

impl Llm {
    /// Starts the model on the current Tokio runtime.
    #[must_use]
    pub fn start(options: LlmOptions, seed: u64) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let load = Arc::new(Load::default());
        let max_queue = options.max_queue;
        let engine = Engine {
            options,
            queue,
            waiting: VecDeque::new(),
            active: Vec::new(),
            load: Arc::clone(&load),
            rng: SmallRng::seed_from_u64(seed),
        };
        tokio::spawn(engine.run());
        Self { jobs, load, max_queue }
    }

    /// Asks for an answer. Its tokens arrive one by one; the channel closes after the last. Dropping the receiver
    /// gives up the slot, or the place in the queue.
    ///
    /// # Errors
    /// [`Overloaded`] where the queue is full.
    pub fn generate(
        &self,
        prompt_tokens: u32,
        answer: Vec<String>,
    ) -> Result<mpsc::UnboundedReceiver<String>, Overloaded> {
        let queued = self.load.queued.load(Ordering::Relaxed);
        if queued >= self.max_queue {
            return Err(Overloaded { queued });
        }
        let (tokens, receiver) = mpsc::unbounded_channel();
        self.load.queued.fetch_add(1, Ordering::Relaxed);
        // The engine outlives the handles, so that this cannot fail; if it did, the answer would be empty.
        let _ = self.jobs.send(Job { prompt_tokens, answer: answer.into_iter(), tokens });
        Ok(receiver)
    }

    /// Answers being generated now.
    #[must_use]
    pub fn active(&self) -> usize {
        self.load.active.load(Ordering::Relaxed)
    }

    /// Answers that wait for a slot now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.load.queued.load(Ordering::Relaxed)
    }
}

struct Engine {
    options: LlmOptions,
    queue: mpsc::UnboundedReceiver<Job>,
    waiting: VecDeque<Job>,
    active: Vec<Job>,
    load: Arc<Load>,
    rng: SmallRng,
}

impl Engine {
    async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            if self.active.is_empty() && self.waiting.is_empty() {
                match self.queue.recv().await {
                    Some(job) => self.waiting.push_back(job),
                    None => return,
                }
                next = Instant::now();
            }
            while let Ok(job) = self.queue.try_recv() {
                self.waiting.push_back(job);
            }
            let step = self.admit() + self.step();
            // Steps follow each other without a gap, unless this task itself was held up.
            next = (next + step).max(Instant::now());
            sleep_until(next).await;
            self.emit();
        }
    }

    /// Fills the free slots, and says how long reading the prompts takes.
    fn admit(&mut self) -> Duration {
        let before = self.waiting.len();
        self.waiting.retain(|job| !job.tokens.is_closed());
        let free = self.options.slots.saturating_sub(self.active.len()).min(self.waiting.len());
        let admitted = self.waiting.drain(..free);
        let mut prompt_tokens = 0;
        for job in admitted {
            prompt_tokens += job.prompt_tokens;
            self.active.push(job);
        }
        self.load.queued.fetch_sub(before - self.waiting.len(), Ordering::Relaxed);
        self.load.active.store(self.active.len(), Ordering::Relaxed);
        self.options.prefill_per_token * prompt_tokens
    }

    fn step(&mut self) -> Duration {
        let step = self.options.step + self.options.step_per_sequence * self.active.len() as u32;
        let jitter = self.options.jitter.clamp(0.0, 1.0);
        step.mul_f64(1.0 + jitter * self.rng.random_range(-1.0..=1.0))
    }

    fn emit(&mut self) {
        self.active.retain_mut(|job| match job.answer.next() {
            // The slot is free with the last token, not one step later.
            Some(token) => job.tokens.send(token).is_ok() && job.answer.len() > 0,
            None => false,
        });
        self.load.active.store(self.active.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    fn options(slots: usize) -> LlmOptions {
        LlmOptions {
            slots,
            max_queue: 3,
            step: STEP,
            step_per_sequence: Duration::from_millis(2),
            prefill_per_token: Duration::from_millis(1),
            jitter: 0.0,
        }
    }

    fn answer(tokens: usize) -> Vec<String> {
        (0..tokens).map(|i| format!(" {i}")).collect()
    }

    /// When each token came, in milliseconds after `start`.
    async fn times(mut tokens: mpsc::UnboundedReceiver<String>, start: Instant) -> Vec<u128> {
        let mut times = Vec::new();
        while tokens.recv().await.is_some() {
            times.push(start.elapsed().as_millis());
        }
        times
    }

    // The clock of these tests stands still until every task waits for it.
    #[tokio::test(start_paused = true)]
    async fn prompts_are_read_then_tokens_come_at_the_batchs_pace() {
        let llm = Llm::start(options(4), 1);
        let start = Instant::now();
        let one = llm.generate(8, answer(3)).unwrap();
        assert_eq!(times(one, start).await, [20, 32, 44], "8 ms to read, then 12 ms for a batch of one");
        let start = Instant::now();
        let (a, b) = (llm.generate(3, answer(2)).unwrap(), llm.generate(3, answer(3)).unwrap());
        let (a, b) = tokio::join!(times(a, start), times(b, start));
        assert_eq!((a, b), (vec![20, 34], vec![20, 34, 46]), "a batch of two is slower");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_slot_waits_and_who_finds_no_place_is_turned_away() {
        let llm = Llm::start(options(1), 1);
        let start = Instant::now();
        let first = llm.generate(0, answer(5)).unwrap();
        tokio::task::yield_now().await;
        assert_eq!((llm.active(), llm.queued()), (1, 0));
        let second = llm.generate(0, answer(1)).unwrap();
        let third = llm.generate(0, answer(1)).unwrap();
        let fourth = llm.generate(0, answer(1)).unwrap();
        assert_eq!(llm.generate(0, answer(1)).unwrap_err(), Overloaded { queued: 3 });
        // Whoever leaves the queue holds up nobody.
        drop(second);
        let (first, third, fourth) =
            tokio::join!(times(first, start), times(third, start), times(fourth, start));
        assert_eq!(first, [12, 24, 36, 48, 60]);
        assert_eq!((third, fourth), (vec![72], vec![84]));
        assert_eq!((llm.active(), llm.queued()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_leaves_gives_up_the_slot() {
        let llm = Llm::start(options(1), 1);
        let start = Instant::now();
        let mut first = llm.generate(0, answer(1000)).unwrap();
        first.recv().await.unwrap();
        drop(first);
        let second = llm.generate(0, answer(1)).unwrap();
        assert_eq!(times(second, start).await, [36], "the step under way is done, then comes the next");
    }
}
