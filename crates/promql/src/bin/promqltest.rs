//! `promqltest FILE…`: runs `.test` files. One line for each evaluation that fails, then `N passed, N failed`.
//!
//! Invariant: the exit code is 0 where all passed, 1 where one failed, 2 where a file could not be read.

use std::process::ExitCode;

use assay_promql::{Engine, EngineOptions, promqltest};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() || files.iter().any(|f| f.starts_with('-')) {
        eprintln!("usage: promqltest FILE…\n\nRuns PromQL tests written in Prometheus' .test language.");
        return ExitCode::from(2);
    }
    let engine = Engine::new(EngineOptions::default());
    let (mut passed, mut failed, mut unreadable) = (0, 0, false);
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
                    println!("{file}:{}: {}: {}", f.line, f.what, f.message);
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    match (unreadable, failed) {
        (true, _) => ExitCode::from(2),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    }
}
