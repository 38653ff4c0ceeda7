//! Reading the kernel's files: [`Host`].
//!
//! Invariant: every error names the file it is about, and a file that does not exist is distinguished from one
//! that cannot be read.

mod files;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

pub use self::files::read;

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
#[derive(Clone, Debug)]
pub struct Host {
    /// Where to read.
    pub paths: Paths,
    /// When the scrape must have answered; `None` where the scraper did not say.
    pub deadline: Option<Instant>,
}

impl Host {
    /// A file below `/proc`.
    #[must_use]
    pub fn proc_path(&self, relative: &str) -> PathBuf {
        self.paths.procfs.join(relative)
    }

    /// A file below `/sys`.
    #[must_use]
    pub fn sys_path(&self, relative: &str) -> PathBuf {
        self.paths.sysfs.join(relative)
    }

    /// The text of a file below `/proc`. Its descriptor stays open for the next time.
    ///
    /// # Errors
    /// [`Failure::Absent`] or [`Failure::Read`].
    pub fn read_proc(&self, relative: &str) -> Result<String, Failure> {
        files::read_kept(&self.proc_path(relative))
    }

    /// The one number in a file below `/proc`.
    ///
    /// # Errors
    /// [`Failure::Absent`], [`Failure::Read`], or [`Failure::Layout`] where it is no number.
    pub fn read_proc_number(&self, relative: &str) -> Result<f64, Failure> {
        number(&self.proc_path(relative), self.read_proc(relative)?.trim())
    }
}

/// This host's name.
#[must_use]
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The trimmed text of an attribute that may be missing or, as many in /sys do, refuse to be read.
#[must_use]
pub fn read_attribute(path: &Path) -> Option<String> {
    files::read_attribute(path).ok()
}

/// The number in an attribute that may be missing, refuse to be read or hold something else.
#[must_use]
pub fn read_attribute_number(path: &Path) -> Option<f64> {
    parse_number(&read_attribute(path)?)
}

/// The names in a directory, sorted.
///
/// # Errors
/// [`Failure::Absent`] or [`Failure::Read`].
pub fn list(path: &Path) -> Result<Vec<String>, Failure> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Absent(path.to_owned()));
        }
        Err(cause) => return Err(Failure::Read { path: path.to_owned(), cause }),
    };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// `text` as a number.
///
/// # Errors
/// [`Failure::Layout`] with the file it came from.
pub fn number(path: &Path, text: &str) -> Result<f64, Failure> {
    parse_number(text).ok_or_else(|| Failure::Layout {
        path: path.to_owned(),
        message: format!("\"{text}\" where a number should be"),
    })
}

/// `text` as a number, decimal or, after `0x`, hexadecimal.
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as f64),
        None => text.parse().ok(),
    }
}
