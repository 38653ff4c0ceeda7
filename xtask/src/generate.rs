//! Generated files. Invariant: the generator is the only writer of what it lists.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::shell::root;

/// A file by its path from the root, and what it holds.
type File = (String, String);

/// Writes the generated files, or with `check` fails where one is not what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let mut drifted = Vec::new();
    for (name, text) in files()? {
        let path = root().join(&name);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        drifted.push(name);
        if !check {
            let folder = path.parent().context("a file has a folder")?;
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            println!("{}", path.display());
        }
    }
    if check && !drifted.is_empty() {
        bail!("not what the generator writes (run cargo xtask generate): {}", drifted.join(", "));
    }
    Ok(())
}

fn files() -> Result<Vec<File>> {
    let boards = grafana::files()?.into_iter();
    let mut files: Vec<File> =
        boards.map(|file| (format!("grafana/{}", file.path.display()), file.text)).collect();
    files.extend(kubernetes_rules()?);
    for name in ["scenario.yml", "sla.yml", "rules.yml"] {
        let text = read(&format!("loadgen/src/cli/init/{name}"))?;
        files.push((format!("deploy/kubernetes/overlays/own/{name}"), text));
    }
    Ok(files)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(root().join(name)).with_context(|| name.to_owned())
}

/// Each rule file as an object of prometheus-operator, and the kustomization that lists them.
fn kubernetes_rules() -> Result<Vec<File>> {
    let folder = "deploy/kubernetes/rules";
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("prometheus/rules"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    let mut files = Vec::new();
    for name in &names {
        let text = read(&format!("prometheus/rules/{name}.yml"))?;
        files.push((format!("{folder}/{name}.yaml"), object(name, &text)));
    }
    let list: String = names.iter().map(|name| format!("  - {name}.yaml\n")).collect();
    let kustomization = format!(
        "# Written by `cargo xtask generate` from prometheus/rules.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{list}"
    );
    files.push((format!("{folder}/kustomization.yaml"), kustomization));
    Ok(files)
}

/// A rule file's text below an object's `spec`, its comments with it.
fn object(name: &str, text: &str) -> String {
    let mut out = format!(
        "# Written by `cargo xtask generate` from prometheus/rules/{name}.yml.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  name: assay-{name}\n  namespace: assay\n\
         \x20 labels: {{prometheus: k8s, role: alert-rules}}\nspec:\n"
    );
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str("  ");
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_file_becomes_an_object() {
        let text = object("errors", "# Why.\ngroups:\n  - name: a\n\n    rules: []\n");
        assert!(text.ends_with("spec:\n  # Why.\n  groups:\n    - name: a\n\n      rules: []\n"), "{text}");
    }
}
