//! Items that are done several times. Invariant: a repeat with a condition counts one check each time it ends.

use std::{sync::Arc, time::Instant};

use minijinja::Value;

use super::{Failed, holds, items, unrendered};
use crate::{
    client::ErrorClass,
    engine::{request::WorkerCx, user::User},
    scenario::{OnFailure, RenderError, Repeat, Times},
};

/// After how many rounds others are let at the thread: a round need not wait for anything.
const TURN: u64 = 64;

/// Runs the rounds, the first due at `due`; gives when the last was done.
pub(super) async fn repeat(
    cx: &WorkerCx,
    user: &mut User,
    repeat: &Repeat,
    due: Instant,
    think: f64,
) -> Result<Instant, Failed> {
    let mut due = due;
    let times = times(repeat, user).map_err(|e| unrendered("times", &e, due))?;
    let deadline = repeat.condition.as_ref().map(|_| due + repeat.timeout);
    let waits = |is_until| repeat.condition.as_ref().filter(move |c| c.is_until == is_until);
    let mut round = 0u64;
    let is_met = loop {
        if let Some(condition) = waits(false)
            && !holds(&condition.holds, user).map_err(|e| unrendered("while", &e, due))?
        {
            break true;
        }
        if times.is_some_and(|times| round >= times) {
            break repeat.condition.is_none();
        }
        if round > 0 {
            due += repeat.every.map_or_else(Default::default, |every| every.draw(&mut user.rng));
            if deadline.is_some_and(|deadline| due >= deadline) {
                break false;
            }
            if repeat.every.is_some() {
                user.slot.sleep_until(due).await;
            } else if round.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        round += 1;
        if let Some(name) = &repeat.counter {
            user.context.set(name, Value::from(round));
        }
        due = items(cx, user, &repeat.items, due, think).await?;
        if let Some(condition) = waits(true)
            && holds(&condition.holds, user).map_err(|e| unrendered("until", &e, due))?
        {
            break true;
        }
    };
    let Some(condition) = &repeat.condition else { return Ok(due) };
    cx.tally(|t| t.check(condition.check, is_met));
    if is_met || repeat.on_failure == OnFailure::Continue {
        return Ok(due);
    }
    let name = cx.scenario.checks.get(condition.check).map_or("", |check| check.name.as_str());
    tracing::debug!("failed check after {round} rounds: {name}");
    Err(Failed { at: due, class: ErrorClass::Check, least_pause: Default::default() })
}

/// The most rounds, where there is such a number.
fn times(repeat: &Repeat, user: &User) -> Result<Option<u64>, RenderError> {
    match &repeat.times {
        None => Ok(None),
        Some(Times::Fixed(times)) => Ok(Some(u64::from(*times))),
        Some(Times::Computed(text)) => {
            let value = text.value(&Value::from_dyn_object(Arc::clone(&user.context)))?;
            let whole = u64::try_from(value.clone()).ok().or_else(|| value.as_str()?.trim().parse().ok());
            whole.map(Some).ok_or_else(|| RenderError::new("the number of rounds is not a whole number"))
        }
    }
}
