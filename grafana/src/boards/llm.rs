//! Language models: what users see of a stream, what the server says of its queue and cache, what a token costs.

use super::{load_variables, quantiles, row};
use crate::{
    board::Board,
    model::Dashboard,
    panel::{Spec, graph, heatmap},
    query::{RUN, STEP, TARGET, gauge, observed, rate, total},
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-llm",
        title: "Assay: language models",
        description: "Streams as users see them, the model server's queue and cache, tokens and what they cost.",
        variables: load_variables(),
        rows: vec![
            row("As users see it", 3, 8, users()),
            row("Tokens", 3, 8, tokens()),
            row("The service's model", 3, 8, server()),
            row("vLLM", 3, 8, vllm()),
        ],
    }
    .build()
}

const FIRST: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";
const CHUNK: &str = "gen_ai_client_operation_time_per_output_chunk_seconds";

fn users() -> Vec<Spec> {
    vec![
        quantiles(
            graph("Time to first token", "s", "From the first byte sent to the first content."),
            FIRST,
            STEP,
        )
        .below(2.0),
        quantiles(graph("Time per output token", "s", "The gap between pieces of an answer."), CHUNK, STEP)
            .below(0.2),
        quantiles(
            graph("Time to the last token", "s", "From the first byte sent to the last content."),
            "gen_ai_client_operation_duration_seconds",
            STEP,
        ),
        heatmap("Time to first token, distribution", "s", "Two bands mean that some requests queue.")
            .query(rate(FIRST, STEP, ""), ""),
        heatmap(
            "Gaps between tokens, distribution",
            "s",
            "A second band means that prompts interrupt decoding.",
        )
        .query(rate(CHUNK, STEP, ""), ""),
        graph("Goodput", "reqps", "Answers each second that kept all their objectives.")
            .query(rate("load_requests_good_total", STEP, "load_step"), "{{load_step}}"),
    ]
}

/// Tokens of a kind, each second.
fn client_tokens(kind: &str) -> String {
    total("gen_ai_client_token_usage", &format!("{STEP}, gen_ai_token_type=\"{kind}\""), "")
}

fn tokens() -> Vec<Spec> {
    let energy =
        format!("sum(rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{TARGET}}}[$__rate_interval])) / 1000");
    vec![
        graph(
            "Tokens each second",
            "short",
            "Tokens of the prompts and of the answers, as the client counts them.",
        )
        .query(client_tokens("input"), "in")
        .query(client_tokens("output"), "out"),
        graph("Output tokens each second and user", "short", "What each active user gets.")
            .query(format!("{} / {}", client_tokens("output"), gauge("load_users", RUN, "")), "per user"),
        graph(
            "Joules per output token",
            "joule",
            "The energy of all GPUs shown, divided by the tokens of the answers.",
        )
        .query(format!("{energy} / {}", client_tokens("output")), "energy per token"),
        quantiles(
            graph("Length of answers", "short", "Tokens of an answer."),
            "gen_ai_client_token_usage",
            &format!("{STEP}, gen_ai_token_type=\"output\""),
        ),
        quantiles(
            graph("Length of prompts", "short", "Tokens of a prompt."),
            "gen_ai_client_token_usage",
            &format!("{STEP}, gen_ai_token_type=\"input\""),
        ),
        graph("Tokens, as the service counts them", "short", "Tokens each second, by type.")
            .query(rate("rag_llm_tokens_total", TARGET, "gen_ai_token_type"), "{{gen_ai_token_type}}"),
    ]
}

fn server() -> Vec<Spec> {
    vec![
        quantiles(
            graph("Duration of a generation", "s", "From entering the model's queue to the last token."),
            "gen_ai_server_request_duration_seconds",
            TARGET,
        )
        .below_objective("LLM latency p99", 1.0),
        quantiles(
            graph("Time to first token in the server", "s", "From entering the queue to the first token."),
            "gen_ai_server_time_to_first_token_seconds",
            TARGET,
        ),
        quantiles(
            graph("Time per output token in the server", "s", "Between tokens after the first, by answer."),
            "gen_ai_server_time_per_output_token_seconds",
            TARGET,
        ),
        graph("Batch", "short", "Answers being generated, and how many can be at once.")
            .query(gauge("rag_llm_active", TARGET, "instance"), "{{instance}} generating")
            .query(gauge("rag_llm_slots", TARGET, "instance"), "{{instance}} slots"),
        graph("Queue", "short", "Answers that wait for a slot.")
            .query(gauge("rag_llm_queued", TARGET, "instance"), "{{instance}}")
            .below(10.0),
        graph("Generations", "reqps", "Answers that end each second.")
            .query(observed("gen_ai_server_request_duration_seconds", TARGET, "instance"), "{{instance}}"),
    ]
}

fn vllm() -> Vec<Spec> {
    vec![
        graph("Sequences", "short", "Sequences that run, and those that wait.")
            .query(gauge("vllm:num_requests_running", TARGET, "instance"), "{{instance}} running")
            .query(gauge("vllm:num_requests_waiting", TARGET, "instance"), "{{instance}} waiting"),
        graph("KV cache", "percentunit", "The part of the KV cache that is in use.")
            .query(format!("vllm:kv_cache_usage_perc{{{TARGET}}}"), "{{instance}}")
            .below(0.95)
            .share(),
        graph("Preemptions", "ops", "Sequences each second that are computed again.")
            .query(rate("vllm:num_preemptions_total", TARGET, "instance"), "{{instance}}"),
        quantiles(
            graph("Duration, end to end", "s", "As vLLM measures it."),
            "vllm:e2e_request_latency_seconds",
            TARGET,
        ),
        quantiles(
            graph("Time to first token, by vLLM", "s", "As vLLM measures it."),
            "vllm:time_to_first_token_seconds",
            TARGET,
        ),
        quantiles(
            graph("Time in the queue", "s", "From arrival until a sequence is scheduled."),
            "vllm:request_queue_time_seconds",
            TARGET,
        ),
        graph("Tokens, as vLLM counts them", "short", "Tokens each second.")
            .query(rate("vllm:prompt_tokens_total", TARGET, ""), "in")
            .query(rate("vllm:generation_tokens_total", TARGET, ""), "out"),
    ]
}
