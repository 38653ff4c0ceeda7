//! The packs that are part of the binary. Invariant: each of them loads (tested).

use std::path::Path;

use assay_yaml::{Diagnostics, Document};

use super::{Scenario, parse};

/// A scenario that ships with the program.
#[derive(Debug)]
pub struct Pack {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its files: the first is the scenario, the others its data.
    pub files: &'static [(&'static str, &'static str)],
}

/// All packs.
pub const PACKS: &[Pack] = &[
    Pack {
        name: "clinical-rag",
        about: "Clinicians log in and ask a RAG service about their patients; answers are streamed.",
        files: &[
            ("scenario.yml", include_str!("../../scenarios/clinical-rag/scenario.yml")),
            ("questions.txt", include_str!("../../scenarios/clinical-rag/questions.txt")),
            ("patients.csv", include_str!("../../scenarios/clinical-rag/patients.csv")),
        ],
    },
    Pack {
        name: "openai-chat",
        about: "Streamed chat completions of any OpenAI-compatible server.",
        files: &[
            ("scenario.yml", include_str!("../../scenarios/openai-chat/scenario.yml")),
            ("prompts.txt", include_str!("../../scenarios/openai-chat/prompts.txt")),
        ],
    },
];

/// The pack of this name, unless a file or folder has the name.
#[must_use]
pub fn pack(name: &str) -> Option<&'static Pack> {
    PACKS.iter().find(|p| p.name == name && !Path::new(name).exists())
}

impl Pack {
    /// The text of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&'static str> {
        self.files.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
    }

    /// The pack as a scenario.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load(&self) -> Result<Scenario, Diagnostics> {
        self.load_with(&[])
    }

    /// The same, for a run that is given these variables.
    pub(super) fn load_with(&self, variables: &[String]) -> Result<Scenario, Diagnostics> {
        let text = self.files.first().map_or("", |f| f.1);
        let document = Document::parse(format!("{}/scenario.yml", self.name), text)?;
        let read = |name: &str| match self.file(name) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Err("the pack has no such file".to_owned()),
        };
        parse::scenario(&document, &parse::Files::in_memory(&read, variables))
    }
}

/// A scenario that can't be read may be a pack's name with a slip in it.
pub(super) fn with_known_packs(mut problems: Diagnostics, asked: &str) -> Diagnostics {
    if let Some(problem) = problems.list.first_mut()
        && !Path::new(asked).exists()
    {
        let names: Vec<_> = PACKS.iter().map(|p| p.name).collect();
        problem.message = match assay_yaml::nearest(asked, names.iter().copied()) {
            Some(near) => format!("there is no such file, and no pack of this name; did you mean {near:?}?"),
            None => format!("there is no such file, and no pack of this name; packs: {}", names.join(", ")),
        };
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_loads() {
        for pack in PACKS {
            let scenario = pack.load().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(scenario.name, pack.name);
            assert!(!scenario.phases.is_empty() && !scenario.modes.is_empty());
        }
    }

    #[test]
    fn a_slip_in_a_name_is_seen() {
        let e = Scenario::load("clinical-rga").expect_err("no such pack");
        assert!(e.to_string().contains("did you mean \"clinical-rag\"?"), "{e}");
    }
}
