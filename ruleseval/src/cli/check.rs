//! `ruleseval check`.

use std::path::PathBuf;

use assay_rules::file::RuleFiles;
use assay_run::Run;
use assay_yaml::Diagnostics;

use super::output;
use crate::{
    lint::{Gravity, lint},
    sla,
};

/// Check rule files and SLA files, and lint rules.
///
/// Exit codes: 0 fine, 1 findings of --fail-on or graver, 2 a file that cannot be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule files and SLA files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// A run to hold the rules to: missing series, short ranges, rates of gauges
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// The gravity from which findings fail the check
    #[arg(long, value_enum, default_value_t = Gravity::Warning)]
    fail_on: Gravity,
}

/// Checks.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let (slas, rules): (Vec<_>, Vec<_>) = args.files.iter().partition(|f| is_sla(f));
    let mut problems = Diagnostics::default();
    let files = RuleFiles::load(&rules).unwrap_or_else(|found| {
        problems.extend(found);
        RuleFiles::default()
    });
    let mut text = String::new();
    match sla::read_files(&slas) {
        Ok(read) => {
            for sla in read {
                text.push_str(&format!("{}: {} objectives\n", sla.file, sla.objectives.len()));
            }
        }
        Err(found) => problems.extend(found),
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    for warning in &files.warnings {
        eprintln!("warning: {warning}");
    }
    let run = args.run.as_ref().map(|path| Run::open(path)).transpose()?;
    let findings = lint(&files, run.as_ref().map(|r| &r.database as &dyn assay_model::Queryable));
    for finding in &findings {
        text.push_str(&format!("{finding}\n"));
    }
    text.push_str(&format!(
        "{} groups, {} rules, {} findings\n",
        files.groups.len(),
        files.rules().count(),
        findings.len()
    ));
    output::print(&text)?;
    Ok(u8::from(findings.iter().any(|f| f.gravity >= args.fail_on)))
}

/// Whether a file is an SLA and no rule file: it has one of the keys that only an SLA has.
fn is_sla(file: &String) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|l| {
        l.starts_with("sla:") || l.starts_with("objectives:") || l.starts_with("apiVersion: openslo/")
    })
}
