//! The name of this machine.

/// The name that the machine has on its network. Empty if the system does not say.
#[must_use]
pub fn get() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(windows)]
    crate::windows::host_name()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_has_a_name() {
        assert_ne!(super::get(), "");
    }
}
