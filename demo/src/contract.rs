//! The shipped rules and SLA, built in, so that the loop needs no file beside the program.
//!
//! Invariant: they are the files of `prometheus/`, byte for byte; the run keeps a copy of what judged it.

use std::{
    io,
    path::{Path, PathBuf},
};

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../prometheus/", $name)))),*]
    };
}

const RULES: &[(&str, &str)] = shipped![
    "rules/availability.yml",
    "rules/cpu.yml",
    "rules/errors.yml",
    "rules/generator.yml",
    "rules/gpu.yml",
    "rules/latency.yml",
    "rules/llm.yml",
    "rules/memory.yml",
    "rules/recording.yml",
    "rules/service.yml",
    "rules/sli.yml",
    "rules/slo.yml",
    "rules/throughput.yml",
];

const SLA: &[(&str, &str)] = shipped!["sla/clinical-rag.yml"];

/// Writes the shipped rules below `dir` and yields the pattern that matches them.
pub(crate) fn write_rules(dir: &Path) -> io::Result<String> {
    write(dir, RULES)?;
    Ok(dir.join("rules/*.yml").display().to_string())
}

/// Writes the shipped SLA below `dir` and yields its path.
pub(crate) fn write_sla(dir: &Path) -> io::Result<PathBuf> {
    write(dir, SLA)?;
    Ok(dir.join(SLA[0].0))
}

fn write(dir: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    for (name, text) in files {
        let path = dir.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_file_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus/rules");
        let mut on_disk: Vec<_> = std::fs::read_dir(folder)
            .expect("prometheus/rules")
            .map(|e| format!("rules/{}", e.expect("entry").file_name().to_string_lossy()))
            .collect();
        on_disk.sort();
        assert_eq!(on_disk, RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
