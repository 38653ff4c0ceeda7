//! Scenarios: what virtual users do, and how many of them when.
//!
//! Invariant: a [`Scenario`] that exists is complete: its templates compile, its data files are read, its
//! names resolve. Whatever is wrong with a file is said before the first request, all of it at once.

mod api;
pub(crate) mod capacity;
mod capture;
mod check;
mod data;
pub mod executor;
mod flow;
pub(crate) mod jsonpath;
pub(crate) mod multipart;
mod pack;
mod parse;
mod shape;
mod stream;
pub(crate) mod template;
mod think;
pub(crate) mod tokenizer;
pub(crate) mod trace;

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use assay_yaml::{Diagnostics, Document};

pub(crate) use capacity::Capacity;
pub(crate) use capture::{Capture, Source};
pub(crate) use check::{Check, Condition, Expectation};
pub(crate) use data::{Ahead, DataSet, Rows};
pub use executor::Executor;
pub(crate) use flow::{
    Alternative, Body, Cancel, CancelWhen, Item, Objectives, OnFailure, Repeat, Resend, Step, Times,
};
pub use pack::{PACKS, Pack, pack};
pub(crate) use parse::TRACE;
pub(crate) use stream::{Message, StreamEvent, StreamSpec, Tokens, content, read_document};
pub(crate) use template::{RenderError, Text, environment_names};
pub(crate) use think::Think;

/// The keys of scenario files.
#[must_use]
pub fn keys() -> &'static assay_yaml::shape::Shape {
    &shape::SCENARIO
}

/// The JSON Schema of scenario files.
#[must_use]
pub fn schema() -> serde_json::Value {
    assay_yaml::shape::schema(&shape::SCENARIO)
}

/// The parts of the reference of scenario files that come from the parser's tables, each by its name, in Markdown.
#[must_use]
pub fn reference() -> Vec<(&'static str, String)> {
    vec![
        ("keys", assay_yaml::shape::reference(&shape::SCENARIO)),
        ("functions", template::lexicon::functions_table()),
        ("filters", template::lexicon::table(template::lexicon::FILTERS)),
        ("tests", template::lexicon::table(template::lexicon::TESTS)),
    ]
}

/// A scenario, ready to run.
#[derive(Debug)]
pub struct Scenario {
    /// Its name: the value of `load.scenario`.
    pub name: String,
    /// Where the load goes, unless the run says otherwise.
    pub target: Option<String>,
    /// The path that must answer with a status below 400 before the load starts; without it, the target must
    /// accept a connection.
    pub health: Option<String>,
    /// The kinds of users.
    pub users: Vec<UserKind>,
    /// All phases, in the order of the file.
    pub phases: Vec<Phase>,
    /// The modes, in the order of the file.
    pub modes: Vec<Mode>,
    pub(crate) data: Vec<Arc<DataSet>>,
    /// What is done once, before the first phase.
    pub(crate) before_run: Vec<Item>,
    /// What is done once, after the last phase.
    pub(crate) after_run: Vec<Item>,
    pub(crate) setup: Vec<Item>,
    /// What an iteration does: first the scenario's `flow`, then the named ones of `flows`.
    pub(crate) flows: Vec<Flow>,
    /// The request steps of the setup, by their ids.
    pub(crate) setup_steps: Range<usize>,
    /// What every request step is called, by its id: the value of `load.step`.
    pub(crate) steps: Vec<StepName>,
    /// What every check is called, by its id.
    pub(crate) checks: Vec<CheckName>,
    /// Statuses after which a user goes through `setup` again before the next iteration.
    pub(crate) renew_on: Vec<u16>,
    pub(crate) tls: crate::client::tls::TlsFiles,
    pub(crate) version: crate::client::protocol::Version,
    pub(crate) proxy: Option<crate::client::proxy::Proxy>,
    /// The model's tokenizer, if the scenario names one.
    pub(crate) tokenizer: Option<Arc<tokenizer::Tokenizer>>,
    /// Where connections go, other than where their host is.
    pub(crate) routes: Vec<crate::client::route::Route>,
}

