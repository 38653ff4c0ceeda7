//! The command line: node_exporter's switches, and ours.
//!
//! Invariant: there is one table of switches, [`GENERAL`] and those of the collectors; parsing, help and defaults come
//! from it, and every collector has `--collector.NAME` and `--no-collector.NAME` without being listed here.

mod general;

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use assay_text::console;
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use exporter::{Flag, Kind, Options, OptionsError, Paths, ServeOptions, Settings, WebConfig, collector};

use self::general::{EXCLUSIVE, GENERAL, IGNORED};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) options: Options,
    pub(crate) listen_addresses: Vec<String>,
    pub(crate) systemd_socket: bool,
    pub(crate) log_level: String,
    pub(crate) log_format: String,
    pub(crate) push: Option<exporter::PushOptions>,
    telemetry_path: String,
    max_requests: usize,
    web_config: Option<PathBuf>,
}

/// What is wrong with the command line, one problem a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ArgsError(Vec<String>);

const DISABLE_DEFAULTS: &str = "collector.disable-defaults";

impl Args {
    /// Reads the arguments; help, version and what clap refuses end the process.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let arguments = expand_files(arguments)?;
        let matches = command().try_get_matches_from(arguments);
        Self::from_matches(&matches.unwrap_or_else(|e| std::process::exit(i32::from(console::misused(&e)))))
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, ArgsError> {
        let mut problems = Vec::new();
        let mut settings = Settings::default();
        for flag in collector::flags() {
            if let Some(problem) = set(&mut settings, flag, matches).err() {
                problems.push(problem.to_string());
            }
        }
        for name in EXCLUSIVE {
            let (include, exclude) = (format!("{name}-include"), format!("{name}-exclude"));
            // Other systems' collectors lack them.
            if !collector::flags().any(|flag| flag.name == include) {
                continue;
            }
            let is_given = |name: &str| {
                let aliases =
                    collector::flags().filter(|f| f.kind == Kind::AliasOf(leak(name))).map(|f| f.name);
                aliases.chain([name]).any(|name| given(matches, name).is_some_and(|v| !v.is_empty()))
            };
            if is_given(&include) {
                if is_given(&exclude) {
                    problems
                        .push(format!("--{include} and --{exclude} cannot be combined; give one of them"));
                }
                // What is left out by default does not narrow what was asked for.
                let _ = settings.set(&exclude, &[""]);
            }
        }
        let collectors = collectors(matches, &mut problems);
        for entry in collector::REGISTRY.iter().filter(|entry| collectors.contains(entry.name)) {
            problems.extend((entry.check)(&settings).err());
        }
        let text = |name: &str| text(matches, name);
        let number = |name: &str, problems: &mut Vec<String>| {
            text(name).parse().unwrap_or_else(|_| {
                problems.push(format!("--{name}: \"{}\" is not a whole number of at least 0", text(name)));
                0usize
            })
        };
        let max_requests = number("web.max-requests", &mut problems);
        number("runtime.gomaxprocs", &mut problems);
        let telemetry_path = text("web.telemetry-path");
        if !telemetry_path.starts_with('/') || telemetry_path.contains(['{', '}', '*', '?', '#']) {
            problems.push(format!(
                "--web.telemetry-path: \"{telemetry_path}\" is not a plain path such as /metrics"
            ));
        }
        for (name, values) in general::CHOICES {
            let value = text(name);
            if !values.contains(&value.as_str()) {
                problems.push(format!("--{name}: \"{value}\" is none of {}", values.join(", ")));
            }
        }
        let push = push(matches, &mut problems);
        if !problems.is_empty() {
            return Err(ArgsError(problems));
        }
        let web_config = text("web.config.file");
        Ok(Self {
            options: Options {
                paths: Paths {
                    procfs: text("path.procfs").into(),
                    sysfs: text("path.sysfs").into(),
                    rootfs: text("path.rootfs").into(),
                    udev_data: text("path.udev.data").into(),
                },
                collectors,
                own_metrics: !is_on(matches, "web.disable-exporter-metrics", false),
                settings,
            },
            listen_addresses: list(matches, "web.listen-address"),
            systemd_socket: is_on(matches, "web.systemd-socket", false),
            log_level: text("log.level"),
            log_format: text("log.format"),
            push,
            telemetry_path,
            max_requests,
            web_config: (!web_config.is_empty()).then(|| web_config.into()),
        })
    }

