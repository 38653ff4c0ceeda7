//! A run from checked options to its record: the one way to drive, record and finish it, for `loadgen run`, the demo
//! and whatever else drives load.
//!
//! Options → [`RunOptions::check`](crate::RunOptions::check) → [`RecordedRun::begin`] → sinks and a view are added →
//! [`RecordedRun::drive`] → [`Ended`], whose directory can be judged. Invariant: a record that was begun is finished,
//! and says how the run ended, whatever happened to the load.

mod judged;
mod page;
mod signals;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use assay_rules::RuleFiles;
use assay_run::{
    Manifest, Outcome, RecordError, Recorder, RecorderOptions, Target,
    recorder::{Recorded, run_directory},
};

use assay_text::console;
use assay_verdict::standards::Standards;

pub use self::{
    judged::{JudgeError, Judged, judge},
    page::Page,
    signals::{INTERRUPTED, stop_on_signals},
};
use crate::{
    control::Control,
    engine::{check::Checked, error::RunError},
    examples::Examples,
    guard::{Guard, GuardOptions},
    progress::View,
    sink::{MetricsSink, recorder::RecorderSink},
    summary::{self, Summary},
};

/// How a run is recorded.
pub struct RecordOptions {
    /// Where the new run directory is made.
    pub parent: PathBuf,
    /// The `instance` of what the generator measures.
    pub instance: String,
    /// The command line that repeats it, program first and without secrets; empty if there is none.
    pub command: Vec<String>,
    /// What is scraped into the record.
    pub scrape: Vec<Target>,
    /// The rules that may end the run.
    pub abort: Option<AbortRules>,
    /// What the run is to be judged by; the files are put into its directory.
    pub standards: Standards,
    /// Whether examples of failures have more of the answers, and of those with an expected status, too.
    pub keep_bodies: bool,
}

/// Rules that are evaluated over a record while it grows, and the alerts among them that end the run.
pub struct AbortRules {
    /// The rules.
    pub files: RuleFiles,
    /// The values of the label `severity` whose alerts end the run.
    pub severities: Vec<String>,
    /// How often groups without an interval of their own are evaluated, in milliseconds.
    pub interval_ms: i64,
}

