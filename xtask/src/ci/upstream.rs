//! Upstream's test data, which is never committed here. Invariant: it is what a pinned commit holds; git's object names
//! are its checksums.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Where Prometheus' source is, unless `ASSAY_PROMETHEUS_GIT` names another copy.
const REPOSITORY: &str = "https://github.com/prometheus/prometheus";
/// Prometheus v3.13.2.
const COMMIT: &str = "bb5dff00cf8fdfbf5c65e0531aa835fa238a43a2";
const CASES: &str = "promql/promqltest/testdata";

/// The folder that `ASSAY_DATA` is to name: the one that it names already, one next to the checkout, or one below
/// `target` with the PromQL cases of the pinned commit.
pub(super) fn data() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ASSAY_DATA") {
        return Ok(named.into());
    }
    let shared = shell::root().join("../shared/data");
    if shared.is_dir() {
        return shared.canonicalize().with_context(|| shared.display().to_string());
    }
    let data = shell::root().join("target/upstream");
    let cases = data.join("promqltest");
    if cases.is_dir() {
        return Ok(data);
    }
    let clone = data.join("prometheus.git");
    let _ = fs::remove_dir_all(&clone);
    fs::create_dir_all(&clone)?;
    let git = |arguments: &[&str]| shell::output(Command::new("git").current_dir(&clone).args(arguments));
    let repository = std::env::var("ASSAY_PROMETHEUS_GIT").unwrap_or_else(|_| REPOSITORY.to_owned());
    git(&["init", "--quiet"])?;
    git(&["fetch", "--quiet", "--depth=1", "--filter=blob:none", &repository, COMMIT])?;
    git(&["config", "extensions.partialClone", &repository])?;
    git(&["config", &format!("remote.{repository}.url"), &repository])?;
    git(&["config", &format!("remote.{repository}.promisor"), "true"])?;
    git(&["checkout", "--quiet", COMMIT, "--", CASES])?;
    let found = clone.join(CASES);
    ensure!(fs::read_dir(&found)?.count() >= 20, "{} holds few cases", found.display());
    fs::rename(&found, &cases)?;
    fs::remove_dir_all(&clone)?;
    Ok(data)
}
