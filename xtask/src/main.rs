//! `cargo xtask`: see the library next to it. Invariant: it builds everywhere, and works where the library does.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    xtask::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("xtask: the project's chores need Linux; the tests are those of `cargo test --workspace`");
    ExitCode::FAILURE
}
