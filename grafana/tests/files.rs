//! What is committed is what the generator writes, and Grafana's own schema accepts it.

use std::path::Path;

#[test]
fn committed_files_are_what_the_generator_writes() {
    for file in grafana::files().expect("serialises") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file.path);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == file.text, "{} drifted: run cargo xtask generate", path.display());
    }
}

#[test]
fn grafanas_schema_accepts_every_dashboard() {
    let Some(schema) = assay_testkit::data("grafana-dashboard.schema.json") else { return };
    let text = std::fs::read_to_string(schema).expect("schema");
    let schema = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for dashboard in grafana::dashboards::all() {
        let json = serde_json::to_value(&dashboard).expect("serialises");
        let problems: Vec<_> =
            validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", dashboard.uid);
    }
}

#[test]
fn panels_tile_the_grid_and_have_what_a_reader_needs() {
    for dashboard in grafana::dashboards::all() {
        let mut taken = std::collections::HashSet::new();
        let mut ids = std::collections::HashSet::new();
        for panel in &dashboard.panels {
            assert!(ids.insert(panel.id), "id {} twice", panel.id);
            let g = panel.grid_pos;
            assert!(g.x + g.w <= 24, "{} leaves the grid", panel.title);
            for x in g.x..g.x + g.w {
                for y in g.y..g.y + g.h {
                    assert!(taken.insert((x, y)), "{} overlaps another panel", panel.title);
                }
            }
            assert!(!panel.title.is_empty());
            assert!(panel.r#type == "row" || !panel.description.is_empty(), "{} says nothing", panel.title);
            for target in &panel.targets {
                for need in ["job=~\"$job\"", "instance=~\"$instance\""] {
                    assert!(target.expr.contains(need), "{}: {} lacks {need}", panel.title, target.expr);
                }
            }
        }
    }
}

#[test]
fn every_expression_is_promql() {
    let expressions = grafana::expressions("1m");
    assert!(expressions.len() > 30, "{} expressions", expressions.len());
    for (panel, expr) in expressions {
        if let Err(e) = assay_promql::parse(&expr) {
            panic!("{panel}: {expr}: {e:?}");
        }
    }
}
