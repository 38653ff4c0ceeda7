//! A model that is a queue, a batch and a pace, as a server with continuous batching has them.
//!
//! Invariant: one task owns the batch. All answers in it advance at one pace, which falls as the batch grows; who finds
//! no slot waits, first come first served.

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

use super::{Event, Events, LlmLoad, Request, Usage};
use crate::service::{failure::Failure, faults::Faults, metrics::Stage, options::LlmOptions};

/// The model's name.
pub(super) const MODEL: &str = "assay-queueing-model";

/// A handle to the model, which stops when the last handle is dropped and the last answer is done.
#[derive(Clone)]
pub(crate) struct Simulated {
    jobs: mpsc::UnboundedSender<Job>,
    counts: Arc<Counts>,
    options: Arc<LlmOptions>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Counts {
    active: AtomicUsize,
    queued: AtomicUsize,
}

struct Job {
    prompt_tokens: u32,
    answer: std::vec::IntoIter<String>,
    cut: bool,
    output_tokens: u32,
    time: Option<Duration>,
    events: mpsc::Sender<Result<Event, Failure>>,
}

/// An answer in the batch.
struct Active {
    job: Job,
    /// The batch's work at which the next token is due, in seconds of an answer that runs alone.
    due_s: f64,
    per_token_s: f64,
}

impl Simulated {
    pub(super) fn start(options: LlmOptions, faults: Arc<Faults>, seed: u64) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let options = Arc::new(options);
        let engine = Engine {
            options: Arc::clone(&options),
            faults: Arc::clone(&faults),
            queue,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            work_s: 0.0,
            at: Instant::now(),
            counts: Arc::clone(&counts),
            rng: SmallRng::seed_from_u64(seed),
        };
        tokio::spawn(engine.run());
        Self { jobs, counts, options, faults }
    }

    pub(super) fn generate(&self, request: Request) -> Result<Events, Failure> {
        let waiting = self.counts.queued.load(Ordering::Relaxed);
        if waiting >= self.options.max_queue {
            return Err(Failure::Busy { stage: Stage::Generate, waiting });
        }
        let mut answer = request.answer;
        let longest = request.max_tokens.map_or(usize::MAX, |n| n as usize);
        let cut = answer.len() > longest;
        answer.truncate(longest);
        // The model never waits for its reader: the channel holds a whole answer.
        let (events, receiver) = mpsc::channel(answer.len() + 1);
        let job = Job {
            prompt_tokens: request.prompt_tokens,
            output_tokens: answer.len() as u32,
            answer: answer.into_iter(),
            cut,
            time: request.time,
            events,
        };
        self.counts.queued.fetch_add(1, Ordering::Relaxed);
        // The engine outlives its handles, so that this cannot fail.
        let _ = self.jobs.send(job);
        Ok(receiver)
    }

    pub(super) fn load(&self) -> LlmLoad {
        LlmLoad {
            active: self.counts.active.load(Ordering::Relaxed),
            queued: self.counts.queued.load(Ordering::Relaxed),
            slots: self.faults.llm_slots().map_or(self.options.slots, |n| n.min(self.options.slots)),
        }
    }
}

struct Engine {
    options: Arc<LlmOptions>,
    faults: Arc<Faults>,
    queue: mpsc::UnboundedReceiver<Job>,
    waiting: VecDeque<Job>,
    batch: Vec<Active>,
    /// What an answer in the batch since the start would have advanced, and when it was so.
    work_s: f64,
    at: Instant,
    counts: Arc<Counts>,
    rng: SmallRng,
}

/// How soon the engine looks again whether readers have left, or whether a planted fault has changed the slots.
const RECHECK: Duration = Duration::from_millis(50);

impl Engine {
    async fn run(mut self) {
        loop {
            self.admit();
            let is_idle = self.batch.is_empty() && self.waiting.is_empty();
            let recheck = (!is_idle).then(|| Instant::now() + RECHECK);
            let wake = self.next_due().into_iter().chain(recheck).min();
            let arrived = match wake {
                None => match self.queue.recv().await {
                    Some(job) => Some(job),
                    None => return,
                },
                Some(wake) => tokio::select! {
                    biased;
                    () = sleep_until(wake) => None,
                    job = self.queue.recv(), if !self.queue.is_closed() || !self.queue.is_empty() => job,
                },
            };
            self.advance();
            self.waiting.extend(arrived);
            while let Ok(job) = self.queue.try_recv() {
                self.waiting.push_back(job);
            }
            self.emit();
        }
    }

    /// How much slower the batch is than an answer that runs alone.
    fn slowness(&self) -> f64 {
        1.0 + self.options.slowdown * self.batch.len().saturating_sub(self.options.knee) as f64
    }

    /// Brings the batch's work up to now. The pace was the same since the last call, since only this task changes it.
    fn advance(&mut self) {
        let now = Instant::now();
        self.work_s += (now - self.at).as_secs_f64() / self.slowness();
        self.at = now;
    }

    fn next_due(&self) -> Option<Instant> {
        let due_s = self.batch.iter().map(|a| a.due_s).min_by(f64::total_cmp)?;
        let rest_s = ((due_s - self.work_s) * self.slowness()).max(0.0);
        Some(self.at + Duration::from_secs_f64(rest_s))
    }

