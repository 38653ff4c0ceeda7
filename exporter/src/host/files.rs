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
    sync::{
        Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
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

/// Descriptors kept at most, and no more than a quarter of those that the process may have.
const MOST_KEPT: usize = 512;

/// Of these, what attributes of /sys leave to files of /proc, which are few and read by most collectors.
const OF_PROC: usize = 64;

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
        read_all(0, |buffer, _| rustix::io::read(&file, buffer))
    };
    attempt().map_err(|cause| failure(path, cause))
}

/// The trimmed text of a sysfs attribute.
pub(super) fn read_attribute(path: &Path) -> Result<String, Failure> {
    let attempt = || open_attribute(path)?.read_attribute(str::to_owned);
    attempt().map_err(|cause| failure(path, cause))
}

/// An attribute that was opened to be read now and, where it is one of a real /sys, at later scrapes.
#[derive(Debug)]
pub(super) struct Descriptor {
    file: OwnedFd,
    place: Option<Place>,
}

pub(super) fn open_attribute(path: &Path) -> Result<Descriptor, Errno> {
    Ok(Descriptor { file: open(path)?, place: None })
}

/// Whether an attribute cannot be read because its device is no longer there.
pub(super) fn is_gone(cause: Errno) -> bool {
    matches!(cause, Errno::NODEV | Errno::STALE | Errno::NOENT)
}

impl Descriptor {
    /// What `take` makes of the trimmed text.
    pub(super) fn read_attribute<R>(&self, take: impl FnOnce(&str) -> R) -> Result<R, Errno> {
        with_buffer(|buffer| {
            let n = rustix::io::pread(&self.file, &mut buffer[..], 0)?;
            if n < PAGE {
                let bytes = buffer[..n].trim_ascii();
                return Ok(match std::str::from_utf8(bytes) {
                    Ok(text) => take(text),
                    Err(_) => take(&text(bytes)),
                });
            }
            let mut all = buffer[..n].to_vec();
            while let n @ 1.. = rustix::io::pread(&self.file, &mut buffer[..], all.len() as u64)? {
                all.extend_from_slice(&buffer[..n]);
            }
            Ok(take(&text(all.trim_ascii())))
        })
    }

    /// The descriptor, to be kept; `None` where there is no place for one more, or this is no /sys.
    pub(super) fn kept(mut self) -> Option<Self> {
        self.place = PLACES.take(most_kept(), OF_PROC).filter(|_| is_of(&self.file, SYSFS_MAGIC));
        self.place.is_some().then_some(self)
    }
}

/// A directory that is open, so that the kernel does not walk to it for each file below it.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let directory = rustix::fs::open(path, flags, Mode::empty());
        directory.map(Self).map_err(|cause| failure(path, cause))
    }

    /// What `take` makes of the trimmed text of a file below it.
    pub(super) fn read_attribute<R>(&self, file: &str, take: impl FnOnce(&str) -> R) -> Result<R, Errno> {
        let file = rustix::fs::openat(&self.0, file, FILE, Mode::empty())?;
        Descriptor { file, place: None }.read_attribute(take)
    }
}

/// Places for descriptors that stay open: how many are taken.
#[derive(Debug, Default)]
struct Places(AtomicUsize);

static PLACES: Places = Places(AtomicUsize::new(0));

