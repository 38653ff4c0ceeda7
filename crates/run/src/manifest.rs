//! `run.json`: what was run, where, when and how it ended.
//!
//! The file is JSON with these keys; times are RFC 3339 in UTC, and what is not known is left out.
//!
//! | key | holds |
//! |---|---|
//! | `version` | 1, the version of this schema |
//! | `id` | the value of the label `load_run` of what the generator measured |
//! | `scenario`, `mode`, `target`, `seed`, `command` | what drove the load, and the command line that repeats it |
//! | `start`, `end` | when recording began and ended |
//! | `outcome` | `{"status": "finished"}`, `"interrupted"`, or `"aborted"` with a `reason`; without it, the run was killed or is still on |
//! | `phases` | in order, each with `name`, `start`, `end`, `warmup`; `outcome` is `cut_short` for one that was stopped |
//! | `scrape` | the targets scraped: `job`, `instance`, `url`, `interval_ms` |
//! | `git` | `revision` of the working directory, `dirty` |
//! | `host` | `name`, `cpu_model`, `cpus`, `memory_bytes`, `kernel`, `os`, `arch`, `gpus`, `disks`, `networks` |
//! | `versions` | name to version, the tools' own among them |
//! | `shard` | `index` (from 0) and `count`, where the run is one shard of a load |
//! | `parts` | the runs that a merged run is the sum of: `name`, `shard`, `host`, `start`, `end`, `outcome` |
//! | `source` | where an imported run came from |
//! | `notes` | what a reader should know: that the machine's clock was set while it was recorded, say |
//!
//! Invariant: the file is replaced in one step, so that a reader sees one whole version of it. A reader of
//! this version ignores keys that it does not know, and refuses a later `version`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    host::{Git, Host},
    plan::PhaseOutcome,
    time,
};

/// The version of the schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The longest run: a hundred years, which is more than a clock that starts in 1970 is off by.
const LONGEST_MS: i64 = 36_525 * 86_400_000;

/// The name of the file.
pub const FILE_NAME: &str = "run.json";

/// The description of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the schema.
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What distinguishes this run's series from another's: the value of the label `load_run` of all that the generator
    /// measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The mode, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The service under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The seed of all that is random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The command line, program first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// When recording began, in milliseconds since the Unix epoch.
    #[serde(rename = "start", with = "time::rfc3339")]
    pub start_ms: i64,
    /// When recording ended.
    #[serde(default, rename = "end", with = "time::rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// How it ended; `None` where it was killed or is still on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The phases that have begun, in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// What was scraped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scrape: Vec<Scraped>,
    /// The state of the sources in the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Programs and their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Where an imported run came from: files, or the URL of a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// What a reader of the run should know, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Which part of a load this is, where it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The runs that a merged run is the sum of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// Which part of a load a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// A run that is part of a merged one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its directory, as it was given.
    pub name: String,
    /// Which part of the load it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When its recording began, in milliseconds since the Unix epoch.
    #[serde(rename = "start", with = "time::rfc3339")]
    pub start_ms: i64,
    /// When it ended.
    #[serde(default, rename = "end", with = "time::rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// How it ended; `None` where it was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// All phases ran to their end.
    Finished,
    /// Someone stopped it.
    Interrupted,
    /// It stopped itself.
    Aborted {
        /// Why.
        reason: String,
    },
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The name.
    pub name: String,
    /// When it began, in milliseconds since the Unix epoch.
    #[serde(rename = "start", with = "time::rfc3339")]
    pub start_ms: i64,
    /// When it ended; `None` while it is on, or where the run was killed in it.
    #[serde(default, rename = "end", with = "time::rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// Whether it only warms up and is not judged.
    #[serde(default)]
    pub warmup: bool,
    /// How it ended; `None` if that was not noted, as older programs did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<PhaseOutcome>,
}

/// A target that was scraped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scraped {
    /// The label `job`.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
    /// Where its metrics are.
    pub url: String,
    /// How often it was scraped.
    pub interval_ms: u64,
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// The file is not a manifest; the message has the line and the column.
    #[error("{}:{}:{}: not a run's description: {source}", path.display(), source.line(), source.column())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Its times cannot be those of a run.
    #[error("{}: not the times of a run: {what}", path.display())]
    Times {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A later program wrote it.
    #[error(
        "{}: has version {found} of the schema, this program reads up to {SCHEMA_VERSION}; use a later one",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
    },
}

