//! What others' programs say of the files that they read: promtool and amtool of configuration and rules, the types that
//! Grafana publishes of the boards.
//!
//! Invariant: each is asked of the file as it ships; only keys that a program is too old for are taken out.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{folder, shell, stack::config};

/// The packages of npm that the boards are held to.
const TYPES: [&str; 2] = ["@grafana/schema@13.2.3", "typescript@7.0.2"];

/// The types of a board as its JSON has them: the texts of enumerations, and the keys that belong to the data source.
const BOARD: &str = "\
import type { AnnotationQuery, Dashboard, VariableModel } from '@grafana/schema';
type Written<T> =
  T extends string ? `${T}` :
  T extends readonly (infer U)[] ? Written<U>[] :
  T extends object ? { [K in keyof T]: Written<T[K]> } & Query<T> : T;
type Query<T> =
  T extends AnnotationQuery ? { expr?: string; titleFormat?: string; textFormat?: string; tagKeys?: string; step?: string; useValueForTime?: boolean } :
  T extends VariableModel ? { definition?: string } : unknown;
export type Board = Written<Dashboard>;
";

/// Asks all of them.
pub(super) fn run(bin: &Path) -> Result<()> {
    let promtool = bin.join("promtool");
    let rules = yaml_files("prometheus/rules")?;
    shell::run(Command::new(&promtool).args(["check", "rules"]).args(rules))?;
    shell::run(Command::new(&promtool).args(["test", "rules"]).args(yaml_files("prometheus/tests")?))?;
    let dir = shell::root().join("target/configuration");
    folder::fresh(&dir)?;
    let text = fs::read_to_string(shell::root().join("prometheus/prometheus.yml"))?;
    let prometheus = dir.join("prometheus.yml");
    let rules = shell::root().join("prometheus/rules");
    fs::write(
        &prometheus,
        config::without_new_keys(&text).replace("rules/*.yml", &format!("{}/*.yml", rules.display())),
    )?;
    shell::run(Command::new(&promtool).args(["check", "config"]).arg(&prometheus))?;
    shell::run(Command::new(bin.join("amtool")).arg("check-config").arg("prometheus/alertmanager.yml"))?;
    boards(&dir.join("boards"))
}

/// Every board is a dashboard by the types that Grafana publishes. Left out where npm has no packages.
fn boards(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("package.json"), "{\"private\": true}\n")?;
    let install = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--fetch-timeout=20000",
        "--fetch-retries=1",
    ];
    let installed = Command::new("npm").args(install).args(TYPES).current_dir(dir).output();
    if !installed.is_ok_and(|out| out.status.success()) {
        eprintln!("left out: the boards by Grafana's types: npm, or its packages, cannot be had");
        return Ok(());
    }
    fs::write(dir.join("board.ts"), BOARD)?;
    let mut files = vec![dir.join("board.ts")];
    for entry in fs::read_dir(shell::root().join("grafana/dashboards"))? {
        let path = entry?.path();
        let json = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let file = dir.join(path.with_extension("ts").file_name().unwrap_or_default());
        fs::write(
            &file,
            format!("import type {{ Board }} from './board';\nexport const board: Board = {json};\n"),
        )?;
        files.push(file);
    }
    ensure!(files.len() > 1, "there are no boards");
    let types =
        ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"];
    shell::run(Command::new(dir.join("node_modules/.bin/tsc")).args(types).args(&files))?;
    eprintln!("  {} boards are what Grafana's types say", files.len() - 1);
    Ok(())
}

fn yaml_files(folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(shell::root().join(folder)).with_context(|| folder.to_owned())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "{folder} holds no .yml file");
    Ok(files)
}
