//! One user on a thread of its own, outside of the load: what is done once before and after a run, and the one iteration
//! of somebody who looks.
//!
//! Invariant: nothing of it is in what the run measures.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use minijinja::Value;
use tokio::sync::oneshot;

use super::{
    check::Checked,
    error::RunError,
    exchange::{Exchange, Secrets},
    iteration,
    request::{Fixed, Target, WorkerCx},
    user::{SharedData, User},
};
use crate::{
    client::{ErrorClass, connection::Settings},
    measure::tally::Tally,
    scenario::{Executor, Item, Scenario, TRACE, trace::Row},
    timer::Timer,
};

/// Which steps are done.
#[derive(Clone, Debug)]
pub(super) enum Part {
    BeforeRun,
    AfterRun,
    /// The setup, and the flow of this number, with the first line of the trace that its phase replays.
    Iteration(usize, Option<Arc<Row>>),
}

/// What one user needs.
#[derive(Clone)]
pub(super) struct Once {
    pub(super) scenario: Arc<Scenario>,
    pub(super) target: Target,
    pub(super) settings: Settings,
    pub(super) data: Arc<SharedData>,
}

/// How the steps ended.
pub(super) struct Outcome {
    /// What was captured or set.
    names: Vec<(String, Value)>,
    /// Why it failed: the step, and what was wrong.
    failure: Option<String>,
}

/// Takes each exchange as it ends.
type OnExchange = Box<dyn Fn(&Exchange) + Send>;

impl Once {
    /// Does what comes before a run, and makes what it captured known to all users.
    pub(super) async fn before_run(&self, on_exchange: Option<OnExchange>) -> Result<(), RunError> {
        if self.scenario.before_run.is_empty() {
            return Ok(());
        }
        let outcome = self.run(Part::BeforeRun, on_exchange).await?;
        if let Some(failure) = outcome.failure {
            return Err(RunError::BeforeRun(failure));
        }
        self.data.publish(outcome.names);
        Ok(())
    }

    /// Does what comes after a run; gives what was wrong.
    pub(super) async fn after_run(
        &self,
        on_exchange: Option<OnExchange>,
    ) -> Result<Option<String>, RunError> {
        if self.scenario.after_run.is_empty() {
            return Ok(None);
        }
        Ok(self.run(Part::AfterRun, on_exchange).await?.failure)
    }

    pub(super) async fn run(&self, part: Part, on_exchange: Option<OnExchange>) -> Result<Outcome, RunError> {
        let (done, outcome) = oneshot::channel();
        // Who waits holds the other end; a stop drops it, and with it the steps end.
        let (waits, gone) = oneshot::channel::<()>();
        let once = self.clone();
        thread::Builder::new().name("load-once".to_owned()).spawn(move || {
            let _ = done.send(once.on_this_thread(part, on_exchange, gone));
        })?;
        let outcome = outcome.await;
        drop(waits);
        match outcome {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(std::io::Error::other("the thread of the steps ended early").into()),
        }
    }

