//! `loadgen schema`.

use clap::ValueEnum;

use super::exit;

/// Whose schema is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Of {
    /// Scenario files
    Scenario,
    /// SLA files
    Sla,
}

/// Prints a JSON Schema.
pub(super) fn schema(of: Of) -> u8 {
    let schema = match of {
        Of::Scenario => loadgen::schema(),
        Of::Sla => assay_verdict::sla::schema(),
    };
    super::print(&format!("{schema:#}\n"), exit::DONE)
}
