//! Standard output, standard error and the log of a program.
//!
//! Invariant: a reader that has gone, or a full disk, is never a panic; what goes to standard error is clean.

#[cfg(unix)]
use std::sync::Arc;
use std::{
    ffi::OsString,
    fmt,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
};

use clap::{
    ArgMatches, Command, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    field::MakeExt as _,
    fmt::{format::debug_fn, layer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    escape::{Clean, document},
    secret,
};

/// Writes data to standard output. A reader that has seen enough and closed the pipe is no error.
///
/// # Errors
/// When the data cannot be written, as on a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(io::Error::new(e.kind(), format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Writes text to standard error that is clean already, such as a report.
pub fn show(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes one line to standard error.
pub fn say(message: impl fmt::Display) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{}", Clean(message));
}

/// Writes a message of several lines to standard error, such as all problems of a file.
pub fn say_lines(message: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", document(message.to_string()));
}

/// Prepares the process: a file that may not grow (SIGXFSZ) makes a write fail and does not end the program.
pub fn begin() {
    // A handler is enough, whatever it does: the write then fails with the reason, which the program says.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// A command line that was parsed.
pub struct CommandLine {
    command: fn() -> Command,
    matches: ArgMatches,
}

impl CommandLine {
    /// The program, its commands and its options by their long names, without secrets.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        rebuilt(&(self.command)(), &self.matches)
    }
}

/// Prepares the process and reads its command line, program name first; gives that line too.
///
/// # Errors
/// The exit code with which the program ends: help or the version was asked for, or something is wrong; either was printed.
pub fn parse<T: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(T, CommandLine), u8> {
    begin();
    let parsed = T::command().try_get_matches_from(arguments).and_then(|matches| {
        Ok((T::from_arg_matches(&matches)?, CommandLine { command: T::command, matches }))
    });
    parsed.map_err(|e| misused(&e))
}

/// Says what is wrong with a command line, without secrets, and gives exit code 2; help and the version go to standard
/// output, with 0.
#[must_use]
pub fn misused(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    show(&complaint(error));
    2
}

/// What clap says of a mistake, without secrets, and with nothing in it that steers a terminal.
fn complaint(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.trim_start_matches('-').split([' ', '=']).next(),
        _ => None,
    };
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(value)) = error.get(kind)
            && !value.is_empty()
        {
            let option = option.filter(|_| kind == ContextKind::InvalidValue);
            text = text.replace(value.as_str(), &Clean(shown(option, value)).to_string());
        }
    }
    document(text)
}

fn rebuilt(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let mut words = vec![command.get_name().to_owned()];
    push_words(command, matches, &mut words);
    words
}

/// What stands without a name comes first: an option may take all values that follow it.
fn push_words(command: &Command, matches: &ArgMatches, words: &mut Vec<String>) {
    let below = matches.subcommand().and_then(|(name, m)| Some((command.find_subcommand(name)?, m)));
    let mut options = Vec::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let long = argument.get_long();
        let out = if long.is_some() { &mut options } else { &mut *words };
        let name = long.map(|long| format!("--{long}"));
        if !argument.get_action().takes_values() {
            out.extend(name);
            continue;
        }
        for values in matches.get_raw_occurrences(id).into_iter().flatten() {
            out.extend(name.clone());
            out.extend(values.map(|v| shown(long, &v.to_string_lossy())));
        }
    }
    if let Some((command, matches)) = below {
        words.append(&mut options);
        words.push(command.get_name().to_owned());
        push_words(command, matches, words);
    }
    words.append(&mut options);
}

fn shown(option: Option<&str>, value: &str) -> String {
    match option {
        Some("header") => secret::redact_header(value),
        _ => secret::redact_text(value),
    }
}

/// Whether standard error shows colours: a terminal whose user has not asked for none (<https://no-color.org>).
#[must_use]
pub fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The log on standard error; `RUST_LOG` chooses how much.
#[must_use]
pub fn log<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", Clean(format_args!("{value:?}"))),
        name => write!(writer, "{name}={}", Clean(format_args!("{value:?}"))),
    });
    layer()
        .with_writer(io::stderr)
        // A log that cannot be written, such as on a full disk, would be reported on standard error, with a panic.
        .log_internal_errors(false)
        .with_ansi(has_colours())
        .fmt_fields(fields.delimited(" "))
        .with_filter(filter)
}

/// Starts the log. A second call, in a test or a program that logs already, changes nothing.
pub fn start_logging() {
    let _ = tracing_subscriber::registry().with(log()).try_init();
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn what_clap_says_has_no_secrets_and_steers_nothing() {
        let check = |arguments: &[&str], want: &str, not: &str| {
            let port = Arg::new("listen").long("listen").value_parser(clap::value_parser!(u16));
            let header = Arg::new("header").long("header").value_parser(["none"]);
            let command = Command::new("tool").arg(port).arg(header);
            let error = command.try_get_matches_from([&["tool"], arguments].concat()).expect_err("is wrong");
            let said = complaint(&error);
            assert!(said.contains(want) && !said.contains(not), "{said:?}");
            assert!(!said.contains('\u{1b}') && !said.lines().any(|l| l.starts_with("::")), "{said:?}");
        };
        let url = "http://me:pl4nted@h/?token=pl4nted";
        check(&["--listen", url], "'http://xxxxx@h/?token=xxxxx' for '--listen", "pl4nted");
        check(&[url], "argument 'http://xxxxx@h/?token=xxxxx'", "pl4nted");
        check(&["--header", "x-api-key=pl4nted"], "'x-api-key: xxxxx'", "pl4nted");
        check(&["--a\n::error::y\u{1b}[31m"], "\\u003a:error::y", "\n::");
    }

    #[test]
    fn a_command_line_is_rebuilt_without_its_secrets() {
        let command =
            Command::new("tool").arg(Arg::new("memory").long("max-memory").global(true)).subcommand(
                Command::new("eval")
                    .arg(Arg::new("runs").num_args(1..))
                    .arg(Arg::new("rules").long("rules").num_args(1..))
                    .arg(Arg::new("url").long("url").short('u'))
                    .arg(Arg::new("var").long("var").action(ArgAction::Append))
                    .arg(Arg::new("headers").long("header").action(ArgAction::Append))
                    .arg(Arg::new("quiet").long("quiet").short('q').action(ArgAction::SetTrue))
                    .arg(Arg::new("left").long("left").default_value("1")),
            );
        let words = "./bin/tool eval run -qu http://me:pw@h/?key=k --rules a b --header=X-Id:t --var PASSWORD=p --var a=b --max-memory 5%";
        let matches = command.clone().try_get_matches_from(words.split(' ')).expect("valid");
        assert_eq!(
            rebuilt(&command, &matches).join(" "),
            "tool --max-memory 5% eval run --rules a b --url http://xxxxx@h/?key=xxxxx --var PASSWORD=xxxxx --var a=b --header X-Id: xxxxx --quiet"
        );
    }
}