    /// Path of the metrics.
    pub(crate) fn telemetry_path(&self) -> &str {
        &self.telemetry_path
    }

    /// How to serve.
    ///
    /// # Errors
    /// Where the web configuration is not valid.
    pub(crate) fn serve_options(&self) -> anyhow::Result<ServeOptions> {
        let web_config = self.web_config.as_deref().map(WebConfig::load).transpose()?.map(Arc::new);
        Ok(ServeOptions {
            telemetry_path: self.telemetry_path.clone(),
            max_requests: self.max_requests,
            web_config,
            ..ServeOptions::default()
        })
    }
}

/// A constant for comparison with the table's constants; there are few, once.
fn leak(name: &str) -> &'static str {
    collector::flags().find(|flag| flag.name == name).map_or("", |flag| flag.name)
}

fn set(settings: &mut Settings, flag: &Flag, matches: &ArgMatches) -> Result<(), OptionsError> {
    match flag.kind {
        Kind::Switch(default) => {
            let on = is_on(matches, flag.name, default);
            settings.set(flag.name, &[if on { "true" } else { "false" }])
        }
        Kind::AliasOf(name) => match given(matches, flag.name) {
            Some(text) => {
                tracing::warn!("--{} is an old name; use --{name}", flag.name);
                settings.set(name, &[&text])
            }
            None => Ok(()),
        },
        Kind::List(_) => match matches.get_many::<String>(flag.name) {
            Some(values) => settings.set(flag.name, &values.map(String::as_str).collect::<Vec<_>>()),
            None => Ok(()),
        },
        _ => match given(matches, flag.name) {
            Some(text) => settings.set(flag.name, &[&text]),
            None => Ok(()),
        },
    }
}

/// The collectors that run.
fn collectors(matches: &ArgMatches, problems: &mut Vec<String>) -> BTreeSet<&'static str> {
    for name in collector::absent() {
        if is_on(matches, &format!("collector.{name}"), false) {
            problems.push(OptionsError::AbsentCollector(name.to_owned()).to_string());
        }
    }
    let defaults = !is_on(matches, DISABLE_DEFAULTS, false);
    collector::REGISTRY
        .iter()
        .filter(|entry| is_on(matches, &format!("collector.{}", entry.name), defaults && entry.default_on))
        .map(|entry| entry.name)
        .collect()
}

fn push(matches: &ArgMatches, problems: &mut Vec<String>) -> Option<exporter::PushOptions> {
    let url = text(matches, "push");
    if url.is_empty() {
        return None;
    }
    let duration = |name: &str, problems: &mut Vec<String>| {
        let text = text(matches, name);
        let parsed = assay_model::duration::parse_ms(&text).ok().and_then(|ms| u64::try_from(ms).ok());
        Duration::from_millis(parsed.filter(|ms| *ms > 0).unwrap_or_else(|| {
            problems.push(format!("--{name}: \"{text}\" is not a duration such as 15s"));
            1
        }))
    };
    let interval = duration("push.interval", problems);
    let mut labels = Vec::new();
    for pair in list(matches, "push.label") {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => labels.push((name.to_owned(), value.to_owned())),
            _ => problems.push(format!("--push.label: \"{pair}\" is not a pair such as zone=eu")),
        }
    }
    match exporter::PushOptions::new(&url, interval, labels) {
        Ok(options) => Some(options),
        Err(problem) => {
            problems.push(format!("--push: {problem}"));
            None
        }
    }
}

/// Whether a switch is on; of `--x` and `--no-x` the last holds.
fn is_on(matches: &ArgMatches, name: &str, default: bool) -> bool {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if is_given(name) {
        true
    } else if is_given(&format!("no-{name}")) {
        false
    } else {
        default
    }
}

