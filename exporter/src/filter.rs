//! Which devices, mount points and fields a collector shows: [`Filter`].

use regex::Regex;

/// Names that match `include`, where it is set, and do not match `exclude`, where it is set.
///
/// Patterns are searched for, not anchored, as node_exporter's are.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these.
    pub include: Option<Regex>,
    /// All but these.
    pub exclude: Option<Regex>,
}

impl Filter {
    /// Whether `name` is shown.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|r| r.is_match(name))
            && self.exclude.as_ref().is_none_or(|r| !r.is_match(name))
    }
}