    /// Fills the free slots.
    fn admit(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|job| !job.events.is_closed());
        let slots = self.faults.llm_slots().map_or(self.options.slots, |n| n.min(self.options.slots));
        let free = slots.saturating_sub(self.batch.len()).min(self.waiting.len());
        for job in self.waiting.drain(..free).collect::<Vec<_>>() {
            let active = self.begin(job);
            self.batch.push(active);
        }
        self.counts.queued.fetch_sub(before - self.waiting.len(), Ordering::Relaxed);
        self.counts.active.store(self.batch.len(), Ordering::Relaxed);
    }

    fn begin(&mut self, job: Job) -> Active {
        let tokens = job.output_tokens.max(1);
        let mut prefill = self.options.prefill_per_token * job.prompt_tokens;
        let jitter = self.options.jitter.clamp(0.0, 1.0);
        let per_token_s = match job.time {
            Some(time) => {
                prefill = prefill.min(time / 2);
                (time - prefill).as_secs_f64() / f64::from(tokens)
            }
            None => self.options.per_token.as_secs_f64() * (1.0 + jitter * self.rng.random_range(-1.0..=1.0)),
        };
        Active { due_s: self.work_s + prefill.as_secs_f64() + per_token_s, per_token_s, job }
    }

    /// Hands out every token that is due; an answer whose reader has left loses its slot.
    fn emit(&mut self) {
        // Timers are a millisecond coarse; what is due within a microsecond is due.
        let due_s = self.work_s + 1e-6;
        self.batch.retain_mut(|active| {
            while active.due_s <= due_s {
                active.due_s += active.per_token_s;
                let job = &mut active.job;
                if let Some(token) = job.answer.next() {
                    if job.events.try_send(Ok(Event::Token(token))).is_err() {
                        return false;
                    }
                    // The slot is free with the last token, not one step later.
                    if job.answer.len() > 0 {
                        continue;
                    }
                }
                let usage = Usage {
                    prompt_tokens: job.prompt_tokens,
                    output_tokens: job.output_tokens,
                    cut: job.cut,
                };
                let _ = job.events.try_send(Ok(Event::End(usage)));
                return false;
            }
            !active.job.events.is_closed()
        });
        self.counts.active.store(self.batch.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn model(slots: usize) -> Simulated {
        let options = LlmOptions {
            slots,
            max_queue: 3,
            per_token: 10 * MS,
            prefill_per_token: MS,
            knee: 1,
            slowdown: 0.5,
            jitter: 0.0,
        };
        Simulated::start(options, Arc::new(Faults::default()), 1)
    }

    fn request(prompt_tokens: u32, tokens: usize) -> Request {
        Request {
            messages: Vec::new(),
            prompt_tokens,
            answer: (0..tokens).map(|i| format!(" {i}")).collect(),
            max_tokens: None,
            time: None,
        }
    }

    /// When each event came, in milliseconds after `start`.
    async fn times(mut events: Events, start: Instant) -> Vec<u128> {
        let mut times = Vec::new();
        while let Some(event) = events.recv().await {
            if matches!(event.unwrap(), Event::Token(_)) {
                times.push(start.elapsed().as_millis());
            }
        }
        times
    }

    // The clock of these tests stands still until every task waits for it.
    #[tokio::test(start_paused = true)]
    async fn prompts_are_read_then_tokens_come_at_the_batchs_pace() {
        let llm = model(4);
        let start = Instant::now();
        let one = llm.generate(request(8, 3)).unwrap();
        assert_eq!(times(one, start).await, [18, 28, 38], "8 ms to read, then 10 ms each");
        let start = Instant::now();
        let (a, b) = (llm.generate(request(0, 2)).unwrap(), llm.generate(request(0, 3)).unwrap());
        let (a, b) = tokio::join!(times(a, start), times(b, start));
        assert_eq!((a, b), (vec![15, 30], vec![15, 30, 40]), "two are slower by half, until one has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_given_time_is_kept_and_max_tokens_cut() {
        let llm = model(4);
        let start = Instant::now();
        let timed = Request { time: Some(1000 * MS), ..request(100, 9) };
        let times = times(llm.generate(timed).unwrap(), start).await;
        assert_eq!((times[0], times[8]), (200, 1000));
        let mut cut = llm.generate(Request { max_tokens: Some(2), ..request(0, 9) }).unwrap();
        let mut last = None;
        while let Some(event) = cut.recv().await {
            last = Some(event.unwrap());
        }
        assert_eq!(last, Some(Event::End(Usage { prompt_tokens: 0, output_tokens: 2, cut: true })));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_slot_one_waits_and_without_a_place_one_is_turned_away() {
        let llm = model(1);
        let start = Instant::now();
        let first = llm.generate(request(0, 5)).unwrap();
        tokio::time::sleep(MS).await;
        assert_eq!(llm.load(), LlmLoad { active: 1, queued: 0, slots: 1 });
        let second = llm.generate(request(0, 1)).unwrap();
        let third = llm.generate(request(0, 1)).unwrap();
        let fourth = llm.generate(request(0, 1)).unwrap();
        let busy = llm.generate(request(0, 1)).unwrap_err().to_string();
        assert_eq!(busy, "the queue for stage generate is full (3 waiting); try again later");
        // One that leaves the queue delays nobody.
        drop(second);
        let (first, third, fourth) =
            tokio::join!(times(first, start), times(third, start), times(fourth, start));
        assert_eq!(first, [10, 20, 30, 40, 50]);
        assert_eq!((third, fourth), (vec![60], vec![70]));
        assert_eq!(llm.load(), LlmLoad { active: 0, queued: 0, slots: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_leaves_gives_up_the_slot() {
        let llm = model(1);
        let start = Instant::now();
        let mut first = llm.generate(request(0, 1000)).unwrap();
        first.recv().await.unwrap().unwrap();
        drop(first);
        let second = llm.generate(request(0, 1)).unwrap();
        let times = times(second, start).await;
        assert!(times[0] <= 30, "{times:?}");
    }
}
