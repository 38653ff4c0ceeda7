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

use crate::{
    eval::{EvalError, read_files},
    sla,
};

/// Rule and SLA files: their names and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standards {
    rules: Vec<(String, String)>,
    slas: Vec<(String, String)>,
}

impl Standards {
    /// The shipped rules, and those of the pack's shipped SLAs that judge one of these phases; if none does, the SLA of the
    /// pack's own name.
    #[must_use]
    pub fn shipped<'p>(pack: &str, phases: impl IntoIterator<Item = &'p str>) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let phases: Vec<&str> = phases.into_iter().collect();
        let judges = |(name, text): &&(&str, &str)| {
            let judged = sla::parse(name, text).map(|sla| sla.judge.phases).unwrap_or_default();
            judged.iter().any(|phase| phases.contains(&phase.as_str()))
        };
        let own = |(name, _): &&(&str, &str)| name.strip_suffix(".yml") == Some(pack);
        let of_pack = SLAS.iter().filter(|file| own(file) || file.0.starts_with(&format!("{pack}-")));
        let mut slas: Vec<_> = of_pack.filter(judges).map(owned).collect();
        if slas.is_empty() {
            slas.extend(SLAS.iter().find(own).map(owned));
        }
        Self { rules: RULES.iter().map(owned).collect(), slas }
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
    fn a_run_is_judged_by_what_judges_its_phases() {
        let of = |pack, phases: &[&'static str]| {
            let standards = Standards::shipped(pack, phases.iter().copied());
            standards.slas.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(of("clinical-rag", &["warmup", "steady"]), ["clinical-rag.yml"]);
        assert_eq!(of("clinical-rag", &["llm-warmup", "llm"]), ["clinical-rag-components.yml"]);
        assert_eq!(
            of("clinical-rag", &["steady", "llm"]),
            ["clinical-rag-components.yml", "clinical-rag.yml"]
        );
        assert_eq!(of("clinical-rag", &["warmup"]), ["clinical-rag.yml"]);
        assert_eq!(of("openai-chat", &["steady"]), ["openai-chat.yml"]);
        assert_eq!(of("mine", &["steady"]), [""; 0]);
    }

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
        let standards = Standards::shipped("clinical-rag", ["steady"]).with_rules(&[pattern]).expect("reads");
        assert!(standards.has_sla() && !Standards::shipped("", ["steady"]).has_sla());
        let run = dir.path().join("run");
        standards.write(&run).expect("writes");
        let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap_or_default();
        assert!(read("rules/r.yml").contains("name: a") && read("rules/r-2.yml").contains("name: b"));
        assert!(read("sla/clinical-rag.yml").contains("sla: clinical-rag"));
        let wrong = Standards::default().with_slas(&[dir.path().join("none.yml")]);
        assert!(wrong.expect_err("is not there").to_string().contains("none.yml: cannot be read"));
    }
}
