//! `loadgen run --shards N`: the shards of one load as processes on this machine, with one view and one result.
//!
//! Invariant: a shard does what it would do with `--shard` on a machine of its own; only what is shown is joined here.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use assay_platform::ending::{self, Ending, Endings};
use assay_text::{Clean, Page, console, counted};
use loadgen::summary::seconds;
use serde::Deserialize;

use super::{RunArguments, SummaryKind, exit};

/// How long the shards have to get ready before the first phase.
const HEAD_START_MS: i64 = 3_000;
/// How often a line is shown.
const EVERY: Duration = Duration::from_secs(5);
/// Options with a value that are the shards' own here, and those without one.
const OWN: [&str; 4] = ["--shards", "--start-at", "--view", "--summary"];
const OWN_FLAGS: [&str; 2] = ["--quiet", "-q"];
/// What a shard says of its record.
const RECORDED: &str = "recorded: ";

/// How a shard stands, as it says each second.
#[derive(Clone, Default, Deserialize)]
struct Standing {
    elapsed_s: f64,
    phase: String,
    users: i64,
    requests: u64,
    errors: u64,
    rate_per_s: f64,
    p99_s: Option<f64>,
}

/// What is read of a shard's summary.
#[derive(Deserialize)]
struct Summary {
    requests: u64,
    errors: u64,
    dropped_iterations: u64,
    phases: Vec<Phase>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Phase {
    name: String,
    requests: u64,
    errors: u64,
    rate_per_s: f64,
    goodput_per_s: f64,
}

#[derive(Default)]
struct Shared {
    standings: Vec<Standing>,
    records: Vec<PathBuf>,
}

/// Runs the shards; the exit code is the worst of theirs.
pub(super) fn run(arguments: &RunArguments, count: u32) -> u8 {
    match start(arguments, count) {
        Ok(shards) => finish(arguments, shards),
        Err(e) => {
            console::say(format_args!("loadgen: the shards cannot be started: {e}"));
            exit::FAILED
        }
    }
}

struct Shards {
    children: Vec<Child>,
    shared: Arc<Mutex<Shared>>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// The arguments of this program as a shard gets them: without what each shard has of its own, and with `own`, in front of a
/// `--` if there is one.
fn passed_on(all: impl Iterator<Item = OsString>, own: &[String]) -> Vec<OsString> {
    let mut all = all.peekable();
    let mut out = Vec::new();
    while let Some(argument) = all.next_if(|argument| argument != "--") {
        let text = argument.to_string_lossy();
        if OWN.contains(&&*text) {
            all.next();
        } else if !OWN_FLAGS.contains(&&*text)
            && !OWN.iter().any(|own| text.strip_prefix(own).is_some_and(|rest| rest.starts_with('=')))
        {
            out.push(argument);
        }
    }
    out.extend(own.iter().map(OsString::from));
    out.extend(all);
    out
}

fn start(arguments: &RunArguments, count: u32) -> std::io::Result<Shards> {
    let program = std::env::current_exe()?;
    let start_ms = arguments.start_at.unwrap_or_else(|| assay_run::time::now_ms() + HEAD_START_MS);
    let start_at = assay_run::time::to_rfc3339(start_ms);
    let commands = (0..count).map(|index| {
        let shard = format!("{index}/{count}");
        let own = ["--shard", &shard, "--view", "json", "--summary", "json", "--start-at", &start_at];
        let mut command = Command::new(&program);
        command.args(passed_on(std::env::args_os().skip(1), &own.map(str::to_owned))).stdin(Stdio::null());
        command
    });
    spawn(commands.collect())
}

/// Starts all commands, or none of them.
fn spawn(commands: Vec<Command>) -> std::io::Result<Shards> {
    let shared = Arc::new(Mutex::new(Shared {
        standings: vec![Standing::default(); commands.len()],
        records: Vec::new(),
    }));
    let mut shards = Shards { children: Vec::new(), shared, readers: Vec::new() };
    for (index, mut command) in commands.into_iter().enumerate() {
        if let Err(e) = shards.add(index, &mut command) {
            shards.end();
            return Err(e);
        }
    }
    Ok(shards)
}

impl Shards {
    fn add(&mut self, index: usize, command: &mut Command) -> std::io::Result<()> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take();
        self.children.push(child);
        if let Some(stderr) = stderr {
            let shared = Arc::clone(&self.shared);
            let reader = thread::Builder::new().name("shard".to_owned());
            self.readers.push(reader.spawn(move || listen(index, stderr, &shared))?);
        }
        Ok(())
    }

