//! The guide in `docs/` as a book: every page is in its summary, and every command in it is one that the programs take.
//!
//! Invariant: nothing is run here but `--help`; what is run as written, `readme` runs.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use crate::shell;

const PROGRAMS: [&str; 4] = ["demo", "exporter", "loadgen", "ruleseval"];

/// Every page of the folder is in SUMMARY.md once, and the other way round.
pub(super) fn summary() -> Result<()> {
    let folder = shell::root().join("docs");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).context("docs/SUMMARY.md")?;
    let link = Regex::new(r"\]\(([^)]+)\)")?;
    let mut listed: Vec<&str> =
        link.captures_iter(&summary).filter_map(|c| c.get(1)).map(|m| m.as_str()).collect();
    listed.sort_unstable();
    let mut pages: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    pages.sort();
    ensure!(listed == pages, "docs/SUMMARY.md lists {listed:?}, docs/ has {pages:?}");
    Ok(())
}

/// Every option of our programs that a page's shell blocks use is one that the program has.
pub(super) fn commands(bin: &Path) -> Result<()> {
    let mut helps = BTreeMap::new();
    let (mut checked, mut problems) = (0, Vec::new());
    for page in pages()? {
        let text = fs::read_to_string(shell::root().join(&page))?;
        for line in shell_lines(&text) {
            for words in commands_of(&line) {
                checked += 1;
                problems.extend(
                    unknown(bin, &words, &mut helps)?
                        .into_iter()
                        .map(|what| format!("{page}: {what}: {line}")),
                );
            }
        }
    }
    ensure!(checked > 20, "{checked} commands were found");
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    eprintln!("  {checked} commands of the guide have options that the programs take");
    Ok(())
}

fn pages() -> Result<Vec<String>> {
    let mut pages = vec!["README.md".to_owned(), "deploy/kubernetes/README.md".to_owned()];
    for entry in fs::read_dir(shell::root().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        pages.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    Ok(pages)
}

/// The lines of a page's shell blocks, continued ones joined, without comments.
fn shell_lines(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|b| b.strip_prefix("sh\n").or_else(|| b.strip_prefix("bash\n")));
    let joined = shell.map(|block| block.replace("\\\n", " "));
    joined
        .flat_map(|block| {
            block.lines().map(|l| l.split(" #").next().unwrap_or(l).to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// The words of each command of ours in a line.
fn commands_of(line: &str) -> Vec<Vec<String>> {
    let parts = line.split(['|', ';', '&']);
    let words = parts.map(|part| part.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter(|words| words.first().is_some_and(|w| PROGRAMS.contains(&w.as_str()))).collect()
}

/// Options that the program, or its command, does not have.
fn unknown(bin: &Path, words: &[String], helps: &mut BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut call = vec![words[0].clone()];
    // `loadgen import openapi` has two.
    let commands = words[1..].iter().take_while(|w| w.chars().all(|c| c.is_ascii_lowercase())).take(2);
    if words[0] != "exporter" {
        call.extend(commands.cloned());
    }
    let help = loop {
        let key = call.join(" ");
        if let Some(help) = helps.get(&key) {
            break help.clone();
        }
        let out = Command::new(bin.join(&call[0])).args(&call[1..]).arg("--help").output()?;
        if out.status.success() {
            let help = String::from_utf8_lossy(&out.stdout).into_owned();
            helps.insert(key, help.clone());
            break help;
        }
        // A pack's name, say, and not a command.
        ensure!(call.len() > 1, "{} --help fails", call[0]);
        call.pop();
    };
    let options = words.iter().filter(|w| w.starts_with("--") && w.len() > 2);
    let names = options.map(|w| w.split('=').next().unwrap_or(w));
    let known = |name: &str| {
        help.split(|c: char| c.is_whitespace() || c == ',' || c == '<' || c == '=').any(|w| w == name)
    };
    // Collectors' switches come in both forms.
    Ok(names.filter(|n| !known(n) && !known(&n.replacen("--no-", "--", 1))).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks() {
        let text = "Use `loadgen run`.\n```sh\nloadgen run a.yml \\\n  --mode x | tee log   # why\nls; ruleseval eval R & demo serve\n```\n";
        let found: Vec<_> =
            shell_lines(text).iter().flat_map(|l| commands_of(l)).map(|w| w.join(" ")).collect();
        assert_eq!(found, ["loadgen run a.yml --mode x", "ruleseval eval R", "demo serve"]);
    }
}
