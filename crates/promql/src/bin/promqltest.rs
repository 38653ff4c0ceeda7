//! `promqltest FILE…`: runs `.test` files. One line for each evaluation that fails, then `N passed, N failed`.
//!
//! Invariant: the exit code is 0 where all passed, 1 where one failed, 2 where a file could not be read or the
//! output not be written.

use std::{fmt, io::Write as _, process::ExitCode};

use assay_promql::{Engine, EngineOptions, promqltest};

/// Prints a line; false if it cannot be written. A reader that has gone is no error.
fn print(line: fmt::Arguments<'_>) -> bool {
    writeln!(std::io::stdout().lock(), "{line}")
        .map_or_else(|e| e.kind() == std::io::ErrorKind::BrokenPipe, |()| true)
}

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() || files.iter().any(|f| f.starts_with('-')) {
        eprintln!("usage: promqltest FILE…\n\nRuns PromQL tests written in Prometheus' .test language.");
        return ExitCode::from(2);
    }
    let engine = Engine::new(EngineOptions::default());
    let (mut passed, mut failed, mut unreadable, mut is_printed) = (0, 0, false, true);
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                unreadable = true;
                continue;
            }
        };
        match promqltest::run(&text, &engine) {
            Err(errors) => {
                for error in errors {
                    eprintln!("{file}:{error}");
                }
                unreadable = true;
            }
            Ok(report) => {
                passed += report.passed;
                failed += report.failures.len();
                for f in report.failures {
                    is_printed &= print(format_args!("{file}:{}: {}: {}", f.line, f.what, f.message));
                }
            }
        }
    }
    is_printed &= print(format_args!("{passed} passed, {failed} failed"));
    match (unreadable || !is_printed, failed) {
        (true, _) => ExitCode::from(2),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    }
}
