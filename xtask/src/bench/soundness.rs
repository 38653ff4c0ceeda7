//! Whether the shipped rules and the SLA are silent on a service that is well, and speak when it is not.
//!
//! The first half runs the demo many times, at a seed each; the second plants a fault in the real service, or in the
//! generator, and asks which alerts fired, and what was found first. Invariant: what is named in [`FAULTS`] must fire; what fires
//! besides is shown. Rules with windows of hours (ErrorBudgetBurnSlow, ProcessMemoryLeak) are left to the rules' unit tests. The same
//! matrix on simulated runs, which take no service and no time, is a test of the crate that judges.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

mod faults;

use self::faults::{Act, FAULTS, Fault, Load};
use super::reference::wait_until_ok;
use crate::{
    folder,
    process::{Process, free_port},
    shell,
};

/// What is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Soundness {
    /// Healthy runs of the demo, each at a seed of its own.
    #[arg(long, default_value_t = 30)]
    runs: u64,
    /// Runs at a time; the demo is idle most of its time.
    #[arg(long, default_value_t = 2)]
    lanes: usize,
    /// A folder with the programs, instead of building them.
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
    /// Only faults whose name contains this.
    #[arg(long)]
    fault: Option<String>,
    /// Leave out the faults.
    #[arg(long, conflicts_with = "fault")]
    healthy_only: bool,
    /// Leave out the faults that take the whole machine, so that the others can have many lanes.
    #[arg(long)]
    shared: bool,
    /// How often each fault is planted.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Ask simulated runs instead: ten of each cause, and twenty that are well.
    #[arg(long, conflicts_with_all = ["fault", "healthy_only"])]
    simulated: bool,
}

/// The test that simulates.
const SIMULATED: [&str; 9] =
    ["test", "--release", "-p", "assay-verdict", "--test", "verdicts", "matrix::matrix", "--", "--ignored"];

/// Rules about the host, whose load is everybody's.
const OF_THE_HOST: [&str; 3] = ["cpu.yml", "memory.yml", "gpu.yml"];

/// Where the programs are, and where runs go.
struct Bed {
    bin: PathBuf,
    dir: PathBuf,
}

/// Prints both tables.
pub(super) fn run(options: &Soundness) -> Result<()> {
    if options.simulated {
        return shell::run(shell::cargo(&SIMULATED).arg("--nocapture"));
    }
    let bin = match &options.bin {
        Some(bin) => bin.clone(),
        None => shell::build("release", &["demo", "exporter", "loadgen", "ruleseval"])?,
    };
    let dir = shell::root().join("target/bench/soundness");
    folder::fresh(&dir)?;
    let bed = Bed { bin, dir };
    let mut wrong = Vec::new();
    if options.fault.is_none() && options.runs > 0 {
        wrong.extend(healthy(&bed, options)?);
    }
    if !options.healthy_only {
        wrong.extend(faults(&bed, options)?);
    }
    ensure!(wrong.is_empty(), "not as it must be:\n{}", wrong.join("\n"));
    Ok(())
}

