//! Names of groups: text with `{{.Field}}` in it.

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

const FIELDS: [&str; 7] = ["Comm", "ExeBase", "ExeFull", "Username", "PID", "StartTime", "Cgroups"];

impl Template {
    /// `{{.ExeBase}}`.
    pub(super) fn default_name() -> Self {
        Self { parts: vec![Part::Field("ExeBase".to_owned())] }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (field, end) = after.split_once("}}").ok_or("{{ is not closed by }}")?;
            let field = field
                .trim()
                .strip_prefix('.')
                .ok_or_else(|| format!("\"{field}\" is not a field such as .Comm"))?;
            if !FIELDS.contains(&field) && !field.starts_with("Matches.") {
                return Err(format!(
                    "unknown field .{field}; .Matches.NAME and .{} are known",
                    FIELDS.join(", .")
                ));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field.to_owned()));
            rest = end;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// The name, with fields as `value` gives them.
    pub(super) fn fill(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => value(field).unwrap_or_default(),
        };
        self.parts.iter().map(text).collect()
    }
}
