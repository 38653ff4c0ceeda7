//! A worker: one thread, one current-thread runtime, its share of the users.
//!
//! Invariant: users, connections and timers never leave their thread; a worker shares its tally and two
//! counters, nothing else.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use assay_platform::processor_time;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};

use super::{
    closed::{self, Assignment, IterationsLeft},
    feed::{Feed, Start},
    open,
    phase_state::PhaseState,
    pool::Pool,
    request::{Fixed, Target, WorkerCx},
    shard::Shard,
    user::SharedData,
};
use crate::{
    client::connection::Settings,
    control::Signal,
    examples::{Examples, WorkerExamples},
    measure::tally::Tally,
    scenario::{
        Phase, Scenario,
        executor::{Budget, Plan},
    },
    timer::Timer,
    trace::Tracer,
};

/// How long requests may still take after the user asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// What a worker is asked to do.
pub(crate) enum Command {
    /// Run a phase.
    Phase(Order),
    /// End the phase now, as if its time were over.
    EndPhase,
    /// Hold iterations back, or let them continue.
    Pause(bool),
    /// End the phase, and cut short what does not end at once.
    Stop,
}

impl Command {
    pub(crate) fn of(signal: Signal) -> Self {
        match signal {
            Signal::Stop | Signal::Abort => Self::Stop,
            Signal::EndPhase => Self::EndPhase,
            Signal::Pause(is_paused) => Self::Pause(is_paused),
        }
    }
}

/// A phase to run.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) phase: Phase,
    pub(crate) start: Instant,
    pub(crate) seed: u64,
    /// Iterations left, for the executor that shares them.
    pub(crate) iterations_left: Arc<AtomicU64>,
    /// The requests of a trace, for the executor that replays one.
    pub(crate) feed: Option<Feed>,
}

/// What a worker is made of.
pub(crate) struct WorkerSetup {
    pub(crate) index: u32,
    pub(crate) count: u32,
    pub(crate) shard: Shard,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) data: Arc<SharedData>,
    pub(crate) tracer: Option<Tracer>,
    /// Whether each request is kept by itself.
    pub(crate) keeps_requests: bool,
    pub(crate) examples: Option<Arc<Examples>>,
    /// Told when a phase is over on this worker.
    pub(crate) done: UnboundedSender<u32>,
}

/// A worker that runs.
pub(crate) struct Worker {
    commands: Option<UnboundedSender<Command>>,
    pub(crate) tally: Arc<Mutex<Tally>>,
    active: Arc<AtomicI64>,
    cpu_ns: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(setup: WorkerSetup) -> io::Result<Self> {
        let (commands, receiver) = unbounded_channel();
        let mut tally = Tally::of(&setup.scenario);
        if setup.keeps_requests {
            tally.keep_requests();
        }
        let tally = Arc::new(Mutex::new(tally));
        let (active, cpu_ns) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicU64::new(0)));
        let shared = (Arc::clone(&tally), Arc::clone(&active), Arc::clone(&cpu_ns));
        let thread = thread::Builder::new().name(format!("load-{}", setup.index)).spawn(move || {
            let (index, done) = (setup.index, setup.done.clone());
            if let Err(e) = run(setup, receiver, shared) {
                tracing::error!("worker {index}: {e}");
                let _ = done.send(index);
            }
        })?;
        Ok(Self { commands: Some(commands), tally, active, cpu_ns, thread: Some(thread) })
    }

    /// Asks the worker to do something.
    pub(crate) fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A worker that is gone has said why.
            let _ = commands.send(command);
        }
    }

    /// Users that are active now.
    pub(crate) fn active(&self) -> i64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a worker panicked");
        }
    }
}

type Shared = (Arc<Mutex<Tally>>, Arc<AtomicI64>, Arc<AtomicU64>);

fn run(setup: WorkerSetup, mut commands: UnboundedReceiver<Command>, shared: Shared) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(Timer::catch_up)
        .build()?;
    let (tally, active, cpu_ns) = shared;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let timer = Timer::start()?;
        let clock = timer.clone();
        tokio::task::spawn_local(async move { note_cpu(&clock, &cpu_ns).await });
        let cx = Rc::new(WorkerCx {
            tracer: setup.tracer.map(|t| t.worker(&setup.scenario.name)),
            scenario: setup.scenario,
            target: setup.target,
            settings: setup.settings,
            data: setup.data,
            tally,
            timer,
            fixed: Fixed::default(),
            is_stopping: Cell::new(false),
            watcher: None,
            phase: RefCell::new("".into()),
            examples: setup.examples.map(WorkerExamples::new),
        });
        let pool = Pool::new(active);
        while let Some(command) = commands.recv().await {
            if let Command::Phase(order) = command {
                let place = (setup.shard, setup.index, setup.count);
                phase(&cx, &pool, &order, place, &mut commands).await;
                let _ = setup.done.send(setup.index);
            }
        }
        Ok(())
    })
}

