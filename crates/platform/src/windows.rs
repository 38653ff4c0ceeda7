//! Calls of Windows that no safe crate wraps.
//!
//! Invariant: the system is given buffers with their lengths, which live through the call, and handles that are always valid.
#![allow(unsafe_code)]

use std::time::Duration;

use windows_sys::Win32::{
    Foundation::FILETIME,
    System::{
        SystemInformation::{ComputerNamePhysicalDnsHostname, GetComputerNameExW, GetTickCount64},
        Threading::{GetCurrentThread, GetThreadTimes, SetThreadPriority, THREAD_PRIORITY_BELOW_NORMAL},
    },
};

pub(crate) fn host_name() -> String {
    let mut name = [0u16; 256];
    let mut length = name.len() as u32;
    // SAFETY: see the module's invariant.
    let is_there = unsafe {
        GetComputerNameExW(ComputerNamePhysicalDnsHostname, name.as_mut_ptr(), &raw mut length) != 0
    };
    let length = if is_there { length as usize } else { 0 };
    String::from_utf16_lossy(&name[..length.min(name.len())])
}

pub(crate) fn lower_priority() {
    // SAFETY: the calls take numbers; the handle means the calling thread, whichever that is.
    unsafe {
        SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
    }
}

pub(crate) fn thread_time() -> Duration {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: see the module's invariant; the handle means the calling thread.
    unsafe {
        // Without an answer the times are still zero.
        GetThreadTimes(GetCurrentThread(), &raw mut created, &raw mut ended, &raw mut kernel, &raw mut user);
    }
    // In units of 100 ns.
    let units = |t: FILETIME| u64::from(t.dwHighDateTime) << 32 | u64::from(t.dwLowDateTime);
    Duration::from_nanos((units(kernel) + units(user)) * 100)
}

pub(crate) fn since_boot() -> Duration {
    // SAFETY: the call takes nothing and gives a number.
    Duration::from_millis(unsafe { GetTickCount64() })
}
