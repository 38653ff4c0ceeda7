//! What is scraped into the record: `--scrape`, and lists of targets in files.
//!
//! Invariant: a list is read as Prometheus reads one (`file_sd_configs`), so that one file serves both.

use std::path::Path;

use assay_run::{RecordError, Target};
use assay_yaml::{Cx, Diagnostics, Document, Node};

use super::RunArguments;

/// The job of targets of a list that says none.
const JOB: &str = "service";

/// All targets that the arguments name.
pub(super) fn all(arguments: &RunArguments) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for text in &arguments.scrape {
        targets.push(one(text).map_err(|e| format!("--scrape: {e}"))?);
    }
    for path in &arguments.scrape_file {
        targets.extend(list(path).map_err(|problems| problems.to_string())?);
    }
    for target in &mut targets {
        target.convert_classic_histograms = arguments.convert_classic_histograms_to_nhcb;
    }
    Ok(targets)
}

/// `job=URL`, or a URL whose job is its host and port.
fn one(text: &str) -> Result<Target, RecordError> {
    match text.split_once('=').filter(|(job, _)| !job.contains("://")) {
        Some((job, url)) => Target::new(job, url),
        None => {
            let target = Target::new("scrape", text)?;
            Ok(Target { job: target.instance.clone(), ..target })
        }
    }
}

/// The targets of a file, in Prometheus' form: `[{targets: ["HOST:PORT"], labels: {job: NAME}}]`.
fn list(path: &Path) -> Result<Vec<Target>, Diagnostics> {
    let document = Document::read(path)?;
    let mut cx = Cx::new(&document);
    let mut found = Vec::new();
    if !document.root().is_null() {
        for group in cx.seq(document.root(), "a list of targets").unwrap_or_default() {
            read_group(&mut cx, group, &mut found);
        }
    }
    cx.finish()?;
    Ok(found)
}

fn read_group(cx: &mut Cx<'_>, node: &Node, found: &mut Vec<Target>) {
    let Some(mut map) = cx.map(node, "a group of targets") else { return };
    let addresses = map.require(cx, "targets").and_then(|n| Some((n, cx.strings(n)?)));
    let labels = map.get("labels").and_then(|n| cx.string_map(n, "the labels")).unwrap_or_default();
    map.finish(cx);
    let label = |name: &str| labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let Some((node, addresses)) = addresses else { return };
    for address in addresses {
        let scheme = label("__scheme__").unwrap_or("http");
        let url = format!("{scheme}://{address}{}", label("__metrics_path__").unwrap_or("/metrics"));
        match Target::new(label("job").unwrap_or(JOB), &url) {
            Ok(mut target) => {
                if let Some(instance) = label("instance") {
                    target.instance = instance.to_owned();
                }
                let own = labels.iter().filter(|(n, _)| !n.starts_with("__"));
                target.labels = own.filter(|(n, _)| n != "job" && n != "instance").cloned().collect();
                found.push(target);
            }
            Err(e) => cx.error(node, e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Target>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("targets.yml");
        std::fs::write(&path, text).expect("is written");
        list(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_list_is_prometheus_own() {
        let text = "- targets: [\"h:1\", \"i:2\"]\n  labels: {job: mine, zone: a, __metrics_path__: /m}\n- targets: [\"j:3\"]\n";
        let found = read(text).expect("reads");
        let short: Vec<_> =
            found.iter().map(|t| (t.job.as_str(), t.instance.as_str(), t.url.as_str())).collect();
        assert_eq!(
            short,
            [
                ("mine", "h:1", "http://h:1/m"),
                ("mine", "i:2", "http://i:2/m"),
                ("service", "j:3", "http://j:3/metrics"),
            ]
        );
        assert_eq!(found[0].labels, [("zone".into(), "a".into())]);
        assert!(read("# none by choice\n").expect("reads").is_empty());
    }

    #[test]
    fn every_mistake_has_its_place() {
        let said = read("- targets: [\"a b\"]\n- target: [\"x:1\"]\n").expect_err("is wrong");
        assert!(said.contains(":1:") && said.contains(":2:") && said.contains("targets"), "{said}");
    }
}
