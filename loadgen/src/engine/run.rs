//! A run: phase after phase, a tick each second.
//!
//! Invariant: what is reported at a phase's end has everything in it that the phase's requests measured, for
//! a phase ends when the last of its iterations has.

mod around;
mod pulse;
mod seconds;
mod windows;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use assay_run::time::now_ms as unix_ms;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::MissedTickBehavior,
};

use self::pulse::Pulse;
use super::{
    check::Checked,
    error::RunError,
    exchange::Secrets,
    feed::Feed,
    once::Once,
    options::Outputs,
    publisher::Publisher,
    request::Target,
    second::SecondTally,
    shard::Shard,
    worker::{Command, Order, Worker, WorkerSetup},
};
use crate::{
    capacity::Campaign,
    control::{Control, Signal, Signals},
    measure::{
        families::{PhaseTotals, RunFacts, families},
        plan::{PhaseOutcome, RunOutcome},
        tally::Tally,
    },
    progress::{Second, View},
    scenario::{
        Executor, Phase, Scenario,
        executor::{Budget, Plan},
    },
    seed::mix,
    sink::requests::Recording,
    summary::{self, Outcome, Summary, Threshold},
};

/// How many seconds the live view looks back.
const HISTORY: usize = 120;

/// A run that has its workers.
pub(super) struct Run {
    scenario: Arc<Scenario>,
    /// Who does what comes once before and after the run.
    once: Once,
    /// What a reader of the run should know of how it was made.
    notes: Vec<String>,
    target: Target,
    facts: RunFacts,
    seed: u64,
    shard: Shard,
    start_at_ms: Option<i64>,
    phases: Vec<Phase>,
    totals: Vec<PhaseTotals>,
    /// The search or the sweep that follows the phases.
    campaign: Option<Campaign>,
    /// When each phase ran, since the start of the run.
    times: Vec<(Duration, Option<Duration>)>,
    workers: Vec<Worker>,
    done: UnboundedReceiver<u32>,
    signals: Signals,
    /// Keeps the channel open while nobody else holds a control.
    _control: Control,
    publisher: Publisher,
    hgrm: Option<PathBuf>,
    thresholds: Vec<Threshold>,
    view: Box<dyn View>,
    started: Instant,
    last_ms: i64,
    spare: Tally,
    /// The file of each request.
    recording: Option<Recording>,
    window: Window,
    pulse: Pulse,
    is_paused: bool,
    /// The largest share of its core that a worker used over a second.
    busiest: f64,
}

/// A sink has failed; the publisher knows why.
struct SinkFailed;

/// What the last second saw, and those before it.
struct Window {
    history: std::collections::VecDeque<Second>,
    at: Instant,
    worker_cpu: Vec<Duration>,
}

