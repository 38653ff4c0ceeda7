//! One step of one user: render, connect, send, receive, judge, record.
//!
//! Invariant: a step that was begun is recorded exactly once for each attempt, also when its task is
//! dropped half-way, and its time runs from what the socket saw.

pub(crate) mod cookies;
mod decode;
mod judge;
mod outcome;
mod record;
mod render;
mod stream;
mod traced;
mod watched;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::header;
use rand::RngExt;

pub(crate) use self::render::Fixed;
use self::{judge::Judge, render::Rendered, stream::Stream};
use super::{
    exchange::{Exchange, Watcher},
    user::{SharedData, User},
};
use crate::{
    client::{
        ErrorClass, Failure,
        connection::{Connection, Settings},
        origin::Origin,
        outgoing::Outgoing,
        reply::{Reply, Want, fetch_reply},
    },
    examples::WorkerExamples,
    measure::tally::{Parts, Tally},
    scenario::{Cancel, CancelWhen, Scenario, Step, Tokens},
    timer::Timer,
    trace::{RequestSpan, WorkerTracer},
};

/// What all users of a worker share.
pub(crate) struct WorkerCx {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) data: Arc<SharedData>,
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) timer: Timer,
    pub(crate) fixed: Fixed,
    /// Whether a person's stop or an alert ends the run, so that what is cut off is nobody's failure.
    pub(crate) is_stopping: Cell<bool>,
    /// Who looks at each exchange; nobody in a run.
    pub(crate) watcher: Option<Watcher>,
    /// The phase that is on.
    pub(crate) phase: RefCell<Arc<str>>,
    /// Takes examples of failures, where the run is recorded.
    pub(crate) examples: Option<WorkerExamples>,
    /// Makes spans, where the run was asked for traces.
    pub(crate) tracer: Option<Rc<WorkerTracer>>,
}

/// Where the load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) origin: Arc<Origin>,
    /// What stands before every path, without a slash at its end.
    pub(crate) prefix: String,
    /// The origin for people: a socket's path, where it is one.
    pub(crate) shown: String,
    /// User and password of its URL, for steps without credentials of their own.
    pub(crate) authorization: Option<http::HeaderValue>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.shown, self.prefix)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorClass>,
    pub(crate) at: Instant,
}

impl WorkerCx {
    /// The tally, for a moment.
    pub(crate) fn tally<R>(&self, work: impl FnOnce(&mut Tally) -> R) -> R {
        work(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Performs a step that was due at `due`, with its retries.
    pub(crate) async fn perform(&self, user: &mut User, step: &Step, due: Instant) -> Ended {
        let mut ended = self.attempt(user, step, due, 0).await;
        for attempt in 1..=step.retries {
            if ended.error.is_none() {
                break;
            }
            self.tally(|t| t.retry(step.id));
            ended = self.attempt(user, step, ended.at, attempt).await;
        }
        ended
    }

    async fn attempt(&self, user: &mut User, step: &Step, due: Instant, resent: u32) -> Ended {
        let mut attempt = Attempt::new(self, step, user.index, due);
        let cancel = step.cancel.as_ref().filter(|c| c.share >= 1.0 || user.rng.random::<f64>() < c.share);
        attempt.cancel = cancel;
        attempt.span = self.trace_attempt(user, step, resent, attempt.started);
        let result = match render::render(step, &self.target, user, &self.fixed) {
            Ok(rendered) => {
                attempt.trace_sends(&rendered);
                attempt.watch_request(&rendered);
                let patience = attempt.patience();
                user.slot.set(Some(attempt.started + patience.unwrap_or(step.timeout)));
                let mut result = attempt.follow(user, rendered).await;
                user.slot.set(None);
                if let Err(failure) = &mut result
                    && failure.class == ErrorClass::Timeout
                    && patience.is_some()
                {
                    *failure = Failure::new(ErrorClass::Cancelled, "the client has waited enough");
                }
                result
            }
            Err(e) => Err(Failure::new(ErrorClass::Template, e)),
        };
        attempt.finish(user, &result)
    }
}

/// One attempt at a step. Dropped before its end, it records itself as unfinished, at its age: a service that hangs
/// would otherwise vanish from the figures.
struct Attempt<'c> {
    cx: &'c WorkerCx,
    step: &'c Step,
    /// The user's number, from 0.
    user: u32,
    due: Instant,
    started: Instant,
    sent: Option<Instant>,
    status: Option<u16>,
    parts: Parts,
    received: u64,
    written: u64,
    stamps: Option<Rc<crate::client::stamped::Stamps>>,
    stream: Option<Stream<'c>>,
    /// The tokens that a plain answer counts.
    tokens: Tokens,
    /// When it is cancelled, if it is to be.
    cancel: Option<&'c Cancel>,
    judge: Judge<'c>,
    exchange: Option<Box<Exchange>>,
    span: Option<RequestSpan>,
    is_recorded: bool,
}

impl<'c> Attempt<'c> {
    fn new(cx: &'c WorkerCx, step: &'c Step, user: u32, due: Instant) -> Self {
        let judge = Judge::new(step);
        let wants_text = judge.needs_text();
        Self {
            cx,
            step,
            user,
            due,
            started: Instant::now(),
            sent: None,
            status: None,
            parts: Parts::default(),
            received: 0,
            written: 0,
            stamps: None,
            stream: step.stream.as_ref().map(|spec| Stream::new(spec, step.id, wants_text)),
            tokens: Tokens::default(),
            cancel: None,
            judge,
            exchange: cx.watcher.as_ref().map(|_| Box::default()),
            span: None,
            is_recorded: false,
        }
    }

