//! `loadgen import`.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use assay_text::console;
use clap::Subcommand;
use loadgen::import::{self, ImportError, Imported};

use super::exit;

/// The arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    #[command(subcommand)]
    source: Source,
    /// Write the scenario to FILE, which must not exist, instead of the standard output
    #[arg(long, value_name = "FILE", global = true)]
    out: Option<PathBuf>,
}

/// What a scenario is made of.
#[derive(Debug, Subcommand)]
enum Source {
    /// An OpenAPI 3 document, in YAML or JSON: a step for each operation, with examples as values
    Openapi {
        /// The document; - for the standard input
        file: PathBuf,
    },
    /// A HAR file, as browsers save what they loaded: a step for each request, with the pauses between them
    Har {
        /// The file; - for the standard input
        file: PathBuf,
        /// Take the requests to other origins than that of the first, too
        #[arg(long)]
        all_origins: bool,
    },
    /// A curl command: in quotes as one argument, or as it is
    Curl {
        /// The command, such as 'curl -d a=b http://127.0.0.1:8000/'
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// Makes a scenario.
pub(super) fn import(arguments: &ImportArguments) -> u8 {
    let mut out = arguments.out.as_deref();
    let made = match &arguments.source {
        Source::Openapi { file } => of_file(file, import::openapi),
        Source::Har { file, all_origins: false } => of_file(file, import::har),
        Source::Har { file, all_origins: true } => of_file(file, import::har_of_all_origins),
        Source::Curl { command } => {
            let (command, behind) = without_out(command);
            out = behind.or(out);
            let made = match command {
                [one] => import::curl(one),
                words => import::curl_words(words),
            };
            made.map_err(|e| e.to_string())
        }
    };
    match made.and_then(|made| write(&made, out)) {
        Ok(code) => code,
        Err(message) => {
            console::say_lines(message);
            exit::BAD_INPUT
        }
    }
}

/// What follows a command in quotes is no longer curl's: `'curl …' --out FILE`.
fn without_out(command: &[String]) -> (&[String], Option<&Path>) {
    let file = match command {
        [_, option, file] if option == "--out" => Some(file.as_str()),
        [_, option] => option.strip_prefix("--out="),
        _ => None,
    };
    (if file.is_some() { &command[..1] } else { command }, file.map(Path::new))
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
