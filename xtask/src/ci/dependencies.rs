//! What the dependency tree may hold, and what it holds for nothing; the packages, as a registry would get them.

use std::process::Command;

use anyhow::Result;

use super::tool;
use crate::shell;

/// Packages that are not published; everything else is.
const KEPT: [&str; 2] = ["xtask", "assay-testkit"];

/// Every package packed, cargo-deny by `deny.toml`, then cargo-machete; yields why it was left out where the tools cannot be had.
pub(super) fn run() -> Result<Option<String>> {
    // Not built from the package: what would not build then is what `sources` looks for.
    let mut package = shell::cargo(&["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    shell::run(package.args(KEPT.map(|name| format!("--exclude={name}"))))?;
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
