//! What can go wrong with a data directory. Invariant: an error says which file, and where in it there is a
//! place, what was expected there.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

/// Why a data directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, such as `open`.
        action: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// A file's bytes are not what its format says.
    #[error("{}: offset {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The offset in bytes from the start of the file.
        offset: u64,
        /// What is wrong, and what was expected.
        what: Cow<'static, str>,
    },
    /// The directory is not what the operation needs.
    #[error("{}: {what}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: Cow<'static, str>,
    },
    /// A sample that no data directory can hold.
    #[error("{series}: {what}")]
    Sample {
        /// The series as Prometheus prints it.
        series: String,
        /// What is wrong with the sample.
        what: Cow<'static, str>,
    },
}

impl Error {
    /// Whether a file that was listed is there no longer.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The error of [`Database::open`](crate::Database::open).
pub type OpenError = Error;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Damage in a piece of memory: where, counted from the start of the piece, and what. The caller that knows
/// the file turns it into an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: usize,
    pub(crate) what: Cow<'static, str>,
}

impl Damage {
    pub(crate) fn new(at: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Self { at, what: what.into() }
    }

    /// The error for a piece that starts at `base` in `path`.
    pub(crate) fn in_file(self, path: &Path, base: u64) -> Error {
        Error::Corrupt { path: path.to_owned(), offset: base.saturating_add(self.at as u64), what: self.what }
    }
}

/// Names the file and the action of an I/O error.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.to_owned(), action, source })
    }
}