    /// How long the client waits for the response, if that is less than the step's timeout.
    fn patience(&self) -> Option<Duration> {
        match self.cancel?.when {
            CancelWhen::After(after) => Some(after).filter(|after| *after < self.step.timeout),
            CancelWhen::Tokens(_) => None,
        }
    }

    /// Sends the request, and follows redirects.
    async fn follow(&mut self, user: &mut User, first: Rc<Rendered>) -> Result<Reply, Failure> {
        let mut next = first;
        let mut left = self.step.redirects;
        loop {
            let reply = self.send(user, &next).await?;
            user.cookies.store(&next.origin, next.path.path(), &reply.headers);
            let wanted = self.step.expect.check.is_some() && self.step.expect.holds(reply.status);
            if wanted || self.step.redirects == 0 || !(300..400).contains(&reply.status) {
                return Ok(reply);
            }
            let Some(location) = reply.headers.get(header::LOCATION) else { return Ok(reply) };
            if left == 0 {
                let detail = format!("more than {} redirects", self.step.redirects);
                return Err(Failure::new(ErrorClass::Status(reply.status), detail));
            }
            left -= 1;
            let mut redirected = next.redirected(reply.status, location.as_bytes())?;
            user.cookies.send(&redirected.origin, redirected.path.path(), &mut redirected.headers);
            next = Rc::new(redirected);
        }
    }

    async fn send(&mut self, user: &mut User, rendered: &Rendered) -> Result<Reply, Failure> {
        if let Some((origin, mut connection)) = user.take_connection(&rendered.origin)
            && connection.is_ready().await
        {
            let result = self.request_once(user, &mut connection, rendered).await;
            let is_lost = matches!(&result, Err(f) if f.class == ErrorClass::Reset);
            if !is_lost {
                return give_back(user, origin, connection, result);
            }
            // The server may close a kept connection at any time (RFC 9112, 9.3.1). If nothing was written it has
            // seen nothing; otherwise it may have acted on the request, and a second one is a retry, which is
            // counted, and timed from the first.
            if connection.stamps().first_write().is_some() {
                if !self.step.sends_again(&rendered.method) {
                    return result;
                }
                self.cx.tally(|t| t.retry(self.step.id));
            }
        }
        let (mut connection, times) =
            Connection::open(&rendered.origin, &self.cx.settings, &user.slot).await?;
        self.parts =
            Parts { lookup: times.lookup, connecting: Some(times.tcp), tls: times.tls, ..self.parts };
        let result = self.request_once(user, &mut connection, rendered).await;
        give_back(user, Arc::clone(&rendered.origin), connection, result)
    }

