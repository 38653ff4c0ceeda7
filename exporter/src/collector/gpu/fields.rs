//! Which fields are shown: all that are on by default, or those of a file in dcgm-exporter's form.
//!
//! A line is `NAME, type, help`; `#` begins a comment. Invariant: every problem of a file is reported, with its line.

use std::path::Path;

use assay_model::MetricType;

use super::device::{FIELDS, Field, Source};

/// A field to show.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) field: &'static Field,
    pub(super) metric_type: MetricType,
    pub(super) help: String,
    /// Whether its text is a label of all series rather than a metric.
    pub(super) is_label: bool,
}

impl Shown {
    /// The number of NVML's own field.
    pub(super) fn id(&self) -> Option<u32> {
        match self.field.source {
            Source::Field(id) => Some(id),
            _ => None,
        }
    }
}

/// Those that are on by default.
pub(super) fn defaults() -> Vec<Shown> {
    let on = FIELDS.iter().filter(|field| field.default_on);
    on.map(|field| Shown {
        field,
        metric_type: field.metric_type,
        help: field.help.to_owned(),
        is_label: false,
    })
    .collect()
}

/// Reads a file of fields.
///
/// # Errors
/// A line for each problem.
pub(super) fn load(path: &str) -> Result<Vec<Shown>, String> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(|cause| format!("{path}: {cause}"))?;
    let (mut shown, mut problems) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(line) {
            Ok(Some(field)) => shown.push(field),
            Ok(None) => {}
            Err(problem) => problems.push(format!("{path}:{}:1: {problem}", at + 1)),
        }
    }
    if problems.is_empty() { Ok(shown) } else { Err(problems.join("\n")) }
}

/// `None` for a field that NVML does not give, which the log names.
fn parse(line: &str) -> Result<Option<Shown>, String> {
    let mut parts = line.splitn(3, ',').map(str::trim);
    let (Some(name), Some(kind), Some(help)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("\"{line}\" is not NAME, type, help"));
    };
    let metric_type = match kind {
        "gauge" | "label" => MetricType::Gauge,
        "counter" => MetricType::Counter,
        "histogram" => MetricType::Histogram,
        "summary" => MetricType::Summary,
        other => return Err(format!("unknown type \"{other}\"; gauge, counter and label are known")),
    };
    let help = help.trim_matches('"').replace("\"\"", "\"");
    let is_label = kind == "label";
    match FIELDS.iter().find(|field| field.name == name) {
        Some(field) if is_label != matches!(field.source, Source::Label(_)) => {
            Err(format!("{name} is {} label", if is_label { "not a" } else { "a" }))
        }
        Some(field) => Ok(Some(Shown { field, metric_type, help, is_label })),
        // The driver's and NVML's versions are labels always.
        None if matches!(name, "DCGM_FI_DRIVER_VERSION" | "DCGM_FI_NVML_VERSION") => Ok(None),
        None if name.starts_with("DCGM_FI_") || name.starts_with("DCGM_EXP_") => {
            tracing::warn!("{name} is not available through NVML, and is left out");
            Ok(None)
        }
        None => {
            let known =
                FIELDS.iter().map(|field| (strsim::damerau_levenshtein(name, field.name), field.name));
            let nearest = known.min().map_or("", |(_, name)| name);
            Err(format!("unknown field \"{name}\"; did you mean \"{nearest}\"?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_fields_is_dcgm_exporters() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fields.csv");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let loaded = super::load(path.to_str().unwrap());
            loaded.map(|shown| shown.iter().map(|s| (s.field.name, s.is_label)).collect::<Vec<_>>())
        };
        let good = "# comment\n\nDCGM_FI_DEV_SM_CLOCK,  gauge, SM clock (in MHz).\nDCGM_FI_DEV_SERIAL, label, \"Serial\"\n\
                    DCGM_FI_DRIVER_VERSION, label, Driver\nDCGM_FI_DEV_FB_FREE, gauge, \"a, b\"\n";
        assert_eq!(
            load(good).unwrap(),
            [("DCGM_FI_DEV_SM_CLOCK", false), ("DCGM_FI_DEV_SERIAL", true), ("DCGM_FI_DEV_FB_FREE", false)]
        );
        let problems = load("DCGM_FI_DEV_SM_CLOCK, guage, x\nnonsense\nSM_CLOCK, gauge, x\n").unwrap_err();
        let problems: Vec<_> = problems.lines().map(|l| l.split_once("fields.csv:").unwrap().1).collect();
        assert_eq!(
            problems,
            [
                "1:1: unknown type \"guage\"; gauge, counter and label are known",
                "2:1: \"nonsense\" is not NAME, type, help",
                "3:1: unknown field \"SM_CLOCK\"; did you mean \"DCGM_FI_DEV_SM_CLOCK\"?",
            ]
        );
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
    }
}
