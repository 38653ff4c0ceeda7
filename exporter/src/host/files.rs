//! Reading files with as few system calls as there can be.
//!
//! Invariant: what is returned was read now. No file is asked for its size, since the kernel's own claim to be empty;
//! files of a real /proc that are read at every scrape stay open and are read from their start again.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError, RwLock},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::Failure;

/// More than one of them holds, as a rule.
const CHUNK: usize = 32 * 1024;

/// sysfs gives an attribute at once, and none is longer than a page.
const PAGE: usize = 4096;

/// Descriptors kept at most.
const MOST_KEPT: usize = 64;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The text of a file; bytes that are not UTF-8 (a mount point's name may have them) become U+FFFD.
///
/// # Errors
/// [`Failure::Absent`] or [`Failure::Read`].
pub fn read(path: &Path) -> Result<String, Failure> {
    let attempt = || {
        let file = open(path)?;
        read_all(|buffer, _| rustix::io::read(&file, buffer))
    };
    attempt().map_err(|cause| failure(path, cause))
}

/// The trimmed text of a sysfs attribute.
pub(super) fn read_attribute(path: &Path) -> Result<String, Failure> {
    let attempt = || {
        let file = open(path)?;
        with_buffer(|buffer| {
            let n = rustix::io::read(&file, &mut buffer[..])?;
            if n < PAGE {
                return Ok(text(buffer[..n].trim_ascii()));
            }
            let mut all = buffer[..n].to_vec();
            while let n @ 1.. = rustix::io::read(&file, &mut buffer[..])? {
                all.extend_from_slice(&buffer[..n]);
            }
            Ok(text(all.trim_ascii()))
        })
    };
    attempt().map_err(|cause| failure(path, cause))
}

/// The same text as [`read`] gives, from a descriptor that stays open where the file is one of a real /proc.
pub(super) fn read_kept(path: &Path) -> Result<String, Failure> {
    static KEPT: OnceLock<RwLock<HashMap<PathBuf, Mutex<OwnedFd>>>> = OnceLock::new();
    let kept = KEPT.get_or_init(RwLock::default);
    {
        let kept = kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = kept.get(path) {
            // Two readers of one descriptor would disturb each other's position.
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(text) = read_from_start(file.as_fd()) {
                return Ok(text);
            }
        }
    }
    let file = open(path).map_err(|cause| failure(path, cause))?;
    let text = read_from_start(file.as_fd()).map_err(|cause| failure(path, cause))?;
    let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
    if is_kept(path) && is_proc(&file) && (kept.len() < MOST_KEPT || kept.contains_key(path)) {
        kept.insert(path.to_owned(), Mutex::new(file));
    } else {
        kept.remove(path);
    }
    Ok(text)
}

fn read_from_start(file: BorrowedFd<'_>) -> Result<String, Errno> {
    read_all(|buffer, offset| rustix::io::pread(file, buffer, offset))
}

/// A process ends, and its number is given to another.
fn is_kept(path: &Path) -> bool {
    !path.iter().any(|part| part.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

fn is_proc(file: &OwnedFd) -> bool {
    const PROC_SUPER_MAGIC: i128 = 0x9fa0;
    rustix::fs::fstatfs(file).is_ok_and(|s| i128::from(s.f_type) == PROC_SUPER_MAGIC)
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    // A pipe without a writer must not hold up who opens it.
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
}

fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK, 0);
        f(buffer)
    })
}

fn read_all(read: impl Fn(&mut [u8], u64) -> Result<usize, Errno>) -> Result<String, Errno> {
    with_buffer(|buffer| {
        let mut n = 0;
        loop {
            match read(&mut buffer[n..], n as u64) {
                Ok(0) => return Ok(text(&buffer[..n])),
                Ok(more) => n += more,
                Err(Errno::INTR) => {}
                Err(cause) => return Err(cause),
            }
            if n == buffer.len() {
                break;
            }
        }
        let mut all = buffer[..n].to_vec();
        loop {
            match read(buffer, all.len() as u64) {
                Ok(0) => return Ok(text(&all)),
                Ok(more) => all.extend_from_slice(&buffer[..more]),
                Err(Errno::INTR) => {}
                Err(cause) => return Err(cause),
            }
        }
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn failure(path: &Path, cause: Errno) -> Failure {
    match cause {
        Errno::NOENT | Errno::NOTDIR => Failure::Absent(path.to_owned()),
        cause => Failure::Read { path: path.to_owned(), cause: io::Error::from(cause) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_open_is_read_anew_and_what_is_no_proc_is_not_kept() {
        let uptime = || read_kept(Path::new("/proc/self/stat")).unwrap();
        assert!(uptime().starts_with(&std::process::id().to_string()));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("loadavg");
        for text in ["1 2 3\n", "4\n", ""] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_kept(&path).unwrap(), text);
            assert_eq!(read(&path).unwrap(), text);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read_kept(&path), Err(Failure::Absent(_))));
        let long = "0123456789\n".repeat(10_000);
        std::fs::write(&path, &long).unwrap();
        assert_eq!(read(&path).unwrap(), long);
        assert_eq!(read_attribute(&path).unwrap(), long.trim());
    }
}
