//! A format that `ruleseval eval` writes verdicts in, to a file of the user's choice.
//!
//! Invariant: options, help and the tests of what hostile text does come from the list of formats in the crate's root; nothing
//! else names one.

use assay_verdict::{charts::Charts, eval::Evaluation, verdict::Verdict};

use crate::html::HtmlError;

/// A format that verdicts can be written in.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// As in `--NAME FILE`.
    pub name: &'static str,
    /// What it is, for `--help`.
    pub about: &'static str,
    /// Writes it.
    pub render: Render,
}

/// What a format is a function of.
#[derive(Clone, Copy, Debug)]
pub enum Render {
    /// The verdicts of any number of runs, and whether several runs were asked for.
    Runs(fn(&[&Verdict], bool) -> Result<String, FormatError>),
    /// The verdict of one run, with its charts.
    Run(fn(&Verdict, &Charts) -> Result<String, FormatError>),
}

/// Why a format could not be written. Never in practice: a test renders each.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The template of the HTML report is broken.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// XML could not be written to memory.
    #[error(transparent)]
    Xml(#[from] std::io::Error),
}

impl Format {
    /// Whether it is of one run only, and has charts.
    #[must_use]
    pub fn is_of_one_run(&self) -> bool {
        matches!(self.render, Render::Run(_))
    }

    /// What was evaluated as text; `several` says whether several runs were asked for, some of which may have no verdict.
    ///
    /// # Errors
    /// Never in practice (see [`FormatError`]).
    pub fn render(&self, evaluations: &[Evaluation], several: bool) -> Result<String, FormatError> {
        match self.render {
            Render::Runs(render) => {
                render(&evaluations.iter().map(|e| &e.verdict).collect::<Vec<_>>(), several)
            }
            Render::Run(render) => evaluations.iter().map(|e| render(&e.verdict, &e.charts)).collect(),
        }
    }
}
