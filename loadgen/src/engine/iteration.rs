//! One iteration of one user: the setup where it is due, then the flow.
//!
//! Invariant: a failed step ends the iteration unless it says otherwise; what the iteration measured until then is
//! kept.

mod repeat;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use minijinja::Value;
use rand::RngExt;

use super::{request::WorkerCx, user::User};
use crate::{
    client::ErrorClass,
    scenario::{Alternative, Flow, Item, IterationShape, OnFailure, RenderError, Text, Think},
};

/// How long a user waits after a failed setup, or where nobody answers, before it tries again: a person would
/// not try ten thousand times a second either.
const SETUP_FAILED_PAUSE: Duration = Duration::from_secs(1);
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

/// What an iteration leaves behind.
pub(crate) struct Done {
    /// When it ended, the closing think time left out.
    pub(crate) at: Instant,
    /// How long the user pauses now.
    pub(crate) pause: Duration,
}

/// Why a list of items ended early.
pub(super) struct Failed {
    at: Instant,
    /// The class of the step that failed.
    pub(super) class: ErrorClass,
    least_pause: Duration,
}

/// Runs an iteration that was due at `due`.
pub(crate) async fn iterate(cx: &WorkerCx, user: &mut User, due: Instant, shape: IterationShape) -> Done {
    let think = shape.think;
    user.context.next_iteration();
    let span = cx.trace_iteration(user, due);
    let (flow, closing) = closing_think(cx.scenario.flow(shape.flow, user.flow));
    let result = match set_up(cx, user, due, think).await {
        Ok(at) => items(cx, user, flow, at, think).await,
        Err(failed) => Err(failed),
    };
    let (at, least_pause, error) = match result {
        Ok(at) => (at.max(due), Duration::ZERO, None),
        Err(failed) => (failed.at, failed.least_pause, Some(failed.class)),
    };
    if let Some(span) = span {
        span.end(at, error);
    }
    cx.tally(|t| {
        t.iterations += 1;
        t.iteration_duration.record(at.saturating_duration_since(due).as_secs_f64());
    });
    let pause = closing.map_or(Duration::ZERO, |t| t.draw(&mut user.rng).mul_f64(think));
    let pause = match shape.pacing {
        Some(pacing) => pause.max((due + pacing.draw(&mut user.rng)).saturating_duration_since(at)),
        None => pause,
    };
    Done { at, pause: pause.max(least_pause) }
}

/// The flow's items, and the think time that closes it.
fn closing_think(flow: Option<&Flow>) -> (&[Item], Option<Think>) {
    let items = flow.map_or(&[][..], |flow| &flow.items);
    match items.split_last() {
        Some((Item::Think(think), rest)) => (rest, Some(*think)),
        _ => (items, None),
    }
}

async fn set_up(cx: &WorkerCx, user: &mut User, due: Instant, think: f64) -> Result<Instant, Failed> {
    if user.is_set_up {
        return Ok(due);
    }
    let result = items(cx, user, &cx.scenario.setup, due, think).await;
    user.is_set_up = result.is_ok();
    result.map_err(|f| Failed { least_pause: f.least_pause.max(SETUP_FAILED_PAUSE), ..f })
}

/// Runs items in order, the first due at `due`; gives when the last was done.
pub(super) async fn items(
    cx: &WorkerCx,
    user: &mut User,
    items: &[Item],
    due: Instant,
    think: f64,
) -> Result<Instant, Failed> {
    let mut due = due;
    for item in items {
        match item {
            Item::Request(step) => {
                let ended = cx.perform(user, step, due).await;
                due = ended.at;
                if ended.status.is_some_and(|s| cx.scenario.renew_on.contains(&s)) {
                    user.is_set_up = cx.scenario.setup.is_empty();
                }
                match (ended.error, step.on_failure) {
                    (None, _) => {}
                    (Some(class), OnFailure::EndIteration) => {
                        return Err(Failed { at: due, class, least_pause: least_pause(class) });
                    }
                    (Some(class), OnFailure::Continue) => {
                        due += least_pause(class);
                        user.slot.sleep_until(due).await;
                    }
                }
            }
            Item::Think(pause) => {
                due += pause.draw(&mut user.rng).mul_f64(think);
                user.slot.sleep_until(due).await;
            }
            Item::Set { name, value } => {
                let context = Value::from_dyn_object(Arc::clone(&user.context));
                match value.value(&context) {
                    Ok(value) => user.context.set(name, value),
                    Err(e) => return Err(unrendered(&format!("set {name}"), &e, due)),
                }
            }
            Item::If { condition, then, otherwise } => {
                let chosen = match holds(condition, user) {
                    Ok(true) => then,
                    Ok(false) => otherwise,
                    Err(e) => return Err(unrendered("if", &e, due)),
                };
                due = Box::pin(self::items(cx, user, chosen, due, think)).await?;
            }
            Item::Repeat(repeat) => due = Box::pin(repeat::repeat(cx, user, repeat, due, think)).await?,
            Item::OneOf(alternatives) => {
                if let Some(chosen) = choose(alternatives, user) {
                    due = Box::pin(self::items(cx, user, &chosen.items, due, think)).await?;
                }
            }
        }
    }
    Ok(due)
}

/// Whether a condition is true for a user.
fn holds(condition: &Text, user: &User) -> Result<bool, RenderError> {
    condition.holds(&Value::from_dyn_object(Arc::clone(&user.context)))
}

/// An iteration that ends because an expression could not be computed.
fn unrendered(what: &str, error: &RenderError, at: Instant) -> Failed {
    tracing::error!("{what}: {error}");
    Failed { at, class: ErrorClass::Template, least_pause: UNREACHABLE_PAUSE }
}

fn choose<'a>(alternatives: &'a [Alternative], user: &mut User) -> Option<&'a Alternative> {
    let total: f64 = alternatives.iter().map(|a| a.weight).sum();
    let mut at = user.rng.random::<f64>() * total;
    alternatives
        .iter()
        .find(|a| {
            at -= a.weight;
            at < 0.0
        })
        .or(alternatives.last())
}

fn least_pause(error: ErrorClass) -> Duration {
    match error {
        ErrorClass::Dns
        | ErrorClass::Refused
        | ErrorClass::Connect
        | ErrorClass::Tls
        | ErrorClass::Template => UNREACHABLE_PAUSE,
        _ => Duration::ZERO,
    }
}