    /// Ends the shards, which have sent nothing yet.
    fn end(self) {
        for mut child in self.children {
            // One that has ended cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.readers.into_iter().for_each(|reader| drop(reader.join()));
    }
}

/// Takes what a shard says: how it stands, where its record is, and what a person should know.
fn listen(index: usize, stderr: impl std::io::Read, shared: &Mutex<Shared>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(standing) = serde_json::from_str::<Standing>(&line) {
            shared.standings[index] = standing;
        } else if let Some(record) = line.strip_prefix(RECORDED) {
            shared.records.push(PathBuf::from(record));
        } else {
            console::say(format_args!("shard {index}: {}", Clean(&line)));
        }
    }
}

fn finish(arguments: &RunArguments, shards: Shards) -> u8 {
    let Shards { children, shared, readers } = shards;
    let ids: Vec<u32> = children.iter().map(Child::id).collect();
    pass_signals_on(ids);
    // Each is read by a thread of its own: none may wait for another to be read.
    let waiting: Vec<_> = children.into_iter().map(|child| thread::spawn(move || wait(child))).collect();
    let mut shown = Instant::now();
    while waiting.iter().any(|shard| !shard.is_finished()) {
        thread::sleep(Duration::from_millis(50));
        if shown.elapsed() >= EVERY && !arguments.quiet {
            shown = Instant::now();
            let standings = shared.lock().unwrap_or_else(PoisonError::into_inner).standings.clone();
            console::say(line(&standings));
        }
    }
    let ended: Vec<(u8, String)> =
        waiting.into_iter().map(|shard| shard.join().unwrap_or((exit::FAILED, String::new()))).collect();
    readers.into_iter().for_each(|reader| drop(reader.join()));
    let worst = ended.iter().map(|(code, _)| *code).max().unwrap_or(exit::FAILED);
    let printed = print(arguments.summary, &ended);
    let mut records = std::mem::take(&mut shared.lock().unwrap_or_else(PoisonError::into_inner).records);
    records.sort();
    worst.max(printed).max(merge(&records))
}

/// The exit code of a shard, and what it printed.
fn wait(mut child: Child) -> (u8, String) {
    let mut out = String::new();
    if let Some(stdout) = &mut child.stdout {
        // What is no text is no summary.
        let _ = stdout.read_to_string(&mut out);
    }
    let code = child.wait().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    (code.unwrap_or(exit::FAILED), out)
}

/// Hands requests to end the program to the shards; one from a terminal they have had already.
fn pass_signals_on(ids: Vec<u32>) {
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut endings) = Endings::watch() else { return };
            loop {
                if endings.next().await == Ending::Terminated {
                    for id in &ids {
                        // One that has ended needs none. On Windows each has had it, as from a terminal.
                        let _ = ending::request(*id, Ending::Terminated);
                    }
                }
            }
        });
    });
}

/// All shards in a line.
fn line(standings: &[Standing]) -> String {
    let sum = |of: fn(&Standing) -> u64| standings.iter().map(of).sum::<u64>();
    let longest = standings.iter().map(|s| s.elapsed_s).fold(0.0, f64::max);
    let p99 = standings.iter().filter_map(|s| s.p99_s).reduce(f64::max);
    format!(
        "[{longest:>5.0}s] {}: {} shards, {} users, {:.1} requests/s, p99 at most {}, {} failed of {}",
        standings.first().map_or("", |s| s.phase.as_str()),
        standings.len(),
        standings.iter().map(|s| s.users).sum::<i64>(),
        standings.iter().map(|s| s.rate_per_s).sum::<f64>(),
        p99.map_or_else(|| "–".to_owned(), seconds),
        sum(|s| s.errors),
        sum(|s| s.requests)
    )
}

