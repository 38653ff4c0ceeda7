//! Windows' drives by their letters, for where its list of volumes is empty (Wine, containers).
//!
//! Invariant: the system is given texts that end in zero and buffers with their lengths, all of which live through the call.
#![allow(unsafe_code)]

use windows_sys::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, GetDriveTypeW, GetLogicalDrives, GetVolumeInformationW,
};

/// A drive that is on this machine.
pub(crate) struct Drive {
    /// Such as `C:\`.
    pub(crate) root: String,
    pub(crate) file_system: String,
    pub(crate) is_read_only: bool,
    pub(crate) size: u64,
    pub(crate) available: u64,
}

/// Drives that are not a share, a CD or empty.
pub(crate) fn all() -> Vec<Drive> {
    // SAFETY: the call takes nothing and gives a number.
    let letters = unsafe { GetLogicalDrives() };
    let names = (b'A'..=b'Z').enumerate().filter(|(at, _)| letters & (1 << at) != 0);
    names.filter_map(|(_, letter)| drive(char::from(letter))).collect()
}

fn drive(letter: char) -> Option<Drive> {
    const LOCAL: [u32; 3] = [2, 3, 6];
    const READ_ONLY: u32 = 0x0008_0000;
    let root = format!("{letter}:\\");
    let path: Vec<u16> = root.encode_utf16().chain([0]).collect();
    let (mut flags, mut name) = (0, [0u16; 64]);
    let (mut size, mut available) = (0, 0);
    // SAFETY: see the module's invariant.
    let is_there = unsafe {
        let length = name.len() as u32;
        LOCAL.contains(&GetDriveTypeW(path.as_ptr()))
            && GetDiskFreeSpaceExW(path.as_ptr(), &raw mut available, &raw mut size, std::ptr::null_mut())
                != 0
            && GetVolumeInformationW(
                path.as_ptr(),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                &raw mut flags,
                name.as_mut_ptr(),
                length,
            ) != 0
    };
    let end = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
    is_there.then(|| Drive {
        root,
        file_system: String::from_utf16_lossy(&name[..end]),
        is_read_only: flags & READ_ONLY != 0,
        size,
        available,
    })
}
