//! What a response must be, what is taken from it, and how a stream is read.

use assay_yaml::shape::{Key, Kind, Shape};

const PATH: Kind = Kind::Special("JSONPath");
const REGEX: Kind = Kind::Special("regular expression");

/// A capture.
pub(super) const CAPTURE_KIND: Kind = Kind::Any(&[PATH, Kind::Map(&CAPTURE)]);

/// The checks of a step.
pub(in crate::scenario) static CHECKS: Shape = Shape {
    title: "Checks",
    what: "the checks of a step",
    about: "Each check is counted in `load_checks_total`; a request whose check fails has failed. In a stream, one event must meet a check of the body.",
    keys: &[
        Key::new(
            "status",
            Kind::OneOrMore(&Kind::Special("status such as `200` or `2xx`")),
            "[200, 201]",
            "Statuses that are a success",
        )
        .otherwise("any below 400"),
        Key::new(
            "body",
            Kind::Names("`contains`, `matches` or JSONPaths", &Kind::Json),
            "{contains: ok, $.answer: exists, $.n: 3, $.id: {matches: '^a'}}",
            "What the body holds: a text, a match of a regular expression, or at a JSONPath a value, `exists`, `absent`, or `{matches: …}`",
        ),
        Key::new(
            "headers",
            Kind::Names("headers", &Kind::Text),
            "{content-type: exists}",
            "Headers that are there, with this value, or with any: `exists`",
        ),
        Key::new(
            "latency",
            Kind::Duration,
            "2s",
            "The most that the response may take from its first byte sent",
        ),
    ],
    one_of: &[],
};

/// A capture in full.
pub(in crate::scenario) static CAPTURE: Shape = Shape {
    title: "Capture",
    what: "a capture",
    about: "Where a captured value is. A JSONPath alone is short for `json`; it takes names, indices (from the end, if negative) and `*`, which finds the first. In a stream the last event that has it gives the value.",
    keys: &[
        Key::new("json", PATH, "'$.items[0].id'", "At a place in the JSON body, with its type"),
        Key::new("header", Kind::Text, "location", "In a header"),
        Key::new(
            "regex",
            REGEX,
            "'id=(\\d+)'",
            "The first group of a match in the body, or all of the match",
        ),
        Key::new(
            "content",
            Kind::Word(&["all"]),
            "all",
            "The whole answer of a stream: its pieces of content, joined, without reasoning and tool calls",
        ),
        Key::new(
            "message",
            Kind::Word(&["all"]),
            "all",
            "The whole answer as the message that the next request has in its history, tool calls among it; for OpenAI's chat, Anthropic's messages and Ollama's chat, as a stream or not",
        ),
    ],
    one_of: &["json", "header", "regex", "content", "message"],
};

/// What a good request keeps.
pub(in crate::scenario) static OBJECTIVES: Shape = Shape {
    title: "Objectives",
    what: "the objectives of a request",
    about: "A request that succeeds and keeps all of them is a good one, counted in `load_requests_good_total`.",
    keys: &[
        Key::new("duration", Kind::Duration, "5s", "The most from the first byte sent to the end"),
        Key::new("latency", Kind::Duration, "5s", "The most from the scheduled instant to the end"),
        Key::new(
            "first_chunk",
            Kind::Duration,
            "1s",
            "The most from the first byte sent to the first content of a stream",
        ),
        Key::new(
            "per_token",
            Kind::Duration,
            "50ms",
            "The most per output token after the first, on average over the stream",
        ),
        Key::new(
            "chunk_gap",
            Kind::Duration,
            "500ms",
            "The most between any two pieces of content of a stream",
        ),
    ],
    one_of: &[],
};

/// When requests are cancelled.
pub(in crate::scenario) static CANCEL: Shape = Shape {
    title: "Cancel",
    what: "when a request is cancelled",
    about: "A request that is cancelled is no failure, and in none of the figures of those that ran to their end; it is counted in `load_requests_cancelled_total`. Its iteration continues, without its checks, and with those captures that were there by then.",
    keys: &[
        Key::new(
            "after_tokens",
            Kind::Whole(1),
            "20",
            "After so many output tokens of a stream, or pieces of content if the server does not count along",
        ),
        Key::new("after", Kind::Duration, "2s", "So long after it began, if it has not ended by then"),
        Key::new("share", Kind::Share, "0.1", "The share of the requests that it happens to").or("1"),
    ],
    one_of: &["after_tokens", "after"],
};

/// A stream.
pub(in crate::scenario) static STREAM: Shape = Shape {
    title: "Stream",
    what: "a stream",
    about: "Server-sent events or lines of JSON, with where things are in them.",
    keys: &[
        Key::new("sse", Kind::Map(&EVENTS), "{content: $.text}", "Server-sent events"),
        Key::new("ndjson", Kind::Map(&EVENTS), "{content: $.text}", "A JSON document on each line"),
    ],
    one_of: &["sse", "ndjson"],
};

/// How events are read.
pub(in crate::scenario) static EVENTS: Shape = Shape {
    title: "Events",
    what: "how to read the events",
    about: "Where things are in the events of a stream. What the usual services send is recognised without it.",
    keys: &[
        Key::new(
            "content",
            Kind::OneOrMore(&PATH),
            "[$.answer.delta, $.thought]",
            "Where content is, any of these places",
        )
        .otherwise("the usual places"),
        Key::new("output_tokens", PATH, "$.tokens", "Where the number of output tokens is")
            .otherwise("the usual places"),
        Key::new("input_tokens", PATH, "$.prompt_tokens", "Where the number of input tokens is")
            .otherwise("the usual places"),
        Key::new(
            "events",
            Kind::OneOrMore(&Kind::Text),
            "[answer]",
            "The names of the events that may be content; one without a name is `message`",
        )
        .otherwise("all but `ping`, `sources`, `metadata` and the like"),
        Key::new("done", Kind::Text, "END", "The data that ends the stream").or("'[DONE]'"),
        Key::new("require_done", Kind::Boolean, "true", "Whether a stream without its end is a failure")
            .or("false"),
    ],
    one_of: &[],
};
