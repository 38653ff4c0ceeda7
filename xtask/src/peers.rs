//! The peers that Assay is tested and measured against, from Debian's packages, unpacked and not installed.
//!
//! Invariant: nothing outside `.peers/` changes, and a second call is a no-op. The suite that carries
//! Prometheus 3.5 LTS moves on, so the versions are printed and nothing depends on one exactly.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::shell::{output, root};

const PACKAGES: [&str; 5] =
    ["prometheus", "promtool", "prometheus-alertmanager", "prometheus-node-exporter", "victoria-metrics"];
const NEEDED: [&str; 7] = [
    "prometheus",
    "promtool",
    "amtool",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "victoria-metrics",
    "vmalert",
];

/// Installs the peers where they are missing and yields the folder of their binaries.
pub(crate) fn install() -> Result<PathBuf> {
    let dir = root().join(".peers");
    let bin = dir.join("usr/bin");
    if !NEEDED.iter().all(|name| bin.join(name).is_file()) {
        fetch(&dir)?;
    }
    for name in ["prometheus", "promtool"] {
        let version = output(Command::new(bin.join(name)).arg("--version"))?;
        eprintln!("peer: {}", version.lines().next().unwrap_or_default());
    }
    Ok(bin)
}

fn fetch(dir: &Path) -> Result<()> {
    let suite = std::env::var("PEERS_SUITE").unwrap_or_else(|_| "sid".to_owned());
    let mirror = debian_mirror().context("no Debian mirror in this machine's apt sources")?;
    let (state, packages) = (dir.join(".apt"), dir.join("deb"));
    fs::create_dir_all(state.join("lists/partial"))?;
    fs::create_dir_all(&packages)?;
    let list = state.join("sources.list");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&list, format!("deb [signed-by={keyring}] {mirror} {suite} main\n"))?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.arg("-qq");
        let lists = state.join("lists");
        for option in [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", lists.display()),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    };
    output(apt().arg("update"))?;
    output(apt().arg("download").args(PACKAGES).current_dir(&packages))?;
    for entry in fs::read_dir(&packages)? {
        output(Command::new("dpkg-deb").arg("-x").arg(entry?.path()).arg(dir))?;
    }
    fs::remove_dir_all(&packages)?;
    fs::remove_dir_all(&state)?;
    Ok(())
}

/// The first mirror of Debian itself (not of its security updates) among apt's sources, in either format.
fn debian_mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|e| e.path()));
    }
    let is_mirror = |word: &str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    files.iter().filter_map(|f| fs::read_to_string(f).ok()).find_map(|text| {
        let lines = text.lines().filter(|l| l.starts_with("URIs:") || l.starts_with("deb "));
        lines.flat_map(str::split_whitespace).find(|w| is_mirror(w)).map(str::to_owned)
    })
}
