//! Where output goes. Invariant: a file is there whole or not at all.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt::time::uptime};

use assay_report::terminal::TerminalOptions;

/// The path that stands for standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes a report to a file, or to standard output where the path is `-`.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if is_stdout(path) {
        return print(text);
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot be created", parent.display()))?;
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Prints data. A reader that has seen enough and closed the pipe is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("standard output"),
        _ => Ok(()),
    }
}

/// How a terminal report looks on standard output.
pub(super) fn terminal() -> TerminalOptions {
    let is_terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let width = terminal_size::terminal_size().map_or(120, |(w, _)| w.0);
    TerminalOptions { colour: is_terminal && !plain, width: width.clamp(60, 160) }
}

/// Logs go to standard error; `RUST_LOG` chooses how much.
pub(super) fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A second call, in a test or a program that logs already, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_timer(uptime())
        .try_init();
}

/// A command line as a shell takes it.
pub(super) fn shell(arguments: &[OsString]) -> String {
    let quote = |a: &OsString| {
        let text = a.to_string_lossy();
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c);
        if !text.is_empty() && text.chars().all(safe) {
            text.into_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let args = ["ruleseval", "query", "runs/a b", "up{job='x'}"].map(OsString::from);
        assert_eq!(shell(&args), r"ruleseval query 'runs/a b' 'up{job='\''x'\''}'");
    }

    #[test]
    fn a_file_is_written_whole_with_its_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b.json");
        write(&path, "{}").expect("writes");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "{}");
        assert_eq!(std::fs::read_dir(dir.path().join("a")).expect("lists").count(), 1);
    }
}
