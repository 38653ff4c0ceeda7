//! The keys of a scenario: what the parser reads, the reference lists and the schema for editors allows.
//!
//! Invariant: the parser asks for no key that is not here (a debug build panics), and a test sees that each key here is
//! read, that its example is taken, and that its default is what applies without it.

mod phase;
mod response;
mod step;

use assay_yaml::shape::{Key, Kind, Shape};

use self::step::STEP;

pub(super) use self::{
    phase::{
        ALLOCATION, ARRIVALS, COUNTED, DURATION, MODE, OBJECTIVES as WINDOW_OBJECTIVES, PERCENTILES, PHASE,
        RAMP, RANGE, RATE, SEARCH, STAGE, STAGES, START_RATE, START_VUS, SWEEP, TIME_UNIT, VUS,
    },
    response::{CANCEL, CAPTURE, CHECKS, EVENTS, OBJECTIVES, STREAM},
    step::{ALTERNATIVE, IF, ONE_OF, PART, REPEAT, REQUEST, SET, THINK, THINK_TIME},
};

/// A whole scenario.
pub(super) static SCENARIO: Shape = Shape {
    title: "Scenario",
    what: "a scenario",
    about: "The file as a whole.",
    keys: &[
        Key::new("scenario", Kind::Text, "clinical-rag", "Its name, the label `load_scenario` of all series")
            .required(),
        Key::new(
            "target",
            Kind::Special("URL"),
            "http://127.0.0.1:8000",
            "Where the load goes; `--target` overrides it. A path in it goes before every path of a step; `unix:/run/app.sock` is a Unix socket (not on Windows)",
        )
        .otherwise("`--target` is needed"),
        Key::new(
            "health",
            Kind::Special("path"),
            "/health",
            "A path that must answer with a status below 400 before the load starts",
        )
        .otherwise("the target must accept a connection"),
        Key::new(
            "timeout",
            Kind::Duration,
            "10s",
            "How long each request may take, unless its step says otherwise",
        )
        .or("30s"),
        Key::new(
            "on_failure",
            Kind::Word(&["end_iteration", "continue"]),
            "continue",
            "What happens to an iteration when a step of it fails, unless the step says otherwise",
        )
        .or("end_iteration"),
        Key::new(
            "headers",
            Kind::Names("headers", &Kind::Special("template")),
            "{x-tenant: a}",
            "Headers of all requests; those of a step come before them",
        ),
        Key::new(
            "data",
            Kind::Names("names", &Kind::Special("file")),
            "{rows: rows.csv}",
            "Data files, relative to the scenario, by the names that templates use",
        ),
        Key::new(
            "tokenizer",
            Kind::Special("file"),
            "tokenizer.json",
            "The model's tokenizer, as Hugging Face has it, relative to the scenario: with it `prompt` and `tokens` are exact. Nothing is fetched",
        )
        .otherwise("lengths are estimates"),
        Key::new(
            "users",
            Kind::List(&Kind::Map(&USER)),
            "[{name: nurse, weight: 3}]",
            "The kinds of virtual users",
        )
        .otherwise("one kind, `user`"),
        Key::new(
            "renew_on",
            Kind::OneOrMore(&Kind::Whole(100)),
            "[401, 403]",
            "Statuses after which a user goes through `setup` again before its next iteration",
        )
        .or("401"),
        Key::new(
            "tls",
            Kind::Map(&TLS),
            "{ca: ca.pem}",
            "Certificates, in PEM files relative to the scenario",
        )
        .otherwise("the system's authorities"),
        Key::new(
            "resolve",
            Kind::OneOrMore(&Kind::Special("`HOST:PORT:ADDRESS`")),
            "example.org:443:127.0.0.1",
            "Addresses instead of what a name resolves to, as curl's `--resolve` takes them: several after commas, `*` for any host, and `unix:/run/app.sock` for a Unix socket (not on Windows). What is sent stays the same",
        )
        .otherwise("names are looked up"),
        Key::new(
            "proxy",
            Kind::Special("URL"),
            "http://127.0.0.1:3128",
            "An HTTP proxy that all connections are tunnelled through; `--proxy` overrides it",
        )
        .otherwise("none"),
        Key::new(
            "http",
            Kind::Word(&["1.1", "2"]),
            "2",
            "The version of HTTP; 2 over TLS, or with prior knowledge",
        )
        .or("1.1"),
        Key::new(
            "before_run",
            Kind::List(&STEP),
            "[{name: seed, post: /fixtures}]",
            "Steps done once, before the first phase; what they capture or set all users see. They are not measured, and if one fails the run does not start",
        ),
        Key::new(
            "setup",
            Kind::List(&STEP),
            "[{name: login, post: /login}]",
            "Steps that each virtual user does before its first iteration, and again after a status of `renew_on`",
        ),
        Key::new("flow", Kind::List(&STEP), "[{get: /}]", "What an iteration does").required(),
        Key::new(
            "flows",
            Kind::Names("names", &Kind::List(&STEP)),
            "{other: [{get: /other}]}",
            "More flows, for the phases and the kinds of users that name one",
        ),
        Key::new(
            "after_run",
            Kind::List(&STEP),
            "[{name: clean, delete: /fixtures}]",
            "Steps done once, after the last phase, also of a run that was stopped; not measured",
        ),
        Key::new(
            "phases",
            Kind::Names("names", &Kind::Tagged(&PHASE)),
            "{steady: {executor: constant-vus, vus: 5, duration: 10m}}",
            "The phases of the load",
        )
        .required(),
        Key::new(
            "modes",
            Kind::Names("names", &phase::MODE_KIND),
            "{short: [{phase: steady, duration: 5s}]}",
            "Named choices of phases for `--mode`; the mode `default` is what runs without it",
        )
        .otherwise("all phases run"),
    ],
    one_of: &[],
};

/// A kind of users.
pub(super) static USER: Shape = Shape {
    title: "User",
    what: "a kind of users",
    about: "A kind of virtual users. Kinds are dealt out evenly by weight.",
    keys: &[
        Key::new("name", Kind::Text, "nurse", "Its name").required(),
        Key::new("weight", Kind::Whole(1), "3", "Its share of the users is this over the sum of all weights")
            .or("1"),
        Key::new(
            "flow",
            Kind::Text,
            "other",
            "Which of `flows` its iterations do, in phases that name no flow",
        )
        .otherwise("`flow`"),
        Key::new(
            "vars",
            Kind::Names("names", &Kind::Special("template")),
            "{role: reader}",
            "Names that the templates of these users see",
        ),
    ],
    one_of: &[],
};

/// TLS.
pub(super) static TLS: Shape = Shape {
    title: "TLS",
    what: "the TLS settings",
    about: "Which certificates of servers are accepted, and which one the client shows. Files are PEM, relative to the scenario.",
    keys: &[
        Key::new(
            "insecure",
            Kind::Boolean,
            "true",
            "Accept any server certificate, from any authority and for any name, as `--insecure` does; the run's record and report note it",
        )
        .or("false"),
        Key::new(
            "ca",
            Kind::Special("file"),
            "ca.pem",
            "The authorities that are trusted instead of the system's",
        ),
        Key::new(
            "cert",
            Kind::Special("file"),
            "client.pem",
            "The certificate that the client shows; needs `key`",
        ),
        Key::new("key", Kind::Special("file"), "client.key", "Its key"),
    ],
    one_of: &[],
};
