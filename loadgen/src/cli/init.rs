//! `loadgen init`: what someone needs to load a service of their own, to be changed by them.
//!
//! Invariants: no file is overwritten, and if one is in the way nothing is written; what is written is valid and runs.

use std::{fs, path::Path};

use assay_text::console;

use super::exit;

/// The files, in the order in which they are best read.
const FILES: [(&str, &str); 5] = [
    ("assay/scenario.yml", include_str!("init/scenario.yml")),
    ("assay/sla.yml", include_str!("init/sla.yml")),
    ("assay/rules.yml", include_str!("init/rules.yml")),
    ("assay/targets.yml", include_str!("init/targets.yml")),
    ("docker-compose.own.yml", include_str!("../../../docker-compose.own.yml")),
];

/// Writes the files that are not there.
pub(super) fn init(folder: &Path) -> u8 {
    match write(folder) {
        Ok(written) => {
            let list: String =
                written.iter().map(|name| format!("{}\n", folder.join(name).display())).collect();
            super::print(&list, exit::DONE)
        }
        Err(problems) => {
            console::say_lines(problems.join("\n"));
            exit::BAD_INPUT
        }
    }
}

fn write(folder: &Path) -> Result<Vec<&'static str>, Vec<String>> {
    let (mut missing, mut problems) = (Vec::new(), Vec::new());
    for (name, text) in FILES {
        let path = folder.join(name);
        match fs::read(&path) {
            // The override file comes with the sources.
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) => problems.push(format!(
                "{}: already exists and differs; move it, or choose another folder",
                path.display()
            )),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => missing.push((name, path, text)),
            Err(e) => problems.push(format!("{}: cannot be read: {e}", path.display())),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut written = Vec::new();
    for (name, path, text) in missing {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| vec![format!("{}: {e}", parent.display())])?;
        fs::write(&path, text).map_err(|e| vec![format!("{}: {e}", path.display())])?;
        written.push(name);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(write(dir.path()).expect("writes").len(), FILES.len());
        assert!(write(dir.path()).expect("finds its own").is_empty());
        fs::write(dir.path().join("assay/sla.yml"), "sla: mine\n").expect("is written");
        fs::remove_file(dir.path().join("assay/rules.yml")).expect("is removed");
        let problems = write(dir.path()).expect_err("is in the way");
        assert!(problems.len() == 1 && problems[0].contains("sla.yml"), "{problems:?}");
        assert!(!dir.path().join("assay/rules.yml").exists());
    }
}
