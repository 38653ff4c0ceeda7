//! Builders for the panels that the boards are made of. Invariant: every panel has a title, a description, a unit and
//! the board's data source.

use serde_json::{Value, json};

use crate::{
    limits,
    model::{DataSource, Defaults, FieldConfig, GridPos, Panel, Target, Threshold, Thresholds},
};

/// From where on a value is bad.
#[derive(Debug, Clone, Copy)]
enum Limit {
    None,
    /// Red from here up.
    Below(f64),
    /// Red below this.
    AtLeast(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Graph,
    Stat,
    Heatmap,
    Bars,
    Table,
    States,
}

/// What a panel says and shows.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    kind: Kind,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    limit: Limit,
    max: Option<f64>,
    stacked: bool,
    mappings: Vec<Value>,
    queries: Vec<(String, &'static str)>,
}

fn spec(kind: Kind, title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    Spec {
        kind,
        title,
        description,
        unit,
        limit: Limit::None,
        max: None,
        stacked: false,
        mappings: Vec::new(),
        queries: Vec::new(),
    }
}

/// Lines over time. `unit` is Grafana's name: `s`, `reqps`, `percentunit`, `bytes`, `short`.
pub(crate) fn graph(title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    spec(Kind::Graph, title, unit, description)
}

/// One number over the range that is shown.
pub(crate) fn stat(title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    spec(Kind::Stat, title, unit, description)
}

/// A histogram over time.
pub(crate) fn heatmap(title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    spec(Kind::Heatmap, title, unit, description)
}

/// A bar for each series, of its last value.
pub(crate) fn bars(title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    spec(Kind::Bars, title, unit, description)
}

/// A row for each series, of its last value.
pub(crate) fn table(title: &'static str, unit: &'static str, description: &'static str) -> Spec {
    spec(Kind::Table, title, unit, description)
}

/// A band for each series, coloured by its value; `values` names the values and their colours.
pub(crate) fn states(title: &'static str, description: &'static str, values: &[(u8, &str, &str)]) -> Spec {
    let options: serde_json::Map<String, Value> = (0..)
        .zip(values)
        .map(|(index, (value, text, color))| {
            (value.to_string(), json!({"text": text, "color": color, "index": index}))
        })
        .collect();
    let mut spec = spec(Kind::States, title, "short", description);
    spec.mappings = vec![json!({"type": "value", "options": options})];
    spec
}

impl Spec {
    /// A query and its legend.
    pub(crate) fn query(mut self, expr: impl Into<String>, legend: &'static str) -> Self {
        self.queries.push((expr.into(), legend));
        self
    }

    /// Bad from here up.
    pub(crate) fn below(mut self, limit: f64) -> Self {
        self.limit = Limit::Below(limit);
        self
    }

    /// Bad below this.
    pub(crate) fn at_least(mut self, limit: f64) -> Self {
        self.limit = Limit::AtLeast(limit);
        self
    }

    /// The limit of an objective of the shipped SLA; `scale` turns its unit into the panel's.
    pub(crate) fn below_objective(mut self, name: &str, scale: f64) -> Self {
        self.limit = limits::objective(name).map_or(Limit::None, |limit| Limit::Below(limit * scale));
        self
    }

    /// The same for an objective that asks for at least so much.
    pub(crate) fn at_least_objective(mut self, name: &str, scale: f64) -> Self {
        self.limit = limits::objective(name).map_or(Limit::None, |limit| Limit::AtLeast(limit * scale));
        self
    }

    /// A share: the axis ends at 1.
    pub(crate) fn share(mut self) -> Self {
        self.max = Some(1.0);
        self
    }

