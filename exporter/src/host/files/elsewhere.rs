//! Reading files where there is no /proc: those of users, such as configuration and text files.

use std::{fs, io, path::Path};

use super::Failure;

/// The text of a file; bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// [`Failure::Absent`] or [`Failure::Read`].
pub fn read(path: &Path) -> Result<String, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(Failure::Absent(path.to_owned())),
        Err(cause) => Err(Failure::Read { path: path.to_owned(), cause }),
    }
}