/// Prints what the shards came to together.
fn print(kind: SummaryKind, ended: &[(u8, String)]) -> u8 {
    let text = match kind {
        SummaryKind::None => return exit::DONE,
        SummaryKind::Json => {
            let all: Vec<serde_json::Value> =
                ended.iter().filter_map(|(_, out)| serde_json::from_str(out).ok()).collect();
            format!("{:#}\n", serde_json::json!({ "shards": all }))
        }
        SummaryKind::Text => {
            let all: Vec<Summary> =
                ended.iter().filter_map(|(_, out)| serde_json::from_str(out).ok()).collect();
            text(&all)
        }
    };
    super::print(&text, exit::DONE)
}

fn text(all: &[Summary]) -> String {
    let mut out = Page::new();
    let sum = |of: fn(&Summary) -> u64| all.iter().map(of).sum::<u64>();
    out.line(format_args!(
        "{} shards: {}, {} failed, {} dropped",
        all.len(),
        counted(sum(|s| s.requests), "request"),
        sum(|s| s.errors),
        counted(sum(|s| s.dropped_iterations), "iteration")
    ));
    for (at, phase) in all.first().map_or(&[][..], |first| &first.phases).iter().enumerate() {
        let of: Vec<&Phase> = all.iter().filter_map(|s| s.phases.get(at)).collect();
        out.line(format_args!(
            "  {}: {}, {} failed, {:.1} requests/s, {:.1} good/s",
            phase.name,
            counted(of.iter().map(|p| p.requests).sum(), "request"),
            of.iter().map(|p| p.errors).sum::<u64>(),
            of.iter().map(|p| p.rate_per_s).sum::<f64>(),
            of.iter().map(|p| p.goodput_per_s).sum::<f64>()
        ));
    }
    for (index, summary) in all.iter().enumerate() {
        for warning in &summary.warnings {
            out.line(format_args!("warning: shard {index}: {warning}"));
        }
    }
    out.into_text()
}

/// Merges the records of the shards, where there are any.
fn merge(records: &[PathBuf]) -> u8 {
    let Some(first) = records.first() else { return exit::DONE };
    let mut name = first.clone().into_os_string();
    name.push("-merged");
    match assay_run::merge::merge(records, &PathBuf::from(name)) {
        Ok(merged) => {
            super::merge::warn(&merged);
            console::say(format_args!("merged: {}", merged.dir.display()));
            exit::DONE
        }
        Err(e) => {
            console::say(format_args!("loadgen: {e}"));
            exit::FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_gets_the_arguments_that_are_not_of_all_shards() {
        let check = |line: &str, want: &str| {
            let own = ["--shard".to_owned(), "0/2".to_owned()];
            let got = passed_on(line.split(' ').map(OsString::from), &own);
            let got: Vec<_> = got.iter().map(|a| a.to_string_lossy()).collect();
            assert_eq!(got.join(" "), want, "{line}");
        };
        check("run s.yml --shards 2 --seed 7 -q", "run s.yml --seed 7 --shard 0/2");
        check("run --view=json --summary text s.yml --quiet", "run s.yml --shard 0/2");
        // What is behind two dashes is no option, whatever it looks like.
        check("run --shards=2 -- s.yml", "run --shard 0/2 -- s.yml");
        check("run --shards 2 -- --quiet", "run --shard 0/2 -- --quiet");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn shards_end_when_one_of_them_cannot_be_started() {
        use std::io::Write as _;

        // The child reads what never comes, so that it lives until it is ended.
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut first = Command::new("cat");
        first.stdin(reader);
        assert!(spawn(vec![first, Command::new("/nowhere/loadgen")]).is_err());
        let error = writer.write_all(b"x").expect_err("nobody is there to read it");
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
}
