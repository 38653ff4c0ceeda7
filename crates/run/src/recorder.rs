//! Records a run while it happens.
//!
//! One thread owns the storage and commits once a second; all who have samples send them through a [`Sink`],
//! and a second thread scrapes targets into the same queue. Times are those of one clock that nobody can set.
//! Invariant: what has been committed survives a kill, and after a failure (a full disk, say) nothing is written any
//! more, everything before it stays readable, and every further call reports the failure.

mod fetch;
mod owner;
mod row;
mod scraper;
mod target;
mod zeros;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use assay_model::MetricMetadata;
use assay_tsdb::HeadSnapshot;
pub use owner::RecordStats;
use owner::{Command, Owner};
pub use row::{Row, RowValue};
use scraper::Scraper;
pub use target::Target;

use crate::{
    Manifest, ManifestError, Outcome, Phase, PhaseOutcome,
    manifest::Scraped,
    time::{SteadyClock, compact, now_ms},
};

/// How to record.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// How often samples go to the write-ahead log.
    pub commit_every: Duration,
    /// How many batches may wait for the disk before a sender of more has to wait.
    pub queue: usize,
    /// What stamps scrapes and the end, and recognises samples of the future; by default the wall clock as it is now.
    pub clock: SteadyClock,
}

impl Default for RecorderOptions {
    fn default() -> Self {
        Self { commit_every: Duration::from_secs(1), queue: 1024, clock: SteadyClock::starting_at(now_ms()) }
    }
}

/// Why something is not on record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// The directory exists and is not empty.
    #[error("{}: already exists; a run needs a new or empty directory", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory could not be written.
    #[error(transparent)]
    Storage(#[from] assay_tsdb::Error),
    /// The description could not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Recording stopped at an earlier failure.
    #[error("recording has stopped: {cause}")]
    Stopped {
        /// That failure.
        cause: String,
    },
    /// A target that cannot be scraped.
    #[error("cannot scrape {url:?}: {what}")]
    Target {
        /// The address as it was given.
        url: String,
        /// What is wrong with it, and what would be right.
        what: String,
    },
}

/// A recording in progress. Dropped without [`Recorder::finish`], it leaves what a killed one leaves: a
/// readable run without an outcome.
pub struct Recorder {
    dir: PathBuf,
    manifest: Arc<Mutex<Manifest>>,
    sink: Sink,
    owner: JoinHandle<Result<Owner, RecordError>>,
    scraper: Scraper,
}

/// Takes samples in, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: SyncSender<Command>,
    failure: Arc<OnceLock<String>>,
    clock: SteadyClock,
}

/// A recording that is done.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The run's directory.
    pub dir: PathBuf,
    /// Its description as written.
    pub manifest: Manifest,
    /// What was taken in.
    pub stats: RecordStats,
}

impl Recorder {
    /// Begins a run in `dir`, which must not exist or be empty. [`run_directory`] makes one.
    ///
    /// # Errors
    /// Where the directory holds something, or cannot be written.
    pub fn create(dir: &Path, manifest: Manifest, options: &RecorderOptions) -> Result<Self, RecordError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Io { path, action, source }
        };
        fs::create_dir_all(dir).map_err(io("create the directory", dir))?;
        if fs::read_dir(dir).map_err(io("list", dir))?.next().is_some() {
            return Err(RecordError::Exists { path: dir.to_owned() });
        }
        let owner = Owner::create(&dir.join(crate::open::DATA), manifest.start_ms, options.clock)?;
        // What has a description can be read, so it comes once there is something to read.
        manifest.write(dir)?;
        let (queue, commands) = sync_channel(options.queue);
        let failure = Arc::new(OnceLock::new());
        let sink = Sink { queue, failure: failure.clone(), clock: options.clock };
        let commit_every = options.commit_every;
        let manifest = Arc::new(Mutex::new(manifest));
        let (noted, place) = (manifest.clone(), dir.to_owned());
        let note = move |note: String| {
            tracing::warn!("{note}");
            // A description that cannot be written now is written at the end.
            let _ = describe(&noted, &place, |m| m.notes.push(note));
        };
        let owner = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || owner.run(&commands, commit_every, &failure, &note))
            .map_err(io("start a thread for", dir))?;
        let scraper = Scraper::start(sink.clone()).map_err(io("start a thread for", dir))?;
        Ok(Self { dir: dir.to_owned(), manifest, sink, owner, scraper })
    }

    /// The run's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where samples go in.
    #[must_use]
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// The description as it is.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the description and writes it.
    ///
    /// # Errors
    /// Where it cannot be written; the file then keeps the state before.
    pub fn describe(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), RecordError> {
        Ok(describe(&self.manifest, &self.dir, change)?)
    }

    /// Notes that a phase begins at `t_ms`.
    ///
    /// # Errors
    /// Where the description cannot be written.
    pub fn phase_started(&self, name: &str, warmup: bool, t_ms: i64) -> Result<(), RecordError> {
        let phase = Phase { name: name.to_owned(), start_ms: t_ms, end_ms: None, warmup, outcome: None };
        self.describe(|m| m.phases.push(phase))
    }

    /// Notes that the phase of this name which is on ends at `t_ms`.
    ///
    /// # Errors
    /// Where the description cannot be written.
    pub fn phase_ended(&self, name: &str, t_ms: i64) -> Result<(), RecordError> {
        self.describe(|m| {
            if let Some(phase) = m.phases.iter_mut().rev().find(|p| p.name == name && p.end_ms.is_none()) {
                phase.end_ms = Some(t_ms);
            }
        })
    }

    /// Scrapes a target from now on until the recording ends.
    ///
    /// # Errors
    /// Where the description cannot be written, or recording has stopped.
    pub fn scrape(&self, target: Target) -> Result<(), RecordError> {
        let scraped = Scraped {
            job: target.job.clone(),
            instance: target.instance.clone(),
            url: target.url.to_string(),
            interval_ms: u64::try_from(target.interval.as_millis()).unwrap_or(u64::MAX),
        };
        self.describe(|m| m.scrape.push(scraped))?;
        self.scraper.add(target).map_err(|()| self.sink.stopped())
    }

    /// Stops scraping, makes one block of the samples and writes the outcome.
    ///
    /// # Errors
    /// Where anything could not be written. The run is then as readable as that of a killed program, and
    /// what was recorded before the failure is in it.
    pub fn finish(self, outcome: Outcome) -> Result<Recorded, RecordError> {
        let Self { dir, manifest, sink, owner, scraper } = self;
        scraper.stop();
        // A failed send means that the owner ended with an error, which joining it tells.
        let _ = sink.queue.send(Command::Finish);
        let owner = match owner.join() {
            Ok(result) => result?,
            Err(_) => return Err(RecordError::Stopped { cause: "the recorder's thread panicked".into() }),
        };
        let stats = owner.finish()?;
        let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let end_ms = sink.now_ms().max(manifest.start_ms);
        for phase in manifest.phases.iter_mut().filter(|p| p.end_ms.is_none()) {
            phase.end_ms = Some(end_ms);
            phase.outcome = Some(PhaseOutcome::CutShort);
        }
        manifest.end_ms = Some(end_ms);
        manifest.outcome = Some(outcome);
        let why = [
            (stats.ahead, "they were more than ten minutes ahead of the clock"),
            (stats.refused, "their series had a later one, or another value at the time"),
        ];
        for (count, why) in why.into_iter().filter(|(count, _)| *count > 0) {
            manifest.notes.push(format!("samples that are not on record: {count}; {why}"));
        }
        manifest.write(&dir)?;
        Ok(Recorded { dir, manifest, stats })
    }
}

