//! `loadgen import`.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use assay_text::console;
use clap::Subcommand;
use loadgen::import::{self, ImportError, Imported};

use super::exit;

/// What a scenario is made of.
#[derive(Debug, Subcommand)]
pub(super) enum Source {
    /// An OpenAPI 3 document, in YAML or JSON: a step for each operation, with examples as values
    Openapi {
        /// The document; - for the standard input
        file: PathBuf,
        /// Write the scenario to FILE, which must not exist, instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// A HAR file, as browsers save what they loaded: a step for each request, with the pauses between them
    Har {
        /// The file; - for the standard input
        file: PathBuf,
        /// Take the requests to other origins than that of the first, too
        #[arg(long)]
        all_origins: bool,
        /// Write the scenario to FILE, which must not exist, instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// A curl command: in quotes as one argument, or as it is
    Curl {
        /// Write the scenario to FILE, which must not exist, instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The command, such as 'curl -d a=b http://127.0.0.1:8000/'
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// Makes a scenario.
pub(super) fn import(source: &Source) -> u8 {
    let behind_out;
    let (result, out) = match source {
        Source::Openapi { file, out } => (of_file(file, import::openapi), out),
        Source::Har { file, all_origins: false, out } => (of_file(file, import::har), out),
        Source::Har { file, all_origins: true, out } => (of_file(file, import::har_of_all_origins), out),
        Source::Curl { command, out } => {
            // What follows a command in quotes is no longer curl's.
            let (command, behind) = match command.as_slice() {
                [one, option, file] if option == "--out" => (std::slice::from_ref(one), Some(file)),
                [one, option] if option.starts_with("--out=") => (std::slice::from_ref(one), Some(option)),
                words => (words, None),
            };
            let result = match command {
                [one] => import::curl(one),
                words => import::curl_words(words),
            };
            behind_out = behind.map(|file| PathBuf::from(file.trim_start_matches("--out=")));
            (result.map_err(|e| e.to_string()), if behind_out.is_some() { &behind_out } else { out })
        }
    };
    match result.and_then(|made| write(&made, out.as_deref())) {
        Ok(code) => code,
        Err(message) => {
            console::say_lines(message);
            exit::BAD_INPUT
        }
    }
}

/// What a file is made into.
pub(super) fn of_file(
    file: &Path,
    make: impl Fn(&str, &str) -> Result<Imported, ImportError>,
) -> Result<Imported, String> {
    let name = file.display().to_string();
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|e| format!("{name}: {e}"))?;
    make(&name, &text).map_err(|e| e.to_string())
}

fn write(made: &Imported, out: Option<&Path>) -> Result<u8, String> {
    let mut code = exit::DONE;
    match out {
        None => code = super::print(&made.text, code),
        Some(path) => {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            // What was not recognized as a secret may be one.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options
                .open(path)
                .and_then(|mut f| std::io::Write::write_all(&mut f, made.text.as_bytes()))
                .map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    tell(made);
    Ok(code)
}

/// Says what is to be known of a scenario that was made.
pub(super) fn tell(made: &Imported) {
    for note in &made.notes {
        console::say(format_args!("loadgen: {note}"));
    }
    if !made.variables.is_empty() {
        let names = made.variables.join(", ");
        console::say(format_args!("loadgen: before a run, set the environment variables {names}"));
    }
}