/// One of them.
#[derive(Debug)]
struct Place(&'static Places);

impl Places {
    /// A place, if of the `most` that there are more than `others` are free; others leave half at least.
    fn take(&'static self, most: usize, others: usize) -> Option<Place> {
        let most = most - others.min(most / 2);
        let taken =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        taken.ok().map(|_| Place(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many places there are. The limit of descriptors is raised at the start and stays.
fn most_kept() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| {
        let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        allowed.map_or(MOST_KEPT, |n| usize::try_from(n / 4).unwrap_or(MOST_KEPT).min(MOST_KEPT))
    })
}

/// The same text as [`read`] gives, from a descriptor that stays open where the file is one of a real /proc.
pub(super) fn read_kept(path: &Path) -> Result<String, Failure> {
    read_open(path, 0)
}

/// The same for a file of /proc with records shorter than 500 bytes: it ends where there was room for one more.
pub(crate) fn read_records(path: &Path) -> Result<String, Failure> {
    read_open(path, PAGE - 512)
}

/// A file that is open; two readers of one descriptor would disturb each other's position.
type Kept = (Mutex<OwnedFd>, Place);

/// A first part shorter than `whole` is all.
fn read_open(path: &Path, whole: usize) -> Result<String, Failure> {
    static KEPT: OnceLock<RwLock<HashMap<PathBuf, Kept>>> = OnceLock::new();
    let kept = KEPT.get_or_init(RwLock::default);
    {
        let kept = kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((file, _)) = kept.get(path) {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(text) = read_from_start(file.as_fd(), whole) {
                return Ok(text);
            }
        }
    }
    let file = open(path).map_err(|cause| failure(path, cause))?;
    let text = read_from_start(file.as_fd(), whole).map_err(|cause| failure(path, cause))?;
    let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
    kept.remove(path);
    if is_kept(path)
        && let Some(place) = PLACES.take(most_kept(), 0)
        && is_of(&file, PROC_SUPER_MAGIC)
    {
        kept.insert(path.to_owned(), (Mutex::new(file), place));
    }
    Ok(text)
}

fn read_from_start(file: BorrowedFd<'_>, whole: usize) -> Result<String, Errno> {
    read_all(whole, |buffer, offset| rustix::io::pread(file, buffer, offset))
}

/// A process ends, and its number is given to another; the first one stays.
fn is_kept(path: &Path) -> bool {
    let is_number = |part: &[u8]| part != b"1" && part.iter().all(u8::is_ascii_digit);
    !path.iter().any(|part| is_number(part.as_encoded_bytes()))
}

const PROC_SUPER_MAGIC: i128 = 0x9fa0;
const SYSFS_MAGIC: i128 = 0x6265_6572;

/// Whether a directory is a real /proc.
pub(super) fn is_proc(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|s| i128::from(s.f_type) == PROC_SUPER_MAGIC)
}

fn is_of(file: &OwnedFd, magic: i128) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|s| i128::from(s.f_type) == magic)
}

/// A pipe without a writer must not hold up who opens it.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, FILE, Mode::empty())
}

fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK, 0);
        f(buffer)
    })
}

fn read_all(whole: usize, read: impl Fn(&mut [u8], u64) -> Result<usize, Errno>) -> Result<String, Errno> {
    with_buffer(|buffer| {
        let mut n = 0;
        loop {
            match read(&mut buffer[n..], n as u64) {
                Ok(0) => return Ok(text(&buffer[..n])),
                Ok(more) if n == 0 && more < whole => return Ok(text(&buffer[..more])),
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
    // Checked as a whole first, which is much faster than piece by piece.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
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
    fn a_short_first_part_is_all_of_short_records_alone() {
        // Two disks of 1400 bytes are what a page has room for; the third comes with the next call.
        let disks = "d".repeat(4200);
        let read = |whole| {
            super::read_all(whole, |buffer, offset| {
                let rest = &disks.as_bytes()[offset as usize..];
                let n = rest.len().min(2800);
                buffer[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            })
        };
        assert_eq!(read(0).unwrap().len(), 4200);
        assert_eq!(read(super::PAGE - 512).unwrap().len(), 2800);
    }

    #[test]
    fn attributes_leave_places_to_files_of_proc() {
        static FREE: Places = Places(AtomicUsize::new(0));
        let check = |most: usize, attributes: usize| {
            let all: Vec<Place> = std::iter::from_fn(|| FREE.take(most, OF_PROC)).collect();
            assert_eq!(all.len(), attributes, "of {most}");
            let left: Vec<Place> = std::iter::from_fn(|| FREE.take(most, 0)).collect();
            assert_eq!(all.len() + left.len(), most);
            drop(left);
            assert!(FREE.take(most, OF_PROC).is_none(), "what is given back is /proc's");
        };
        check(512, 448);
        check(100, 50);
        check(10, 5);
        check(0, 0);
    }

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
