//! What relative limits are relative to. Invariant: a value is compared with that of the same objective, phase and
//! labels.

use std::path::Path;

use crate::verdict::{ObjectiveRow, Verdict};

/// The measured values of a baseline.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The run or file, as messages show it.
    pub name: String,
    rows: Vec<ObjectiveRow>,
}

impl Baseline {
    /// The values of a verdict.
    #[must_use]
    pub fn of(name: impl Into<String>, verdict: Verdict) -> Self {
        Self { name: name.into(), rows: verdict.objectives }
    }

    /// The values of a verdict's JSON, if `path` is one: `ruleseval eval --json` writes it.
    ///
    /// # Errors
    /// If it is a file that cannot be read, or is not a verdict.
    pub fn from_json(path: &Path) -> Result<Option<Self>, String> {
        if !path.is_file() {
            return Ok(None);
        }
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: cannot be read: {e}"))?;
        let verdict =
            serde_json::from_str(&text).map_err(|e| format!("{name}: not a verdict's JSON: {e}"))?;
        Ok(Some(Self::of(name, verdict)))
    }

    /// The value for a row.
    #[must_use]
    pub fn value(&self, row: &ObjectiveRow) -> Option<f64> {
        let same = |b: &&ObjectiveRow| {
            b.name == row.name && b.phase == row.phase && b.labels == row.labels && b.sla == row.sla
        };
        self.rows.iter().find(same).and_then(|b| b.value)
    }
}
