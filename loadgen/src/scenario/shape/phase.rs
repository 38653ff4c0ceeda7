//! Phases, modes, searches and sweeps.

use assay_yaml::shape::{Key, Kind, Shape, Tagged};

use super::step::PAUSE;
use crate::scenario::executor;

/// Virtual users.
pub(in crate::scenario) const VUS: Key = Key::new("vus", Kind::Whole(1), "5", "How many virtual users");
/// Virtual users at the start.
pub(in crate::scenario) const START_VUS: Key =
    Key::new("start_vus", Kind::Whole(0), "5", "How many virtual users there are at the start");
/// Iterations in a unit of time.
pub(in crate::scenario) const RATE: Key =
    Key::new("rate", Kind::Rate, "100/s", "How many iterations start in a `time_unit`");
/// The same, at the start.
pub(in crate::scenario) const START_RATE: Key =
    Key::new("start_rate", Kind::Rate, "10/s", "How many iterations start in a `time_unit` at the start");
/// What rates are in.
pub(in crate::scenario) const TIME_UNIT: Key =
    Key::new("time_unit", Kind::Duration, "1m", "What `rate` and targets are counted in");
/// The length of a phase.
pub(in crate::scenario) const DURATION: Key =
    Key::new("duration", Kind::Duration, "10s", "How long iterations are started");
/// How fast users come.
pub(in crate::scenario) const RAMP: Key =
    Key::new("ramp", Kind::Rate, "5/s", "How many users come each second");
/// The stages of a ramp.
pub(in crate::scenario) const STAGES: Key = Key::new(
    "stages",
    Kind::List(&STAGE_KIND),
    "[{duration: 1m, target: 20}, {duration: 5m, target: 20}]",
    "Straight lines to targets, one after the other",
);
/// The users of an executor with a schedule.
pub(in crate::scenario) const ALLOCATION: [Key; 3] = [
    Key::new("pre_allocated_vus", Kind::Whole(1), "20", "Users that are there from the start").or("10"),
    Key::new("max_vus", Kind::Whole(1), "200", "Users that there may be at most; a start that no user is free for waits, and is dropped if the phase ends first").otherwise("1000, or `pre_allocated_vus` if that is more"),
    ARRIVALS_KEY,
];
static STAGE_KIND: Kind = Kind::Map(&STAGE);
static ARRIVAL_KINDS: [Kind; 2] = [Kind::Word(&["constant", "poisson"]), Kind::Map(&ARRIVALS)];
/// How starts are spread.
const ARRIVALS_KEY: Key = Key::new(
    "arrivals",
    Kind::Any(&ARRIVAL_KINDS),
    "poisson",
    "The gaps between starts: even, or as of independent users",
)
.or("constant");
/// The iterations of an executor that counts them.
pub(in crate::scenario) const COUNTED: [Key; 3] = [
    Key::new("vus", Kind::Whole(1), "3", "How many virtual users").or("1"),
    Key::new("iterations", Kind::Whole(1), "100", "How many iterations").or("1"),
    Key::new("max_duration", Kind::Duration, "1h", "When the phase ends even if not all are done").or("10m"),
];

/// A phase.
pub(in crate::scenario) static PHASE: Tagged =
    Tagged { common: &PHASE_KEYS, tag: "executor", cases: executor::CASES };

static PHASE_KEYS: Shape = Shape {
    title: "Phase",
    what: "a phase",
    about: "A part of the load, with the keys of its executor. Its name is the label `load_phase`.",
    keys: &[
        Key::new("executor", Kind::Word(executor::NAMES), "constant-vus", "How iterations are started").required(),
        Key::new("warmup", Kind::Boolean, "true", "Whether verdicts leave it out").or("false"),
        Key::new("graceful_stop", Kind::Duration, "5s", "How long iterations may take to end after the phase's time").or("30s"),
        Key::new("think", Kind::Number, "0.2", "What think times are multiplied by").or("1"),
        Key::new("pacing", PAUSE, "10s", "The least time from the start of an iteration to the start of the same user's next; only for executors without a schedule").otherwise("none"),
        Key::new("flow", Kind::Text, "other", "Which of `flows` its iterations do").otherwise("`flow`"),
    ],
    one_of: &[],
};

/// A stage.
pub(in crate::scenario) static STAGE: Shape = Shape {
    title: "Stage",
    what: "a stage",
    about: "A straight line.",
    keys: &[
        Key::new("duration", Kind::Duration, "1m", "How long it takes; 0 is a jump").required(),
        Key::new("target", Kind::Rate, "20", "Users, or iterations in a `time_unit`, at its end").required(),
    ],
    one_of: &[],
};

/// Gaps of a gamma distribution.
pub(in crate::scenario) static ARRIVALS: Shape = Shape {
    title: "Arrivals",
    what: "how starts are spread",
    about: "Gaps of a gamma distribution.",
    keys: &[Key::new(
        "gamma",
        Kind::Positive,
        "0.5",
        "Its shape: below 1 starts come in bursts, 1 is `poisson`, above 1 they even out",
    )
    .required()],
    one_of: &[],
};

static CHANGED_PHASE: Key = Key::new("phase", Kind::Text, "steady", "The phase that is changed").required();

/// A list of phases, or a map.
pub(super) const MODE_KIND: Kind = Kind::Any(&[Kind::List(&MODE_PHASE), Kind::Map(&MODE)]);
const MODE_PHASE: Kind = Kind::Any(&[Kind::Text, Kind::Change(&PHASE, &CHANGED_PHASE)]);

