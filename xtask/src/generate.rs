//! Generated files. Invariant: the generator is the only writer of what it lists.

use anyhow::{Context, Result, bail};

use crate::shell::root;

/// Writes the generated files, or with `check` fails where one is not what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let mut drifted = Vec::new();
    for file in grafana::files()? {
        let path = root().join("grafana").join(&file.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        drifted.push(path.display().to_string());
        if !check {
            let folder = path.parent().context("a file has a folder")?;
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            std::fs::write(&path, file.text).with_context(|| path.display().to_string())?;
            println!("{}", path.display());
        }
    }
    if check && !drifted.is_empty() {
        bail!("not what the generator writes (run cargo xtask generate): {}", drifted.join(", "));
    }
    Ok(())
}
