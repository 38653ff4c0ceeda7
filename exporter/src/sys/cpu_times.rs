//! Seconds of each CPU by mode, as the system counts them since it was booted, where there is no /proc.
//!
//! Invariant: what the system writes is read within the length that it gives, and given back to it.
#![allow(unsafe_code)]

use std::io;

/// A CPU's modes, as node_exporter names them, with their seconds.
pub(crate) type Modes = Vec<(&'static str, f64)>;

/// All CPUs in the system's order.
#[cfg(target_os = "macos")]
pub(crate) fn read() -> io::Result<Vec<Modes>> {
    const TICKS_PER_S: f64 = 100.0;
    const MODES: [&str; libc::CPU_STATE_MAX as usize] = ["user", "system", "idle", "nice"];
    let (mut cpus, mut words) = (0, 0);
    let mut ticks: *mut libc::integer_t = std::ptr::null_mut();
    // Each call of `mach_host_self` takes a reference that nobody gives back.
    static HOST: std::sync::OnceLock<libc::mach_port_t> = std::sync::OnceLock::new();
    // SAFETY: it takes nothing and gives a number.
    #[allow(deprecated)]
    let host = *HOST.get_or_init(|| unsafe { libc::mach_host_self() });
    // SAFETY: the kernel writes a count, an address of memory that it maps for this process, and that memory's length in
    // words; the pointers are to live variables of these types.
    #[allow(deprecated)]
    let result = unsafe {
        let flavor = libc::PROCESSOR_CPU_LOAD_INFO;
        libc::host_processor_info(host, flavor, &raw mut cpus, &raw mut ticks, &raw mut words)
    };
    if result != libc::KERN_SUCCESS {
        return Err(io::Error::other(format!("host_processor_info: {result}")));
    }
    // SAFETY: the call succeeded, so that there are as many words at that address, and nobody else has it.
    let all = unsafe { std::slice::from_raw_parts(ticks, words as usize) };
    let seconds = |ticks: &libc::integer_t| f64::from(ticks.cast_unsigned()) / TICKS_PER_S;
    let of_cpu = |cpu: &[libc::integer_t]| MODES.into_iter().zip(cpu.iter().map(seconds)).collect();
    let modes = all.chunks_exact(MODES.len()).take(cpus as usize).map(of_cpu).collect();
    // SAFETY: the memory is that of the call above, and `all` is not used any more.
    #[allow(deprecated)]
    unsafe {
        libc::vm_deallocate(
            libc::mach_task_self(),
            ticks as usize,
            size_of::<libc::integer_t>() * words as usize,
        );
    }
    Ok(modes)
}

/// All CPUs of the first group of processors (64), in the system's order. `GetSystemTimes` has their sum alone, and boards
/// count CPUs by their labels.
#[cfg(windows)]
pub(crate) fn read() -> io::Result<Vec<Modes>> {
    use windows_sys::{
        Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemProcessorPerformanceInformation},
        Win32::System::WindowsProgramming::SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION as Times,
    };
    const MOST: usize = 64;
    const UNITS_PER_S: f64 = 1e7;
    let mut all = [Times::default(); MOST];
    let mut length = 0;
    // SAFETY: the system writes no more than the length that it is given, which is the array's; every pattern of bits is
    // a value of its numbers.
    let status = unsafe {
        let class = SystemProcessorPerformanceInformation;
        NtQuerySystemInformation(class, all.as_mut_ptr().cast(), size_of_val(&all) as u32, &raw mut length)
    };
    if status < 0 {
        return Err(io::Error::other(format!("NtQuerySystemInformation: {status:#x}")));
    }
    let cpus = (length as usize / size_of::<Times>()).min(MOST);
    let seconds = |units: i64| units as f64 / UNITS_PER_S;
    let of_cpu = |cpu: &Times| {
        // The kernel's time has the idle time in it.
        let system = (cpu.KernelTime - cpu.IdleTime).max(0);
        vec![("idle", seconds(cpu.IdleTime)), ("system", seconds(system)), ("user", seconds(cpu.UserTime))]
    };
    Ok(all[..cpus].iter().map(of_cpu).collect())
}

/// Other systems are not asked.
#[cfg(not(any(target_os = "macos", windows)))]
pub(crate) fn read() -> io::Result<Vec<Modes>> {
    Err(io::ErrorKind::Unsupported.into())
}
