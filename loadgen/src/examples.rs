//! The first examples of what failed, for `failures.jsonl`: three of each class and step.
//!
//! Invariants: a worker hands an example over and waits for nothing; what is written holds no secret by name or form, and no value of
//! the scenario's data files.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use assay_run::{
    failures::{EACH, FILE_NAME, Failure},
    manifest::create_private,
    time::now_ms,
};
use assay_text::{document, secret::redact_text};

use crate::{
    client::ErrorClass,
    scenario::{Rows, Scenario},
};

/// How many wait to be written; more at one instant are not kept.
const WAITING: usize = 64;
/// How much of a body is kept, in bytes, and how much of it if bodies are asked for.
const SHORT: usize = 1024;
const LONG: usize = 64 * 1024;
/// How much of a body is cleaned beyond what is kept of it: longer than any secret.
const MARGIN: usize = 4096;
/// The shortest value of a data file that is taken out: shorter ones are in every text.
const LEAST_VALUE: usize = 3;
/// The most values that are looked for.
const MOST_VALUES: usize = 200_000;

/// Takes examples of failures and writes them into a run's directory.
pub struct Examples {
    sender: Option<SyncSender<Seen>>,
    taken: Mutex<BTreeMap<(usize, ErrorClass), u32>>,
    keeps_bodies: bool,
    thread: Option<JoinHandle<()>>,
}

/// A failure as a worker saw it.
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) phase: Arc<str>,
    pub(crate) step: usize,
    pub(crate) class: ErrorClass,
    pub(crate) status: Option<u16>,
    pub(crate) message: String,
    pub(crate) body: Vec<u8>,
}

impl Examples {
    /// Begins to take examples. The file is made with the first of them. With `keeps_bodies`, more of the answers is kept, and also
    /// of those whose status was as expected.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(run: &Path, scenario: &Arc<Scenario>, keeps_bodies: bool) -> io::Result<Arc<Self>> {
        let (sender, receiver) = sync_channel(WAITING);
        let writer = Writer {
            path: run.join(FILE_NAME),
            file: None,
            scenario: Arc::clone(scenario),
            values: None,
            most: most(keeps_bodies),
            began: Instant::now(),
            began_ms: now_ms(),
        };
        let thread =
            thread::Builder::new().name("examples".to_owned()).spawn(move || writer.run(&receiver))?;
        let (sender, thread) = (Some(sender), Some(thread));
        Ok(Arc::new(Self { sender, taken: Mutex::default(), keeps_bodies, thread }))
    }

    /// Counts an example of this as taken, and gives how many there are with it.
    fn count(&self, step: usize, class: ErrorClass) -> u32 {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry((step, class)).or_default();
        *count += 1;
        *count
    }

    /// Whether the body of an answer with an expected status is wanted.
    pub(crate) fn wants_bodies(&self) -> bool {
        self.keeps_bodies
    }

    /// Takes an example, unless too many wait.
    pub(crate) fn take(&self, seen: Seen) {
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(seen);
        }
    }
}

/// How much of a body is written, in bytes.
fn most(keeps_bodies: bool) -> usize {
    if keeps_bodies { LONG } else { SHORT }
}

/// The examples as one worker sees them: once there are enough of a failure, it takes no lock any more, for all workers share it.
pub(crate) struct WorkerExamples {
    pub(crate) shared: Arc<Examples>,
    /// The failures, by step, of which there are enough.
    enough: RefCell<HashSet<(usize, ErrorClass)>>,
}

impl WorkerExamples {
    pub(crate) fn new(shared: Arc<Examples>) -> Self {
        Self { shared, enough: RefCell::default() }
    }

    /// Whether another example of this is wanted; it counts as taken.
    pub(crate) fn wants(&self, step: usize, class: ErrorClass) -> bool {
        if self.has_enough(step, class) {
            return false;
        }
        let count = self.shared.count(step, class);
        if count >= EACH {
            self.enough.borrow_mut().insert((step, class));
        }
        count <= EACH
    }

    /// How many bytes to keep of a body that is wanted for nothing but an example of this.
    pub(crate) fn excerpt(&self, step: usize, class: ErrorClass) -> usize {
        if self.has_enough(step, class) { 0 } else { most(self.shared.keeps_bodies) + MARGIN }
    }

    fn has_enough(&self, step: usize, class: ErrorClass) -> bool {
        self.enough.borrow().contains(&(step, class))
    }
}

