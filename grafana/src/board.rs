//! A board: variables, links and annotations that all boards share, and panels in rows. Invariant: rows fill the grid
//! of 24 columns from the left, and no two panels overlap.

use serde_json::json;

use crate::{
    model::{
        Annotation, Annotations, Dashboard, DataSource, GridPos, Link, Panel, Templating, TimeRange, Variable,
    },
    panel::Spec,
};

/// A heading and its panels, `per_line` next to each other, each `height` high.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) per_line: u32,
    pub(crate) height: u32,
    pub(crate) panels: Vec<Spec>,
}

/// What makes a board differ from the others.
pub(crate) struct Board {
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// Variables in addition to data source, job and instance.
    pub(crate) variables: Vec<Variable>,
    pub(crate) rows: Vec<Row>,
}

impl Board {
    pub(crate) fn build(self) -> Dashboard {
        let mut list = vec![
            data_source(),
            variable("job", "Job", "{__name__=~\"up|load_users\"}", "job"),
            variable("instance", "Instance", "{__name__=~\"up|load_users\", job=~\"$job\"}", "instance"),
        ];
        list.extend(self.variables);
        Dashboard {
            uid: self.uid,
            title: self.title,
            description: self.description,
            tags: vec!["assay"],
            timezone: "browser",
            editable: false,
            graph_tooltip: 1,
            time: TimeRange { from: "now-15m", to: "now" },
            refresh: "10s",
            schema_version: 42,
            version: 1,
            links: vec![link()],
            annotations: Annotations { list: vec![phases(), firing_alerts()] },
            templating: Templating { list },
            panels: layout(&self.rows),
        }
    }
}

fn layout(rows: &[Row]) -> Vec<Panel> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in rows {
        let next_id = |panels: &Vec<Panel>| u32::try_from(panels.len()).unwrap_or(u32::MAX - 1) + 1;
        panels.push(heading(next_id(&panels), row.title, y));
        y += 1;
        let width = 24 / row.per_line;
        for (i, spec) in (0u32..).zip(&row.panels) {
            let (x, line) = ((i % row.per_line) * width, i / row.per_line);
            let place = GridPos { h: row.height, w: width, x, y: y + line * row.height };
            panels.push(spec.build(next_id(&panels), place));
        }
        y += u32::try_from(row.panels.len()).unwrap_or(0).div_ceil(row.per_line) * row.height;
    }
    panels
}

fn heading(id: u32, title: &'static str, y: u32) -> Panel {
    Panel {
        id,
        r#type: "row",
        title,
        description: "",
        grid_pos: GridPos { h: 1, w: 24, x: 0, y },
        datasource: None,
        targets: Vec::new(),
        field_config: None,
        options: None,
        transformations: Vec::new(),
        max_data_points: None,
        collapsed: Some(false),
        panels: Some(Vec::new()),
    }
}

fn data_source() -> Variable {
    Variable {
        r#type: "datasource",
        name: "datasource",
        label: "Data source",
        query: "prometheus".to_owned(),
        definition: None,
        datasource: None,
        refresh: 1,
        sort: 0,
        multi: false,
        include_all: false,
        all_value: None,
        current: None,
    }
}

/// A variable of the values of a label.
pub(crate) fn variable(name: &'static str, label: &'static str, selector: &str, of: &str) -> Variable {
    Variable {
        r#type: "query",
        name,
        label,
        query: format!("label_values({selector}, {of})"),
        definition: Some(format!("label_values({selector}, {of})")),
        datasource: Some(DataSource::selected()),
        refresh: 2,
        sort: 1,
        multi: true,
        include_all: true,
        all_value: Some(".+"),
        current: Some(json!({"text": ["All"], "value": ["$__all"]})),
    }
}

fn link() -> Link {
    Link {
        title: "Assay",
        r#type: "dashboards",
        icon: "external link",
        tooltip: "The other boards of Assay",
        tags: vec!["assay"],
        as_dropdown: true,
        target_blank: false,
        include_vars: true,
        keep_time: true,
    }
}

fn annotation(name: &'static str, color: &'static str, expr: &str) -> Annotation {
    Annotation {
        name,
        datasource: DataSource::selected(),
        enable: true,
        icon_color: color,
        expr: expr.to_owned(),
        step: "10s",
        title_format: "",
        text_format: "",
        tag_keys: "",
        use_value_for_time: false,
    }
}

/// The beginning of each phase, at its time.
fn phases() -> Annotation {
    Annotation {
        title_format: "{{load_phase}}",
        text_format: "{{load_scenario}}",
        tag_keys: "load_phase",
        use_value_for_time: true,
        ..annotation("Phases", "blue", "1000 * (load_phase_start_time_seconds > 0)")
    }
}

fn firing_alerts() -> Annotation {
    Annotation {
        title_format: "{{alertname}}",
        text_format: "{{severity}}",
        tag_keys: "alertname,severity",
        ..annotation("Firing alerts", "red", "ALERTS{alertstate=\"firing\", alertname!=\"Watchdog\"}")
    }
}
