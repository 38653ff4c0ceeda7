//! The stages of a query against their limits, and the service around them.

use super::{load_variables, quantiles, row};
use crate::{
    board::Board,
    model::Dashboard,
    panel::{Spec, graph, states},
    query::{DURATION, ENDED, STEP, TARGET, gauge, observed, quantile, rate, total},
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-stages",
        title: "Assay: stages",
        description: "Each component of a query against its limit: embedding, search, model, API, end to end.",
        variables: load_variables(),
        rows: vec![
            row("Components against their limits", 3, 8, components()),
            row("Where the time goes", 2, 8, shares()),
            row("The service", 3, 8, service()),
        ],
    }
    .build()
}

const STAGE: &str = "rag_stage_duration_seconds";

fn components() -> Vec<Spec> {
    let stage = |name: &str| format!("{TARGET}, stage=\"{name}\"");
    let step =
        |name: &str| format!("{}, load_step=\"{name}\"{ENDED}", STEP.replace(", load_step=~\"$step\"", ""));
    vec![
        quantiles(graph("Embedding", "s", "Time to embed a question."), STAGE, &stage("embed"))
            .below_objective("Embedding latency p99", 1.0),
        quantiles(graph("Search", "s", "Time to find the passages for a question."), STAGE, &stage("search"))
            .below_objective("Search latency p99", 1.0),
        quantiles(
            graph("LLM", "s", "Time to generate an answer, the wait included."),
            STAGE,
            &stage("generate"),
        )
        .below_objective("LLM latency p99", 1.0),
        quantiles(
            graph("API", "s", "Logging in, which asks neither index nor model."),
            DURATION,
            &step("login"),
        )
        .below_objective("API latency p99", 1.0),
        quantiles(graph("End to end", "s", "A query, as users see it."), DURATION, &step("query"))
            .below_objective("Query latency p99", 1.0),
        quantiles(
            graph("Vector database", "s", "Calls of the vector database."),
            "db_client_operation_duration_seconds",
            TARGET,
        ),
    ]
}

fn shares() -> Vec<Spec> {
    vec![
        graph(
            "Mean time of a stage",
            "s",
            "Stacked: together they are the mean time of a query in the service.",
        )
        .query(
            format!("{} / {}", total(STAGE, TARGET, "stage"), observed(STAGE, TARGET, "stage")),
            "{{stage}}",
        )
        .stacked(),
        graph("p99 of a stage", "s", "Over a minute, as the rules record it.")
            .query("job_stage:rag_stage_duration_seconds:p99_rate1m{job=~\"$job\"}", "{{job}} {{stage}}"),
    ]
}

fn service() -> Vec<Spec> {
    let http = "http_server_request_duration_seconds";
    vec![
        graph("Requests by route and status", "reqps", "As the service counts them.").query(
            observed(http, TARGET, "http_route, http_response_status_code"),
            "{{http_route}} {{http_response_status_code}}",
        ),
        graph("p99 by route", "s", "As the service measures it.")
            .query(quantile("0.99", http, TARGET, "http_route"), "{{http_route}}"),
        graph("Queries by outcome", "reqps", "How queries end, by role.")
            .query(rate("rag_queries_total", TARGET, "role, outcome"), "{{role}} {{outcome}}"),
        graph(
            "Answers from the cache",
            "reqps",
            "Questions each second, by how they met the cache. Measured steps bypass it.",
        )
        .query(rate("rag_cache_requests_total", TARGET, "result"), "{{result}}"),
        graph("Logins", "reqps", "Logins each second, by result.")
            .query(rate("rag_logins_total", TARGET, "result"), "{{result}}"),
        states(
            "Parts",
            "Whether the part behind a stage is available.",
            &[(0, "away", "red"), (1, "ready", "green")],
        )
        .query(format!("min by (stage) (rag_part_ready{{{TARGET}}})"), "{{stage}}"),
        graph("Planted faults", "short", "The amount of each fault that was planted for a test; 0 for none.")
            .query(gauge("rag_fault_planted", TARGET, "fault"), "{{fault}}"),
        graph("Passages", "short", "Passages that answers are drawn from.")
            .query(gauge("rag_passages", TARGET, "instance"), "{{instance}}"),
    ]
}
