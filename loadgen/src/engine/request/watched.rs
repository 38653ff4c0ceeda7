//! What a person sees of an attempt. Invariant: without a watcher nothing here does anything.

use std::time::Instant;

use super::{Attempt, Rendered, judge::Verdict};
use crate::{
    client::{ErrorClass, Failure, reply::Reply},
    engine::user::User,
};

impl Attempt<'_> {
    /// Notes what is to be sent.
    pub(super) fn watch_request(&mut self, rendered: &Rendered) {
        let Some(exchange) = &mut self.exchange else { return };
        let secrets = self.cx.data.secrets();
        let url = secrets.url(&format!("{}{}", rendered.origin, rendered.path));
        exchange.request = format!("{} {url}", rendered.method);
        exchange.request_headers = secrets.headers(&rendered.headers);
        exchange.request_body = secrets.body(&rendered.body);
    }

    /// Notes the response as a whole, and what was found in it.
    pub(super) fn watch_reply(&mut self, user: &User, reply: &Reply, body: &str, verdict: &Verdict<'_>) {
        let Some(exchange) = &mut self.exchange else { return };
        let secrets = self.cx.data.secrets();
        // First: values that become secrets by that are hidden in all that is shown of the answer.
        let names = self.step.captures.iter().map(|c| c.name.as_str());
        exchange.note_captures(names, &user.context, secrets);
        for (name, value) in &mut exchange.captures {
            *value = value.take().map(|v| secrets.hide_named(name, &v));
        }
        let took = exchange.duration;
        for (check, (id, passed)) in self.step.checks.iter().zip(&verdict.checks) {
            let name = self.cx.scenario.checks.get(*id).map_or("", |c| c.name.as_str());
            let found = check.condition.found(&reply.headers, body, took);
            exchange.checks.push((name.to_owned(), *passed, secrets.hide(&found)));
        }
    }

    /// Notes the head and the body, before they are judged.
    pub(super) fn watch_head(&mut self, reply: &Reply, took: std::time::Duration) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.duration = took;
        let Some(check) = self.step.expect.check else { return };
        let passed = self.step.expect.holds(reply.status);
        let name = self.cx.scenario.checks.get(check).map_or("", |c| c.name.as_str());
        exchange.checks.push((name.to_owned(), passed, reply.status.to_string()));
    }

    /// Shows the exchange.
    pub(super) fn watch_end(
        &mut self,
        result: &Result<Reply, Failure>,
        failure: Option<&Failure>,
        end: Instant,
    ) {
        let (Some(mut exchange), Some(watcher)) = (self.exchange.take(), &self.cx.watcher) else { return };
        let secrets = self.cx.data.secrets();
        exchange.step = self.name().to_owned();
        exchange.status = self.status;
        exchange.duration = end.saturating_duration_since(self.sent.unwrap_or(self.started));
        if let Ok(reply) = result {
            exchange.headers = secrets.headers(&reply.headers);
            let body = super::decode::decode(&reply.headers, &reply.body);
            exchange.body = body.map(|body| secrets.body(body.as_bytes())).unwrap_or_default();
        }
        for (_, data) in &mut exchange.events {
            *data = secrets.body(data.as_bytes());
        }
        exchange.error = failure.map(|failure| {
            let detail = secrets.hide(&failure.detail);
            if failure.class != ErrorClass::Check {
                return format!("{}: {detail}", failure.class);
            }
            // What was found instead; what could not be captured has no check that failed.
            let found = exchange.checks.iter().find(|(_, passed, _)| !passed);
            found.map_or_else(|| detail.clone(), |(_, _, found)| format!("{detail}; found {found}"))
        });
        watcher(&exchange);
    }
}