impl Manifest {
    /// The description of a run that begins at `start_ms`: this machine, this working directory's sources, and
    /// nothing else yet.
    #[must_use]
    pub fn new(scenario: impl Into<String>, start_ms: i64) -> Self {
        Self {
            version: SCHEMA_VERSION,
            scenario: scenario.into(),
            id: None,
            mode: None,
            target: None,
            seed: None,
            command: Vec::new(),
            start_ms,
            end_ms: None,
            outcome: None,
            phases: Vec::new(),
            scrape: Vec::new(),
            git: None,
            host: None,
            versions: BTreeMap::from([("assay".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
            source: Vec::new(),
            notes: Vec::new(),
            shard: None,
            parts: Vec::new(),
        }
    }

    /// The description with what can be found out about the machine and the sources in the working directory.
    #[must_use]
    pub fn with_surroundings(mut self) -> Self {
        self.host = Some(Host::detect());
        self.git = Git::detect(Path::new("."));
        self
    }

    /// Reads the manifest of a run directory.
    ///
    /// # Errors
    /// Where there is none, it is not a manifest, or it is of a later version.
    pub fn read(run_dir: &Path) -> Result<Self, ManifestError> {
        let path = run_dir.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ManifestError::Io { path, action: "read", source }),
        };
        Self::from_json(&bytes, path)
    }

    /// The manifest that a file's bytes are; `path` is what messages name.
    ///
    /// # Errors
    /// If they are not a manifest, or one of a later version.
    pub fn from_json(bytes: &[u8], path: PathBuf) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // The version first: a later schema may well differ in the rest.
        match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { version: found }) if found > SCHEMA_VERSION => {
                Err(ManifestError::Version { path, found })
            }
            _ => match serde_json::from_slice::<Self>(bytes) {
                Err(source) => Err(ManifestError::Malformed { path, source }),
                Ok(manifest) => match manifest.check_times() {
                    Ok(()) => Ok(manifest),
                    Err(what) => Err(ManifestError::Times { path, what }),
                },
            },
        }
    }

    /// Whether the times can be those of a run: it ends after its start, and not after years; so does each phase.
    fn check_times(&self) -> Result<(), String> {
        let check = |name: &str, start_ms: i64, end_ms: i64| {
            let (start, end) = (time::to_rfc3339(start_ms), time::to_rfc3339(end_ms));
            match end_ms.checked_sub(start_ms) {
                Some(length) if length < 0 => {
                    Err(format!("{name} ends at {end}, before its start at {start}"))
                }
                Some(length) if length <= LONGEST_MS => Ok(()),
                _ => Err(format!("{name} lasts from {start} to {end}; the longest is a hundred years")),
            }
        };
        let end_ms = self.end_ms.unwrap_or(self.start_ms);
        check("the run", self.start_ms, end_ms)?;
        for phase in &self.phases {
            let name = format!("phase {:?}", phase.name);
            check(&name, phase.start_ms, phase.end_ms.unwrap_or(phase.start_ms))?;
            check(&name, phase.start_ms.min(self.start_ms), phase.start_ms.max(self.start_ms))?;
        }
        Ok(())
    }

    /// Leaves out the phases that [`Self::write`] would refuse, and gives their names.
    pub(crate) fn drop_impossible_phases(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        for phase in std::mem::take(&mut self.phases) {
            self.phases.push(phase);
            if self.check_times().is_err() {
                dropped.extend(self.phases.pop().map(|p| p.name));
            }
        }
        dropped
    }

    /// Writes the manifest into a run directory, in place of the one that is there.
    ///
    /// # Errors
    /// Where the directory cannot be written, or the times could not be read again; the manifest that was there stays.
    pub fn write(&self, run_dir: &Path) -> Result<(), ManifestError> {
        let path = run_dir.join(FILE_NAME);
        self.check_times().map_err(|what| ManifestError::Times { path: path.clone(), what })?;
        let draft = run_dir.join("run.json.tmp");
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ManifestError::Io { path, action, source }
        };
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| ManifestError::Malformed { path: path.clone(), source })?;
        // Runs are attached to tickets: no secret of a URL is in them.
        let json = assay_text::document(json) + "\n";
        let mut file = create_private(&draft).map_err(io("create", &draft))?;
        io::Write::write_all(&mut file, json.as_bytes()).map_err(io("write", &draft))?;
        file.sync_all().map_err(io("sync", &draft))?;
        fs::rename(&draft, &path).map_err(io("rename", &path))?;
        // The new name is safe only when the directory is.
        fs::File::open(run_dir).and_then(|d| d.sync_all()).map_err(io("sync", run_dir))
    }

    /// The phase with this name, where it has begun. Of several with one name, the last.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().rev().find(|p| p.name == name)
    }
}