/// Does `work` for 0, 1, … up to `count`, several at a time, and yields the results in order.
fn in_lanes<T: Send>(
    count: usize,
    lanes: usize,
    work: &(dyn Fn(usize) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..lanes.max(1) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        return;
                    }
                    let result = work(i);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

fn healthy(bed: &Bed, options: &Soundness) -> Result<Vec<String>> {
    println!(
        "| seed | verdict | alerts of severity warning or above, but for the host's, and findings |\n|---|---|---|"
    );
    let count = usize::try_from(options.runs)?;
    let rows = in_lanes(count, options.lanes, &|i| {
        let seed = i + 1;
        let runs = bed.dir.join(format!("seed-{seed}"));
        let mut demo = Command::new(bed.bin.join("demo"));
        demo.args(["--plain", "--seed", &seed.to_string(), "--runs"]).arg(&runs);
        let _ = demo.output().context("demo")?;
        let verdict = verdict_of(&folder::only_entry(&runs)?.join("verdict.json"))?;
        let status = verdict["status"].as_str().unwrap_or_default().to_owned();
        let summary = verdict["summary"].as_str().unwrap_or_default().to_owned();
        let alerts: Vec<String> = raised(&verdict, true)
            .into_iter()
            .filter(|a| a.severity != "info" && !OF_THE_HOST.iter().any(|f| a.defined_at.contains(f)))
            .map(|a| a.title())
            .chain(findings(&verdict))
            .collect();
        Ok((seed, status, summary, alerts))
    })?;
    let mut wrong = Vec::new();
    for (seed, status, summary, alerts) in &rows {
        println!("| {seed} | {status} | {} |", alerts.join(", "));
        if status != "pass" || !alerts.is_empty() {
            wrong.push(format!("seed {seed}: {status}, {summary}; {}", alerts.join(", ")));
        }
    }
    let passed = rows.iter().filter(|r| r.1 == "pass").count();
    println!(
        "\n{passed} of {} runs passed, {} without an alert or a finding\n",
        rows.len(),
        rows.iter().filter(|r| r.3.is_empty()).count()
    );
    Ok(wrong)
}

fn faults(bed: &Bed, options: &Soundness) -> Result<Vec<String>> {
    let takes_all = |f: &Fault| f.name.contains("the machine");
    let is_chosen = |f: &&'static Fault| {
        options.fault.as_deref().is_none_or(|name| f.name.contains(name)) && !(options.shared && takes_all(f))
    };
    let (heavy, light): (Vec<&'static Fault>, Vec<&'static Fault>) =
        FAULTS.iter().filter(is_chosen).partition(|f| takes_all(f));
    ensure!(!heavy.is_empty() || !light.is_empty(), "no fault has such a name");
    // Each as often as was asked for, those of one fault in a row.
    let repeat = options.repeat.max(1);
    let all = |list: &[&'static Fault], lanes: usize| {
        in_lanes(list.len() * repeat, lanes, &|i| fired(bed, list[i / repeat], i % repeat))
    };
    let mut seen = all(&light, options.lanes)?;
    seen.extend(all(&heavy, 1)?);
    println!("| fault | fired, as it must | fired, too | findings |\n|---|---|---|---|");
    let mut wrong = Vec::new();
    let mut right = Vec::new();
    for (fault, seen) in light.iter().chain(&heavy).zip(seen.chunks(repeat)) {
        let must: BTreeSet<String> =
            fault.fires.iter().map(|(name, severity)| format!("{name}/{severity}")).collect();
        let mut count = 0;
        for seen in seen {
            let missing: Vec<_> = must.difference(&seen.alerts).cloned().collect();
            let found: Vec<_> = must.intersection(&seen.alerts).cloned().collect();
            let besides: Vec<_> = seen.alerts.difference(&must).cloned().collect();
            let findings = seen.findings.join(", ");
            println!("| {} | {} | {} | {findings} |", fault.name, found.join(", "), besides.join(", "));
            let first = seen.findings.first().map_or("nothing", String::as_str);
            match fault.finding {
                Some(finding) if first.starts_with(finding) => count += 1,
                Some(finding) => eprintln!("{}: {first} came first, and not {finding}", fault.name),
                None => {}
            }
            if !missing.is_empty() {
                wrong.push(format!("{}: {} did not fire", fault.name, missing.join(", ")));
            }
        }
        right.extend(fault.finding.map(|finding| (fault.name, finding, count)));
    }
    println!("\n| fault | must come first | first in |\n|---|---|---|");
    for (name, finding, count) in right {
        println!("| {name} | {finding} | {count} of {repeat} |");
        if count * 10 < repeat * 9 {
            wrong.push(format!("{name}: {finding} came first in {count} of {repeat}"));
        }
    }
    Ok(wrong)
}

