//! Builders for the panels that the dashboards are made of. Invariant: every panel has a title, a
//! description, a unit and the dashboard's data source.

use serde_json::{Value, json};

use crate::model::{DataSource, Defaults, FieldConfig, GridPos, Panel, Target, Threshold, Thresholds};

/// A limit from which a value is bad (or, negative sense, below which).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// No limit.
    None,
    /// Red from here up.
    Below(f64),
    /// Red from here down.
    Above(f64),
}

/// What a panel says and shows.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// `timeseries`, `stat` or `heatmap`.
    pub kind: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// Grafana's name of the unit: `s`, `reqps`, `percentunit`, `bytes`, `short`.
    pub unit: &'static str,
    pub limit: Limit,
    /// Pairs of expression and legend.
    pub queries: Vec<(String, &'static str)>,
}

/// A timeseries.
pub(crate) fn graph<const N: usize>(
    title: &'static str,
    unit: &'static str,
    limit: Limit,
    description: &'static str,
    queries: [(String, &'static str); N],
) -> Spec {
    Spec { kind: "timeseries", title, description, unit, limit, queries: queries.into() }
}

/// A single number.
pub(crate) fn stat(
    title: &'static str,
    unit: &'static str,
    limit: Limit,
    description: &'static str,
    query: String,
) -> Spec {
    Spec { kind: "stat", title, description, unit, limit, queries: vec![(query, "")] }
}

/// A native histogram over time.
pub(crate) fn heatmap(title: &'static str, description: &'static str, query: String) -> Spec {
    Spec { kind: "heatmap", title, description, unit: "s", limit: Limit::None, queries: vec![(query, "")] }
}

/// Lays rows of panels out on the grid: each row has a heading and panels of equal width.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    panels: Vec<Panel>,
    y: u32,
}

impl Layout {
    /// Adds a heading and its panels, `per_line` beside each other, each `height` high.
    pub(crate) fn row(mut self, title: &'static str, per_line: u32, height: u32, specs: &[Spec]) -> Self {
        self.heading(title);
        let width = 24 / per_line;
        for (i, spec) in (0u32..).zip(specs) {
            let grid_pos = GridPos {
                h: height,
                w: width,
                x: (i % per_line) * width,
                y: self.y + (i / per_line) * height,
            };
            let id = self.next_id();
            self.panels.push(panel(id, grid_pos, spec));
        }
        let lines = u32::try_from(specs.len()).unwrap_or(0).div_ceil(per_line);
        self.y += lines * height;
        self
    }

    /// Adds the list of alerts that the data source's rules fire.
    pub(crate) fn alert_list(mut self, height: u32) -> Self {
        let id = self.next_id();
        self.panels.push(Panel {
            id,
            r#type: "alertlist",
            title: "Alerts",
            description: "Alerts of the shipped rules that are pending or firing now.",
            grid_pos: GridPos { h: height, w: 24, x: 0, y: self.y },
            datasource: None,
            targets: Vec::new(),
            field_config: None,
            options: Some(json!({
                "viewMode": "list", "groupMode": "default", "groupBy": [], "maxItems": 20, "sortOrder": 3,
                "dashboardAlerts": false, "alertName": "", "alertInstanceLabelFilter": "",
                "datasource": "Prometheus",
                "stateFilter": {"firing": true, "pending": true, "noData": false, "normal": false, "error": true},
            })),
            collapsed: None,
            panels: None,
        });
        self.y += height;
        self
    }

    /// The panels.
    pub(crate) fn finish(self) -> Vec<Panel> {
        self.panels
    }

    fn next_id(&self) -> u32 {
        u32::try_from(self.panels.len()).unwrap_or(u32::MAX - 1) + 1
    }

    fn heading(&mut self, title: &'static str) {
        let id = self.next_id();
        self.panels.push(Panel {
            id,
            r#type: "row",
            title,
            description: "",
            grid_pos: GridPos { h: 1, w: 24, x: 0, y: self.y },
            datasource: None,
            targets: Vec::new(),
            field_config: None,
            options: None,
            collapsed: Some(false),
            panels: Some(Vec::new()),
        });
        self.y += 1;
    }
}

fn panel(id: u32, grid_pos: GridPos, spec: &Spec) -> Panel {
    let heat = spec.kind == "heatmap";
    let targets = ('A'..)
        .zip(&spec.queries)
        .map(|(ref_id, (expr, legend))| Target {
            ref_id: ref_id.to_string(),
            datasource: DataSource::selected(),
            expr: expr.clone(),
            legend_format: legend,
            range: spec.kind != "stat",
            instant: spec.kind == "stat",
            exemplar: spec.kind == "timeseries" && spec.unit == "s",
            format: heat.then_some("heatmap"),
        })
        .collect();
    Panel {
        id,
        r#type: spec.kind,
        title: spec.title,
        description: spec.description,
        grid_pos,
        datasource: Some(DataSource::selected()),
        targets,
        field_config: Some(field_config(spec)),
        options: Some(options(spec.kind)),
        collapsed: None,
        panels: None,
    }
}

fn field_config(spec: &Spec) -> FieldConfig {
    let step = |value, color| Threshold { value, color };
    let steps = match spec.limit {
        Limit::None => vec![step(None, "green")],
        Limit::Below(limit) => vec![step(None, "green"), step(Some(limit), "red")],
        Limit::Above(limit) => vec![step(None, "red"), step(Some(limit), "green")],
    };
    let limited = !matches!(spec.limit, Limit::None);
    let custom = (spec.kind == "timeseries").then(|| {
        json!({
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 8,
            "showPoints": "never", "spanNulls": false,
            "thresholdsStyle": {"mode": if limited { "line" } else { "off" }},
        })
    });
    let colour = if spec.kind == "stat" { "thresholds" } else { "palette-classic" };
    FieldConfig {
        defaults: Defaults {
            unit: spec.unit,
            min: (spec.kind == "timeseries").then_some(0.0),
            max: None,
            decimals: None,
            color: json!({"mode": colour}),
            thresholds: Thresholds { mode: "absolute", steps },
            custom,
        },
        overrides: Vec::new(),
    }
}

fn options(kind: &str) -> Value {
    match kind {
        "stat" => json!({
            "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
            "textMode": "auto", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        }),
        "heatmap" => json!({
            "calculate": false, "cellGap": 0,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "scale": "exponential"},
            "yAxis": {"axisPlacement": "left", "unit": "s"}, "tooltip": {"mode": "single", "yHistogram": false},
            "legend": {"show": false}, "filterValues": {"le": 1e-9}, "rowsFrame": {"layout": "auto"},
            "exemplars": {"color": "rgba(255,0,255,0.7)"}, "showValue": "never",
        }),
        _ => json!({
            "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true,
                       "calcs": ["mean", "max", "lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
    }
}