/// Why a record could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The record cannot be written, or a target cannot be scraped.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The rules cannot be evaluated.
    #[error("cannot evaluate rules: {0}")]
    Rules(io::Error),
    /// Examples of failures cannot be kept.
    #[error("cannot keep examples of failures: {0}")]
    Examples(io::Error),
    /// The files that the run is judged by cannot be put into its directory.
    #[error("{}: rules and SLA cannot be written: {cause}", dir.display())]
    Standards {
        /// The run's directory.
        dir: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// A run that is about to be driven, with its record begun.
pub struct RecordedRun {
    run: Checked,
    recording: Option<Recording>,
}

struct Recording {
    recorder: Arc<Recorder>,
    guard: Option<Guard>,
}

/// A run that has ended.
pub struct Ended {
    /// Its directory, if it was recorded.
    pub dir: Option<PathBuf>,
    /// What it came to.
    pub result: Result<Summary, RunError>,
    /// How its record ended; `None` if there is none.
    pub record: Option<Result<Recorded, RecordError>>,
}

impl RecordedRun {
    /// A run without a record.
    #[must_use]
    pub fn unrecorded(run: Checked) -> Self {
        Self { run, recording: None }
    }

    /// Begins the record of a run: makes its directory and starts to scrape.
    ///
    /// # Errors
    /// Where the record cannot be written, or the system gives no threads.
    pub fn begin(mut run: Checked, options: RecordOptions) -> Result<Self, BeginError> {
        judged::bound_queries_of_load();
        let recording = RecorderOptions::default();
        let start_ms = recording.clock.now_ms();
        let dir = run_directory(&options.parent, &run.scenario.name, start_ms)?;
        let mut manifest = Manifest::new(&run.scenario.name, start_ms).with_surroundings();
        manifest.id = Some(run.id.clone());
        manifest.command = options.command;
        manifest.mode.clone_from(&run.mode);
        manifest.target = Some(run.target.to_string());
        manifest.seed = Some(run.seed);
        manifest.notes.clone_from(&run.notes);
        let shard = run.shard;
        manifest.shard = shard
            .is_shared()
            .then(|| assay_run::manifest::Shard { index: shard.index(), count: shard.count() });
        let recorder = Arc::new(Recorder::create(&dir, manifest, &recording)?);
        run.outputs.examples =
            Some(Examples::start(&dir, &run.scenario, options.keep_bodies).map_err(BeginError::Examples)?);
        if let Some(tracer) = &run.outputs.tracer {
            tracer.keep(&dir, &options.instance);
        }
        options.standards.write(&dir).map_err(|cause| BeginError::Standards { dir: dir.clone(), cause })?;
        for target in options.scrape {
            recorder.scrape(target)?;
        }
        run.outputs.sinks.push(Box::new(RecorderSink::new(Arc::clone(&recorder), options.instance)));
        let guard = match options.abort {
            None => None,
            Some(AbortRules { files, severities, interval_ms }) => {
                let watched = GuardOptions { severities, interval_ms, start_ms };
                let guard = Guard::start(recorder.sink(), files, watched, run.control())
                    .map_err(BeginError::Rules)?;
                run.outputs.sinks.push(guard.sink());
                Some(guard)
            }
        };
        Ok(Self { run, recording: Some(Recording { recorder, guard }) })
    }

    /// A handle to steer the run with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.run.control()
    }

    /// The run's directory, if it is recorded.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.recording.as_ref().map(|r| r.recorder.dir())
    }

    /// What the record takes in, for reading while it grows.
    #[must_use]
    pub fn samples(&self) -> Option<assay_run::Sink> {
        self.recording.as_ref().map(|r| r.recorder.sink())
    }

    /// Serves the page of the run at an address while it is in progress, and says so; `None` if it is not recorded.
    ///
    /// # Errors
    /// Where the address is taken, or the system gives no threads.
    pub fn serve_page(&self, address: SocketAddr) -> io::Result<Option<Page>> {
        let Some(recording) = &self.recording else { return Ok(None) };
        let recorder = &recording.recorder;
        let page = Page::start(recorder.sink(), recorder.dir(), &self.run.scenario.name, address)?;
        console::say(format_args!("page of the run: http://{}", page.address()));
        Ok(Some(page))
    }

    /// Adds a sink for what the run measures.
    pub fn add_sink(&mut self, sink: Box<dyn MetricsSink>) {
        self.run.outputs.sinks.push(sink);
    }

    /// Sets what a person sees while the load runs.
    pub fn show(&mut self, view: Box<dyn View>) {
        self.run.outputs.view = view;
    }

    /// Drives the load, and finishes the record.
    pub async fn drive(self) -> Ended {
        let Self { run, recording } = self;
        let mut result = run.run().await;
        let Some(Recording { recorder, guard }) = recording else {
            return Ended { dir: None, result, record: None };
        };
        if let (Ok(summary), Some(alert)) = (&mut result, guard.and_then(Guard::finish)) {
            summary.aborted_by = Some(alert);
        }
        if let Ok(summary) = &result {
            // What sinks say at the end is for the record's readers, too; what cannot be written now is written at the end.
            let _ = recorder.describe(|manifest| {
                let is_new = |note: &&String| !manifest.notes.contains(note);
                let new: Vec<String> = summary.notes.iter().filter(is_new).cloned().collect();
                manifest.notes.extend(new);
            });
        }
        let dir = recorder.dir().to_owned();
        // The run and its sinks are gone, so this is the last handle.
        let record = Arc::try_unwrap(recorder)
            .map_err(|_| RecordError::Stopped { cause: "a sink of the run still holds the recorder".into() })
            .and_then(|recorder| recorder.finish(outcome(&result)));
        Ended { dir: Some(dir), result, record: Some(record) }
    }
}

fn outcome(result: &Result<Summary, RunError>) -> Outcome {
    match result {
        Ok(Summary { aborted_by: Some(alert), .. }) => Outcome::Aborted { reason: alert.to_string() },
        Ok(summary) if summary.outcome == summary::Outcome::Completed => Outcome::Finished,
        Ok(_) => Outcome::Interrupted,
        Err(e) => Outcome::Aborted { reason: e.to_string() },
    }
}
