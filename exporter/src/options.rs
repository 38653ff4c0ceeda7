//! What the exporter is asked to do: [`Options`].
//!
//! Invariant: options are validated when they are made; the exporter takes them as they are.

use std::collections::BTreeSet;

use crate::{Paths, Settings, collector};

/// Which collectors run, where they read and what they show. The default is node_exporter's.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the host's file systems are.
    pub paths: Paths,
    /// The collectors that run, by name.
    pub collectors: BTreeSet<&'static str>,
    /// Whether the exporter shows its own process and build.
    pub own_metrics: bool,
    /// The collectors' own switches.
    pub settings: Settings,
}

/// What is wrong with the options.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A collector that the exporter does not have.
    #[error("there is no collector \"{name}\"{}", nearest.map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_default())]
    UnknownCollector {
        /// The name given.
        name: String,
        /// The closest name there is.
        nearest: Option<&'static str>,
    },
    /// A collector of node_exporter's that this exporter does not have.
    #[error(
        "this exporter has no collector \"{0}\"; node_exporter's that are absent here are listed in docs/exporter.md"
    )]
    AbsentCollector(String),
    /// A value that its switch does not take.
    #[error("--{option}: {cause}")]
    Value {
        /// The switch it was given for.
        option: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Options {
    /// The registry's name of a collector.
    ///
    /// # Errors
    /// [`OptionsError::UnknownCollector`] with the nearest name there is, or [`OptionsError::AbsentCollector`].
    pub fn collector_name(name: &str) -> Result<&'static str, OptionsError> {
        if let Some(entry) = collector::entry(name) {
            return Ok(entry.name);
        }
        if collector::absent().any(|absent| absent == name) {
            return Err(OptionsError::AbsentCollector(name.to_owned()));
        }
        let nearest = collector::REGISTRY
            .iter()
            .map(|entry| (strsim::damerau_levenshtein(name, entry.name), entry.name))
            .min()
            .filter(|(distance, _)| *distance <= name.len().div_ceil(2))
            .map(|(_, name)| name);
        Err(OptionsError::UnknownCollector { name: name.to_owned(), nearest })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: Paths::default(),
            collectors: collector::REGISTRY.iter().filter(|e| e.default_on).map(|e| e.name).collect(),
            own_metrics: true,
            settings: Settings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_collector_names_the_nearest() {
        let message = Options::collector_name("filesytem").unwrap_err().to_string();
        assert_eq!(message, "there is no collector \"filesytem\"; did you mean \"filesystem\"?");
        assert_eq!(
            Options::collector_name("zzzzzz").unwrap_err().to_string(),
            "there is no collector \"zzzzzz\""
        );
    }
}
