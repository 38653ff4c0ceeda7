//! The steps of flows.

use assay_yaml::shape::{Key, Kind, Shape};

use super::response::{CANCEL, CAPTURE_KIND, CHECKS, OBJECTIVES, STREAM};

/// A template.
pub(super) const TEMPLATE: Kind = Kind::Special("template");
/// An expression without braces around it.
const EXPRESSION: Kind = Kind::Special("expression");
/// A step.
pub(super) static STEP: Kind = Kind::Any(&[
    Kind::Map(&REQUEST),
    Kind::Map(&THINK),
    Kind::Map(&SET),
    Kind::Map(&IF),
    Kind::Map(&REPEAT),
    Kind::Map(&ONE_OF),
]);
/// A pause.
pub(super) const PAUSE: Kind = Kind::Any(&PAUSES);
static PAUSES: [Kind; 2] = [Kind::Duration, Kind::Map(&THINK_TIME)];

/// A request.
pub(in crate::scenario) static REQUEST: Shape = Shape {
    title: "Request",
    what: "a step",
    about: "A request, what its response must be, and what is taken from it.",
    keys: &[
        Key::new("name", Kind::Text, "query", "The label `load_step`, unique in the scenario")
            .otherwise("method and path"),
        Key::new("get", TEMPLATE, "/items/7", "A path on the target, or a whole URL"),
        Key::new("post", TEMPLATE, "/items", "The same, with POST"),
        Key::new("put", TEMPLATE, "/items/7", "The same, with PUT"),
        Key::new("patch", TEMPLATE, "/items/7", "The same, with PATCH"),
        Key::new("delete", TEMPLATE, "/items/7", "The same, with DELETE"),
        Key::new("head", TEMPLATE, "/items", "The same, with HEAD"),
        Key::new("options", TEMPLATE, "/items", "The same, with OPTIONS"),
        Key::new(
            "openai",
            Kind::Word(&["chat", "completions", "embeddings", "responses"]),
            "chat",
            "An operation of OpenAI's API: method, path, and where content, tokens and errors are",
        ),
        Key::new(
            "anthropic",
            Kind::Word(&["messages"]),
            "messages",
            "The same of Anthropic's API, with the header `anthropic-version`",
        ),
        Key::new(
            "ollama",
            Kind::Word(&["chat", "generate"]),
            "chat",
            "The same of Ollama's API, which streams unless the body says `stream: false`",
        ),
        Key::new("headers", Kind::Names("headers", &TEMPLATE), "{x-id: \"{{ vu }}\"}", "Its headers"),
        Key::new(
            "query",
            Kind::Names("parameters", &TEMPLATE),
            "{q: \"{{ iteration }}\"}",
            "Query parameters, which are encoded",
        ),
        Key::new(
            "json",
            Kind::Json,
            "{n: \"{{ iteration }}\"}",
            "A body of JSON, in which texts may be templates; one expression alone keeps its type",
        ),
        Key::new("form", Kind::Names("fields", &TEMPLATE), "{name: Ada}", "A form, URL-encoded"),
        Key::new(
            "multipart",
            Kind::Names("parts", &Kind::OneOrMore(&Kind::Any(&[TEMPLATE, Kind::Map(&PART)]))),
            "{note: hello}",
            "A form of parts, some of which may be files; several parts of one name are a list",
        ),
        Key::new("body", TEMPLATE, "\"{{ vu }} says hello\"", "A text"),
        Key::new(
            "stream",
            Kind::Any(&[Kind::Word(&["sse", "ndjson"]), Kind::Map(&STREAM)]),
            "sse",
            "Reads the response as events, and measures content and tokens",
        )
        .otherwise("`openai` and `anthropic` with `stream: true` in the body, and `ollama`, stream"),
        Key::new("check", Kind::Map(&CHECKS), "{status: 200}", "What the response must be")
            .otherwise("any status below 400"),
        Key::new(
            "capture",
            Kind::Names("names", &CAPTURE_KIND),
            "{token: $.access_token}",
            "Values of the response for later templates; one that is not there fails the request",
        ),
        Key::new("objectives", Kind::Map(&OBJECTIVES), "{duration: 500ms}", "What a good request keeps"),
        Key::new(
            "cancel",
            Kind::Map(&CANCEL),
            "{after: 2s}",
            "When the client closes the connection, as a person does who has read enough",
        )
        .otherwise("requests run to their end"),
        Key::new("timeout", Kind::Duration, "10s", "How long the request may take")
            .otherwise("the scenario's"),
        Key::new(
            "retry",
            Kind::Boolean,
            "true",
            "Whether it is sent again when a kept connection was closed before a byte of the response",
        )
        .otherwise("if its method is idempotent"),
        Key::new("retries", Kind::Whole(0), "2", "How often it is sent again when it failed").or("0"),
        Key::new("redirects", Kind::Whole(0), "0", "How many redirects are followed").or("10"),
        Key::new(
            "on_failure",
            Kind::Word(&["end_iteration", "continue"]),
            "continue",
            "What happens to the iteration when it fails",
        )
        .otherwise("the scenario's"),
    ],
    one_of: &["get", "post", "put", "patch", "delete", "head", "options", "openai", "anthropic", "ollama"],
};

