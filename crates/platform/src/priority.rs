//! The priority of a thread.

/// Lowers the priority of the calling thread, so that other threads run first. If the system refuses, or has only priorities of
/// whole processes (macOS), the thread keeps its priority.
pub fn lower() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
    #[cfg(windows)]
    crate::windows::lower_priority();
}