/// Publishes this thread's processor time, ten times a second.
async fn note_cpu(timer: &Timer, cpu_ns: &AtomicU64) {
    let slot = timer.slot();
    loop {
        cpu_ns.store(processor_time::of_thread().as_nanos() as u64, Ordering::Relaxed);
        slot.sleep_until(Instant::now() + Duration::from_millis(100)).await;
    }
}

async fn phase(
    cx: &Rc<WorkerCx>,
    pool: &Pool,
    order: &Order,
    place: (Shard, u32, u32),
    commands: &mut UnboundedReceiver<Command>,
) {
    let state = PhaseState::new();
    *cx.phase.borrow_mut() = order.phase.name.as_str().into();
    if let Some(tracer) = &cx.tracer {
        tracer.enter_phase(&order.phase.name);
    }
    let mut tasks = JoinSet::new();
    spawn(cx, pool, order, place, &state, &mut tasks);
    let slot = cx.timer.slot();
    let phase_end = order.start + order.phase.executor.duration();
    let mut deadline = phase_end;
    let mut is_abandoned = false;
    // An executor that counts iterations has no more to do when they are done; all others last their time, so that
    // shards and rates stay together.
    let ends_when_done = matches!(
        order.phase.executor.plan(),
        Plan::Users { budget: Budget::PerUser(_) | Budget::Shared(_), .. }
    );
    loop {
        if tasks.is_empty() && (ends_when_done || state.is_ending()) {
            return;
        }
        tokio::select! {
            biased;
            // A closed channel is always ready: asked again, it would keep the tasks from ever being joined.
            command = commands.recv(), if !is_abandoned => match command {
                Some(Command::EndPhase) if !state.is_ending() => {
                    state.end();
                    deadline = Instant::now() + order.phase.graceful_stop;
                }
                Some(Command::Pause(paused)) => state.pause(paused),
                Some(Command::Stop) => {
                    cx.is_stopping.set(true);
                    if let Some(tracer) = &cx.tracer {
                        tracer.stop();
                    }
                    state.end();
                    deadline = deadline.min(Instant::now() + STOP_GRACE);
                }
                None => {
                    is_abandoned = true;
                    state.end();
                    tasks.abort_all();
                }
                Some(_) => {}
            },
            ended = tasks.join_next(), if !tasks.is_empty() => {
                if let Some(Err(e)) = ended && e.is_panic() {
                    tracing::error!("a user's task failed: {e}");
                }
            },
            () = slot.sleep_until(deadline) => {
                if state.is_ending() {
                    tasks.abort_all();
                    // What was aborted still has to be joined; no further deadline is needed for that.
                    deadline = Instant::now() + Duration::from_secs(3600);
                } else {
                    state.end();
                    deadline = phase_end + order.phase.graceful_stop;
                }
            }
        }
    }
}

/// Starts this worker's share of a phase.
fn spawn(
    cx: &Rc<WorkerCx>,
    pool: &Pool,
    order: &Order,
    (shard, worker, workers): (Shard, u32, u32),
    state: &PhaseState,
    tasks: &mut JoinSet<()>,
) {
    let executor = &order.phase.executor;
    let Some((index, count)) = shard.place(worker, workers, executor.max_users()) else { return };
    let own = |n: u32| (index..n).step_by(count as usize);
    // The part of an open model that both kinds have.
    let start = order.start;
    let mut drive = |from_start: u32, starts: Box<dyn Iterator<Item = Start>>| {
        let share = open::Share {
            start,
            end: start + executor.duration(),
            starts,
            users: own(from_start).collect(),
            spare: own(executor.max_users()).filter(|i| *i >= from_start).collect(),
            shape: order.phase.iteration(),
        };
        tasks.spawn_local(open::drive(Rc::clone(cx), pool.clone(), state.clone(), share));
    };
    match executor.plan() {
        Plan::Schedule(schedule) => {
            let users = schedule.users;
            let starts = schedule.starts(order.seed).skip(index as usize).step_by(count as usize);
            drive(users, Box::new(starts.map(|at| Start { at, row: None })));
        }
        Plan::Replay(replay) => {
            // The places of the workers are those that the requests were dealt out by.
            if let Some(starts) = order.feed.as_ref().and_then(|feed| feed.share(worker)) {
                drive(replay.vus, Box::new(starts));
            }
        }
        Plan::Users { active, budget } => {
            for user in own(executor.max_users()) {
                let Some(lease) = pool.lend(cx, user) else { continue };
                let assignment = Assignment {
                    start: order.start,
                    active: active(user),
                    left: IterationsLeft::of(budget, &order.iterations_left),
                    shape: order.phase.iteration(),
                };
                let (cx, pool, state) = (Rc::clone(cx), pool.clone(), state.clone());
                tasks.spawn_local(closed::drive(cx, lease, pool, state, assignment));
            }
        }
    }
}
