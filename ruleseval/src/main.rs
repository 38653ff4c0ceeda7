//! `ruleseval`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ruleseval::cli::run(std::env::args_os())
}
