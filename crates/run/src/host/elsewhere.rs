//! The machine as macOS and Windows describe it. Its GPUs, disks and networks are not listed.
//!
//! Invariant: nothing here fails.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::Host;

pub(super) fn detect() -> Host {
    let what = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(what).ok();
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    let kernel = [System::name(), System::kernel_version()];
    Host {
        name: System::host_name().unwrap_or_default(),
        cpu_model: cpu.map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: system.as_ref().map_or(0, System::total_memory),
        kernel: Vec::from_iter(kernel.into_iter().flatten()).join(" "),
        os: System::long_os_version().unwrap_or_default(),
        arch: std::env::consts::ARCH.to_owned(),
        ..Host::default()
    }
}

/// The machine's memory.
pub(super) fn usable_memory_bytes() -> Option<u64> {
    Some(detect().memory_bytes).filter(|bytes| *bytes > 0)
}
