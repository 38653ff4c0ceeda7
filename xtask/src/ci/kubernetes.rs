//! The manifests for Kubernetes: built by kustomize where it is there, and their Jobs run as processes: four shards, the merge
//! and the judge, twice on one volume.
//!
//! Invariant: what runs is the command lines of the manifests, with what Kubernetes would put into them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use assay_yaml::{Document, Node};
use serde_json::Value;

use crate::{
    folder,
    process::{Process, free_port},
    server::Server,
    shell,
    yaml::{at, parse, text},
};

const MANIFESTS: &str = "deploy/kubernetes";
/// How much shorter than its mode a run is.
const TIME_SCALE: &str = "0.2";

/// Builds the overlays and runs the Jobs.
pub(super) fn run() -> Result<()> {
    if Command::new("kubectl").args(["kustomize", "--help"]).output().is_ok_and(|out| out.status.success()) {
        for overlay in overlays()? {
            let built = built(&overlay)?;
            let kinds = built.matches("\nkind: ").count();
            eprintln!("  {}: {kinds} objects", overlay.file_name().unwrap_or_default().to_string_lossy());
        }
    } else {
        eprintln!("left out: building the overlays: there is no kubectl");
    }
    let cluster = Cluster::start()?;
    for run in 1..=2 {
        let verdict = cluster.load_and_judge()?;
        eprintln!("  run {run} on the volume: {verdict}");
    }
    let kept = fs::read_dir(cluster.dir.join("runs"))?.filter_map(Result::ok);
    let merged = kept.filter(|e| e.path().join("report.html").is_file()).count();
    ensure!(merged == 2, "{merged} of 2 judged runs are on the volume");
    Ok(())
}

fn overlays() -> Result<Vec<PathBuf>> {
    let folder = shell::root().join(MANIFESTS).join("overlays");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    found.sort();
    Ok(found)
}

fn built(overlay: &Path) -> Result<String> {
    shell::output(Command::new("kubectl").arg("kustomize").arg(overlay))
}

/// What a cluster would give: a service, an exporter on the node, a volume.
struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    environment: BTreeMap<String, String>,
    exporter: u16,
    _processes: [Process; 2],
}

impl Cluster {
    fn start() -> Result<Self> {
        let bin = shell::build("dev", &["demo", "exporter", "loadgen", "ruleseval"])?;
        let dir = shell::root().join("target/kubernetes");
        folder::fresh(&dir)?;
        let (demo, exporter) = (free_port()?, free_port()?);
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new(bin.join("demo"));
        command.args(["serve", "--profile", "laptop", "--listen", &listen(demo)]);
        let mut service = Process::start("demo", &mut command, &dir)?;
        let mut command = Command::new(bin.join("exporter"));
        let watcher =
            Process::start("exporter", command.args(["--web.listen-address", &listen(exporter)]), &dir)?;
        Server::new(demo).wait_for("/health", &mut service)?;
        let mut environment = environment()?;
        let target = format!("http://{}", listen(demo));
        environment.insert("SCRAPE".to_owned(), format!("demo={target}/metrics"));
        environment.insert("TARGET".to_owned(), target);
        environment.insert("MODE".to_owned(), "demo".to_owned());
        environment.insert("HOST_IP".to_owned(), "127.0.0.1".to_owned());
        Ok(Self { dir, bin, environment, exporter, _processes: [service, watcher] })
    }

    /// All shards of the Job `load` at once, then the Job `judge`; yields the verdict in a sentence.
    fn load_and_judge(&self) -> Result<String> {
        let mut environment = self.environment.clone();
        let start = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
        environment.insert("START_AT".to_owned(), format!("{start:.0}"));
        let job = read("base/load.yaml", 0)?;
        let spec = at(job.root(), &["spec"])?;
        let shards: usize = text(at(spec, &["completions"])?)?.parse()?;
        ensure!(text(at(spec, &["parallelism"])?)? == shards.to_string(), "not all shards run at once");
        let container = at(spec, &["template", "spec", "containers", "0"])?;
        let mut running = Vec::new();
        for index in 0..shards {
            environment.insert("JOB_COMPLETION_INDEX".to_owned(), index.to_string());
            let mut command = Command::new(self.bin.join("loadgen"));
            command.args(self.arguments(container, "args", &environment)?);
            command.args(["--time-scale", TIME_SCALE]);
            running.push(Process::start("shard", &mut command, &self.dir)?);
        }
        for mut shard in running {
            let status = shard.wait()?;
            ensure!(status.success(), "a shard ended with {status}: {}", shard.post_mortem());
        }
        self.judge(&environment, shards)
    }

    fn judge(&self, environment: &BTreeMap<String, String>, shards: usize) -> Result<String> {
        let job = read("base/judge.yaml", 0)?;
        let pod = at(job.root(), &["spec", "template", "spec"])?;
        let merge = self.arguments(at(pod, &["initContainers", "0"])?, "command", environment)?;
        let (shell, arguments) = merge.split_first().context("no command")?;
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(shell);
        shell::output(command.args(arguments).env("PATH", path).envs(environment))?;
        let arguments = self.arguments(at(pod, &["containers", "0"])?, "args", environment)?;
        let status = Command::new(self.bin.join("ruleseval")).args(&arguments).arg("--quiet").status()?;
        let run = Path::new(arguments.get(1).context("no run")?);
        let json =
            |name: &str| -> Result<Value> { Ok(serde_json::from_str(&fs::read_to_string(run.join(name))?)?) };
        let (verdict, manifest) = (json("verdict.json")?, json("run.json")?);
        ensure!(manifest["parts"].as_array().map(Vec::len) == Some(shards), "the merged run has other parts");
        let code = ["pass", "fail", "", "inconclusive"].iter().position(|s| verdict["status"] == **s);
        ensure!(
            status.code() == code.and_then(|c| i32::try_from(c).ok()),
            "the judge ended with {status}: {}",
            verdict["summary"]
        );
        let rows = verdict["objectives"].as_array().context("no objectives")?;
        let missing: Vec<_> = rows
            .iter()
            .filter(|row| row["status"] == "inconclusive")
            .map(|row| row["reason"].to_string())
            .collect();
        ensure!(missing.is_empty(), "the shards did not record what the judge needs: {}", missing.join("; "));
        Ok(verdict["summary"].as_str().unwrap_or_default().to_owned())
    }

    /// A container's command line, its variables and places as they are here.
    fn arguments(
        &self,
        container: &Node,
        key: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<String>> {
        let list = at(container, &[key])?.as_seq().context("a list")?;
        list.iter()
            .map(|argument| {
                let mut argument = text(argument)?;
                for (name, value) in environment {
                    argument = argument.replace(&format!("$({name})"), value);
                }
                ensure!(!argument.contains("$("), "{argument}: nothing sets that variable");
                let runs = self.dir.join("runs").display().to_string();
                Ok(argument
                    .replace("/runs/", &format!("{runs}/"))
                    .replace("0.0.0.0:9464", "127.0.0.1:0")
                    .replace(":9100/", &format!(":{}/", self.exporter)))
            })
            .collect()
    }
}

/// The values that the Jobs get, from the file that their ConfigMap is made of.
fn environment() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(shell::root().join(MANIFESTS).join("base/run.env"))?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A document of a manifest.
fn read(name: &str, index: usize) -> Result<Document> {
    let text = fs::read_to_string(shell::root().join(MANIFESTS).join(name))?;
    parse(name, &text)?.into_iter().nth(index).context("no such document")
}

#[cfg(test)]
mod tests;
