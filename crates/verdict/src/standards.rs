//! The files that a run is judged by, as texts: those that ship with the tools, and those that a person gives. They travel
//! with the run, so that anyone who has it can judge it again with `ruleseval eval RUN`.
//!
//! Invariant: what is written into a run was read without a problem before.

use std::{
    io,
    path::{Path, PathBuf},
};

use assay_prometheus::{RULES, SLAS};
use assay_rules::file::expand;
use assay_yaml::Diagnostics;

use crate::eval::{EvalError, read_files};

/// Rule and SLA files: their names and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standards {
    rules: Vec<(String, String)>,
    slas: Vec<(String, String)>,
}

impl Standards {
    /// The shipped rules, and the shipped SLA for the pack of this name if there is one.
    #[must_use]
    pub fn shipped(pack: &str) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let slas = SLAS.iter().filter(|(name, _)| name.strip_suffix(".yml") == Some(pack));
        Self { rules: RULES.iter().map(owned).collect(), slas: slas.map(owned).collect() }
    }

    /// Takes these rule files instead, if there are any; paths, or patterns as Prometheus takes them.
    ///
    /// # Errors
    /// All that is wrong with any of them.
    pub fn with_rules(mut self, patterns: &[String]) -> Result<Self, EvalError> {
        if !patterns.is_empty() {
            read_files(patterns, &[])?;
            self.rules = texts(expand(patterns)?)?;
        }
        Ok(self)
    }

    /// Takes these SLA files instead, if there are any; paths, or patterns.
    ///
    /// # Errors
    /// All that is wrong with any of them.
    pub fn with_slas(mut self, patterns: &[PathBuf]) -> Result<Self, EvalError> {
        if !patterns.is_empty() {
            read_files(&[], patterns)?;
            let patterns: Vec<String> = patterns.iter().map(|p| p.display().to_string()).collect();
            self.slas = texts(expand(&patterns)?)?;
        }
        Ok(self)
    }

    /// Whether there is an SLA among them.
    #[must_use]
    pub fn has_sla(&self) -> bool {
        !self.slas.is_empty()
    }

    /// Writes the files into the folders `rules` and `sla` of a run.
    ///
    /// # Errors
    /// If a file or a folder cannot be written.
    pub fn write(&self, run: &Path) -> io::Result<()> {
        for (folder, files) in [("rules", &self.rules), ("sla", &self.slas)] {
            if files.is_empty() {
                continue;
            }
            let folder = run.join(folder);
            std::fs::create_dir_all(&folder)?;
            for (name, text) in files {
                std::fs::write(folder.join(name), text)?;
            }
        }
        Ok(())
    }
}

/// The files' own names and texts. Files of one name from several folders are numbered.
fn texts(paths: Vec<String>) -> Result<Vec<(String, String)>, Diagnostics> {
    let mut out: Vec<(String, String)> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Diagnostics::file(&path, format!("cannot be read: {e}")))?;
        let stem =
            Path::new(&path).file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let mut name = format!("{stem}.yml");
        let mut number = 2;
        while out.iter().any(|(taken, _)| *taken == name) {
            name = format!("{stem}-{number}.yml");
            number += 1;
        }
        out.push((name, text));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_takes_the_place_of_what_ships_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["a", "b"] {
            std::fs::create_dir(dir.path().join(folder)).expect("makes");
            std::fs::write(
                dir.path().join(folder).join("r.yml"),
                format!("groups: [{{name: {folder}, rules: []}}]\n"),
            )
            .expect("writes");
        }
        let pattern = dir.path().join("*/r.yml").display().to_string();
        let standards = Standards::shipped("clinical-rag").with_rules(&[pattern]).expect("reads");
        assert!(standards.has_sla() && !Standards::shipped("mine").has_sla());
        let run = dir.path().join("run");
        standards.write(&run).expect("writes");
        let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap_or_default();
        assert!(read("rules/r.yml").contains("name: a") && read("rules/r-2.yml").contains("name: b"));
        assert!(read("sla/clinical-rag.yml").contains("sla: clinical-rag"));
        let wrong = Standards::default().with_slas(&[dir.path().join("none.yml")]);
        assert!(wrong.expect_err("is not there").to_string().contains("none.yml: cannot be read"));
    }
}
