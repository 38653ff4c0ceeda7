//! Comments that silence lints.
//!
//! Invariant: a comment silences the codes that it names and no other.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use crate::RuleFiles;

/// The silenced codes of each file: of the whole file, and by line.
pub(super) struct Silenced {
    files: HashMap<String, FileSilence>,
}

#[derive(Default)]
struct FileSilence {
    everywhere: HashSet<String>,
    lines: Vec<(usize, HashSet<String>)>,
}

impl Silenced {
    pub(super) fn read(files: &RuleFiles) -> Self {
        let mut out = HashMap::new();
        for (_, rule) in files.rules() {
            out.entry(rule.file().to_owned()).or_insert_with(|| of(rule.document_text()));
        }
        Self { files: out }
    }

    /// Whether a code is silenced for what is on these lines of a file.
    pub(super) fn contains(&self, file: &str, lines: &Range<usize>, code: &str) -> bool {
        let Some(file) = self.files.get(file) else { return false };
        let here = |line: usize| line + 1 == lines.start || lines.contains(&line);
        file.everywhere.contains(code)
            || file.lines.iter().any(|(line, codes)| here(*line) && codes.contains(code))
    }
}

fn of(text: &str) -> FileSilence {
    let mut out = FileSilence::default();
    for (i, line) in text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("# ruleseval:") else { continue };
        let mut words = comment.split([' ', ',', '\t']).filter(|w| !w.is_empty());
        let what = words.next().unwrap_or_default();
        let codes = words.map(str::to_owned);
        match what {
            "ignore-file" => out.everywhere.extend(codes),
            "ignore" => out.lines.push((i + 1, codes.collect())),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::{
        RuleFiles,
        lint::{CheckOptions, check},
    };

    #[test]
    fn comments_silence_what_they_name() {
        let rule =
            |comment: &str| format!("  {comment}\n  - alert: A\n    expr: up\n    labels: {{severity: x}}\n");
        let count = |text: &str| {
            let files =
                RuleFiles::parse("r.yml", &format!("groups:\n- name: g\n  rules:\n{text}")).expect("reads");
            check(&files, &CheckOptions::default()).len()
        };
        assert_eq!(count(&rule("")), 2);
        assert_eq!(count(&rule("# ruleseval: ignore missing-summary")), 1);
        assert_eq!(count(&rule("# ruleseval: ignore missing-summary, without-condition")), 0);
        assert_eq!(count(&rule("# ruleseval: ignore other")), 2);
        assert_eq!(
            count(&format!(
                "{}{}",
                rule("# ruleseval: ignore missing-summary"),
                rule("").replace("alert: A", "alert: B")
            )),
            3
        );
        let inside =
            "  - alert: A\n    expr: up # ruleseval: ignore without-condition\n    labels: {severity: x}\n";
        assert_eq!(count(inside), 1);
        let all = format!(
            "  # ruleseval: ignore-file missing-summary\n{}{}",
            rule(""),
            rule("").replace("alert: A", "alert: B")
        );
        assert_eq!(count(&all), 2);
    }
}
