//! Alerts over time, budgets and burn rates, and whether rules are evaluated at all.

use super::row;
use crate::{
    board::Board,
    model::Dashboard,
    panel::{Spec, graph, stat, states, table},
    query::{TARGET, rate},
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-rules",
        title: "Assay: rules and objectives",
        description: "Alerts that are pending and firing over time, error budgets and how fast they burn, rules that fail.",
        variables: Vec::new(),
        rows: vec![
            row("Alerts", 1, 10, alerts()),
            row("Budgets", 3, 8, budgets()),
            row("Is anything evaluated", 3, 8, evaluation()),
        ],
    }
    .build()
}

fn alerts() -> Vec<Spec> {
    let one = "max by (alertname, severity)";
    vec![
        states("Pending and firing", "Every alert of the shipped rules that was active in the range shown.", &[(1, "pending", "orange"), (2, "firing", "red")])
            .query(format!("{one} (ALERTS{{alertstate=\"firing\", alertname!=\"Watchdog\"}} * 2) or {one} (ALERTS{{alertstate=\"pending\"}})"), "{{alertname}} {{severity}}"),
        table("Active now", "short", "With all labels; docs/runbooks.md says what to do.").query("ALERTS{alertname!=\"Watchdog\"}", ""),
    ]
}

fn budgets() -> Vec<Spec> {
    let burn = |window: &str| {
        format!(
            "job:http_server_requests_failed:increase{window}{{job=~\"$job\"}} / job:http_server_requests:increase{window}{{job=~\"$job\"}} / 0.01"
        )
    };
    let bound = |of: &str| format!("{of}:events_bad:bound5m");
    vec![
        graph("Burn rate", "short", "How many times too fast server errors spend a budget of 1 %, by window; 14.4 over an hour and 6 over six page.")
            .query(burn("5m"), "{{job}} 5m")
            .query(burn("30m"), "{{job}} 30m")
            .query(burn("1h"), "{{job}} 1h")
            .query(burn("6h"), "{{job}} 6h")
            .query(burn("3d"), "{{job}} 3d")
            .below(14.4),
        graph("Budget of three days that is left", "percentunit", "Of the errors that an objective of 99 % allows; 0 when it is spent.")
            .query(format!("clamp_min(1 - {}, 0)", burn("3d")), "{{job}}")
            .share(),
        graph("Bad requests that are certain", "percentunit", "As load generators count them; alerts fire above 1 and 2 %.")
            .query(format!("max by (load_scenario, load_step, sli) ({})", bound("client_requests")), "{{load_scenario}} {{load_step}} {{sli}}")
            .below(0.01),
        graph("Bad requests that are certain, in the service", "percentunit", "As the service counts them.")
            .query(format!("max by (job, http_route, sli) ({}{{job=~\"$job\"}})", bound("server_requests")), "{{job}} {{http_route}} {{sli}}")
            .below(0.01),
        graph("Slow stages that are certain", "percentunit", "Beyond 200 ms for embedding, 500 ms for search, 5 s for the model.")
            .query(format!("max by (job, stage) ({}{{job=~\"$job\"}})", bound("stages")), "{{job}} {{stage}}")
            .below(0.01),
        graph("Slow generations that are certain", "percentunit", "Beyond 5 and 7 s, and first tokens beyond 2 s.")
            .query(format!("max by (job, sli) ({}{{job=~\"$job\"}})", bound("generations")), "{{job}} {{sli}}")
            .query(format!("max by (job, sli) ({}{{job=~\"$job\"}})", bound("first_tokens")), "{{job}} first token {{sli}}")
            .below(0.01),
    ]
}

fn evaluation() -> Vec<Spec> {
    vec![
        graph("Evaluations that failed", "ops", "Rules that could not be evaluated, each second, by group.")
            .query(rate("prometheus_rule_evaluation_failures_total", TARGET, "rule_group"), "{{rule_group}}"),
        graph("Time of a group", "s", "How long the last evaluation of each group took.").query(
            format!("max by (rule_group) (prometheus_rule_group_last_duration_seconds{{{TARGET}}})"),
            "{{rule_group}}",
        ),
        graph("Notifications that failed", "ops", "Alerts each second that did not reach an Alertmanager.")
            .query(rate("prometheus_notifications_errors_total", TARGET, "alertmanager"), "{{alertmanager}}"),
        stat("Watchdog", "short", "1 while alerts are evaluated.")
            .query("count(ALERTS{alertname=\"Watchdog\"})", "")
            .at_least(1.0),
    ]
}