fn given(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn text(matches: &ArgMatches, name: &str) -> String {
    given(matches, name).unwrap_or_else(|| {
        let flag = GENERAL.iter().find(|flag| flag.name == name);
        match flag.map(|flag| flag.kind) {
            Some(Kind::Text(text) | Kind::Pattern(text) | Kind::Duration(text)) => text.to_owned(),
            Some(Kind::Number(n)) => n.to_string(),
            _ => String::new(),
        }
    })
}

fn list(matches: &ArgMatches, name: &str) -> Vec<String> {
    let default = GENERAL.iter().find(|flag| flag.name == name).map(|flag| flag.kind);
    match (matches.get_many::<String>(name), default) {
        (Some(values), _) => values.cloned().collect(),
        (None, Some(Kind::List(list))) => list.iter().map(|&text| text.to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// `@FILE` is replaced by the lines of the file, an argument each.
fn expand_files(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, ArgsError> {
    let mut out = Vec::new();
    for argument in arguments {
        let Some(path) = argument.to_str().and_then(|text| text.strip_prefix('@')) else {
            out.push(argument);
            continue;
        };
        let text =
            std::fs::read_to_string(path).map_err(|cause| ArgsError(vec![format!("@{path}: {cause}")]))?;
        out.extend(text.lines().filter(|line| !line.is_empty()).map(OsString::from));
    }
    Ok(out)
}

/// The parser of the whole table.
pub(crate) fn command() -> Command {
    let mut command = Command::new("exporter")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(110)
        .about("Shows this host's metrics to Prometheus, under node_exporter's and dcgm-exporter's names.")
        .after_help(general::AFTER_HELP)
        .next_help_heading("Exporter");
    for flag in GENERAL {
        command = add(command, flag);
    }
    command = command.next_help_heading("Collectors");
    for entry in collector::REGISTRY {
        let state = if entry.default_on { "on" } else { "off" };
        let help = format!("{} [default: {state}; --no-collector.{} turns it off]", entry.about, entry.name);
        command = switch(command, &format!("collector.{}", entry.name), &help);
    }
    command = command.next_help_heading("Collectors' options");
    for flag in collector::flags() {
        command = add(command, flag);
    }
    let absent = collector::absent().map(|name| format!("collector.{name}"));
    command = absent.fold(command, |command, name| switch(command, &name, ""));
    IGNORED.iter().fold(command, add)
}

fn add(command: Command, flag: &Flag) -> Command {
    let arg = Arg::new(flag.name).long(flag.name).hide(flag.help.is_empty());
    let help = |default: &str| match default {
        "" => flag.help.to_owned(),
        default => format!("{} [default: {default}]", flag.help),
    };
    let valued = |name: &'static str, default: &str| arg.clone().value_name(name).help(help(default));
    match flag.kind {
        Kind::Switch(on) => switch(command, flag.name, &help(if on { "on" } else { "" })),
        Kind::Text(default) => command.arg(valued("TEXT", default)),
        Kind::Pattern(default) => command.arg(valued("REGEX", default)),
        Kind::Duration(default) => command.arg(valued("DURATION", default)),
        Kind::Number(default) => command.arg(valued("N", &default.to_string())),
        Kind::List(default) => command.arg(valued("TEXT", &default.join(" ")).action(ArgAction::Append)),
        Kind::AliasOf(name) => command.arg(arg.value_name("TEXT").conflicts_with(name)),
    }
}

fn switch(command: Command, name: &str, help: &str) -> Command {
    let (on, off) = (name.to_owned(), format!("no-{name}"));
    let one = |id: &String| {
        let overridden = [on.clone(), off.clone()];
        Arg::new(id.clone()).long(id.clone()).action(ArgAction::SetTrue).overrides_with_all(overridden)
    };
    command.arg(one(&on).help(help.to_owned()).hide(help.is_empty())).arg(one(&off).hide(true))
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