/// A kind of users.
#[derive(Debug)]
pub struct UserKind {
    /// Its name.
    pub name: String,
    /// Its share among all users is this over the sum of all weights.
    pub weight: u32,
    /// What its iterations do in phases without a flow of their own: the place in the scenario's list.
    pub(crate) flow: usize,
    pub(crate) vars: Vec<(String, Text)>,
}

/// A phase of the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name: the value of `load.phase`.
    pub name: String,
    /// How iterations are started.
    pub executor: Executor,
    /// Whether verdicts leave it out.
    pub warmup: bool,
    /// How long iterations may take to end after the phase's time.
    pub graceful_stop: Duration,
    /// What think times are multiplied by.
    pub think: f64,
    /// The least time between the starts of two iterations of a user.
    pub(crate) pacing: Option<Think>,
    /// The place of its flow in the scenario's list.
    pub(crate) flow: usize,
}

/// A list of things to do in one iteration.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Its name; empty for the scenario's own.
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
    /// Its request steps, by their ids.
    pub(crate) steps: Range<usize>,
}

/// What a phase says about its iterations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct IterationShape {
    /// What think times are multiplied by.
    pub(crate) think: f64,
    /// The least time from the start of an iteration to the start of the next.
    pub(crate) pacing: Option<Think>,
    /// The place of the flow in the scenario's list.
    pub(crate) flow: usize,
}

impl Phase {
    /// The name of its flow; empty for the scenario's own.
    #[must_use]
    pub fn flow_name<'s>(&self, scenario: &'s Scenario) -> &'s str {
        scenario.flows.get(self.flow).map_or("", |flow| flow.name.as_str())
    }

    pub(crate) fn iteration(&self) -> IterationShape {
        IterationShape { think: self.think, pacing: self.pacing, flow: self.flow }
    }
}

/// A named choice of phases.
#[derive(Clone, Debug)]
pub struct Mode {
    /// Its name.
    pub name: String,
    /// Its phases, in order, with what the mode changes in them.
    pub phases: Vec<Phase>,
    /// The search or the sweep that follows its phases.
    pub capacity: Option<Capacity>,
}

/// The name of a step, with what its series can be foreseen to be.
#[derive(Clone, Debug)]
pub(crate) struct StepName {
    pub(crate) name: String,
    pub(crate) method: String,
    /// The status that is expected.
    pub(crate) status: u16,
    pub(crate) is_stream: bool,
    /// Whether a response of the expected status can fail a check or a capture.
    pub(crate) has_checks: bool,
    /// The operation that `gen_ai` metrics name.
    pub(crate) operation: &'static str,
}

/// A check, and the step it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct CheckName {
    pub(crate) step: usize,
    pub(crate) name: String,
}

impl Scenario {
    /// Reads a scenario from a file, or a shipped pack by its name. A directory stands for the
    /// `scenario.yml` in it.
    ///
    /// # Errors
    /// All that is wrong with the file and the data files it names, each with its position.
    pub fn load(path_or_pack: &str) -> Result<Self, Diagnostics> {
        Self::load_with(path_or_pack, &[])
    }