/// Creates a file, or empties it, for its owner alone: names of machines and what somebody typed are nobody else's
/// business.
///
/// # Errors
/// Where the system refuses.
pub fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let mut m = Manifest::new("clinical-rag", 1_700_000_000_000).with_surroundings();
        m.target = Some("http://127.0.0.1:8000".into());
        m.seed = Some(u64::MAX);
        m.phases.push(Phase {
            name: "steady".into(),
            start_ms: 1_700_000_000_250,
            end_ms: None,
            warmup: false,
            outcome: None,
        });
        m.outcome = Some(Outcome::Aborted { reason: "a threshold".into() });
        m
    }

    #[test]
    fn a_manifest_survives_and_replaces_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut m = manifest();
        m.write(dir.path()).expect("writes");
        m.phases[0].end_ms = Some(1_700_000_005_000);
        m.write(dir.path()).expect("writes");
        assert_eq!(Manifest::read(dir.path()).expect("reads"), m);
        let names: Vec<_> =
            fs::read_dir(dir.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(names, [FILE_NAME]);
    }

    #[test]
    fn impossible_times_are_told_of() {
        let check = |change: fn(&mut Manifest), want: &str| {
            let mut m = manifest();
            change(&mut m);
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join(FILE_NAME);
            fs::write(&path, serde_json::to_string(&m).expect("serializes")).expect("writes");
            let error = Manifest::read(dir.path()).expect_err("is no run").to_string();
            assert!(error.contains(want), "{error}");
            fs::remove_file(&path).expect("removes");
            let error = m.write(dir.path()).expect_err("is not written").to_string();
            assert!(error.contains(want), "{error}");
            assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0, "nothing is left");
        };
        check(
            |m| m.end_ms = Some(m.start_ms - 1),
            "the run ends at 2023-11-14T22:13:19.999Z, before its start",
        );
        check(|m| m.end_ms = Some(i64::MAX / 2000), "the longest is a hundred years");
        check(|m| m.end_ms = Some(i64::MAX / 2), "the longest is a hundred years");
        check(|m| m.phases[0].end_ms = Some(5_049_129_600_000), "phase \"steady\" lasts from");
        check(|m| m.phases[0].start_ms = -2_000_000_000_000, "phase \"steady\" lasts from 1906");
    }

    #[test]
    fn impossible_phases_are_left_out_and_the_rest_is_kept() {
        let mut m = manifest();
        let possible = m.phases[0].clone();
        let named = |name: &str, start_ms, end_ms| Phase {
            name: name.to_owned(),
            start_ms,
            end_ms: Some(end_ms),
            ..possible.clone()
        };
        let (start_ms, end_ms) = (possible.start_ms, possible.start_ms + 1);
        m.phases.insert(0, named("of 1906", -2_000_000_000_000, end_ms));
        m.phases.push(named("without end", start_ms, i64::MAX));
        m.phases.push(named("backwards", end_ms, start_ms));
        m.phases.push(named("last", start_ms, end_ms));
        assert_eq!(m.drop_impossible_phases(), ["of 1906", "without end", "backwards"]);
        let names: Vec<_> = m.phases.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, [possible.name.as_str(), "last"]);
        m.write(tempfile::tempdir().expect("a directory").path()).expect("is written");
    }

    #[test]
    fn times_are_rfc_3339_and_the_outcome_is_tagged() {
        let json = serde_json::to_value(manifest()).expect("serializes");
        assert_eq!(json["phases"][0]["start"], "2023-11-14T22:13:20.250Z");
        assert_eq!(json["outcome"], serde_json::json!({"status": "aborted", "reason": "a threshold"}));
        assert_eq!(json["version"], 1);
        assert!(json.get("end").is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |json: &str, want: &str| {
            let error = Manifest::from_json(json.as_bytes(), "r/run.json".into()).expect_err("refused");
            assert!(error.to_string().starts_with(want), "{error}");
        };
        check("{\n  \"version\": 1,\n  \"scenario\": 5}", "r/run.json:3:15: not a run's description");
        check("{\"version\": 2, \"whatever\": true}", "r/run.json: has version 2 of the schema");
        check("{\"version\": 1, \"scenario\": \"s\", \"start\": \"soon\"}", "r/run.json:1:");
        let minimal = br#"{"version": 1, "scenario": "s", "start": "2023-11-14T22:13:20Z", "later": 1}"#;
        let m = Manifest::from_json(minimal, "r/run.json".into()).expect("reads");
        assert_eq!((m.start_ms, m.outcome), (1_700_000_000_000, None));
    }
}
