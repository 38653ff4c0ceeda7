//! The entries of a directory in /sys, such as `class/net`, of which the attributes stay open between scrapes.
//!
//! Invariant: an attribute is read from the device that has the name now. A descriptor stays with its device when that is
//! renamed, and so does the entry's inode: descriptors of a name whose inode is another one are closed. What is not a
//! real /sys is opened each time.

use std::{
    os::unix::fs::DirEntryExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashMap;

use super::{Failure, Host, files, parse_number};

/// The entries of a directory, as a scrape lists them once: names with inodes, sorted.
pub(super) type Listing = Arc<[(String, u64)]>;

/// What is kept of the entries of one directory.
#[derive(Debug, Default)]
pub(crate) struct Class {
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    inode: u64,
    files: HashMap<&'static str, files::Descriptor>,
}

/// A directory's entries as they are now.
pub(crate) struct Entries<'a> {
    directory: PathBuf,
    listing: Listing,
    kept: MutexGuard<'a, HashMap<String, Kept>>,
}

/// An entry, by which its attributes are read.
pub(crate) struct Device<'a> {
    directory: PathBuf,
    kept: &'a mut Kept,
}

impl Class {
    /// Looks at the directory below `/sys`, which is always the same one.
    ///
    /// # Errors
    /// [`Failure::Absent`] or [`Failure::Read`] where it cannot be read.
    pub(crate) fn open<'a>(&'a self, host: &Host, relative: &'static str) -> Result<Entries<'a>, Failure> {
        let directory = host.sys_path(relative);
        let listing = host.shared.listing(relative, || list(&directory))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|name, kept| inode(&listing, name) == Some(kept.inode));
        Ok(Entries { directory, listing, kept })
    }

    /// Calls `show` for each entry of the directory but regular files, sorted by name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn each(
        &self,
        host: &Host,
        relative: &'static str,
        mut show: impl FnMut(&str, &mut Device<'_>),
    ) -> Result<(), Failure> {
        let mut entries = self.open(host, relative)?;
        for (name, inode) in &*Arc::clone(&entries.listing) {
            show(name, &mut entries.known(name, *inode));
        }
        Ok(())
    }
}

impl Entries<'_> {
    /// The entry of that name.
    pub(crate) fn device(&mut self, name: &str) -> Option<Device<'_>> {
        let inode = inode(&self.listing, name)?;
        Some(self.known(name, inode))
    }

    fn known(&mut self, name: &str, inode: u64) -> Device<'_> {
        let kept = self.kept.entry_ref(name).or_insert_with(|| Kept { inode, files: HashMap::new() });
        Device { directory: self.directory.join(name), kept }
    }
}

fn inode(listing: &Listing, name: &str) -> Option<u64> {
    let at = listing.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
    Some(listing[at].1)
}

impl Device<'_> {
    /// The trimmed text of an attribute, such as `mtu` or `statistics/rx_bytes`; `None` where the device lacks it or
    /// refuses to show it.
    pub(crate) fn text(&mut self, attribute: &'static str) -> Option<String> {
        self.read(attribute, str::to_owned)
    }

    /// The number in an attribute.
    pub(crate) fn number(&mut self, attribute: &'static str) -> Option<f64> {
        self.read(attribute, parse_number).flatten()
    }

    /// Whether there is such a file or directory.
    pub(crate) fn has(&self, attribute: &str) -> bool {
        rustix::fs::access(self.directory.join(attribute), rustix::fs::Access::EXISTS).is_ok()
    }

    fn read<R>(&mut self, attribute: &'static str, take: impl Fn(&str) -> R) -> Option<R> {
        if let Some(file) = self.kept.files.get(attribute) {
            match file.read_attribute(&take) {
                Ok(taken) => return Some(taken),
                // The device said so itself.
                Err(cause) if !files::is_gone(cause) => return None,
                Err(_) => {}
            }
            self.kept.files.remove(attribute);
        }
        let file = files::open_attribute(&self.directory.join(attribute)).ok()?;
        let taken = file.read_attribute(take).ok();
        if let Some(file) = file.kept() {
            self.kept.files.insert(attribute, file);
        }
        taken
    }
}

/// Without regular files, of which `class/net` has one (`bonding_masters`).
fn list(path: &Path) -> Result<Listing, Failure> {
    let mut names: Vec<_> = super::entries(path)?
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.ino())))
        .collect();
    names.sort();
    Ok(names.into())
}
