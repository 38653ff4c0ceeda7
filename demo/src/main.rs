//! `demo`: the whole loop in one process. `demo serve`: the service under test alone.

mod cli;
mod telemetry;
mod whole_loop;

use std::process::ExitCode;

use assay_text::console;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            console::say_lines(format_args!("demo: {e:#}"));
            ExitCode::from(cli::BAD_INPUT)
        }
    }
}
