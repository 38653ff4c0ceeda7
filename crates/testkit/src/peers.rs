//! Where peers and upstream's test data are. Invariant: a test that needs one is left out, and says so, where it
//! cannot be had; with `CI` set it fails instead.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The directory that an environment variable names, or `None` if it is not set.
///
/// # Panics
/// If `CI` is set and the variable is not.
#[must_use]
pub fn directory(variable: &str) -> Option<PathBuf> {
    match std::env::var_os(variable) {
        Some(directory) => Some(directory.into()),
        None if std::env::var_os("CI").is_some() => {
            panic!("{variable} is not set, and CI runs every test")
        }
        None => {
            eprintln!("left out: {variable} is not set");
            None
        }
    }
}

/// The path of a peer's program below `ASSAY_PEERS`.
///
/// # Panics
/// As [`directory`].
#[must_use]
pub fn peer(name: &str) -> Option<PathBuf> {
    directory("ASSAY_PEERS").map(|directory| directory.join(name))
}

/// A file or folder of upstream's test data, below `ASSAY_DATA`; `None` too if the folder lacks it.
///
/// # Panics
/// If `CI` is set and it is not there.
#[must_use]
pub fn data(path: &str) -> Option<PathBuf> {
    let found = directory("ASSAY_DATA")?.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there, and CI runs every test", found.display());
    eprintln!("left out: {} is not there", found.display());
    None
}

/// A command that starts Alertmanager. Debian's reads its templates below `/usr/share` and ends without them: if they
/// are not installed, it gets a view of the file system in which those beside the program are there.
///
/// # Panics
/// If the program does not lie in `…/usr/bin`.
#[must_use]
pub fn alertmanager(program: &Path) -> Command {
    if Path::new("/usr/share/prometheus/alertmanager/default.tmpl").is_file() {
        return Command::new(program);
    }
    let share = program.parent().and_then(Path::parent).expect("lies in usr/bin").join("share");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""])
        .arg(share)
        .arg(program);
    command
}