    async fn request_once(
        &mut self,
        user: &mut User,
        connection: &mut Connection,
        rendered: &Rendered,
    ) -> Result<Reply, Failure> {
        let mut headers = Cow::Borrowed(&rendered.headers);
        if let Some(span) = &self.span {
            span.inject(headers.to_mut());
        }
        let request =
            Outgoing { method: rendered.method.clone(), path: &rendered.path, headers, body: &rendered.body };
        self.stamps = Some(Rc::clone(connection.stamps()));
        let want = if self.step.stream.is_some() {
            Want::Events
        } else if self.judge.needs_body() || self.step.is_generation || self.exchange.is_some() {
            Want::Body
        } else if self.judge.needs_headers() {
            Want::Headers
        } else {
            Want::Nothing
        };
        let step = self.step;
        let enough = self.cancel.and_then(|c| match c.when {
            CancelWhen::Tokens(tokens) => Some(tokens),
            CancelWhen::After(_) => None,
        });
        let (cx, context, needs_json) = (self.cx, &user.context, self.judge.needs_json());
        let (stream, judge, status) = (&mut self.stream, &mut self.judge, &mut self.status);
        let (exchange, stamps) = (&mut self.exchange, Rc::clone(connection.stamps()));
        let result = fetch_reply(
            connection,
            &request,
            &rendered.origin,
            want,
            &user.slot,
            &mut |code| {
                *status = Some(code);
                cx.excerpt(step, code)
            },
            &mut |event, at| {
                if let Some(exchange) = exchange {
                    let sent = stamps.first_write().unwrap_or(at);
                    exchange.event(at.saturating_duration_since(sent), event.name, event.data);
                }
                if let Some(stream) = stream {
                    let json = stream.event(&event, at, cx, needs_json);
                    if needs_json {
                        judge.json(json.as_ref(), context);
                    }
                }
                enough.is_none_or(|enough| stream.as_ref().is_none_or(|s| s.so_far() < enough))
            },
        )
        .await;
        self.note_times(connection.stamps());
        result
    }

    fn note_times(&mut self, stamps: &crate::client::stamped::Stamps) {
        let sent = stamps.first_write();
        self.sent = self.sent.or(sent);
        let (received, written) = stamps.bytes();
        self.received += received;
        self.written += written;
        if let (Some(sent), Some(last)) = (sent, stamps.last_write()) {
            self.parts.sending = Some(last.saturating_duration_since(sent));
            if let (Some(first), Some(end)) = (stamps.first_read(), stamps.last_read()) {
                self.parts.waiting = Some(first.saturating_duration_since(last));
                self.parts.receiving = Some(end.saturating_duration_since(first));
            }
        }
    }

    fn finish(&mut self, user: &User, result: &Result<Reply, Failure>) -> Ended {
        let end = match (result, &self.stamps) {
            (Ok(_), Some(stamps)) => stamps.last_read().unwrap_or_else(Instant::now),
            _ => Instant::now(),
        };
        let sent = self.sent.unwrap_or(self.started);
        if let Err(failure) = result
            && failure.class == ErrorClass::Cancelled
        {
            self.judge.so_far(self.stream.as_ref().and_then(|s| s.text.as_deref()), &user.context);
            self.watch_end(result, Some(failure), end);
            self.cancelled(end);
            return Ended { status: self.status, error: None, at: Instant::now() };
        }
        let (failure, reply) = match result {
            Ok(reply) => {
                let took = end.saturating_duration_since(sent);
                (self.judge_reply(user, reply, took), Some(reply))
            }
            Err(failure) => {
                if failure.class == ErrorClass::Template {
                    tracing::error!("{}: {failure}", self.name());
                }
                (Some(failure.clone()), None)
            }
        };
        let error = failure.as_ref().map(|f| f.class);
        self.watch_end(result, failure.as_ref(), end);
        if let Some(failure) = failure {
            tracing::debug!(step = self.name(), class = %failure.class, "{failure}");
            self.exemplify(end, failure, reply);
        }
        self.record(end, error);
        Ended { status: self.status, error, at: Instant::now() }
    }

    fn name(&self) -> &str {
        self.cx.scenario.steps.get(self.step.id).map_or("", |s| s.name.as_str())
    }
}

/// Keeps a connection that its response left in order.
fn give_back(
    user: &mut User,
    origin: Arc<Origin>,
    connection: Connection,
    result: Result<Reply, Failure>,
) -> Result<Reply, Failure> {
    if result.is_ok() {
        user.connections.push((origin, connection));
    }
    result
}
