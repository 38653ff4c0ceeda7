//! `loadgen init`: what someone needs to load a service of their own, to be changed by them.
//!
//! Invariants: no file is overwritten, and if one is in the way nothing is written; what is written is valid and runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assay_text::console;
use clap::ValueEnum;

use super::exit;

/// What the scenario is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Service {
    /// Pages or an API over HTTP
    Http,
    /// A model behind OpenAI's API
    Chat,
}

/// What is written.
#[derive(Debug, clap::Args)]
pub(super) struct InitArguments {
    /// The folder to write into
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// Where the service is
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// What kind of service it is
    #[arg(long, value_enum, default_value_t = Service::Http)]
    service: Service,
    /// Make the steps of an OpenAPI 3 document, in YAML or JSON
    #[arg(long, value_name = "FILE", conflicts_with = "service")]
    openapi: Option<PathBuf>,
}

/// The files, in the order in which they are best read.
type Files = Vec<(&'static str, String)>;

const HTTP: &str = include_str!("init/scenario.yml");
/// What the SLA is about in the scenarios that are written here.
const FRONT: &str = "{load_step=\"front\"}";

/// Writes the files that are not there.
pub(super) fn init(arguments: &InitArguments) -> u8 {
    let folder = &arguments.folder;
    match files(arguments).and_then(|files| write(folder, files)) {
        Ok(written) => {
            let list: String =
                written.iter().map(|name| format!("{}\n", folder.join(name).display())).collect();
            super::print(&list, exit::DONE)
        }
        Err(problems) => {
            console::say_lines(problems.join("\n"));
            exit::BAD_INPUT
        }
    }
}

fn files(arguments: &InitArguments) -> Result<Files, Vec<String>> {
    let mut sla = include_str!("init/sla.yml").to_owned();
    let mut scenario = match (&arguments.openapi, arguments.service) {
        (None, Service::Http) => HTTP.to_owned(),
        (None, Service::Chat) => include_str!("init/chat.yml").to_owned(),
        (Some(document), _) => {
            // What is promised is so of all operations together.
            sla = sla.replace(FRONT, "");
            of_document(document).map_err(|e| vec![e])?
        }
    };
    if let Some(target) = &arguments.target {
        scenario = with_target(&scenario, target).map_err(|e| vec![e])?;
    }
    Ok(vec![
        ("assay/scenario.yml", scenario),
        ("assay/sla.yml", sla),
        ("assay/rules.yml", include_str!("init/rules.yml").to_owned()),
        ("assay/targets.yml", include_str!("init/targets.yml").to_owned()),
        ("docker-compose.own.yml", include_str!("init/docker-compose.own.yml").to_owned()),
    ])
}

/// A scenario with the steps of a document, and the phases that the SLA judges.
fn of_document(document: &Path) -> Result<String, String> {
    let made = super::import::of_file(document, loadgen::import::openapi)?;
    let steps = made.text.rsplit_once("\nphases:").map_or(made.text.as_str(), |(steps, _)| steps);
    let phases = HTTP.split_once("\nphases:").map_or("", |(_, phases)| phases);
    super::import::tell(&made);
    Ok(format!("{steps}\nphases:{phases}"))
}

/// The same with another target.
fn with_target(scenario: &str, target: &str) -> Result<String, String> {
    let own = scenario.lines().find(|line| line.starts_with("target:"));
    let line = format!("target: {}", serde_json::Value::from(target));
    let changed = match own {
        Some(own) => scenario.replacen(own, &line, 1),
        None => scenario.replacen("\nflow:", &format!("\n{line}\nflow:"), 1),
    };
    // The target may be wrong; files that the steps name may not be there yet.
    let alone =
        format!("scenario: a\n{line}\nflow: [{{get: /}}]\nphases: {{p: {{executor: per-vu-iterations}}}}\n");
    loadgen::Scenario::from_text("--target", &alone, &[]).map_err(|e| e.to_string())?;
    Ok(changed)
}

fn write(folder: &Path, files: Files) -> Result<Vec<&'static str>, Vec<String>> {
    let (mut missing, mut problems) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let path = folder.join(name);
        match fs::read(&path) {
            // The override file comes with the sources.
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) => problems.push(format!(
                "{}: already exists and differs; move it, or choose another folder",
                path.display()
            )),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => missing.push((name, path, text)),
            Err(e) => problems.push(format!("{}: cannot be read: {e}", path.display())),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut written = Vec::new();
    for (name, path, text) in missing {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| vec![format!("{}: {e}", parent.display())])?;
        fs::write(&path, text).map_err(|e| vec![format!("{}: {e}", path.display())])?;
        written.push(name);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let arguments = InitArguments {
            folder: dir.path().to_owned(),
            target: None,
            service: Service::Http,
            openapi: None,
        };
        let write = || write(dir.path(), files(&arguments).expect("files"));
        assert_eq!(write().expect("writes").len(), 5);
        assert!(write().expect("finds its own").is_empty());
        fs::write(dir.path().join("assay/sla.yml"), "sla: mine\n").expect("is written");
        fs::remove_file(dir.path().join("assay/rules.yml")).expect("is removed");
        let problems = write().expect_err("is in the way");
        assert!(problems.len() == 1 && problems[0].contains("sla.yml"), "{problems:?}");
        assert!(!dir.path().join("assay/rules.yml").exists());
    }
}