/// The alerts that fired in a run with the fault, and what was found.
fn fired(bed: &Bed, fault: &Fault, number: usize) -> Result<Seen> {
    let dir = bed.dir.join(format!("{}-{number}", fault.name.replace(' ', "-")));
    std::fs::create_dir_all(&dir)?;
    let (service, exporter) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
    let serve = || {
        // Descriptors are limited, so that a leak of them is one within the run.
        let mut command = Command::new("bash");
        command
            .args(["-c", "ulimit -n 1024; exec \"$0\" serve --listen \"$@\""])
            .arg(bed.bin.join("demo"))
            .arg(&service)
            .args(fault.serve)
            .current_dir(shell::root());
        Process::start("service", &mut command, &dir)
    };
    let mut running = Some(serve()?);
    let mut watch = Command::new(bed.bin.join("exporter"));
    watch.args(["--web.listen-address", &exporter]);
    let _exporter = Process::start("exporter", &mut watch, &dir)?;
    // A service whose model is away answers, and is never ready.
    let path = if fault.serve.contains(&"--llm") { "health" } else { "ready" };
    wait_until_ok(&format!("http://{service}/{path}"))?;
    let runs = dir.join("runs");
    let (mut load, watcher) = drive(bed, fault, &dir, &service, &exporter, &runs)?;
    let mut loads = vec![Process::start("loadgen", &mut load, &dir)?];
    if let Some(mut command) = watcher {
        loads.push(Process::start("watcher", &mut command, &dir)?);
    }
    let mut others = Vec::new();
    if let Some((after_s, act)) = fault.act {
        std::thread::sleep(Duration::from_secs(after_s));
        match act {
            Act::KillService(back_s) => {
                running = None;
                if let Some(back_s) = back_s {
                    std::thread::sleep(Duration::from_secs(back_s));
                    running = Some(serve()?);
                }
            }
            Act::FreezeService => {
                if let Some(service) = &running {
                    service.signal(rustix::process::Signal::STOP)?;
                }
            }
            Act::PauseService(for_s) => {
                if let Some(service) = &running {
                    service.signal(rustix::process::Signal::STOP)?;
                    std::thread::sleep(Duration::from_secs(for_s));
                    service.signal(rustix::process::Signal::CONT)?;
                }
            }
            Act::OtherPrograms => {
                for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
                    let mut busy = Command::new("bash");
                    busy.args(["-c", "while :; do :; done"]);
                    others.push(Process::start("other", &mut busy, &dir)?);
                }
            }
            Act::FreezeLoad(for_s) => {
                loads[0].signal(rustix::process::Signal::STOP)?;
                std::thread::sleep(Duration::from_secs(for_s));
                loads[0].signal(rustix::process::Signal::CONT)?;
            }
            Act::KillLoad => drop(loads.remove(0)),
            Act::Plant(fault) => plant(&service, fault)?,
        }
    }
    for mut load in loads {
        load.wait()?;
    }
    drop(others);
    drop(running);
    let run = folder::only_entry(&runs)?;
    let ruleseval = |command: &str, json: &str| {
        let mut judge = Command::new(bed.bin.join("ruleseval"));
        let rules = shell::root().join("prometheus/rules/*.yml");
        judge.arg(command).arg(&run).arg("--rules").arg(rules).arg("--json").arg(dir.join(json));
        judge
    };
    ruleseval("backtest", "alerts.json").output().context("ruleseval backtest")?;
    let mut judge = ruleseval("eval", "verdict.json");
    if matches!(fault.load, Load::Demo) {
        judge.arg("--sla").arg(shell::root().join("prometheus/sla/clinical-rag.yml"));
    }
    judge.output().context("ruleseval eval")?;
    let alerts =
        raised(&verdict_of(&dir.join("alerts.json"))?, false).into_iter().map(|a| a.title()).collect();
    Ok(Seen { alerts, findings: findings(&verdict_of(&dir.join("verdict.json"))?) })
}

