//! The keys of an SLA file: what the reader takes, the reference lists and the schema for editors allows.

use assay_yaml::shape::{Key, Kind, Shape};

const PHASES: Kind = Kind::OneOrMore(&Kind::Text);
const WORDS: Kind = Kind::OneOrMore(&Kind::Text);
const ALERTS: Kind = Kind::Any(&[WORDS, Kind::Map(&ALERT_SET)]);

/// The JSON Schema of SLA files of this project's own format.
#[must_use]
pub fn schema() -> serde_json::Value {
    assay_yaml::shape::schema(&SLA)
}

/// The reference of their keys, in Markdown.
#[must_use]
pub fn reference() -> String {
    assay_yaml::shape::reference(&SLA)
}

/// A whole file.
pub(super) static SLA: Shape = Shape {
    title: "SLA",
    what: "an SLA",
    about: "The file as a whole. OpenSLO v1 documents are read too; they have the key `apiVersion`.",
    keys: &[
        Key::new("sla", Kind::Text, "clinical-rag", "Its name").required(),
        Key::new("judge", Kind::Map(&JUDGE), "{phases: [steady]}", "What of a run is judged")
            .otherwise("the whole run but its warm-up, and critical alerts"),
        Key::new(
            "objectives",
            Kind::List(&Kind::Map(&OBJECTIVE)),
            "[{name: x, require: a < 1}]",
            "What must hold; at least one",
        )
        .required(),
    ],
    one_of: &[],
};

/// What is judged.
pub(super) static JUDGE: Shape = Shape {
    title: "Judge",
    what: "judge",
    about: "What of a run is judged.",
    keys: &[
        Key::new("phases", PHASES, "[steady]", "The phases, each on its own")
            .otherwise("the whole run but its warm-up"),
        Key::new(
            "fail_on_alerts",
            Kind::Any(&[ALERTS, Kind::Names("phases", &ALERTS)]),
            "{steady: [critical]}",
            "The alerts that fail a run: severities, a set, or one or the other by phase",
        )
        .or("[critical]"),
        Key::new(
            "require_alerts",
            WORDS,
            "[TargetDown]",
            "Alerts whose metrics must be there, or the verdict is inconclusive",
        )
        .otherwise("none"),
    ],
    one_of: &[],
};

/// A set of alerts.
pub(super) static ALERT_SET: Shape = Shape {
    title: "Set of alerts",
    what: "a set of alerts",
    about: "Alerts by severity or by name.",
    keys: &[
        Key::new("severities", WORDS, "[critical, warning]", "Values of the label `severity`")
            .otherwise("none"),
        Key::new("names", WORDS, "[TargetDown]", "Names of alerts, whatever their severity")
            .otherwise("none"),
    ],
    one_of: &[],
};

/// An objective.
pub(super) static OBJECTIVE: Shape = Shape {
    title: "Objective",
    what: "an objective",
    about: "One comparison. Every series of its left side is a row of the verdict.",
    keys: &[
        Key::new("name", Kind::Text, "Query p99", "Its name, unique in the file").required(),
        Key::new("require", Kind::Special("PromQL comparison"), "'histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5'", "The measured value on the left, the limit on the right; `$__range` is the length of the judged window, `$__range_s` and `$__range_ms` the same as a number").required(),
        Key::new("category", Kind::Text, "latency", "The group that it is shown in").otherwise("none"),
        Key::new("unit", Kind::Text, "s", "The unit of both sides").otherwise("none"),
        Key::new("phases", PHASES, "[peak]", "The phases that it is judged in").otherwise("those of `judge`"),
        Key::new("limits", Kind::Names("phases", &Kind::Text), "{peak: 7, stress: none}", "The right side in these phases; `none` only reports").otherwise("that of `require`"),
        Key::new("relative", Kind::Map(&RELATIVE), "{max: +10%}", "How far the value may be from that of the run of `--baseline`").otherwise("any"),
        Key::new("on_missing", Kind::Word(&["inconclusive", "fail", "skip"]), "skip", "What happens without data").or("inconclusive"),
        Key::new("error_budget", Kind::Boolean, "true", "Whether the limit is a budget of bad events; needs the unit `percent` or `ratio`").or("false"),
        Key::new("description", Kind::Text, "What is measured.", "What is measured"),
        Key::new("advice", Kind::Text, "See which stage dominates.", "What to do when it is missed"),
    ],
    one_of: &[],
};

/// Limits against a baseline.
pub(super) static RELATIVE: Shape = Shape {
    title: "Relative",
    what: "relative",
    about: "Percentages of the baseline's value; one of the two at least.",
    keys: &[
        Key::new("max", Kind::Text, "+10%", "How much more it may be"),
        Key::new("min", Kind::Text, "-10%", "How much less it may be"),
    ],
    one_of: &[],
};
