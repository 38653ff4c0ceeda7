//! One side of a comparison: a baseline file, a run, or several. Invariant: a file's figures are those of the runs that it was made
//! from, so that it decides as they would.

use std::path::{Path, PathBuf};

use assay_run::{Run, folder};

use crate::{
    baseline::BaselineFile,
    eval::{EvalError, run_info, standards_of},
    measure::{self, Batching, Measure, MeasuredRun, Part},
    verdict::RunInfo,
};

/// What a path is.
pub(super) enum Given {
    /// A run that can be measured.
    Run(Box<(Run, RunInfo)>),
    /// Runs that were measured.
    File(BaselineFile),
}

impl Given {
    /// Opens what a path is: a folder of runs means its newest that has ended.
    pub(super) fn open(path: &Path) -> Result<Self, EvalError> {
        if path.is_file() {
            return Ok(Self::File(BaselineFile::read(path)?));
        }
        let run = Run::open(&folder::choose(path, None)?.path)?;
        let info = run_info(&run, &[], None)?;
        Ok(Self::Run(Box::new((run, info))))
    }

    /// The measures that it brings along: those of the run's own SLA, or of the file.
    pub(super) fn measures(&self) -> Result<Vec<Measure>, EvalError> {
        match self {
            Self::Run(run) => Ok(measure::of_objectives(&standards_of(&run.0.path)?.1)),
            Self::File(file) => Ok(file.measures().filter(|m| m.part == Part::Objective).cloned().collect()),
        }
    }

    /// What is known of its runs.
    pub(super) fn infos(&self) -> Vec<&RunInfo> {
        match self {
            Self::Run(run) => vec![&run.1],
            Self::File(file) => file.runs.iter().map(|r| &r.info).collect(),
        }
    }

    /// Its runs, measured.
    pub(super) fn measured(
        self,
        measures: &[Measure],
        batching: Batching,
    ) -> Result<Vec<MeasuredRun>, EvalError> {
        match self {
            Self::Run(run) => Ok(vec![measure::measure(&run.0, run.1, measures, batching)?]),
            Self::File(file) => Ok(file.runs),
        }
    }
}

/// Opens all paths of a side.
pub(super) fn open(paths: &[PathBuf]) -> Result<Vec<Given>, EvalError> {
    paths.iter().map(|path| Given::open(path)).collect()
}
