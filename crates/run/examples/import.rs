//! Makes a run of exposition text: `cargo run -p assay-run --example import -- FILE… OUT`.

use std::{env, path::PathBuf, process::ExitCode};

use assay_run::import::{ImportOptions, import};

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let Some(out) = files.pop().filter(|_| !files.is_empty()) else {
        eprintln!("usage: import FILE… OUT");
        return ExitCode::from(2);
    };
    match import(&files, &out, &ImportOptions::default()) {
        Ok(run) => {
            println!("{}: {} samples of {} series", run.dir.display(), run.stats.samples, run.stats.series);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
