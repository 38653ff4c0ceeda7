//! The rules of grafana/dashboard-linter, one test each for boards, panels and targets.
//!
//! Invariant: none is switched off; the matchers of job and instance may be missing only where series are recorded by
//! rules or are alerts, which have no such labels, and where a metric comes from no target that a board selects.

use assay_promql::Expr;
use grafana::model::{Dashboard, Panel};

/// Series without the labels job and instance, by the beginning or a part of their names, and why.
const WITHOUT_TARGET: [(&str, &str); 3] = [
    (":", "a rule records it, and sums over targets"),
    ("ALERTS", "a rule writes it; its labels are the alert's"),
    ("load_phase_start_time_seconds", "an annotation marks every phase on every board"),
];

fn problems(check: impl Fn(&Dashboard, &mut Vec<String>)) {
    let mut found = Vec::new();
    for board in grafana::boards::all() {
        check(&board, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn panels(board: &Dashboard) -> impl Iterator<Item = &Panel> {
    board.panels.iter().filter(|p| p.r#type != "row")
}

#[test]
fn template_rules() {
    problems(|board, found| {
        let variable = |name: &str| board.templating.list.iter().find(|v| v.name == name);
        let source = variable("datasource").expect("template-datasource-rule");
        if (source.r#type, source.label, source.query.as_str()) != ("datasource", "Data source", "prometheus")
        {
            found.push(format!("{}: template-datasource-rule", board.uid));
        }
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let fine = variable(name).is_some_and(|v| {
                v.r#type == "query" && v.label == label && v.multi && v.all_value == Some(".+")
            });
            if !fine {
                found.push(format!("{}: template-{name}-rule", board.uid));
            }
        }
        for v in board.templating.list.iter().filter(|v| v.r#type == "query") {
            if v.refresh != 2 {
                found.push(format!("{}: template-on-time-change-reload-rule: {}", board.uid, v.name));
            }
            if v.datasource.as_ref().is_none_or(|d| d.uid != "${datasource}") {
                found.push(format!("{}: {} has another data source", board.uid, v.name));
            }
            if !v.query.starts_with("label_values(") {
                found.push(format!("{}: template-label-promql-rule: {}", board.uid, v.name));
            }
        }
        if board.editable {
            found.push(format!("{}: uneditable-dashboard", board.uid));
        }
    });
}

#[test]
fn panel_rules() {
    problems(|board, found| {
        for panel in panels(board) {
            let mut need = |rule: &str, fine: bool| {
                if !fine {
                    found.push(format!("{}: {}: {rule}", board.uid, panel.title));
                }
            };
            need(
                "panel-datasource-rule",
                panel.datasource.as_ref().is_some_and(|d| d.uid == "${datasource}"),
            );
            need("panel-title-description-rule", !panel.title.is_empty() && !panel.description.is_empty());
            need(
                "panel-units-rule",
                panel.field_config.as_ref().is_some_and(|f| !f.defaults.unit.is_empty()),
            );
            need("panel-no-targets-rule", !panel.targets.is_empty());
        }
    });
}

/// Grafana's variables, as numbers of seconds that a parser takes.
fn parsed(expr: &str) -> Expr {
    let expr = expr.replace("$__rate_interval", "11s").replace("$__range", "13s");
    assay_promql::parse(&expr).unwrap_or_else(|e| panic!("target-promql-rule: {expr}: {e:?}"))
}

#[test]
fn target_rules() {
    problems(|board, found| {
        for panel in panels(board) {
            for target in &panel.targets {
                let expr = parsed(&target.expr);
                for problem in target_problems(&expr) {
                    found.push(format!("{}: {}: {problem}: {}", board.uid, panel.title, target.expr));
                }
            }
        }
    });
}

fn target_problems(expr: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    for selector in expr.selectors() {
        let name = selector.name.as_str();
        let free = WITHOUT_TARGET.iter().any(|(part, _)| name.contains(part) && !name.starts_with("vllm:"));
        for label in ["job", "instance"] {
            let has = selector.matchers.iter().any(|m| m.name == label);
            if !has && !free {
                found.push(format!("target-{label}-rule: {name}"));
            }
        }
    }
    expr.walk(&mut |e| {
        if let Expr::Matrix(m) = e {
            let text = m.range.to_string();
            if !["11s", "13s"].contains(&text.as_str()) {
                found.push(format!("target-rate-interval-rule: [{text}]"));
            }
        }
        if let Expr::Vector(v) = e {
            // In rate, irate and increase it is a range vector.
            if v.name.ends_with("_total") {
                found.push(format!("target-counter-agg-rule: {}", v.name));
            }
        }
    });
    found
}
