//! Folders of files. Invariant: a copy shares nothing with what it was made of.

use std::{fs::File, path::Path};

/// Copies a folder with all that is in it; `to` is made if it does not exist.
///
/// # Errors
/// If something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A file that takes nothing, as on a full disk; `None`, with a line that says so, where the system has none.
#[must_use]
pub fn full() -> Option<File> {
    let full = File::options().write(true).open("/dev/full").ok();
    if full.is_none() {
        eprintln!("left out: a full disk, since this system has no /dev/full");
    }
    full
}
