//! The kernel's files below the paths given: their texts, attributes and numbers.

use std::{
    collections::HashMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Failure, Host, class::Listing, files};

/// What was read in a scrape, by its name.
type Once<T> = Mutex<HashMap<&'static str, T>>;

/// What several collectors read in a scrape.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Files below `/proc`.
    texts: Once<Arc<str>>,
    /// Directories below `/sys`.
    listings: Once<Listing>,
}

impl Shared {
    /// The directory as it was listed first in this scrape.
    pub(super) fn listing(
        &self,
        name: &'static str,
        list: impl FnOnce() -> Result<Listing, Failure>,
    ) -> Result<Listing, Failure> {
        once(&self.listings, name, list)
    }
}

fn once<T: Clone>(
    known: &Once<T>,
    name: &'static str,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(name) {
        return Ok(known.clone());
    }
    let new = read()?;
    known.insert(name, new.clone());
    Ok(new)
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

    /// The text of a file below `/proc` that is one record, or has records (lines, as a rule) shorter than 500 bytes. The
    /// kernel gives whole records, as many as a page has room for: where one more had room, there is none, and the kernel
    /// is not asked for it. The descriptor stays open for the next time.
    ///
    /// # Errors
    /// [`Failure::Absent`] or [`Failure::Read`].
    pub fn read_proc(&self, relative: &str) -> Result<String, Failure> {
        files::read_records(&self.proc_path(relative))
    }

    /// The same for a file that several collectors read: it is read once a scrape, as the kernel works long for it.
    pub(crate) fn read_proc_shared(&self, relative: &'static str) -> Result<Arc<str>, Failure> {
        once(&self.shared.texts, relative, || Ok(self.read_proc(relative)?.into()))
    }

    /// The text of a file below `/proc` whose records may be long, such as those of a CPU, of a mount, or of a
    /// disk with its partitions.
    pub(crate) fn read_proc_long(&self, relative: &str) -> Result<String, Failure> {
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

/// Directories whose names are numbers: the processes below `/proc`, the threads below `/proc/PID/task`.
pub(crate) struct Numbered<'a> {
    at: &'a Path,
    directory: files::Directory,
    /// Of the file that is read, below the directory.
    path: String,
}

impl<'a> Numbered<'a> {
    /// # Errors
    /// [`Failure::Absent`] or [`Failure::Read`].
    pub(crate) fn open(at: &'a Path) -> Result<Self, Failure> {
        Ok(Self { at, directory: files::Directory::open(at)?, path: String::new() })
    }

    /// Their numbers, sorted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn numbers(&self) -> Result<Vec<u32>, Failure> {
        let entries = super::entries(self.at)?;
        let mut numbers: Vec<u32> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What `take` makes of the trimmed text of a file in one of them; `None` where that is gone or hides it.
    pub(crate) fn read<R>(&mut self, number: u32, file: &str, take: impl FnOnce(&str) -> R) -> Option<R> {
        self.path.clear();
        // Writing to a text cannot fail.
        let _ = write!(self.path, "{number}/{file}");
        self.directory.read_attribute(&self.path, take).ok()
    }
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
