//! How many files and connections a process may have open.

/// The limit that applies to this process. `None` if there is none, as on Windows.
#[must_use]
pub fn limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    None
}
