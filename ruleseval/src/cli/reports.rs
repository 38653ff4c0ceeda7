//! The files that verdicts are written to, an option for each format of [`FORMATS`].
//!
//! Invariant: no format is named here.

use std::path::PathBuf;

use assay_report::{FORMATS, Format};
use assay_verdict::eval::Evaluation;
use clap::{Arg, ArgMatches, Command, FromArgMatches, value_parser};

use super::output;

/// The formats that were asked for, with their files.
#[derive(Debug)]
pub(super) struct Reports(Vec<(&'static Format, PathBuf)>);

impl clap::Args for Reports {
    fn augment_args(command: Command) -> Command {
        command.args(FORMATS.iter().map(|format| {
            let file = Arg::new(format.name).long(format.name).value_name("FILE");
            file.value_parser(value_parser!(PathBuf)).help(format.about)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Reports {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = |format: &Format| matches.get_one::<PathBuf>(format.name).cloned();
        Ok(Self(FORMATS.iter().filter_map(|format| Some((format, file(format)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Reports {
    /// A format that was asked for and is of one run only, with charts.
    pub(super) fn of_one_run(&self) -> Option<&'static Format> {
        self.0.iter().map(|(format, _)| *format).find(|format| format.is_of_one_run())
    }

    /// Writes them all; whether one of them went to standard output.
    pub(super) fn write(&self, evaluations: &[Evaluation], several: bool) -> anyhow::Result<bool> {
        for (format, path) in &self.0 {
            output::write(path, &format.render(evaluations, several)?)?;
        }
        Ok(self.0.iter().any(|(_, path)| output::is_stdout(path)))
    }
}
