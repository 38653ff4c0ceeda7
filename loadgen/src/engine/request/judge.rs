//! Checks and captures of one response. Invariant: over a stream, a value counts as there when one event has
//! it, and the last event that has it gives the capture.

use std::time::Duration;

use http::HeaderMap;
use minijinja::value::{Serde, Value};
use serde_json::Value as Json;

use crate::{
    engine::user::Context,
    scenario::{Capture, Condition, Message, Source, Step},
};

pub(super) struct Judge<'s> {
    step: &'s Step,
    /// By check: met by an event or document so far. `None` before the first.
    met: Vec<Option<bool>>,
    /// By capture: found so far.
    found: Vec<bool>,
    /// The answer as a message, where that is wanted.
    message: Option<Box<Message>>,
}

/// What came of a response.
pub(super) struct Verdict<'s> {
    /// The checks, by their ids, and whether they passed.
    pub(super) checks: Vec<(usize, bool)>,
    /// The first check that failed or capture that found nothing.
    pub(super) problem: Option<Problem<'s>>,
}

/// Why a response of the expected status is a failure.
pub(super) enum Problem<'s> {
    /// A check failed, by its id.
    Check(usize),
    /// There was nothing to capture.
    Capture(&'s Capture),
}

impl<'s> Judge<'s> {
    pub(super) fn new(step: &'s Step) -> Self {
        let wants_message = step.captures.iter().any(|c| matches!(c.source, Source::Message));
        Self {
            step,
            met: vec![None; step.checks.len()],
            found: vec![false; step.captures.len()],
            message: wants_message.then(Box::default),
        }
    }

    /// Whether the body must be kept.
    pub(super) fn needs_body(&self) -> bool {
        self.step.checks.iter().any(|c| c.condition.needs_body())
            || self.step.captures.iter().any(|c| !matches!(c.source, Source::Header(_)))
    }

    /// Whether headers in addition to those that always count must be kept.
    pub(super) fn needs_headers(&self) -> bool {
        self.step.checks.iter().any(|c| matches!(c.condition, Condition::Header(..)))
            || self.step.captures.iter().any(|c| matches!(c.source, Source::Header(_)))
    }

    /// Whether the text of an answer is wanted.
    pub(super) fn needs_text(&self) -> bool {
        self.step.captures.iter().any(|c| matches!(c.source, Source::Content))
    }

    /// Whether JSON documents are looked into.
    pub(super) fn needs_json(&self) -> bool {
        self.step.checks.iter().any(|c| matches!(c.condition, Condition::Json(..)))
            || self.step.captures.iter().any(|c| matches!(c.source, Source::Json(_) | Source::Message))
    }

    /// Takes a JSON document: an event's data, or the body.
    pub(super) fn json(&mut self, json: Option<&Json>, context: &Context) {
        for (met, check) in self.met.iter_mut().zip(&self.step.checks) {
            if let Some(holds) = check.condition.in_json(json) {
                let is_absence = check.condition.in_json(None) == Some(true);
                *met = Some(match *met {
                    None => holds,
                    Some(before) if is_absence => before && holds,
                    Some(before) => before || holds,
                });
            }
        }
        let Some(json) = json else { return };
        if let Some(message) = &mut self.message {
            message.take(json);
        }
        for (found, capture) in self.found.iter_mut().zip(&self.step.captures) {
            if let Some(value) = capture.in_json(json) {
                context.set(&capture.name, value);
                *found = true;
            }
        }
    }

    /// Takes the text of the answer.
    pub(super) fn text(&mut self, text: &str, context: &Context) {
        for (found, capture) in self.found.iter_mut().zip(&self.step.captures) {
            if matches!(capture.source, Source::Content) && !text.is_empty() {
                context.set(&capture.name, Value::from(text));
                *found = true;
            }
        }
    }

    /// Takes what there was of an answer when it was cancelled.
    pub(super) fn so_far(&mut self, text: Option<&str>, context: &Context) {
        self.text(text.unwrap_or_default(), context);
        self.message(context);
    }

    /// Sets what wants the answer as a message.
    fn message(&mut self, context: &Context) {
        let Some(message) = self.message.as_ref().and_then(|m| m.finish()) else { return };
        for (found, capture) in self.found.iter_mut().zip(&self.step.captures) {
            if matches!(capture.source, Source::Message) {
                context.set(&capture.name, Value::from(Serde(&message)));
                *found = true;
            }
        }
    }

    /// Takes the response as a whole.
    pub(super) fn reply(
        &mut self,
        headers: &HeaderMap,
        body: &str,
        took: Duration,
        context: &Context,
    ) -> Verdict<'s> {
        if self.needs_json() && !body.is_empty() {
            self.json(serde_json::from_str(body).ok().as_ref(), context);
        }
        self.message(context);
        let mut verdict = Verdict { checks: Vec::new(), problem: None };
        for (met, check) in self.met.iter().zip(&self.step.checks) {
            let passed = match check.condition.in_json(None) {
                Some(without) => met.unwrap_or(without),
                None => check.condition.in_reply(headers, body, took),
            };
            verdict.checks.push((check.id, passed));
            if !passed && verdict.problem.is_none() {
                verdict.problem = Some(Problem::Check(check.id));
            }
        }
        for (found, capture) in self.found.iter_mut().zip(&self.step.captures) {
            if let Some(value) = capture.in_reply(headers, body) {
                context.set(&capture.name, value);
                *found = true;
            }
            if !*found && verdict.problem.is_none() {
                verdict.problem = Some(Problem::Capture(capture));
            }
        }
        verdict
    }
}
