//! What the dependency tree may hold, and what it holds for nothing.

use std::process::Command;

use anyhow::Result;

use super::tool;
use crate::shell;

/// cargo-deny by `deny.toml`, then cargo-machete; yields why it was left out where the tools cannot be had.
pub(super) fn run() -> Result<Option<String>> {
    let (deny, machete) = match (tool("cargo-deny"), tool("cargo-machete")) {
        (Ok(deny), Ok(machete)) => (deny, machete),
        (Err(e), _) | (_, Err(e)) => return Ok(Some(format!("{e:#}"))),
    };
    shell::run(Command::new(&deny).args(["check", "licenses", "bans", "sources"]))?;
    // The advisories lie in a repository of their own, which not every network reaches.
    if let Err(e) = shell::run(Command::new(&deny).args(["fetch", "db"])) {
        eprintln!("left out: advisories: {e:#}");
    } else {
        shell::run(Command::new(&deny).args(["check", "advisories"]))?;
    }
    shell::run(&mut Command::new(machete))?;
    Ok(None)
}
