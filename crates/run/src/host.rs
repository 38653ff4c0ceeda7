//! The machine that a run ran on, and the sources that were in its working directory.
//!
//! Invariant: nothing here fails. What cannot be found out is empty, zero or `None`.

#[cfg_attr(target_os = "linux", path = "host/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "host/elsewhere.rs")]
mod system;

use std::{path::Path, process::Command};

use serde::{Deserialize, Serialize};

/// Hardware and system software.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// The host's name.
    pub name: String,
    /// The processor, such as `AMD EPYC 9354P`.
    pub cpu_model: String,
    /// The logical processors that this process may use.
    pub cpus: usize,
    /// The memory in bytes.
    pub memory_bytes: u64,
    /// The kernel, such as `Linux 6.8.0`.
    pub kernel: String,
    /// The distribution, such as `Debian GNU/Linux 13 (trixie)`.
    pub os: String,
    /// The architecture, such as `x86_64`.
    pub arch: String,
    /// The GPUs by model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// The disks, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// The network interfaces that are up, without the loopback, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// The device, such as `nvme0n1`.
    pub name: String,
    /// The model, or empty.
    pub model: String,
    /// The size in bytes.
    pub bytes: u64,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// The interface, such as `eth0`.
    pub name: String,
    /// The speed in bits per second, if the kernel knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_second: Option<u64>,
}

/// The state of a git working tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit.
    pub revision: String,
    /// Whether files that git knows differ from it.
    pub dirty: bool,
}

impl Host {
    /// What the system says of the machine.
    #[must_use]
    pub fn detect() -> Self {
        system::detect()
    }
}

impl Git {
    /// The commit of the working tree that `dir` is in, where it is in one and git is installed.
    #[must_use]
    pub fn detect(dir: &Path) -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let revision = git(&["rev-parse", "--verify", "HEAD"])?;
        let dirty = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
        Some(Self { revision, dirty })
    }
}

/// The memory that this process may use, in bytes: the machine's or, where that is less, its container's.
#[must_use]
pub fn usable_memory_bytes() -> Option<u64> {
    system::usable_memory_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name_memory_and_a_system() {
        let host = Host::detect();
        assert!(!host.name.is_empty() && !host.kernel.is_empty() && host.cpus > 0, "{host:?}");
        assert!(host.memory_bytes > 1 << 20, "{host:?}");
        assert!(usable_memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn a_directory_that_is_no_working_tree_has_no_commit() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Git::detect(dir.path()), None);
    }
}