/// A mode with a search or a sweep.
pub(in crate::scenario) static MODE: Shape = Shape {
    title: "Mode",
    what: "a mode",
    about: "A mode that looks for the capacity. A mode that is a list has phases alone: names, or `{phase: NAME, …}` with keys that are changed.",
    keys: &[
        Key::new("phases", Kind::List(&MODE_PHASE), "[p]", "The phases that come first").otherwise("none"),
        Key::new(
            "search",
            Kind::Map(&SEARCH),
            "{rate: {from: 10/s, to: 1000/s}}",
            "The highest rate that keeps its objectives",
        ),
        Key::new(
            "sweep",
            Kind::Map(&SWEEP),
            "{rates: [10/s, 20/s, 40/s]}",
            "Each of several rates, or numbers of users",
        ),
    ],
    one_of: &["search", "sweep"],
};

macro_rules! window_keys {
    ($($first:expr),+ $(,)?) => {
        &[
            $($first,)+
            Key::new("window", Kind::Duration, "10s", "How long each rate is held").or("30s"),
            Key::new("rest", Kind::Duration, "2s", "How long the target is left alone before each window").or("1s"),
            Key::new("objectives", Kind::Map(&OBJECTIVES), "{good: 0.95}", "What a window keeps").otherwise("99 % good, at most 1 % dropped, 90 % of the throughput"),
            Key::new("graceful_stop", Kind::Duration, "5s", "How long iterations may take to end after a window").or("30s"),
            ALLOCATION[0],
            ALLOCATION[1],
            ALLOCATION[2],
            Key::new("think", Kind::Number, "0", "What think times are multiplied by").or("1"),
        ]
    };
}

/// A search.
pub(in crate::scenario) static SEARCH: Shape = Shape {
    title: "Search",
    what: "a search",
    about: "Raises the rate until a window breaks its objectives, narrows the gap, and measures around it where the objectives begin to break.",
    keys: window_keys![
        Key::new("rate", Kind::Map(&RANGE), "{from: 10/s, to: 1000/s}", "The range of rates").required(),
        Key::new("factor", Kind::Positive, "1.5", "What the rate is multiplied by until it breaks; above 1")
            .or("2"),
        Key::new(
            "precision",
            Kind::Share,
            "0.1",
            "The width of the capacity's 95 % interval at which the search is over, as a share of it; with `confirm: 0`, the gap between the highest rate that held and the lowest that broke"
        )
        .or("0.1"),
        Key::new(
            "confirm",
            Kind::Whole(0),
            "5",
            "How many windows each of six rates around the edge gets at least; 0 to end with the gap, without an interval"
        )
        .or("4"),
        Key::new("max_windows", Kind::Whole(1), "20", "The most windows, up to 100").or("100"),
    ],
    one_of: &[],
};

/// A sweep.
pub(in crate::scenario) static SWEEP: Shape = Shape {
    title: "Sweep",
    what: "a sweep",
    about: "Holds each of several loads for a window: rates, or numbers of users that start their next iteration when the last has ended. At most 100 windows.",
    keys: window_keys![
        Key::new("rates", Kind::List(&Kind::Rate), "[10/s, 20/s]", "The rates"),
        Key::new("vus", Kind::List(&Kind::Whole(1)), "[1, 2, 4, 8]", "The numbers of users"),
        Key::new("repeat", Kind::Whole(1), "5", "How many windows each load gets: the list of loads is gone through this many times, in order. `--repeat` overrides it. With 2 or more, results have 95 % confidence intervals").or("1"),
    ],
    one_of: &["rates", "vus"],
};

/// A range of rates.
pub(in crate::scenario) static RANGE: Shape = Shape {
    title: "Range",
    what: "a range of rates",
    about: "The rates that a search tries.",
    keys: &[
        Key::new("from", Kind::Rate, "10/s", "The first").required(),
        Key::new("to", Kind::Rate, "1000/s", "The highest").required(),
    ],
    one_of: &[],
};

/// What a window keeps.
pub(in crate::scenario) static OBJECTIVES: Shape = Shape {
    title: "Objectives of a window",
    what: "the objectives of a window",
    about: "What a window of a search or a sweep keeps.",
    keys: &[
        Key::new("good", Kind::Share, "0.95", "The least share of good requests").or("0.99"),
        Key::new("errors", Kind::Share, "0.01", "The largest share of failed requests")
            .otherwise("what `good` allows"),
        Key::new("dropped", Kind::Share, "0", "The largest share of iterations that never start").or("0.01"),
        Key::new(
            "throughput",
            Kind::Share,
            "0.95",
            "The least share of the iterations due that is worked off in time",
        )
        .or("0.9"),
        Key::new("duration", Kind::Map(&PERCENTILES), "{p95: 1s}", "Times from the first byte sent"),
        Key::new("latency", Kind::Map(&PERCENTILES), "{p99: 2s}", "Times from the scheduled instant"),
        Key::new(
            "first_chunk",
            Kind::Map(&PERCENTILES),
            "{p50: 200ms}",
            "Times to the first content of streams",
        ),
    ],
    one_of: &[],
};

/// Percentiles.
pub(in crate::scenario) static PERCENTILES: Shape = Shape {
    title: "Percentiles",
    what: "the percentiles of a time",
    about: "The most that percentiles may be.",
    keys: &[
        Key::new("p50", Kind::Duration, "100ms", "The median"),
        Key::new("p90", Kind::Duration, "200ms", "90 of 100"),
        Key::new("p95", Kind::Duration, "300ms", "95 of 100"),
        Key::new("p99", Kind::Duration, "500ms", "99 of 100"),
        Key::new("p99.9", Kind::Duration, "1s", "999 of 1000"),
    ],
    one_of: &[],
};
