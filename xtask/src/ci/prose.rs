//! What people read: wording, links, and the code map. Invariant: all problems of all files are reported at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::shell;

/// The phrases not to use, next to this program's sources.
const WORDS: &str = "xtask/words.tsv";

/// Fails with every phrase of the list, every dead link, and every arrow between crates that the map lacks.
pub(super) fn check() -> Result<()> {
    let files = tracked()?;
    let mut problems = Vec::new();
    let words = words()?;
    for file in &files {
        let path = shell::root().join(file);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_test = file.split('/').any(|part| part == "tests" || part == "tests.rs" || part == "testkit");
        match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("md") => {
                links(file, &text, &mut problems);
                wording(file, &text, &words, &mut problems);
            }
            Some("rs") if !is_test => wording(file, &read_by_people(&text), &words, &mut problems),
            _ => {}
        }
    }
    code_map(&files, &mut problems)?;
    if !problems.is_empty() {
        bail!("{} problems:\n{}", problems.len(), problems.join("\n"));
    }
    Ok(())
}

/// The files that git knows or would take, from the root.
pub(super) fn tracked() -> Result<Vec<String>> {
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(shell::root());
    Ok(shell::output(&mut git)?.lines().map(str::to_owned).collect())
}

fn words() -> Result<Vec<(Regex, String)>> {
    let text = fs::read_to_string(shell::root().join(WORDS)).context(WORDS)?;
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines
        .map(|line| {
            let (phrase, instead) = line.split_once('\t').with_context(|| format!("{WORDS}: {line}"))?;
            Ok((Regex::new(&format!("(?i){phrase}"))?, instead.to_owned()))
        })
        .collect()
}

fn wording(file: &str, text: &str, words: &[(Regex, String)], problems: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        for (phrase, instead) in words {
            if let Some(found) = phrase.find(line) {
                problems.push(format!("{file}:{number}: {:?}: write {instead}", found.as_str()));
            }
        }
    }
}

/// The lines of a source file with nothing left but doc comments and the text of string literals, up to its tests.
fn read_by_people(source: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in source.lines() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        let trimmed = line.trim_start();
        if !inside && trimmed.starts_with("//") {
            if trimmed.starts_with("///") || trimmed.starts_with("//!") {
                out.push_str(trimmed);
            }
        } else {
            literals(line, &mut inside, &mut out);
        }
        out.push('\n');
    }
    out
}

/// Appends what lies between quotes; `inside` says whether a literal goes over the line's end.
fn literals(line: &str, inside: &mut bool, out: &mut String) {
    let mut characters = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = characters.next() {
        match c {
            '\\' if *inside => {
                characters.next();
            }
            // A quote as a character literal.
            '"' if !*inside && before == '\'' && characters.peek() == Some(&'\'') => {}
            '"' => {
                *inside = !*inside;
                out.push(' ');
            }
            '/' if !*inside && characters.peek() == Some(&'/') => return,
            _ if *inside => out.push(c),
            _ => {}
        }
        before = c;
    }
}

/// Links to files of the repository that are not there, and to headings that a page lacks.
fn links(file: &str, text: &str, problems: &mut Vec<String>) {
    let Ok(link) = Regex::new(r"\]\(([^)\s]+)\)") else { return };
    for (number, line) in (1..).zip(text.lines()) {
        for target in link.captures_iter(line).filter_map(|c| c.get(1)).map(|m| m.as_str()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let page = match path {
                "" => shell::root().join(file),
                path => shell::root().join(Path::new(file).parent().unwrap_or(Path::new(""))).join(path),
            };
            if !page.exists() {
                problems.push(format!("{file}:{number}: the link {target} leads nowhere"));
            } else if !heading.is_empty() && !headings(&page).contains(heading) {
                problems.push(format!("{file}:{number}: {} has no heading #{heading}", page.display()));
            }
        }
    }
}

/// The anchors of a page's headings, as Git hosts make them.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let lines = text.lines().filter(|l| l.starts_with('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// Every arrow between crates is one that ARCHITECTURE.md's map allows, itself or by way of others.
fn code_map(files: &[String], problems: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(shell::root().join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let mut allowed = BTreeMap::<String, BTreeSet<String>>::new();
    for row in text.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, depends] = cells[..] else { continue };
        let name = short(name.trim_matches('`'));
        let to = depends.split(',').map(|d| d.trim().to_owned()).filter(|d| d != "—").collect();
        allowed.insert(name, to);
    }
    let crates: Vec<PathBuf> = files
        .iter()
        .filter(|f| f.ends_with("/Cargo.toml") && !f.contains("fuzz/"))
        .map(|f| shell::root().join(f))
        .collect();
    let names: BTreeSet<String> =
        crates.iter().filter_map(|c| c.parent()).map(|c| short(&c.to_string_lossy())).collect();
    for manifest in crates {
        let name = short(&manifest.parent().unwrap_or(&manifest).to_string_lossy());
        if !allowed.contains_key(&name) {
            problems.push(format!("ARCHITECTURE.md: the code map lacks {name}"));
            continue;
        }
        for to in dependencies(&fs::read_to_string(&manifest)?).into_iter().filter(|d| names.contains(d)) {
            if !reaches(&allowed, &name, &to) {
                problems.push(format!(
                    "ARCHITECTURE.md: {name} depends on {to}, and the code map does not say so"
                ));
            }
        }
    }
    for name in allowed.keys().filter(|name| !names.contains(*name)) {
        problems.push(format!("ARCHITECTURE.md: the code map has {name}, which is no crate"));
    }
    Ok(())
}

/// `crates/model` → `model`.
fn short(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The names under `[dependencies]`, and under those of one system, without the prefix of our own crates.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut is_listed = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_listed = line == "[dependencies]" || line.ends_with(".dependencies]");
        } else if let Some(name) = line.split(['.', ' ', '=']).next().filter(|_| is_listed) {
            names.push(name.trim_start_matches("assay-").to_owned());
        }
    }
    names
}

fn reaches(allowed: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from.to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        for next in allowed.get(&name).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read_is_doc_comments_and_text() {
        let source =
            "/// Doc.\n// Note.\nlet a = \"text \\\" more\"; // \"not\"\nlet b = '\"';\n#[cfg(test)]\n\"x\"";
        assert_eq!(read_by_people(source), "/// Doc.\n\n text  more \n\n");
    }

    #[test]
    fn a_phrase_is_found_with_its_place() {
        let words = vec![(Regex::new("(?i)\\banew\\b").expect("a pattern"), "again".to_owned())];
        let mut problems = Vec::new();
        wording("a.md", "read\nread Anew\n", &words, &mut problems);
        assert_eq!(problems, ["a.md:2: \"Anew\": write again"]);
    }

    #[test]
    fn dependencies_of_one_system_count() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nassay-text.workspace = true\n\n\
            [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n[dev-dependencies]\ntempfile = \"3\"\n";
        let names: Vec<_> = dependencies(manifest).into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(names, ["text", "libc"]);
    }

    #[test]
    fn an_arrow_may_go_by_way_of_others() {
        let of = |to: &[&str]| to.iter().map(|t| (*t).to_owned()).collect::<BTreeSet<_>>();
        let allowed = BTreeMap::from([("a".to_owned(), of(&["b"])), ("b".to_owned(), of(&["c"]))]);
        assert!(reaches(&allowed, "a", "c") && !reaches(&allowed, "c", "a"));
    }
}
