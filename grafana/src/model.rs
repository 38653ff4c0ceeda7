//! The part of Grafana's classic dashboard model that the dashboards use.
//!
//! Source: the JSON schema of `grafana-foundation-sdk` (`jsonschema/dashboard.jsonschema.json`), against
//! which the tests validate what is written. Invariant: a field that is `None` or empty is left out, since
//! Grafana fills in its defaults.

use serde::Serialize;
use serde_json::Value;

/// A dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The fields carry the schema's names and meaning.
pub struct Dashboard {
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub tags: Vec<&'static str>,
    pub timezone: &'static str,
    pub editable: bool,
    pub graph_tooltip: u8,
    pub time: TimeRange,
    pub refresh: &'static str,
    pub schema_version: u32,
    pub version: u32,
    pub links: Vec<Link>,
    pub annotations: Annotations,
    pub templating: Templating,
    pub panels: Vec<Panel>,
}

/// The window that the dashboard opens with.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TimeRange {
    pub from: &'static str,
    pub to: &'static str,
}

/// A link in the dashboard's header.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Link {
    pub title: &'static str,
    pub r#type: &'static str,
    pub icon: &'static str,
    pub tooltip: &'static str,
    pub tags: Vec<&'static str>,
    pub as_dropdown: bool,
    pub target_blank: bool,
    pub include_vars: bool,
    pub keep_time: bool,
}

/// A data source, by type and uid.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct DataSource {
    pub r#type: &'static str,
    pub uid: &'static str,
}

impl DataSource {
    /// The one that the dashboard's `datasource` variable selects.
    #[must_use]
    pub fn selected() -> Self {
        Self { r#type: "prometheus", uid: "${datasource}" }
    }
}

/// The dashboard's annotations.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Annotations {
    pub list: Vec<Annotation>,
}

/// A query whose results are marked on every graph.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Annotation {
    pub name: &'static str,
    pub datasource: DataSource,
    pub enable: bool,
    pub icon_color: &'static str,
    pub expr: String,
    pub step: &'static str,
    pub title_format: &'static str,
    pub text_format: &'static str,
    pub tag_keys: &'static str,
    /// The query's value is the time, in milliseconds.
    pub use_value_for_time: bool,
}

/// The dashboard's variables.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Templating {
    pub list: Vec<Variable>,
}

/// A variable.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Variable {
    pub r#type: &'static str,
    pub name: &'static str,
    pub label: &'static str,
    pub query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasource: Option<DataSource>,
    pub refresh: u8,
    pub sort: u8,
    pub multi: bool,
    pub include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Value>,
}

/// A panel, or a row that heads the panels after it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Panel {
    pub id: u32,
    pub r#type: &'static str,
    pub title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub grid_pos: GridPos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasource: Option<DataSource>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_config: Option<FieldConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_data_points: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapsed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panels: Option<Vec<Panel>>,
}

/// A place on the grid of 24 columns.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(missing_docs)]
pub struct GridPos {
    pub h: u32,
    pub w: u32,
    pub x: u32,
    pub y: u32,
}

/// A query of a panel.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Target {
    pub ref_id: String,
    pub datasource: DataSource,
    pub expr: String,
    pub legend_format: &'static str,
    pub range: bool,
    pub instant: bool,
    pub exemplar: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
}

/// How values are shown.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct FieldConfig {
    pub defaults: Defaults,
    pub overrides: Vec<Value>,
}

/// How values are shown where no override says otherwise.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Defaults {
    pub unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    pub color: Value,
    pub thresholds: Thresholds,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// The limits at which a value changes its colour.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Thresholds {
    pub mode: &'static str,
    pub steps: Vec<Threshold>,
}

/// A limit; the first has no value and is the colour below all others.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Threshold {
    pub value: Option<f64>,
    pub color: &'static str,
}