    /// The same, for a run that is given these variables in addition to the environment's.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_with(path_or_pack: &str, variables: &[String]) -> Result<Self, Diagnostics> {
        let path = Path::new(path_or_pack);
        if let Some(pack) = pack(path_or_pack) {
            return pack.load_with(variables);
        }
        let path = if path.is_dir() { path.join("scenario.yml") } else { path.to_owned() };
        let document = Document::read(&path).map_err(|e| pack::with_known_packs(e, path_or_pack))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let read = |name: &str| std::fs::read(folder.join(name)).map_err(|e| e.to_string());
        let large = |name: &str| {
            let path = folder.join(name);
            let length = std::fs::metadata(&path).map_or(0, |file| file.len());
            (length >= data::LARGE).then_some(path)
        };
        parse::scenario(&document, &parse::Files { read: &read, large: &large, folder: &folder, variables })
    }

    /// Reads a scenario from texts: its file's and, by name, its data files'.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn from_text(file: &str, text: &str, data: &[(&str, &str)]) -> Result<Self, Diagnostics> {
        let document = Document::parse(file, text)?;
        let read = |name: &str| match data.iter().find(|(n, _)| *n == name) {
            Some((_, text)) => Ok(text.as_bytes().to_vec()),
            None => Err("there is no such file".to_owned()),
        };
        parse::scenario(&document, &parse::Files::in_memory(&read, &[]))
    }

    /// The phases of a mode; a phase's name stands for itself.
    ///
    /// # Errors
    /// Where there is neither, with the nearest name there is.
    pub fn mode(&self, name: &str) -> Result<Vec<Phase>, UnknownName> {
        if let Some(mode) = self.modes.iter().find(|m| m.name == name) {
            return Ok(mode.phases.clone());
        }
        self.phase(name).map(|p| vec![p]).map_err(|_| {
            let known = self.modes.iter().map(|m| m.name.as_str());
            UnknownName::new("mode", name, known.chain(self.phases.iter().map(|p| p.name.as_str())))
        })
    }

    /// The search or the sweep of a mode, where it has one; `None` stands for the mode that runs where none is
    /// named.
    #[must_use]
    pub fn capacity(&self, mode: Option<&str>) -> Option<&Capacity> {
        let name = mode.unwrap_or("default");
        self.modes.iter().find(|m| m.name == name)?.capacity.as_ref()
    }

    /// A phase by its name.
    ///
    /// # Errors
    /// Where there is none, with the nearest name there is.
    pub fn phase(&self, name: &str) -> Result<Phase, UnknownName> {
        let found = self.phases.iter().find(|p| p.name == name).cloned();
        found.ok_or_else(|| UnknownName::new("phase", name, self.phases.iter().map(|p| p.name.as_str())))
    }

    /// The phases of a run that names neither a mode nor phases: those of the mode `default`, or all.
    #[must_use]
    pub fn default_phases(&self) -> Vec<Phase> {
        let mode = self.modes.iter().find(|m| m.name == "default");
        mode.map_or_else(|| self.phases.clone(), |m| m.phases.clone())
    }

    /// The names of the steps that an iteration of the phase may come to, in order.
    pub fn steps_of(&self, phase: &Phase) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().enumerate().filter(|(id, _)| self.is_in_flow_of(phase, *id));
        steps.map(|(_, step)| step.name.as_str())
    }

    /// Whether iterations of the phase are there for the step with this id, which the setup's are not.
    pub(crate) fn is_in_flow_of(&self, phase: &Phase, step: usize) -> bool {
        let mut kinds = self.users.iter();
        kinds.any(|kind| self.flow(phase.flow, kind.flow).is_some_and(|flow| flow.steps.contains(&step)))
    }

    /// Whether an iteration of the phase may come to the step with this id.
    pub(crate) fn is_step_of(&self, phase: &Phase, step: usize) -> bool {
        self.setup_steps.contains(&step) || self.is_in_flow_of(phase, step)
    }

    /// The flow of an iteration: the phase's if it names one, else that of the kind of user.
    pub(crate) fn flow(&self, of_phase: usize, of_kind: usize) -> Option<&Flow> {
        self.flows.get(if of_phase > 0 { of_phase } else { of_kind })
    }

    /// The names of the request steps, in the order of the flow.
    pub fn step_names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|s| s.name.as_str())
    }
}

/// A name that a scenario does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {name:?}{}", hint(.near.as_deref(), .known))]
pub struct UnknownName {
    /// What was looked for: a mode, a phase, an executor.
    pub what: &'static str,
    /// The name that was given.
    pub name: String,
    /// The nearest name that there is.
    pub near: Option<String>,
    /// All names that there are.
    pub known: Vec<String>,
}

impl UnknownName {
    fn new<'k>(what: &'static str, name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        let near = assay_yaml::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        Self { what, name: name.to_owned(), near, known }
    }
}

fn hint(near: Option<&str>, known: &[String]) -> String {
    match near {
        Some(near) => format!("; did you mean {near:?}?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}
