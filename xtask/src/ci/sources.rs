//! The source files: each is formatted, each belongs to a program, a library or a test, and none but a test includes what its
//! package lacks.
//!
//! Invariant: the files are those that git knows or would take, however their modules are declared. `cargo fmt` does not see
//! modules that a macro declares, and nothing else sees a file that no module names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use regex::Regex;

use super::prose::tracked;
use crate::shell;

/// Fails with what rustfmt would change, with every file that no module names, and with what a package lacks.
pub(super) fn check() -> Result<()> {
    let mut sources = BTreeMap::new();
    for file in tracked()?.into_iter().filter(|file| file.ends_with(".rs")) {
        // What git knows may have been deleted.
        if let Ok(text) = fs::read_to_string(shell::root().join(&file)) {
            sources.insert(file, text);
        }
    }
    let mut rustfmt = Command::new("rustfmt");
    let out = rustfmt.args(["--check", "-l"]).args(sources.keys()).current_dir(shell::root()).output();
    let out = out.context("rustfmt cannot start")?;
    let listed = String::from_utf8_lossy(&out.stdout);
    let changed: BTreeSet<_> = listed.lines().map(|line| format!("\n  rustfmt {line}")).collect();
    let errors = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "not formatted:{}\n{errors}", Vec::from_iter(changed).concat());
    let mut unnamed = Vec::new();
    for file in sources.keys() {
        if !is_named(file, &sources)? {
            unnamed.push(file.as_str());
        }
    }
    ensure!(unnamed.is_empty(), "no module names these files: {}", unnamed.join(", "));
    let is_package = |folder: &Path| shell::root().join(folder).join("Cargo.toml").is_file();
    let mut lacked = Vec::new();
    for (file, text) in &sources {
        lacked.extend(outside(file, text, is_package)?.map(|path| format!("\n  {file}: {path}")));
    }
    ensure!(lacked.is_empty(), "included from outside of the package:{}", lacked.concat());
    Ok(())
}

/// What a file includes from outside of its package, which is then not in what is published. Tests are not published.
fn outside(
    file: &str,
    text: &str,
    is_package: impl Fn(&Path) -> bool,
) -> Result<impl Iterator<Item = String>> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let depth = folder.ancestors().take_while(|folder| !is_package(folder)).count();
    let is_published = !Path::new(file).iter().any(|part| part == "tests");
    let include = Regex::new(r#"\binclude(?:_str|_bytes|_dir)?!\((?:concat!\()?\s*"((?:\.\./)*)([^"]*)""#)?;
    let found = include.captures_iter(text).filter(|found| is_published && found[1].len() / 3 > depth);
    Ok(found.map(|found| format!("{}{}", &found[1], &found[2])).collect::<Vec<_>>().into_iter())
}

/// Whether a file is the root of a target, or one that may declare it as a module does: by `mod`, by a path, or by a line
/// of a macro's list.
fn is_named(file: &str, sources: &BTreeMap<String, String>) -> Result<bool> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let (folder, module) = path.rsplit_once('/').unwrap_or(("", path));
    let (above, within) = folder.rsplit_once('/').unwrap_or(("", folder));
    let is_root = matches!(module, "lib" | "main") || matches!(within, "tests" | "examples" | "fuzz_targets");
    if is_root && !file.ends_with("/mod.rs") {
        return Ok(true);
    }
    let declares = Regex::new(&format!(r"(?m)\bmod {module};|^\s*{module}(::\w+)?,$"))?;
    let by_path = Regex::new(&format!(r#"path = "([^"]*/)?{within}/{module}\.rs""#))?;
    let may_declare = |name: &str| {
        let (inside, name) = name.rsplit_once('/').unwrap_or(("", name));
        let is_of_folder = within == "tests" || matches!(name, "lib.rs" | "main.rs" | "mod.rs");
        inside == above || inside == folder && is_of_folder
    };
    // Few files are declared by a path, and looking for those takes the longest.
    Ok(sources.iter().any(|(name, text)| may_declare(name) && declares.is_match(text))
        || sources.values().any(|text| by_path.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let check = |file: &str, parent: &str, text: &str, want: bool| {
            let sources = BTreeMap::from([(parent.to_owned(), text.to_owned())]);
            assert_eq!(is_named(file, &sources).expect("a pattern"), want, "{file} by {parent}: {text}");
        };
        check("a/src/lib.rs", "a/src/main.rs", "", true);
        check("a/tests/it.rs", "a/src/lib.rs", "", true);
        check("a/src/b.rs", "a/src/lib.rs", "pub mod b;", true);
        check("a/src/b.rs", "a/src/lib.rs", "pub mod ab;", false);
        check("a/src/b/c.rs", "a/src/b.rs", "list!(\n    c,\n);", true);
        check("a/src/b/c.rs", "a/src/b.rs", "list! {\n    c::C,\n}", true);
        check("a/src/b/c.rs", "a/src/b.rs", "// about c\n", false);
        check("a/src/b/c.rs", "a/src/b/d.rs", "mod c;", false);
        check("a/tests/common/mod.rs", "a/tests/it.rs", "mod common;", true);
        check("a/tests/common/d.rs", "a/tests/it.rs", "#[path = \"common/d.rs\"]", true);
        check("a/tests/it/d.rs", "a/tests/it/main.rs", "mod e;", false);
    }

    #[test]
    fn what_a_package_lacks_is_found() {
        let check = |file: &str, text: &str, want: &[&str]| {
            let found = outside(file, text, |folder| folder == Path::new("a")).expect("a pattern");
            assert_eq!(found.collect::<Vec<_>>(), want, "{file}: {text}");
        };
        check("a/src/b.rs", r#"include_str!("../data/x.yml")"#, &[]);
        check("a/src/b.rs", r#"include_str!("../../data/x.yml")"#, &["../../data/x.yml"]);
        check("a/src/b/c.rs", r#"include_bytes!("../../data/x.yml")"#, &[]);
        check("a/src/b.rs", "include_str!(concat!(\n    \"../../x/\", $name))", &["../../x/"]);
        check("a/lib.rs", r#"include!("../x.rs")"#, &["../x.rs"]);
        check("a/tests/it.rs", r#"include_str!("../../x.yml")"#, &[]);
    }
}
