//! One step of one user: render, connect, send, receive, judge, record.
//!
//! Invariant: a step that was begun is recorded exactly once for each attempt, also when its task is
//! dropped half-way, and its time runs from what the socket saw.

pub(crate) mod cookies;
mod decode;
mod judge;
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

pub(crate) use self::render::Fixed;
use self::{
    judge::{Judge, Problem},
    render::Rendered,
    stream::Stream,
};
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
    examples::{Examples, Seen},
    measure::tally::{Generation, Measured, Outcome, Parts, Tally},
    scenario::{Scenario, Step, content, read_document},
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
    pub(crate) examples: Option<Arc<Examples>>,
    /// Makes spans, where the run was asked for traces.
    pub(crate) tracer: Option<Rc<WorkerTracer>>,
}

/// Where the load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) origin: Arc<Origin>,
    /// What stands before every path, without a slash at its end.
    pub(crate) prefix: String,
    /// User and password of its URL, for steps without credentials of their own.
    pub(crate) authorization: Option<http::HeaderValue>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

/// The tokens that a service counted.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
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
        attempt.span = self.trace_attempt(user, step, resent, attempt.started);
        let result = match render::render(step, &self.target, user, &self.fixed) {
            Ok(rendered) => {
                attempt.trace_sends(&rendered);
                attempt.watch_request(&rendered);
                user.slot.set(Some(attempt.started + step.timeout));
                let result = attempt.follow(user, rendered).await;
                user.slot.set(None);
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
    usage: Usage,
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
            usage: Usage::default(),
            judge,
            exchange: cx.watcher.as_ref().map(|_| Box::default()),
            span: None,
            is_recorded: false,
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
            // The jar decides anew; a cookie of the step's own stays with its origin.
            let is_own = self.step.headers.iter().any(|(name, _)| *name == header::COOKIE);
            if !is_own || redirected.origin != next.origin {
                redirected.headers.remove(header::COOKIE);
            }
            user.cookies.send(&redirected.origin, redirected.path.path(), &mut redirected.headers);
            next = Rc::new(redirected);
        }
    }

    async fn send(&mut self, user: &mut User, rendered: &Rendered) -> Result<Reply, Failure> {
        if let Some(mut connection) = user.take_connection(&rendered.origin)
            && connection.is_ready().await
        {
            let result = self.request_once(user, &mut connection, rendered).await;
            let is_lost = matches!(&result, Err(f) if f.class == ErrorClass::Reset);
            if !is_lost {
                return self.give_back(user, rendered, connection, result);
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
        // An address needs no lookup, and plain HTTP no handshake of TLS.
        self.parts.lookup = rendered.origin.address().is_none().then_some(times.lookup);
        self.parts.connecting = Some(times.tcp);
        self.parts.tls = rendered.origin.is_tls.then_some(times.tls);
        let result = self.request_once(user, &mut connection, rendered).await;
        self.give_back(user, rendered, connection, result)
    }

    fn give_back(
        &self,
        user: &mut User,
        rendered: &Rendered,
        connection: Connection,
        result: Result<Reply, Failure>,
    ) -> Result<Reply, Failure> {
        if result.is_ok() {
            user.connections.push((Arc::clone(&rendered.origin), connection));
        }
        result
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
        let (cx, context, needs_json) = (self.cx, &user.context, self.judge.needs_json());
        let (stream, judge, status) = (&mut self.stream, &mut self.judge, &mut self.status);
        let (exchange, stamps) = (&mut self.exchange, Rc::clone(connection.stamps()));
        let result = fetch_reply(
            connection,
            &request,
            &rendered.origin,
            want,
            &user.slot,
            &mut |code| *status = Some(code),
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

    fn finish(mut self, user: &User, result: &Result<Reply, Failure>) -> Ended {
        let end = match (result, &self.stamps) {
            (Ok(_), Some(stamps)) => stamps.last_read().unwrap_or_else(Instant::now),
            _ => Instant::now(),
        };
        let sent = self.sent.unwrap_or(self.started);
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
        self.watch_end(result, error, end);
        if let Some(failure) = failure {
            tracing::debug!(step = self.name(), class = %failure.class, "{failure}");
            self.exemplify(end, failure, reply);
        }
        self.record(end, error);
        Ended { status: self.status, error, at: Instant::now() }
    }

    /// Hands over an example of a failure, if one more is wanted.
    fn exemplify(&self, at: Instant, failure: Failure, reply: Option<&Reply>) {
        let Some(examples) = &self.cx.examples else { return };
        if !examples.wants(self.step.id, failure.class) {
            return;
        }
        // Of an answer with an expected status the body may be about a patient.
        let may_show = |reply: &&Reply| examples.wants_bodies() || !self.step.expect.holds(reply.status);
        let body = reply.filter(may_show).map_or_else(Vec::new, |reply| {
            let decoded = decode::decode(&reply.headers, &reply.body).map(|text| text.as_bytes().to_vec());
            decoded.ok().filter(|b| !b.is_empty()).unwrap_or_else(|| reply.excerpt.clone())
        });
        examples.take(Seen {
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
    fn judge_reply(&mut self, user: &User, reply: &Reply, took: Duration) -> Option<Failure> {
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
        self.cx.tally(|t| verdict.checks.iter().for_each(|(check, passed)| t.check(*check, *passed)));
        let detail = match verdict.problem? {
            Problem::Check(id) => {
                format!("failed check: {}", self.cx.scenario.checks.get(id).map_or("", |c| c.name.as_str()))
            }
            Problem::Capture(name) => format!("nothing to capture as {name:?}"),
        };
        Some(Failure::new(ErrorClass::Check, detail))
    }

    /// Why a response of the expected status is a failure by what it carries; takes the tokens of a plain answer.
    fn reported_error(&mut self, body: &str) -> Option<ErrorClass> {
        if let Some(class) = self.stream.as_ref().and_then(Stream::failure) {
            return Some(class);
        }
        if body.is_empty() || !(self.step.is_generation || self.step.stream.is_some()) {
            return None;
        }
        let known = read_document(body)?;
        self.usage = Usage { input_tokens: known.input_tokens, output_tokens: known.output_tokens };
        known.is_error.then_some(ErrorClass::ReportedError)
    }

    fn record(&mut self, end: Instant, error: Option<ErrorClass>) {
        self.is_recorded = true;
        let sent = self.sent.unwrap_or(self.started);
        let since_sent = |at: Instant| at.saturating_duration_since(sent);
        let (duration, latency) = (since_sent(end), end.saturating_duration_since(self.due));
        let generation = self.generation(duration, since_sent);
        self.trace_end(end, error, generation.as_ref());
        let objectives = &self.step.objectives;
        let within = |limit: Option<Duration>, took: Option<Duration>| {
            limit.is_none_or(|limit| took.is_some_and(|t| t <= limit))
        };
        let first_chunk = generation.as_ref().and_then(|g| g.first_chunk);
        let per_token = generation.as_ref().and_then(|g| g.per_token);
        let is_good = error.is_none()
            && within(objectives.duration, Some(duration))
            && within(objectives.latency, Some(latency))
            && within(objectives.first_chunk, first_chunk)
            // One token alone has no time per token.
            && within(objectives.per_token, first_chunk.map(|_| per_token.unwrap_or_default()));
        let measured = Measured {
            step: self.step.id,
            user: self.user,
            sent_at: sent,
            outcome: Outcome { status: self.status, error },
            duration,
            latency,
            parts: self.parts,
            is_good,
            received: self.received,
            sent: self.written,
            generation,
        };
        self.cx.tally(|t| t.request(&measured));
    }

    fn generation(&self, duration: Duration, since_sent: impl Fn(Instant) -> Duration) -> Option<Generation> {
        let stream = self.stream.as_ref().filter(|s| s.has_events());
        let Usage { input_tokens, output_tokens } = self.usage;
        match stream {
            Some(s) => Some(Generation {
                duration: s.last.map_or(duration, &since_sent),
                first_chunk: s.first.map(&since_sent),
                per_token: s.per_token(),
                input_tokens: s.input_tokens,
                output_tokens: s.tokens(),
                is_counted: s.output_tokens.is_some(),
                is_stream: true,
            }),
            None if self.step.is_generation || self.step.stream.is_some() => Some(Generation {
                duration,
                first_chunk: None,
                per_token: None,
                input_tokens,
                output_tokens,
                is_counted: output_tokens.is_some(),
                is_stream: false,
            }),
            None => None,
        }
    }

    fn name(&self) -> &str {
        self.cx.scenario.steps.get(self.step.id).map_or("", |s| s.name.as_str())
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_recorded {
            return;
        }
        // Where an earlier response of a chain was received, its bytes are counted already.
        if let Some(stamps) = self.stamps.take().filter(|_| self.sent.is_none()) {
            self.note_times(&stamps);
        }
        if self.cx.is_stopping.get() {
            self.trace_end(Instant::now(), Some(ErrorClass::Interrupted), None);
            self.cx.tally(|t| t.interrupted(self.step.id));
            return;
        }
        let detail = "still open when its phase and the grace after it were over";
        self.exemplify(Instant::now(), Failure::new(ErrorClass::Unfinished, detail), None);
        self.record(Instant::now(), Some(ErrorClass::Unfinished));
    }
}
