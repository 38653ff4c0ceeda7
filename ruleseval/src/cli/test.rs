//! `ruleseval test`.

use std::path::PathBuf;

use assay_rules::unittest::{FileReport, RuleCoverage, TestOptions, TestReport, run_tests};
use assay_text::{console, document};
use regex::Regex;

use super::output;
use assay_report::tests_junit;

/// Run rule unit tests in promtool's format.
///
/// Exit codes: 0 all passed, 1 something failed, 2 bad input.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Test files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Run only the tests with a name in which this matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Show what differs and leave out what agrees
    #[arg(long)]
    diff: bool,
    /// Write JUnit XML; - for standard output
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell which rules no test touches
    #[arg(long)]
    coverage: bool,
    /// Evaluate a group at its own interval, where it has one; promtool does not
    #[arg(long)]
    own_intervals: bool,
    /// Let an expected alert match one that has more labels or annotations; promtool does not
    #[arg(long)]
    partial: bool,
}

/// Runs the tests and reports on them.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let options = TestOptions {
        run: args.run.clone(),
        own_intervals: args.own_intervals,
        partial_labels: args.partial,
        ..TestOptions::default()
    };
    let report = run_tests(&args.files, &options);
    let taken = args.junit.as_ref().is_some_and(|p| output::is_stdout(p));
    if let Some(path) = &args.junit {
        output::write(path, &tests_junit::render(&report)?)?;
    }
    let mut text: String = report.files.iter().map(|f| describe(f, args.diff)).collect();
    if args.coverage {
        text.push_str(&coverage(&report));
    }
    if taken {
        console::say_lines(text.trim_end());
    } else {
        output::print(&document(text))?;
    }
    // What could not be read was not tested.
    let is_bad_input = report.files.iter().any(|f| f.aborted.is_some());
    Ok(if is_bad_input { 2 } else { u8::from(!report.passed()) })
}

fn describe(file: &FileReport, diff: bool) -> String {
    let mut out = String::new();
    for warning in &file.warnings {
        out.push_str(&format!("{}: warning: {warning}\n", file.file));
    }
    if let Some(problems) = &file.aborted {
        out.push_str(&format!("{problems}\n"));
        return out;
    }
    let failed = file.cases.iter().filter(|c| !c.failures.is_empty()).count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    out.push_str(&format!(
        "{}: {verdict}, {} of {} tests passed\n",
        file.file,
        file.cases.len() - failed,
        file.cases.len()
    ));
    for case in file.cases.iter().filter(|c| !c.failures.is_empty()) {
        for failure in &case.failures {
            let place = failure.position.map_or_else(String::new, |p| format!(":{}:{}", p.line, p.col));
            let text = if diff {
                let lines: Vec<_> = failure.diff().iter().map(|l| format!("\n    {l}")).collect();
                format!("{}{}", failure.message, lines.concat())
            } else {
                failure.to_string()
            };
            out.push_str(&format!("{}{place}: {}: {text}\n", file.file, case.name));
        }
    }
    out
}

/// The rules that no test asserts anything of. A rule that several test files load is covered where one of them
/// covers it.
fn coverage(report: &TestReport) -> String {
    let mut rules: Vec<RuleCoverage> = Vec::new();
    for rule in report.files.iter().flat_map(|f| &f.coverage) {
        let same =
            |r: &&mut RuleCoverage| (&r.file, &r.group, r.number) == (&rule.file, &rule.group, rule.number);
        match rules.iter_mut().find(same) {
            Some(known) => {
                known.had_result |= rule.had_result;
                known.asserted |= rule.asserted;
                known.expected_to_fire |= rule.expected_to_fire;
            }
            None => rules.push(rule.clone()),
        }
    }
    let asserted = rules.iter().filter(|r| r.asserted).count();
    let mut out = format!("coverage: {asserted} of {} rules are asserted\n", rules.len());
    for rule in rules.iter().filter(|r| !r.asserted || !r.expected_to_fire) {
        let what = match (rule.asserted, rule.had_result) {
            (true, _) => "is never expected to fire",
            (false, true) => "has a result that nothing asserts",
            (false, false) => "never has a result",
        };
        out.push_str(&format!(
            "{}: group {:?}, rule {}, {:?} {what}\n",
            rule.file, rule.group, rule.number, rule.name
        ));
    }
    out
}