impl Drop for Examples {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("{FILE_NAME}: its writer panicked");
        }
    }
}

/// Writes them, one after the other.
struct Writer {
    path: std::path::PathBuf,
    file: Option<File>,
    scenario: Arc<Scenario>,
    /// What the data files hold, the longest first, read when it is first needed.
    values: Option<Option<Vec<String>>>,
    most: usize,
    began: Instant,
    began_ms: i64,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Seen>) {
        for seen in receiver {
            if let Err(e) = self.write(&seen) {
                tracing::warn!("{}: {e}", self.path.display());
                return;
            }
        }
    }

    fn write(&mut self, seen: &Seen) -> io::Result<()> {
        let after = i64::try_from(seen.at.saturating_duration_since(self.began).as_millis());
        let step = self.scenario.steps.get(seen.step).map_or("", |s| s.name.as_str());
        let failure = Failure {
            at_ms: self.began_ms.saturating_add(after.unwrap_or(i64::MAX)),
            phase: seen.phase.to_string(),
            step: step.to_owned(),
            class: seen.class.to_string(),
            status: seen.status,
            message: self.clean(&seen.message),
            body: self.clean_body(&seen.body),
        };
        if self.file.is_none() {
            self.file = Some(create_private(&self.path)?);
        }
        match &mut self.file {
            Some(file) => file.write_all(failure.to_line().as_bytes()),
            None => Ok(()),
        }
    }

    /// The beginning of a body, cleaned before it is cut: of a secret that was cut in two, neither half is seen to be one.
    fn clean_body(&mut self, body: &[u8]) -> String {
        let mut text = self.clean(&String::from_utf8_lossy(&body[..body.len().min(self.most + MARGIN)]));
        if text.len() > self.most {
            text.truncate(text.floor_char_boundary(self.most));
        }
        text
    }

    /// A text without secrets, and without what the data files hold.
    fn clean(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let scenario = &self.scenario;
        // What cannot be looked for cannot be taken out: then no words are kept.
        let Some(values) = self.values.get_or_insert_with(|| values(scenario)) else { return String::new() };
        let mut text = redact_text(text);
        for value in values.iter().filter(|v| v.len() <= text.len()).collect::<Vec<_>>() {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), "[data]");
            }
        }
        document(&text)
    }
}

/// All texts and numbers of the data files, the longest first; `None` if there are too many to look for.
fn values(scenario: &Scenario) -> Option<Vec<String>> {
    let mut out = std::collections::BTreeSet::new();
    for set in &scenario.data {
        let Rows::Memory(rows) = &set.rows else { return None };
        for row in rows {
            let mut fields = Vec::new();
            match row.try_iter().ok().filter(|_| row.kind() == minijinja::value::ValueKind::Map) {
                Some(keys) => fields.extend(keys.filter_map(|key| row.get_item(&key).ok())),
                None => fields.push(row.clone()),
            }
            let texts = fields.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            out.extend(texts.filter(|t| t.chars().count() >= LEAST_VALUE));
            if out.len() > MOST_VALUES {
                return None;
            }
        }
    }
    let mut out: Vec<String> = out.into_iter().collect();
    out.sort_by_key(|v| std::cmp::Reverse(v.len()));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_body_is_kept_than_an_example_needs() {
        let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations}}\n";
        let scenario = Arc::new(Scenario::from_text("t.yml", text, &[]).expect("valid"));
        let dir = tempfile::tempdir().expect("a directory");
        let start = |keeps_bodies| {
            WorkerExamples::new(Examples::start(dir.path(), &scenario, keeps_bodies).expect("starts"))
        };
        assert_eq!(start(true).excerpt(0, ErrorClass::Check), LONG + MARGIN);
        let (examples, refused) = (start(false), ErrorClass::Status(503));
        for _ in 0..EACH {
            assert_eq!(examples.excerpt(0, refused), SHORT + MARGIN);
            assert!(examples.wants(0, refused));
        }
        assert_eq!((examples.excerpt(0, refused), examples.wants(0, refused)), (0, false));
        // Of another failure, and of another step, there are none yet.
        assert_eq!(examples.excerpt(0, ErrorClass::Status(500)), SHORT + MARGIN);
        assert_eq!(examples.excerpt(1, refused), SHORT + MARGIN);
    }
}
