//! The page of a run while it is in progress: `--web`. It is the report, rendered over what is on record so far, and each browser is
//! sent the parts that changed.
//!
//! Invariant: the load waits for none of it. One thread of lower priority renders, and rests so long after each turn that it takes
//! at most a fiftieth of a processor, however long the run is.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use assay_platform::processor_time;
use assay_report::html;
use assay_rules::RuleFiles;
use assay_run::Manifest;
use assay_text::document;
use assay_verdict::{
    charts::{self, Charts, Growing},
    eval::{InProgress, eval_in_progress, standards_of},
    sla::Sla,
    source::RecordedSource,
    verdict::Verdict,
};

use crate::{
    background::{Background, Over},
    listen::{Deadline, Head, listen, reply},
};

/// How often the charts get a point.
const TURN: Duration = Duration::from_secs(1);
/// How often the run is judged again at most.
const JUDGED_EVERY: Duration = TURN;
/// How much longer than the processor time of a turn the rest after it is: drawing and judging have a hundredth each.
const REST: u32 = 100;
/// How often rule groups without an interval of their own are evaluated, as `ruleseval eval` does.
const INTERVAL_MS: i64 = 15_000;
/// How long a client is left without an event.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the end of the run waits for the browsers that look at it; none may take longer than a listener's patience.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves the page of a run. Dropped, it stops to follow the run.
pub struct Page {
    shared: Arc<Shared>,
    address: SocketAddr,
    work: Background,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The whole page, once there is one.
    page: Option<Arc<String>>,
    /// Its parts, each with the turn in which it last changed.
    parts: BTreeMap<String, (u64, Arc<str>)>,
    turn: u64,
    /// The report, once the run has ended.
    report: Option<Arc<String>>,
    /// Browsers that are sent what changes.
    watching: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while something holds, but no longer than `most`.
    fn wait(&self, most: Duration, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| holds(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Page {
    /// Follows a record from now on, and serves its page at an address.
    ///
    /// # Errors
    /// Where the address is taken, the run's own rules and SLAs cannot be read, or the system gives no threads.
    pub(super) fn start(
        recording: assay_run::Sink,
        dir: &Path,
        scenario: &str,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let address = listen(address, "web", move |stream, head| answer(stream, head, &own))?;
        let (files, slas) = standards_of(dir).map_err(io::Error::other)?;
        let mut follower = Follower {
            start_ms: recording.now_ms(),
            recording,
            files,
            slas,
            source: dir.display().to_string(),
            scenario: scenario.to_owned(),
            manifest: Manifest::read(dir).ok().and_then(|m| serde_json::to_value(m).ok()).unwrap_or_default(),
            growing: Growing::default(),
            around: Charts::default(),
            verdict: None,
            judge_at: Instant::now(),
        };
        let own = Arc::clone(&shared);
        let work = Background::start("page", move |over| follower.follow(&own, over))?;
        Ok(Self { shared, address, work })
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the report of the run, which has ended, to all that look at it, and serves it from then on.
    pub fn end(mut self, report: String) {
        self.work.stop();
        self.shared.state().report = Some(Arc::new(report));
        self.shared.changed.notify_all();
        drop(self.shared.wait(FAREWELL, |state| state.watching > 0));
    }
}

/// Renders a run in progress.
struct Follower {
    recording: assay_run::Sink,
    files: RuleFiles,
    slas: Vec<Sla>,
    source: String,
    scenario: String,
    manifest: serde_json::Value,
    start_ms: i64,
    growing: Growing,
    around: Charts,
    verdict: Option<Verdict>,
    judge_at: Instant,
}

impl Follower {
    fn follow(&mut self, shared: &Shared, over: &Over) {
        let mut is_logged = false;
        loop {
            let began = Instant::now();
            let mut drawing = Duration::ZERO;
            match self.turn(&mut drawing) {
                Ok(Some(page)) => publish(shared, page),
                // A recording that has stopped ends the run itself.
                Ok(None) => return,
                Err(e) if !is_logged => {
                    tracing::warn!("the page of the run cannot be brought up to date: {e}");
                    is_logged = true;
                }
                Err(_) => {}
            }
            if !over.rest_until(began + TURN.max(drawing * REST)) {
                return;
            }
        }
    }

    /// One turn: a point for each chart, the verdict if it is time, the page. `None` once the recording has stopped. `drawing` is
    /// what all but the verdict took.
    fn turn(&mut self, drawing: &mut Duration) -> Result<Option<String>, Box<dyn std::error::Error>> {
        let turn = processor_time::of_thread();
        let Ok(data) = self.recording.snapshot() else { return Ok(None) };
        let run = InProgress {
            data: &data,
            source: self.source.clone(),
            scenario: self.scenario.clone(),
            manifest: self.manifest.clone(),
            start_ms: self.start_ms,
            now_ms: self.recording.now_ms(),
        };
        let source = RecordedSource::new(&data);
        self.growing.advance(&source, run.start_ms, run.now_ms)?;
        let mut judging = Duration::ZERO;
        let (began, before) = (Instant::now(), processor_time::of_thread());
        let verdict = match self.verdict.take() {
            Some(mut verdict) if began < self.judge_at => {
                verdict.run = run.info()?;
                verdict
            }
            _ => {
                let verdict = eval_in_progress(&run, &self.files, &self.slas, INTERVAL_MS)?;
                self.around = charts::around(&verdict.run, &self.slas, &source)?;
                judging = processor_time::of_thread() - before;
                // Until the first phase begins there was nothing to judge.
                let rest = if verdict.objectives.is_empty() { TURN } else { judging * REST };
                self.judge_at = began + JUDGED_EVERY.max(rest);
                verdict
            }
        };
        let drawn = Charts { plots: self.growing.charts(&self.slas), ..self.around.clone() };
        let page = html::render_in_progress(&verdict, &drawn)?;
        self.verdict = Some(verdict);
        *drawing = (processor_time::of_thread() - turn).saturating_sub(judging);
        Ok(Some(page))
    }
}

fn publish(shared: &Shared, page: String) {
    let mut state = shared.state();
    state.turn += 1;
    let turn = state.turn;
    for (name, html) in html::parts(&page) {
        match state.parts.get_mut(name) {
            Some((_, before)) if **before == *html => {}
            Some(part) => *part = (turn, Arc::from(html)),
            None => {
                state.parts.insert(name.to_owned(), (turn, Arc::from(html)));
            }
        }
    }
    state.page = Some(Arc::new(page));
    shared.changed.notify_all();
}

fn answer(stream: &TcpStream, head: &Head, shared: &Shared) -> io::Result<()> {
    match head.path() {
        "/" => {
            let state = shared.wait(FAREWELL, |state| state.page.is_none() && state.report.is_none());
            let page = state.report.clone().or_else(|| state.page.clone());
            drop(state);
            match page {
                Some(page) => reply(stream, "200 OK", "text/html; charset=utf-8", page.as_bytes()),
                None => reply(stream, "503 Service Unavailable", "text/plain", b"the run has no page yet\n"),
            }
        }
        "/events" => {
            shared.state().watching += 1;
            let sent = events(stream, shared);
            shared.state().watching -= 1;
            shared.changed.notify_all();
            sent
        }
        _ => reply(stream, "404 Not Found", "text/plain", b"the page of the run is at /\n"),
    }
}

/// Sends the parts that change until the run has ended, and then the report.
fn events(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    Deadline::new(stream).write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
    )?;
    let mut seen = 0;
    loop {
        let state = shared.wait(KEEP_ALIVE, |state| state.turn == seen && state.report.is_none());
        let (turn, report) = (state.turn, state.report.clone());
        let changed: Vec<(String, Arc<str>)> = state
            .parts
            .iter()
            .filter(|(_, (changed, _))| *changed > seen)
            .map(|(name, (_, html))| (name.clone(), Arc::clone(html)))
            .collect();
        drop(state);
        let text = match &report {
            Some(report) => format!("event: end\ndata: {}\n\n", json(&**report)),
            None if changed.is_empty() => ":\n\n".to_owned(),
            None => {
                let parts: Vec<(&str, &str)> = changed.iter().map(|(n, h)| (n.as_str(), &**h)).collect();
                format!("event: parts\ndata: {}\n\n", json(&parts))
            }
        };
        Deadline::new(stream).write_all(text.as_bytes())?;
        if report.is_some() {
            return Ok(());
        }
        seen = turn;
    }
}

/// JSON on one line, as an event's data.
fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    document(serde_json::to_string(value).unwrap_or_default())
}