    /// Areas on top of each other.
    pub(crate) fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// The panel, at a place.
    pub(crate) fn build(&self, id: u32, grid_pos: GridPos) -> Panel {
        let once = matches!(self.kind, Kind::Stat | Kind::Bars | Kind::Table);
        let format = match self.kind {
            Kind::Heatmap => Some("heatmap"),
            Kind::Table => Some("table"),
            _ => None,
        };
        let target = |(ref_id, (expr, legend)): (char, &(String, &'static str))| Target {
            ref_id: ref_id.to_string(),
            datasource: DataSource::selected(),
            expr: expr.clone(),
            legend_format: legend,
            range: !once,
            instant: once,
            exemplar: self.kind == Kind::Graph && self.unit == "s",
            format,
        };
        Panel {
            id,
            r#type: self.plugin(),
            title: self.title,
            description: self.description,
            grid_pos,
            datasource: Some(DataSource::selected()),
            targets: ('A'..).zip(&self.queries).map(target).collect(),
            field_config: Some(self.field_config()),
            options: Some(self.options()),
            transformations: if self.kind == Kind::Table { table_columns() } else { Vec::new() },
            max_data_points: None,
            collapsed: None,
            panels: None,
        }
    }

    fn plugin(&self) -> &'static str {
        match self.kind {
            Kind::Graph => "timeseries",
            Kind::Stat => "stat",
            Kind::Heatmap => "heatmap",
            Kind::Bars => "bargauge",
            Kind::Table => "table",
            Kind::States => "state-timeline",
        }
    }

    fn field_config(&self) -> FieldConfig {
        let step = |value, color| Threshold { value, color };
        let steps = match self.limit {
            Limit::None => vec![step(None, "green")],
            Limit::Below(limit) => vec![step(None, "green"), step(Some(limit), "red")],
            Limit::AtLeast(limit) => vec![step(None, "red"), step(Some(limit), "green")],
        };
        let limited = !matches!(self.limit, Limit::None);
        let custom = match self.kind {
            Kind::Graph => Some(json!({
                "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1,
                "fillOpacity": if self.stacked { 40 } else { 8 },
                "showPoints": "never", "spanNulls": false,
                "stacking": {"mode": if self.stacked { "normal" } else { "none" }, "group": "A"},
                "thresholdsStyle": {"mode": if limited { "line" } else { "off" }},
            })),
            Kind::States => Some(json!({"fillOpacity": 70, "lineWidth": 0})),
            _ => None,
        };
        let color = match self.kind {
            Kind::Stat | Kind::Bars => "thresholds",
            _ => "palette-classic",
        };
        FieldConfig {
            defaults: Defaults {
                unit: self.unit,
                min: matches!(self.kind, Kind::Graph | Kind::Bars).then_some(0.0),
                max: self.max,
                decimals: None,
                color: json!({"mode": color}),
                thresholds: Thresholds { mode: "absolute", steps },
                mappings: self.mappings.clone(),
                custom,
            },
            overrides: Vec::new(),
        }
    }

    fn options(&self) -> Value {
        let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        match self.kind {
            Kind::Graph => json!({
                "legend": {"showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Stat => json!({
                "reduceOptions": reduce, "colorMode": "background", "graphMode": "none", "justifyMode": "auto",
                "orientation": "auto", "textMode": "auto",
            }),
            Kind::Heatmap => json!({
                "calculate": false, "cellGap": 1, "yAxis": {"unit": self.unit}, "showValue": "never",
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false},
                "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "rowsFrame": {"layout": "auto"},
                "legend": {"show": true}, "tooltip": {"mode": "single", "yHistogram": false},
            }),
            Kind::Bars => json!({
                "reduceOptions": reduce, "displayMode": "gradient", "valueMode": "color", "namePlacement": "auto",
                "orientation": "horizontal", "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16,
                "maxVizHeight": 300, "legend": {"showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": []},
            }),
            Kind::Table => json!({"showHeader": true, "cellHeight": "sm", "frameIndex": 0}),
            Kind::States => json!({
                "alignValue": "left", "mergeValues": true, "rowHeight": 0.9, "showValue": "auto",
                "legend": {"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "single", "sort": "none"},
            }),
        }
    }
}

/// One row for each series, whatever the queries, without the columns that say nothing.
fn table_columns() -> Vec<Value> {
    vec![
        json!({"id": "merge", "options": {}}),
        json!({"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true}}}),
    ]
}