/// A pause.
pub(in crate::scenario) static THINK: Shape = Shape {
    title: "Think time",
    what: "a step",
    about: "A pause of the user. At the end of a flow it comes before the next iteration, and is in no iteration's duration.",
    keys: &[Key::new("think", PAUSE, "{uniform: [1s, 5s]}", "How long").required()],
    one_of: &[],
};

/// The length of a pause.
pub(in crate::scenario) static THINK_TIME: Shape = Shape {
    title: "Distribution of a pause",
    what: "a think time",
    about: "Lengths that are drawn each time.",
    keys: &[
        Key::new(
            "uniform",
            Kind::Pair(&Kind::Duration),
            "[1s, 5s]",
            "Evenly between the shortest and the longest",
        ),
        Key::new(
            "normal",
            Kind::Pair(&Kind::Duration),
            "[3s, 1s]",
            "Normal, by mean and standard deviation; never below 0",
        ),
        Key::new("exponential", Kind::Duration, "2s", "Exponential, by its mean"),
    ],
    one_of: &["uniform", "normal", "exponential"],
};

/// A value under a name.
pub(in crate::scenario) static SET: Shape = Shape {
    title: "Set",
    what: "a step",
    about: "Gives a value a name, until it is set again.",
    keys: &[Key::new(
        "set",
        Kind::Names("names", &TEMPLATE),
        "{n: \"{{ iteration * 2 }}\"}",
        "One name and its value; one expression alone keeps its type",
    )
    .required()],
    one_of: &[],
};

/// Steps on a condition.
pub(in crate::scenario) static IF: Shape = Shape {
    title: "If",
    what: "an if",
    about: "Steps that are done only if an expression is true. Undefined names are errors; `x is defined` asks.",
    keys: &[
        Key::new("if", EXPRESSION, "iteration is even", "The condition, without braces").required(),
        Key::new("then", Kind::List(&STEP), "[{get: /even}]", "What is done if it is true").required(),
        Key::new("else", Kind::List(&STEP), "[{get: /odd}]", "What is done if it is not")
            .otherwise("nothing"),
    ],
    one_of: &[],
};

/// Steps that are repeated.
pub(in crate::scenario) static REPEAT: Shape = Shape {
    title: "Repeat",
    what: "a repeat",
    about: "Steps that are done several times: a number of `times`, `while` an expression is true before each round, or `until` one is true after a round, as for polling. \
            A repeat whose condition is not met when its `times` or its `timeout` are over has failed: the iteration ends, and the failed check `until …` or `while …` of its first step counts it.",
    keys: &[
        Key::new("repeat", Kind::List(&STEP), "[{get: /jobs/7}]", "The steps").required(),
        Key::new(
            "times",
            Kind::Any(&[Kind::Whole(1), TEMPLATE]),
            "3",
            "How often, at most; a number or a template",
        )
        .otherwise("as often as the condition says"),
        Key::new("while", EXPRESSION, "iteration < 0", "Continues as long as this is true before a round"),
        Key::new("until", EXPRESSION, "iteration > 0", "Ends when this is true after a round"),
        Key::new(
            "timeout",
            Kind::Duration,
            "30s",
            "How long a repeat with a condition may take before the next round is not begun",
        )
        .or("1m"),
        Key::new("every", PAUSE, "500ms", "The pause between rounds").otherwise("none"),
        Key::new("as", Kind::Text, "round", "A name for the number of the round, from 1"),
    ],
    one_of: &[],
};

/// One of several flows.
pub(in crate::scenario) static ONE_OF: Shape = Shape {
    title: "One of",
    what: "a step",
    about: "One of several flows, drawn each time.",
    keys: &[Key::new(
        "one_of",
        Kind::List(&Kind::Map(&ALTERNATIVE)),
        "[{weight: 3, flow: [{get: /a}]}, {flow: [{get: /b}]}]",
        "The flows",
    )
    .required()],
    one_of: &[],
};

/// One of the flows.
pub(in crate::scenario) static ALTERNATIVE: Shape = Shape {
    title: "Alternative",
    what: "an alternative",
    about: "One of the flows of `one_of`.",
    keys: &[
        Key::new("weight", Kind::Positive, "3", "Its chance is this over the sum of all weights").or("1"),
        Key::new("flow", Kind::List(&STEP), "[{get: /a}]", "Its steps").required(),
    ],
    one_of: &[],
};

/// A part of a multipart form.
pub(in crate::scenario) static PART: Shape = Shape {
    title: "Part of a form",
    what: "a part of a form",
    about: "A part of a multipart form with more than a text.",
    keys: &[
        Key::new("file", Kind::Special("file"), "rows.csv", "A file relative to the scenario, read once"),
        Key::new("value", TEMPLATE, "\"{{ vu }}\"", "A text"),
        Key::new("type", Kind::Text, "application/pdf", "Its media type")
            .otherwise("`application/octet-stream` for a file"),
        Key::new("filename", TEMPLATE, "\"scan-{{ vu }}.pdf\"", "The name of the file that the server sees")
            .otherwise("the file's own"),
    ],
    one_of: &["file", "value"],
};
