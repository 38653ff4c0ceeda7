//! Reading the kernel's files: [`Host`].
//!
//! Invariant: every error names the file it is about, and a file that does not exist is distinguished from one
//! that cannot be read.

#[cfg(target_os = "linux")]
pub(crate) mod class;
#[cfg_attr(not(target_os = "linux"), path = "host/files/elsewhere.rs")]
mod files;
#[cfg(target_os = "linux")]
mod kernel;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

pub use self::files::read;
#[cfg(target_os = "linux")]
pub(crate) use self::files::read_records;
#[cfg(target_os = "linux")]
pub(crate) use self::kernel::{Descriptors, Numbered, own_descriptors};
#[cfg(target_os = "linux")]
pub use self::kernel::{number, parse_number, read_attribute, read_attribute_number};

/// Where the host's file systems are mounted, as this process sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `/proc`.
    pub procfs: PathBuf,
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/`: where an exporter in a container sees the host's root.
    pub rootfs: PathBuf,
    /// `/run/udev/data`: what udev knows of the disks.
    pub udev_data: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
        }
    }
}

/// Why a collector has nothing, or not all, to show.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kernel or the machine lacks what the collector reads. This is usual and logged quietly.
    #[error("{} does not exist", .0.display())]
    Absent(PathBuf),
    /// A file exists and cannot be read.
    #[error("{}: {cause}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file does not have the layout that its kernel documents.
    #[error("{}: {message}", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// It was not there in time.
    #[error("{0}")]
    Late(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The host as one scrape reads it.
#[derive(Debug)]
pub struct Host {
    /// Where to read.
    pub paths: Paths,
    /// When the scrape must have answered; `None` where the scraper did not say.
    pub deadline: Option<Instant>,
    /// What was read in this scrape and is read again.
    #[cfg(target_os = "linux")]
    shared: kernel::Shared,
}

impl Host {
    /// The host for one scrape.
    #[must_use]
    pub fn new(paths: Paths, deadline: Option<Instant>) -> Self {
        Self {
            paths,
            deadline,
            #[cfg(target_os = "linux")]
            shared: kernel::Shared::default(),
        }
    }
}

/// The names in a directory, sorted.
///
/// # Errors
/// [`Failure::Absent`] or [`Failure::Read`].
pub fn list(path: &Path) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> =
        entries(path)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn entries(path: &Path) -> Result<fs::ReadDir, Failure> {
    fs::read_dir(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Failure::Absent(path.to_owned()),
        _ => Failure::Read { path: path.to_owned(), cause },
    })
}
