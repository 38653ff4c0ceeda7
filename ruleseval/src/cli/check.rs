//! `ruleseval check`.

use std::path::PathBuf;

use assay_model::Queryable;
use assay_rules::{
    ReplayOptions, RuleFiles,
    lint::{self, CheckOptions, LINTS, LintSeverity},
    replay,
};
use assay_run::Run;
use assay_text::{Page, console};
use assay_yaml::Diagnostics;
use clap::ValueEnum;

use super::output;
use assay_verdict::sla;

/// Check rule files and SLA files, and lint rules.
///
/// Exit codes: 0 fine, 1 findings of --fail-on or higher, 2 a file that is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule files and SLA files
    #[arg(required_unless_present = "list", value_name = "FILE")]
    files: Vec<String>,
    /// A run to hold the rules to: missing series, short ranges, rates of gauges, alerts that never fire
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// The severity from which findings fail the check
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,
    /// Leave out the lints of these codes; a comment `# ruleseval: ignore CODE` leaves out one place
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    ignore: Vec<String>,
    /// List the lints
    #[arg(long)]
    list: bool,
}

/// [`LintSeverity`] for the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Info,
    Warning,
    Error,
    Never,
}

impl FailOn {
    fn is_reached(self, severity: LintSeverity) -> bool {
        match self {
            Self::Info => true,
            Self::Warning => severity >= LintSeverity::Warning,
            Self::Error => severity >= LintSeverity::Error,
            Self::Never => false,
        }
    }
}

/// Checks.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    if args.list {
        let lines: Vec<_> = LINTS
            .iter()
            .map(|l| {
                let needs = if l.needs_run { " (with --run)" } else { "" };
                format!("{:<8} {:<20} {}{needs}\n", l.severity.as_str(), l.code, l.about)
            })
            .collect();
        output::print(&lines.concat())?;
        return Ok(0);
    }
    if let Some(unknown) = args.ignore.iter().find(|c| !LINTS.iter().any(|l| l.code == *c)) {
        let hint = assay_yaml::nearest(unknown, LINTS.iter().map(|l| l.code));
        let hint = hint.map_or_else(|| "see --list".to_owned(), |h| format!("did you mean {h:?}?"));
        anyhow::bail!("--ignore: no lint has the code {unknown:?}; {hint}");
    }
    let (files, objectives) = read(&args.files)?;
    let run = args.run.as_ref().map(|path| Run::open(path)).transpose()?;
    let replayed = run.as_ref().map(|run| {
        let (start_ms, end_ms) = run.span().unwrap_or_default();
        replay(&run.database, &files, &ReplayOptions::new(start_ms, end_ms))
    });
    let without: Vec<&str> = args.ignore.iter().map(String::as_str).collect();
    let findings = lint::check(
        &files,
        &CheckOptions {
            run: run.as_ref().map(|r| &r.database as &dyn Queryable).zip(replayed.as_ref()),
            interval_ms: 0,
            without: &without,
        },
    );
    let mut text = Page::new();
    for finding in &findings {
        text.line(finding);
    }
    text.line(format_args!(
        "{} rules in {} groups, {objectives} objectives, {} findings",
        files.rules().count(),
        files.groups.len(),
        findings.len()
    ));
    output::print(&text.into_text())?;
    Ok(u8::from(findings.iter().any(|f| args.fail_on.is_reached(f.severity))))
}

/// The rules, and how many objectives the SLA files hold.
fn read(paths: &[String]) -> Result<(RuleFiles, usize), Diagnostics> {
    let (slas, rules): (Vec<_>, Vec<_>) = paths.iter().partition(|f| is_sla(f));
    match (RuleFiles::load(&rules), sla::read_files(&slas)) {
        (Ok(files), Ok(slas)) => {
            for warning in &files.warnings {
                console::say(format_args!("warning: {warning}"));
            }
            Ok((files, slas.iter().map(|s| s.objectives.len()).sum()))
        }
        (Err(mut problems), Err(more)) => {
            problems.extend(more);
            Err(problems)
        }
        (Err(problems), _) | (_, Err(problems)) => Err(problems),
    }
}

/// Whether a file is an SLA and no rule file: it has one of the keys that only an SLA has.
fn is_sla(file: &String) -> bool {
    const KEYS: [&str; 3] = ["sla:", "objectives:", "apiVersion: openslo/"];
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| KEYS.iter().any(|key| line.starts_with(key)))
}