/// Plants a fault in a service that is up.
fn plant(service: &str, fault: &str) -> Result<()> {
    let post = |path: &str, body: &str, token: &str| -> Result<String> {
        let request = ureq::post(format!("http://{service}{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        let mut answer = request.content_type("application/json").send(body).context(path.to_owned())?;
        Ok(answer.body_mut().read_to_string()?)
    };
    let login = post("/login", r#"{"username": "admin", "password": "demo"}"#, "")?;
    let login: Value = serde_json::from_str(&login)?;
    post("/admin/fault", fault, login["access_token"].as_str().context("a token")?).map(drop)
}

/// What a fault left behind.
struct Seen {
    alerts: BTreeSet<String>,
    findings: Vec<String>,
}

/// The findings above info, the first first, each as its id and what it is about.
fn findings(verdict: &Value) -> Vec<String> {
    let list = verdict["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let serious = list.iter().filter(|f| f["severity"] != "info");
    serious.map(|f| format!("{} {}", text(f, "id"), text(f, "subject")).trim_end().to_owned()).collect()
}

/// The generator's command line, and that of the one that watches it.
fn drive(
    bed: &Bed,
    fault: &Fault,
    dir: &Path,
    service: &str,
    exporter: &str,
    runs: &Path,
) -> Result<(Command, Option<Command>)> {
    let loadgen = || {
        let mut command = Command::new(bed.bin.join("loadgen"));
        command.arg("run");
        command
    };
    let record = |command: &mut Command, more: &[String]| {
        command
            .args(["--target", &format!("http://{service}"), "--quiet", "--record"])
            .arg(runs)
            .arg("--scrape");
        command
            .args([format!("demo=http://{service}/metrics"), format!("exporter=http://{exporter}/metrics")]);
        command.args(more);
    };
    let own = |name: &str, text: &str| -> Result<PathBuf> {
        let path = dir.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let mut load = loadgen();
    match fault.load {
        Load::Demo => {
            load.args(["clinical-rag", "--mode", "demo"]);
            record(&mut load, &[]);
        }
        Load::Own(text, more) => {
            let more = more.iter().map(|argument| argument.replace("SERVICE", service));
            load.arg(own("scenario.yml", text)?).args(more);
            record(&mut load, &[]);
        }
        Load::Watched(text) => {
            let at = format!("127.0.0.1:{}", free_port()?);
            load.arg(own("scenario.yml", text)?).args(["--quiet", "--metrics-listen", &at]);
            load.args(["--target", &format!("http://{service}")]);
            let mut watcher = loadgen();
            watcher.arg(own("watcher.yml", "scenario: watcher\nflow: [{get: /health}, {think: 1s}]\nphases: {main: {executor: constant-vus, vus: 1, duration: 45s}}\n")?);
            record(&mut watcher, &[format!("loadgen=http://{at}/metrics")]);
            return Ok((load, Some(watcher)));
        }
    }
    Ok((load, None))
}

struct Raised {
    name: String,
    severity: String,
    defined_at: String,
}

impl Raised {
    fn title(&self) -> String {
        format!("{}/{}", self.name, self.severity)
    }
}

/// The alerts of a verdict or a backtest that fired, or were pending at the end if that is asked for, too.
fn raised(document: &Value, or_pending: bool) -> Vec<Raised> {
    let text = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
    let is_raised = |alert: &Value| {
        let instances = alert["instances"].as_array().map(Vec::as_slice).unwrap_or_default();
        instances.iter().any(|i| !i["fired_at_ms"].is_null() || (or_pending && i["ended_at_ms"].is_null()))
    };
    let alerts = document["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let raised = alerts.iter().filter(|a| is_raised(a) && a["name"] != "Watchdog");
    raised
        .map(|a| Raised {
            name: text(a, "name"),
            severity: text(a, "severity"),
            defined_at: text(a, "defined_at"),
        })
        .collect()
}

fn verdict_of(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}