impl Sink {
    /// Takes a batch in. Samples of one series must come in ascending time; it waits where the disk is so slow
    /// that the queue is full.
    ///
    /// # Errors
    /// Where recording has stopped; the error says why.
    pub fn append(&self, rows: Vec<Row>) -> Result<(), RecordError> {
        self.queue.send(Command::Rows(rows)).map_err(|_| self.stopped())
    }

    /// Says what is known of metric families, by their names.
    ///
    /// # Errors
    /// Where recording has stopped; the error says why.
    pub fn describe(&self, families: Vec<(String, MetricMetadata)>) -> Result<(), RecordError> {
        self.queue.send(Command::Describe(families)).map_err(|_| self.stopped())
    }

    /// Waits until everything sent before is in the write-ahead log.
    ///
    /// # Errors
    /// Where recording has stopped.
    pub fn commit(&self) -> Result<(), RecordError> {
        let (reply, committed) = sync_channel(1);
        self.queue.send(Command::Commit(reply)).map_err(|_| self.stopped())?;
        committed.recv().map_err(|_| self.stopped())
    }

    /// What is recorded so far, for reading while the recording is in progress. It shares what it can with the
    /// recording; let go of it soon.
    ///
    /// # Errors
    /// Where recording has stopped.
    pub fn snapshot(&self) -> Result<HeadSnapshot, RecordError> {
        let (reply, snapshot) = sync_channel(1);
        self.queue.send(Command::Snapshot(reply)).map_err(|_| self.stopped())?;
        snapshot.recv().map_err(|_| self.stopped())
    }

    /// Now by the recording's clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Why recording has stopped, where it has.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    fn stopped(&self) -> RecordError {
        RecordError::Stopped { cause: self.failure().unwrap_or("the recording is finished").to_owned() }
    }
}

fn describe(
    manifest: &Mutex<Manifest>,
    dir: &Path,
    change: impl FnOnce(&mut Manifest),
) -> Result<(), ManifestError> {
    let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut manifest);
    manifest.write(dir)
}

/// Makes a new directory `<parent>/<scenario>-<UTC time>`, with a number behind where that is taken.
///
/// # Errors
/// Where it cannot be made.
pub fn run_directory(parent: &Path, scenario: &str, start_ms: i64) -> Result<PathBuf, RecordError> {
    let io = |path: &Path, source| RecordError::Io {
        path: path.to_owned(),
        action: "create the directory",
        source,
    };
    fs::create_dir_all(parent).map_err(|e| io(parent, e))?;
    let tame = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let scenario: String = assay_text::secret::redact(scenario).chars().map(tame).collect();
    let name = format!("{}-{}", scenario.trim_start_matches('.'), compact(start_ms));
    let mut dir = parent.join(&name);
    for n in 2.. {
        match fs::create_dir(&dir) {
            Ok(()) => break,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => dir = parent.join(format!("{name}-{n}")),
            Err(e) => return Err(io(&dir, e)),
        }
    }
    Ok(dir)
}
