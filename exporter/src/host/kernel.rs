//! The kernel's files below the paths given: their texts, attributes and numbers.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Failure, Host, files};

/// Texts by the names of their files below `/proc`.
pub(super) type Shared = Mutex<HashMap<&'static str, Arc<str>>>;

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

    /// The same for a file that several collectors read: it is read once a scrape, as the kernel works long for it.
    pub(crate) fn read_proc_shared(&self, relative: &'static str) -> Result<Arc<str>, Failure> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = shared.get(relative) {
            return Ok(Arc::clone(text));
        }
        let text: Arc<str> = self.read_proc(relative)?.into();
        shared.insert(relative, Arc::clone(&text));
        Ok(text)
    }

    /// The text of a file below `/proc` whose lines are shorter than 500 bytes. The kernel gives whole lines, as many as a
    /// page has room for: where one more had room, there is none, and the kernel is not asked to search for it.
    pub(crate) fn read_proc_lines(&self, relative: &str) -> Result<String, Failure> {
        files::read_lines(&self.proc_path(relative))
    }

    /// The one number in a file below `/proc`.
    ///
    /// # Errors
    /// [`Failure::Absent`], [`Failure::Read`], or [`Failure::Layout`] where it is no number.
    pub fn read_proc_number(&self, relative: &str) -> Result<f64, Failure> {
        number(&self.proc_path(relative), self.read_proc(relative)?.trim())
    }
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

/// The numbers of the processes below `/proc`, sorted.
///
/// # Errors
/// [`Failure::Absent`] or [`Failure::Read`].
pub(crate) fn processes(procfs: &Path) -> Result<Vec<u32>, Failure> {
    let entries = super::entries(procfs)?;
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Counts the descriptors of processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// Since Linux 6.2 the size of `/proc/PID/fd` is their number.
    is_size: bool,
}

impl Descriptors {
    pub(crate) fn new(procfs: &Path) -> Self {
        let own = procfs.join("self/fd").metadata();
        Self { is_size: files::is_proc(procfs) && own.is_ok_and(|own| own.len() > 0) }
    }

    /// Those of the process with this directory; `None` where they must not be seen.
    pub(crate) fn count(self, process: &Path) -> Option<u64> {
        let directory = process.join("fd");
        if self.is_size {
            return directory.metadata().ok().map(|directory| directory.len());
        }
        super::entries(&directory).ok().map(|entries| entries.count() as u64)
    }
}

/// Those of this process; the one of the directory that is being read is not counted.
pub(crate) fn own_descriptors() -> Option<u64> {
    let directory = Path::new("/proc/self/fd");
    match directory.metadata().ok()?.len() {
        0 => super::entries(directory).ok().map(|entries| (entries.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
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
