//! What is committed is what the generator writes, Grafana's own schema accepts it, and it holds to the rules of
//! dashboard-linter.

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
fn no_board_is_committed_that_the_generator_does_not_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let written = grafana::files().expect("serialises");
    for entry in std::fs::read_dir(folder).expect("lists") {
        let name = entry.expect("an entry").file_name();
        assert!(written.iter().any(|f| f.path.file_name() == Some(&name)), "{name:?}");
    }
}

#[test]
fn grafanas_schema_accepts_every_dashboard() {
    let Some(schema) = assay_testkit::data("grafana-dashboard.schema.json") else { return };
    let text = std::fs::read_to_string(schema).expect("schema");
    let schema = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for dashboard in grafana::boards::all() {
        let json = serde_json::to_value(&dashboard).expect("serialises");
        let problems: Vec<_> =
            validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", dashboard.uid);
    }
}

#[test]
fn panels_tile_the_grid_and_have_what_a_reader_needs() {
    for dashboard in grafana::boards::all() {
        let mut taken = std::collections::HashSet::new();
        let mut ids = std::collections::HashSet::new();
        for panel in &dashboard.panels {
            assert!(ids.insert(panel.id), "{}: two panels with id {}", dashboard.uid, panel.id);
            let g = panel.grid_pos;
            assert!(g.x + g.w <= 24, "{} leaves the grid", panel.title);
            for x in g.x..g.x + g.w {
                for y in g.y..g.y + g.h {
                    assert!(taken.insert((x, y)), "{} overlaps another panel", panel.title);
                }
            }
        }
    }
}

#[test]
fn every_expression_is_promql() {
    let expressions = grafana::expressions::all("1m", "15m");
    assert!(expressions.len() > 200, "{} expressions", expressions.len());
    for e in expressions {
        if let Err(error) = assay_promql::parse(&e.expr) {
            panic!("{}: {}: {}: {error:?}", e.board, e.place, e.expr);
        }
    }
}

#[test]
fn the_eight_classic_views_are_on_the_board_of_a_run() {
    let boards = grafana::boards::all();
    let run = boards.iter().find(|b| b.uid == "assay-run").expect("is there");
    for view in [
        "Query latency",
        "Throughput",
        "Error rate",
        "CPU",
        "Memory",
        "Embedding latency",
        "Search latency",
        "LLM latency",
    ] {
        assert!(run.panels.iter().any(|p| p.title == view && p.r#type == "timeseries"), "{view}");
    }
}
