//! What is done to the programs that nobody would do who meant well: queries, clients, files, receivers and disks at
//! their worst, against the binaries as processes, with a table of what was allowed and what was measured.
//!
//! Invariant: a case passes by what can be observed from outside (exit code, signal, time, peak memory), never by what a
//! program says of itself; every case runs, whatever became of those before it.

mod clients;
mod endings;
mod files;
mod full;
mod kills;
mod leaving;
mod outputs;
mod queries;
mod quiet;
mod rig;
mod senders;

use anyhow::{Result, ensure};

use self::rig::Rig;

/// How much torment.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The profile that the programs are built with
    #[arg(long, default_value = "release")]
    build: String,
    /// Generated queries
    #[arg(long, default_value_t = 10_000)]
    queries: u64,
    /// Clients at once
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Recordings that are killed
    #[arg(long, default_value_t = 30)]
    kills: u64,
    /// Run directories in which bytes are changed
    #[arg(long, default_value_t = 550)]
    mutations: u64,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the cases of these groups
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Group>,
}

/// Cases that need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Recordings killed at any moment
    Kills,
    /// Data directories, descriptions and YAML that are damaged or hostile
    Files,
    /// Outputs that cannot be written, and limits of the system
    Outputs,
    /// A disk that is full from any call on
    Full,
    /// Servers that answer without end
    Senders,
    /// Queries that nobody should ask
    Queries,
    /// Clients of `ruleseval serve`
    Clients,
    /// Clients that leave during their query
    Leaving,
    /// What ends servers and their connections, and guessed passwords
    Endings,
}

/// A case, what it may take, and what it took.
struct Row {
    case: String,
    limit: String,
    measured: String,
    passed: bool,
}

/// The rows so far.
#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    /// Adds a case and prints it. A case that could not be run is one that failed.
    fn add(&mut self, case: &str, limit: &str, outcome: Result<(String, bool)>) {
        let (measured, passed) = match outcome {
            Ok(found) => found,
            Err(e) => (format!("{e:#}").replace('\n', " "), false),
        };
        eprintln!("{} {case}: {measured} (allowed: {limit})", if passed { "passed" } else { "FAILED" });
        self.0.push(Row { case: case.to_owned(), limit: limit.to_owned(), measured, passed });
    }

    /// As Markdown.
    fn print(&self) {
        println!("| case | allowed | measured | |\n|---|---|---|---|");
        for Row { case, limit, measured, passed } in &self.0 {
            let outcome = if *passed { "passed" } else { "**failed**" };
            let cells = [case, limit, measured].map(|cell| cell.replace('|', "\\|"));
            println!("| {} | {outcome} |", cells.join(" | "));
        }
    }
}

/// The cases of a group.
type Cases = fn(&Rig, &Options, &mut Table) -> Result<()>;

/// Runs all cases and prints their table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let rig = Rig::build(&options.build)?;
    let mut table = Table::default();
    let groups: [(Group, Cases); 9] = [
        (Group::Kills, kills::run),
        (Group::Files, files::run),
        (Group::Outputs, outputs::run),
        (Group::Full, full::run),
        (Group::Senders, senders::run),
        (Group::Queries, queries::run),
        (Group::Clients, clients::run),
        (Group::Leaving, |rig, _, table| leaving::run(rig, table)),
        (Group::Endings, |rig, _, table| endings::run(rig, table)),
    ];
    for (group, cases) in groups {
        if options.only.is_empty() || options.only.contains(&group) {
            cases(&rig, options, &mut table)?;
        }
    }
    println!("{}\n", crate::bench::machine::line());
    table.print();
    let failed = table.0.iter().filter(|row| !row.passed).count();
    ensure!(failed == 0, "{failed} of {} cases failed", table.0.len());
    Ok(())
}