    fn on_this_thread(
        self,
        part: Part,
        on_exchange: Option<OnExchange>,
        gone: oneshot::Receiver<()>,
    ) -> std::io::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_unpark(Timer::catch_up)
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            tokio::select! {
                outcome = self.steps(part, on_exchange) => outcome,
                _ = gone => Ok(Outcome { names: Vec::new(), failure: Some("stopped".to_owned()) }),
            }
        })
    }

    async fn steps(self, part: Part, on_exchange: Option<OnExchange>) -> std::io::Result<Outcome> {
        let timer = Timer::start()?;
        let last = Rc::new(RefCell::new(None));
        let failed = Rc::clone(&last);
        let mut user = match User::new(0, &self.scenario, &self.data, &timer) {
            Ok(user) => user,
            Err(e) => {
                let failure = Some(format!("the variables of a user: {e}"));
                return Ok(Outcome { names: Vec::new(), failure });
            }
        };
        // Each kind of user has its own.
        let own: Vec<String> = user.context.names().into_iter().map(|(name, _)| name).collect();
        let cx = WorkerCx {
            tracer: None,
            tally: Arc::new(Mutex::new(Tally::of(&self.scenario))),
            scenario: Arc::clone(&self.scenario),
            target: self.target,
            settings: self.settings,
            data: self.data,
            timer,
            fixed: Fixed::default(),
            is_stopping: std::cell::Cell::new(false),
            phase: std::cell::RefCell::new("".into()),
            examples: None,
            watcher: Some(Rc::new(move |exchange: &Exchange| {
                if let Some(on_exchange) = &on_exchange {
                    on_exchange(exchange);
                }
                *failed.borrow_mut() = exchange.error.as_ref().map(|e| format!("{}: {e}", exchange.step));
            })),
        };
        let lists: Vec<&[Item]> = match part {
            Part::BeforeRun => vec![&self.scenario.before_run],
            Part::AfterRun => vec![&self.scenario.after_run],
            Part::Iteration(flow, row) => {
                if let Some(row) = row {
                    user.context.set(TRACE, row.to_value());
                }
                let flow = self.scenario.flow(flow, user.flow).map_or(&[][..], |flow| &flow.items);
                vec![&self.scenario.setup, flow]
            }
        };
        user.context.next_iteration();
        let mut failure = None;
        for items in lists {
            // Nobody waits for a person who thinks.
            if let Err(e) = iteration::items(&cx, &mut user, items, Instant::now(), 0.0).await {
                failure = Some(describe(&cx, e.class, last.borrow().clone()));
                break;
            }
        }
        let mut names = user.context.names();
        names.retain(|(name, _)| !own.contains(name));
        Ok(Outcome { names, failure })
    }
}

/// What was wrong, where the last exchange does not say.
fn describe(cx: &WorkerCx, class: ErrorClass, last: Option<String>) -> String {
    let unmet = cx.tally(|t| t.checks.iter().position(|[_, failed]| *failed > 0));
    let unmet = unmet.and_then(|at| cx.scenario.checks.get(at));
    match (last, unmet) {
        (Some(last), _) => last,
        (None, Some(check)) => format!("failed check: {}", check.name),
        (None, None) => format!("an expression could not be computed ({class})"),
    }
}

impl Checked {
    /// Does the steps of one iteration of one user, and those before and after a run, without load and without waiting
    /// for think times; gives what was wrong, if anything was.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub async fn once(
        self,
        on_exchange: impl Fn(&Exchange) + Send + Sync + 'static,
    ) -> Result<Option<String>, RunError> {
        let on_exchange = Arc::new(on_exchange);
        let watch = || -> Option<OnExchange> {
            let on_exchange = Arc::clone(&on_exchange);
            Some(Box::new(move |exchange: &Exchange| on_exchange(exchange)))
        };
        let first = self.phases.first();
        let flow = first.map_or(0, |phase| phase.flow);
        let row = first.and_then(|phase| match &phase.executor {
            Executor::Replay(replay) => Some(Arc::clone(&replay.trace.first)),
            _ => None,
        });
        let once = self.solo(Secrets::noted())?;
        match once.before_run(watch()).await {
            Ok(()) => {}
            Err(RunError::BeforeRun(failure)) => return Ok(Some(format!("before_run: {failure}"))),
            Err(e) => return Err(e),
        }
        let iteration = once.run(Part::Iteration(flow, row), watch()).await?.failure;
        let after = once.after_run(watch()).await?.map(|failure| format!("after_run: {failure}"));
        Ok(iteration.or(after))
    }

    pub(super) fn solo(&self, secrets: Secrets) -> std::io::Result<Once> {
        Ok(Once {
            scenario: Arc::clone(&self.scenario),
            target: self.target.clone(),
            settings: self.settings.clone(),
            data: SharedData::new(&self.scenario, &self.environment, self.seed, self.shard, secrets)?,
        })
    }
}
