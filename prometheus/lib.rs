//! The rules and SLAs of this folder as texts, for programs that carry them.
//!
//! Invariant: every file of `rules` and `sla` is in its list (tested).

macro_rules! shipped {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!($folder, "/", $name)))),*]
    };
}

/// The rules, by the names of their files in `rules`.
pub const RULES: &[(&str, &str)] = shipped!["rules":
    "availability.yml",
    "cpu.yml",
    "errors.yml",
    "generator.yml",
    "gpu.yml",
    "latency.yml",
    "llm.yml",
    "memory.yml",
    "recording.yml",
    "service.yml",
    "sli.yml",
    "slo.yml",
    "throughput.yml",
];

/// The SLAs, each for loadgen's pack of its name.
pub const SLAS: &[(&str, &str)] =
    shipped!["sla": "clinical-rag-components.yml", "clinical-rag.yml", "openai-chat.yml"];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_in_its_list() {
        for (folder, listed) in [("rules", RULES), ("sla", SLAS)] {
            let mut on_disk: Vec<_> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
                .expect("lists")
                .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            on_disk.sort();
            let listed: Vec<_> = listed.iter().map(|(name, _)| *name).collect();
            assert_eq!(on_disk, listed);
        }
    }
}
