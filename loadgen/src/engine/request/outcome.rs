//! Whether a response is a failure, and an example of it if it is. Invariant: a failure has one class, that of what was found
//! first: the status, an error that the answer reports, a check, a capture.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Attempt, WorkerCx, decode, judge::Problem, stream::Stream};
use crate::{
    client::{ErrorClass, Failure, reply::Reply},
    engine::user::User,
    examples::Seen,
    scenario::{Step, content, read_document},
};

impl WorkerCx {
    /// How many bytes of a body that nobody asked for are kept: for an example of what the status makes of the response, or a check
    /// may make of it.
    pub(super) fn excerpt(&self, step: &Step, status: u16) -> usize {
        let Some(examples) = &self.examples else { return 0 };
        if !step.expect.holds(status) {
            examples.excerpt(step.id, ErrorClass::Status(status))
        } else if examples.shared.wants_bodies() && !step.checks.is_empty() {
            examples.excerpt(step.id, ErrorClass::Check)
        } else {
            0
        }
    }
}

impl Attempt<'_> {
    /// Hands over an example of a failure, if one more is wanted.
    pub(super) fn exemplify(&self, at: Instant, failure: Failure, reply: Option<&Reply>) {
        let Some(examples) = &self.cx.examples else { return };
        if !examples.wants(self.step.id, failure.class) {
            return;
        }
        // Of an answer with an expected status the body may be about a patient.
        let may_show =
            |reply: &&Reply| examples.shared.wants_bodies() || !self.step.expect.holds(reply.status);
        let body = reply.filter(may_show).map_or_else(Vec::new, |reply| {
            let decoded =
                decode::decode(&reply.headers, &reply.body).map(|text| text.into_owned().into_bytes());
            decoded.ok().filter(|b| !b.is_empty()).unwrap_or_else(|| reply.excerpt.clone())
        });
        examples.shared.take(Seen {
            at,
            phase: Arc::clone(&self.cx.phase.borrow()),
            step: self.step.id,
            class: failure.class,
            status: self.status,
            message: failure.detail,
            body,
        });
    }

    /// Why a response is a failure, if it is one.
    pub(super) fn judge_reply(&mut self, user: &User, reply: &Reply, took: Duration) -> Option<Failure> {
        self.watch_head(reply, took);
        let is_status_right = self.step.expect.holds(reply.status);
        if let Some(check) = self.step.expect.check {
            self.cx.tally(|t| t.check(check, is_status_right));
        }
        if !is_status_right {
            let detail = format!("unexpected status {}", reply.status);
            return Some(Failure::new(ErrorClass::Status(reply.status), detail));
        }
        let body = match decode::decode(&reply.headers, &reply.body) {
            Ok(body) => body,
            Err(failure) => return Some(failure),
        };
        if let Some(class) = self.reported_error(&body) {
            return Some(Failure::new(class, format!("status {} with an error: {class}", reply.status)));
        }
        if self.judge.needs_text() {
            let streamed = self.stream.as_ref().filter(|s| s.has_events()).and_then(|s| s.text.as_deref());
            let whole = || serde_json::from_str(&body).map(|json| content(&json)).unwrap_or_default();
            let text = streamed.map_or_else(|| Cow::Owned(whole()), Cow::Borrowed);
            self.judge.text(&text, &user.context);
        }
        let verdict = self.judge.reply(&reply.headers, &body, took, &user.context);
        self.watch_reply(user, reply, &body, &verdict);
        if !verdict.checks.is_empty() {
            self.cx.tally(|t| verdict.checks.iter().for_each(|(check, passed)| t.check(*check, *passed)));
        }
        let detail = match verdict.problem? {
            Problem::Check(id) => {
                format!("failed check: {}", self.cx.scenario.checks.get(id).map_or("", |c| c.name.as_str()))
            }
            Problem::Capture(capture) => {
                format!("nothing to capture as {:?} {}", capture.name, capture.place())
            }
        };
        Some(Failure::new(ErrorClass::Check, detail))
    }

    /// Why a response of the expected status is a failure by what it carries; takes the tokens of a plain answer.
    pub(super) fn reported_error(&mut self, body: &str) -> Option<ErrorClass> {
        if let Some(class) = self.stream.as_ref().and_then(Stream::failure) {
            return Some(class);
        }
        if body.is_empty() || !(self.step.is_generation || self.step.stream.is_some()) {
            return None;
        }
        let known = read_document(body)?;
        self.tokens = known.tokens;
        known.is_error.then_some(ErrorClass::ReportedError)
    }
}