impl Run {
    /// Starts the workers and the publisher.
    pub(super) fn prepare(checked: Checked) -> Result<Self, RunError> {
        let once = checked.solo(Secrets::default())?;
        let Checked { scenario, target, settings, phases, shard, .. } = checked;
        let Outputs { sinks, tracer, requests, examples, hgrm, view } = checked.outputs;
        let (done_sender, done) = unbounded_channel();
        let count = checked.workers;
        let workers = (0..count as u32)
            .map(|index| {
                Worker::start(WorkerSetup {
                    index,
                    count: count as u32,
                    shard,
                    scenario: Arc::clone(&scenario),
                    target: target.clone(),
                    settings: settings.clone(),
                    data: Arc::clone(&once.data),
                    tracer: tracer.clone(),
                    keeps_requests: requests.is_some(),
                    examples: examples.clone(),
                    done: done_sender.clone(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (started, now_ms) = (Instant::now(), unix_ms());
        let mut spare = Tally::of(&scenario);
        if requests.is_some() {
            spare.keep_requests();
        }
        let recording = requests.map(|file| file.start(Arc::clone(&scenario))).transpose()?;
        Ok(Self {
            facts: RunFacts {
                address: match target.shown.strip_prefix("unix:") {
                    Some(path) => path.to_owned(),
                    None => target.origin.host.clone(),
                },
                port: target.origin.port,
                start_ms: now_ms,
                export_failures: 0,
                export_delay: Duration::ZERO,
                cpu_s: 0.0,
                run: checked.id,
                mode: checked.mode.unwrap_or_default(),
                shard: shard.to_string(),
                outcome: RunOutcome::Running,
            },
            once,
            notes: checked.notes,
            totals: phases.iter().map(|p| PhaseTotals::new(&scenario, p.clone(), now_ms)).collect(),
            campaign: checked.capacity.map(Campaign::new),
            times: Vec::new(),
            target,
            seed: checked.seed,
            shard,
            start_at_ms: checked.start_at_ms,
            phases,
            window: Window {
                history: std::collections::VecDeque::new(),
                at: Instant::now(),
                worker_cpu: vec![Duration::ZERO; workers.len()],
            },
            workers,
            done,
            signals: checked.signals,
            _control: checked.control,
            publisher: Publisher::start(sinks)?,
            hgrm,
            thresholds: checked.thresholds,
            view,
            started,
            last_ms: now_ms - 1,
            spare,
            recording,
            pulse: Pulse::new(),
            is_paused: false,
            busiest: 0.0,
            scenario,
        })
    }

    /// Runs the phases and gives the summary, also if the run was stopped early.
    pub(super) async fn drive(mut self) -> Result<Summary, RunError> {
        // The plan is on record from before the start.
        self.publish(false);
        let (mut failed, mut left_undone) = (None, None);
        let outcome = match self.before().await {
            Ok(None) => {
                let outcome = self.all_phases().await;
                left_undone = self.after().await;
                outcome
            }
            Ok(Some(stopped)) => Ok(stopped),
            Err(e) => {
                failed = Some(e);
                Ok(Outcome::Aborted)
            }
        };
        self.facts.outcome = match outcome {
            Ok(Outcome::Completed) => RunOutcome::Finished,
            Ok(Outcome::Interrupted) => RunOutcome::Interrupted,
            Ok(Outcome::Aborted) | Err(SinkFailed) => RunOutcome::Aborted,
        };
        self.publish(false);
        let lengths = self.lengths();
        // After a failure they still send; nothing of that would be on record.
        self.workers.clear();
        let Self {
            scenario,
            mut facts,
            totals,
            campaign,
            busiest,
            publisher,
            hgrm,
            thresholds,
            mut view,
            pulse,
            recording,
            mut notes,
            ..
        } = self;
        let published = publisher.finish().await;
        published.result?;
        if let Some(e) = failed {
            return Err(e);
        }
        // What failed is what the publisher has just said.
        let outcome = outcome.unwrap_or(Outcome::Aborted);
        if let Some(directory) = hgrm {
            summary::hgrm::write_all(&directory, &scenario, &totals)?;
        }
        facts.export_failures = published.export_failures;
        let mut summary = summary::summarise(&scenario, &facts, &totals, &lengths, outcome, busiest);
        summary.thresholds = thresholds.iter().map(|t| t.summary(&scenario, &totals, &lengths)).collect();
        summary.warnings.extend(recording.map(Recording::finish).unwrap_or_default());
        summary.warnings.extend(pulse.warnings());
        summary.warnings.extend(left_undone.map(|failure| format!("after_run: {failure}")));
        notes.extend(published.notes);
        summary.notes = notes;
        summary.capacity = campaign.as_ref().map(Campaign::summary);
        view.finish(&summary);
        Ok(summary)
    }

    async fn all_phases(&mut self) -> Result<Outcome, SinkFailed> {
        if let Some(stopped) = self.wait_for_the_start().await {
            return Ok(stopped);
        }
        for index in 0..self.phases.len() {
            let outcome = self.one_phase(index).await?;
            if outcome != Outcome::Completed {
                return Ok(outcome);
            }
        }
        let Some(mut campaign) = self.campaign.take() else { return Ok(Outcome::Completed) };
        let outcome = self.windows(&mut campaign).await;
        self.campaign = Some(campaign);
        outcome
    }

    async fn one_phase(&mut self, index: usize) -> Result<Outcome, SinkFailed> {
        let phase = self.phases[index].clone();
        let t_ms = self.next_ms();
        let course = &mut self.totals[index].course;
        (course.outcome, course.start_ms) = (PhaseOutcome::Running, Some(t_ms));
        self.publisher.phase_started(&phase, t_ms);
        // The phase's window is open at its start, so the zeros go just inside it.
        self.publish(false);
        let feed = self.feed(&phase).await;
        self.times.push((self.started.elapsed(), None));
        let start = Instant::now() + Duration::from_millis(5);
        let order = Order {
            iterations_left: Arc::new(AtomicU64::new(match phase.executor.plan() {
                Plan::Users { budget: Budget::Shared(iterations), .. } => {
                    self.shard.of_iterations(iterations, phase.executor.max_users())
                }
                Plan::Users { budget: Budget::Unlimited | Budget::PerUser(_), .. }
                | Plan::Schedule(_)
                | Plan::Replay(_) => 0,
            })),
            feed,
            seed: mix(self.seed ^ mix(index as u64 + 1)),
            start,
            phase: phase.clone(),
        };
        for worker in &self.workers {
            worker.send(Command::Phase(order.clone()));
        }
        let (outcome, phase_outcome) = self.watch(index, start).await?;
        if let Some(times) = self.times.last_mut() {
            times.1 = Some(self.started.elapsed());
        }
        self.collect(index, start);
        let t_ms = self.next_ms();
        let totals = &mut self.totals[index];
        (totals.course.outcome, totals.course.end_ms) = (phase_outcome, Some(t_ms));
        totals.users = 0;
        totals.rate_target = totals.rate_target.map(|_| 0.0);
        self.publish_at(t_ms, false);
        self.publisher.phase_ended(&phase, t_ms);
        self.show(index, start);
        Ok(outcome)
    }

    /// Begins to read the trace that a phase replays, if it replays one.
    async fn feed(&self, phase: &Phase) -> Option<Feed> {
        let Executor::Replay(replay) = &phase.executor else { return None };
        let (replay, shard, workers) = (replay.clone(), self.shard, self.workers.len() as u32);
        let started = tokio::task::spawn_blocking(move || Feed::start(&replay, shard, workers)).await;
        match started.map_err(std::io::Error::other).and_then(|feed| feed) {
            Ok(feed) => Some(feed),
            Err(e) => {
                tracing::error!("{}: the trace is not replayed: {e}", phase.name);
                None
            }
        }
    }

    /// Waits for the instant that all shards start at; gives the outcome if the run is to stop.
    async fn wait_for_the_start(&mut self) -> Option<Outcome> {
        let at_ms = self.start_at_ms?;
        let wait_ms = at_ms - unix_ms();
        if wait_ms < 0 {
            tracing::warn!("the start is {} s late", -wait_ms as f64 / 1e3);
        }
        let stopped = self.rest(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))).await;
        // The two clocks are read at different moments; nothing of the run is stamped before its start.
        self.last_ms = self.last_ms.max(at_ms - 1);
        stopped
    }

    /// Collects each second until all workers have ended the phase.
    async fn watch(&mut self, index: usize, start: Instant) -> Result<(Outcome, PhaseOutcome), SinkFailed> {
        let mut tick =
            tokio::time::interval_at((start + Duration::from_secs(1)).into(), Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut outcome, mut phase_outcome) = (Outcome::Completed, PhaseOutcome::Finished);
        let mut left = self.workers.len();
        self.collect(index, start);
        self.show(index, start);
        self.pulse.begin();
        while left > 0 {
            tokio::select! {
                done = self.done.recv() => left -= usize::from(done.is_some()),
                _ = tick.tick() => {
                    self.pulse.tick(&self.phases[index].name);
                    self.collect(index, start);
                    self.publish(true);
                    self.show(index, start);
                }
                () = self.publisher.failed() => return Err(SinkFailed),
                Some(signal) = self.signals.recv() => {
                    match signal {
                        Signal::Stop if outcome == Outcome::Completed => outcome = Outcome::Interrupted,
                        Signal::Abort => outcome = Outcome::Aborted,
                        Signal::Pause(is_paused) => self.is_paused = is_paused,
                        Signal::Stop | Signal::EndPhase => {}
                    }
                    if !matches!(signal, Signal::Pause(_)) {
                        phase_outcome = PhaseOutcome::CutShort;
                    }
                    self.workers.iter().for_each(|w| w.send(Command::of(signal)));
                    self.show(index, start);
                }
            }
        }
        self.pulse.tick(&self.phases[index].name);
        Ok((outcome, phase_outcome))
    }

    /// The present in milliseconds since the epoch: by the monotonic clock, and later than any time before.
    fn next_ms(&mut self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.last_ms = (self.facts.start_ms + elapsed).max(self.last_ms + 1);
        self.last_ms
    }

    fn lengths(&self) -> Vec<Duration> {
        self.times.iter().map(|(from, to)| to.unwrap_or_else(|| self.started.elapsed()) - *from).collect()
    }
}
