//! The alert that ended a load. Invariant: it says which of the rules' alerts fired, with its labels and value.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// The alert that ended a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbortingAlert {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// When it was seen to fire, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl fmt::Display for AbortingAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the alert {} fires", self.name)?;
        let labels: Vec<_> = self
            .labels
            .iter()
            .filter(|(n, _)| *n != "alertname")
            .map(|(n, v)| format!("{n}={v:?}"))
            .collect();
        if !labels.is_empty() {
            write!(f, " with {}", labels.join(", "))?;
        }
        write!(f, "; its value is {}", self.value)?;
        match self.annotations.get("summary") {
            Some(summary) => write!(f, " ({summary})"),
            None => Ok(()),
        }
    }
}
