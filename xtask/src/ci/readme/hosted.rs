//! The README's blocks for GitHub Actions and GitLab CI, run as their runners would: inputs become variables, scripts run in
//! bash, and what they leave is where the runner looks for it.
//!
//! Invariant: an input that a block gives is one that the action or the template has.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use assay_yaml::{Document, Node};

use crate::{
    folder, shell,
    yaml::{at, parse, text},
};

type Values = BTreeMap<String, String>;

/// Runs both blocks, each in a folder of its own with `path` as PATH; yields the folders and how they ended.
pub(super) fn run(dir: &Path, path: &str) -> Result<Vec<(std::path::PathBuf, std::process::ExitStatus)>> {
    let readme = fs::read_to_string(shell::root().join("README.md"))?;
    Ok(vec![github(dir, path, &readme)?, gitlab(dir, path, &readme)?])
}

fn github(dir: &Path, path: &str, readme: &str) -> Result<(std::path::PathBuf, std::process::ExitStatus)> {
    let block = document("README.md", block(readme, "uses: OWNER/assay@")?)?;
    let steps = at(block.root(), &["jobs", "load", "steps"])?.as_seq().context("steps")?;
    let ours =
        steps.iter().find(|s| s.get("uses").and_then(Node::as_str).is_some_and(|u| u.contains("/assay@")));
    let given = values(at(ours.context("no step uses the action")?, &["with"])?)?;
    let action = document("action.yml", &read("action.yml")?)?;
    let inputs = inputs(at(action.root(), &["inputs"])?, &given)?;
    let folder = dir.join("github");
    folder::fresh(&folder)?;
    let step = &at(action.root(), &["runs", "steps"])?.as_seq().context("steps")?[0];
    let mut command = bash(at(step, &["run"])?.as_str().context("a script")?, &folder, path);
    for (name, value) in values(at(step, &["env"])?)? {
        command.env(name, filled(&value, "${{", "}}", &inputs)?);
    }
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_ACTION_PATH", shell::root())
        .env("GITHUB_OUTPUT", folder.join("outputs"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"));
    let status = command.status()?;
    let outputs = fs::read_to_string(folder.join("outputs")).context("no outputs")?;
    ensure!(outputs.contains("verdict=") && outputs.contains("run=assay/runs/"), "the outputs are {outputs}");
    let summary = fs::read_to_string(folder.join("summary")).context("no summary")?;
    ensure!(summary.contains("Query latency p99"), "the job's summary is {summary}");
    Ok((folder, status))
}

fn gitlab(dir: &Path, path: &str, readme: &str) -> Result<(std::path::PathBuf, std::process::ExitStatus)> {
    let block = document("README.md", block(readme, "component: $CI_SERVER_FQDN")?)?;
    let given = values(at(block.root(), &["include", "0", "inputs"])?)?;
    let template = read("templates/assay.yml")?;
    let documents = parse("templates/assay.yml", &template)?;
    let [header, jobs] = documents.as_slice() else { bail!("a template is two documents") };
    let inputs = inputs(at(header.root(), &["spec", "inputs"])?, &given)?;
    let folder = dir.join("gitlab");
    folder::fresh(&folder)?;
    // As in the image: the script is in the path.
    fs::create_dir(folder.join("bin"))?;
    std::os::unix::fs::symlink(shell::root().join("deploy/ci/assay-ci"), folder.join("bin/assay-ci"))?;
    let job = at(jobs.root(), &["assay"])?;
    let lines = at(job, &["script"])?.as_seq().context("a script")?;
    let script: Vec<&str> = lines.iter().filter_map(Node::as_str).collect();
    let path = format!("{}:{path}", folder.join("bin").display());
    let mut command = bash(&script.join("\n"), &folder, &path);
    for (name, value) in values(at(job, &["variables"])?)? {
        command.env(name, filled(&value, "$[[", "]]", &inputs)?);
    }
    let status = command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").status()?;
    let junit = at(job, &["artifacts", "reports", "junit"])?.as_str().context("a path")?;
    ensure!(folder.join(junit).is_file(), "the job leaves no {junit}");
    Ok((folder, status))
}

/// A script as a runner starts it.
fn bash(script: &str, folder: &Path, path: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path);
    command
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(shell::root().join(name)).with_context(|| name.to_owned())
}

/// The one document of a text.
fn document(name: &str, text: &str) -> Result<Document> {
    parse(name, text)?.into_iter().next().with_context(|| format!("{name} is empty"))
}

/// The YAML block of a page that contains a text.
fn block<'p>(page: &'p str, part: &str) -> Result<&'p str> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks
        .map(|(block, _)| block)
        .find(|block| block.contains(part))
        .with_context(|| format!("no block has {part}"))
}

/// A mapping of texts.
fn values(node: &Node) -> Result<Values> {
    let pairs = node.as_map().context("a mapping")?;
    pairs.iter().map(|(key, value)| Ok((text(key)?, text(value)?))).collect()
}

/// The values of all inputs: those given, else their defaults.
fn inputs(declared: &Node, given: &Values) -> Result<Values> {
    let mut out = Values::new();
    for (name, input) in declared.as_map().context("inputs")? {
        let name = name.as_str().context("a name")?;
        let default = input.get("default").and_then(Node::as_str);
        let value = given.get(name).map(String::as_str).or(default);
        out.insert(
            name.to_owned(),
            value.with_context(|| format!("the input {name} is not given"))?.to_owned(),
        );
    }
    let unknown: Vec<_> = given.keys().filter(|name| !out.contains_key(*name)).collect();
    ensure!(unknown.is_empty(), "there are no inputs {unknown:?}");
    Ok(out)
}

/// Puts inputs where a value names them between these marks.
fn filled(value: &str, open: &str, close: &str, inputs: &Values) -> Result<String> {
    let Some(name) = value.trim().strip_prefix(open).and_then(|v| v.strip_suffix(close)) else {
        return Ok(value.to_owned());
    };
    let name = name.trim().strip_prefix("inputs.").with_context(|| format!("{value}: not an input"))?;
    inputs.get(name).cloned().with_context(|| format!("there is no input {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_given_or_default_and_none_is_unknown() {
        let declared = document("t", "a: {default: x}\nb: {required: true}\n").expect("is YAML");
        let given = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let all = inputs(declared.root(), &given(&[("b", "2")])).expect("are there");
        assert_eq!(all, given(&[("a", "x"), ("b", "2")]));
        assert!(inputs(declared.root(), &given(&[])).is_err());
        assert!(inputs(declared.root(), &given(&[("b", "2"), ("c", "3")])).is_err());
        assert_eq!(filled("${{ inputs.a }}", "${{", "}}", &all).expect("is there"), "x");
        assert!(filled("${{ secrets.a }}", "${{", "}}", &all).is_err());
    }
}
