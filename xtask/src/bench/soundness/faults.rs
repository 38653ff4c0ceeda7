//! What is planted in the service, the generator and the host. Invariant: each fault has a name of its own, which can be asked
//! for alone.

/// What happens while the load runs.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// The service is killed, and comes back after so many seconds, if ever.
    KillService(Option<u64>),
    /// The service stands still to the end.
    FreezeService,
    /// The service stands still for so many seconds.
    PauseService(u64),
    /// Programs that belong to nothing compute to the end, two for each processor.
    OtherPrograms,
    /// The generator stands still for so many seconds.
    FreezeLoad(u64),
    /// The generator is killed.
    KillLoad,
    /// A fault of the service's own is planted: what `/admin/fault` takes.
    Plant(&'static str),
}

/// Who drives the load.
#[derive(Clone, Copy)]
pub(super) enum Load {
    /// The pack, in its short mode.
    Demo,
    /// A scenario of our own: its text, and more options, in which SERVICE stands for the service's address.
    Own(&'static str, &'static [&'static str]),
    /// The same, watched by a second generator that scrapes it.
    Watched(&'static str),
}

pub(super) struct Fault {
    pub(super) name: &'static str,
    /// Options of `demo serve`.
    pub(super) serve: &'static [&'static str],
    pub(super) load: Load,
    /// When, in seconds from the start of the load, and what.
    pub(super) act: Option<(u64, Act)>,
    /// Alerts that must fire, with their severity.
    pub(super) fires: &'static [(&'static str, &'static str)],
    /// The finding that must come first: its id, and what it is about.
    pub(super) finding: Option<&'static str>,
}

const CHAT: &str = "scenario: chat
health: /health
timeout: 30s
flow:
  - name: ask
    post: /v1/chat/completions
    headers: {authorization: Bearer demo}
    json: {messages: [{role: user, content: What is sepsis?}], max_tokens: 100, ignore_eos: true, stream: true}
    stream: sse
phases: {main: {executor: constant-vus, vus: 12, duration: 60s}}
";

const ONE_SLOT: &str = "scenario: query
health: /health
timeout: 60s
flow:
  - name: query
    post: /v1/chat/completions
    headers: {authorization: Bearer demo}
    json: {messages: [{role: user, content: What is sepsis?}], max_tokens: 100, ignore_eos: true}
phases: {main: {executor: constant-vus, vus: 6, duration: 100s}}
";

// What never started is counted when its phase ends; an alert needs a phase after it to fire in.
const OPEN: &str = "scenario: open
health: /health
flow:
  - name: ask
    post: /v1/chat/completions
    headers: {authorization: Bearer demo}
    json: {messages: [{role: user, content: What is sepsis?}], max_tokens: 100, ignore_eos: true}
phases:
  main: {executor: constant-arrival-rate, rate: 5/s, duration: 100s, pre_allocated_vus: 2, max_vus: 2}
  after: {executor: constant-vus, vus: 1, duration: 20s}
";

const HEALTH: &str = "scenario: health
timeout: 10s
flow: [{name: health, get: /health}, {think: 100ms}]
phases: {main: {executor: constant-vus, vus: 8, duration: 150s}}
";

const PACED: &str = "scenario: paced
flow: [{name: health, get: /health}]
phases: {main: {executor: constant-arrival-rate, rate: 50/s, duration: 40s, pre_allocated_vus: 20, max_vus: 20}}
";

// What is checked of an answer takes the generator far more than the answer takes the service.
const FLAT_OUT: &str = r"scenario: flat-out
flow:
  - name: metrics
    get: /metrics
    check: {body: {matches: '(\w+\W+){90}'}}
phases: {main: {executor: constant-vus, vus: 64, duration: 90s}}
";

// The same few questions again and again, which a cache answers.
const ASKED_AGAIN: &str = "scenario: asked-again
setup:
  - {post: /login, json: {username: resident, password: demo}, capture: {token: $.access_token}}
flow:
  - name: query
    post: /query
    headers: {authorization: 'Bearer {{ token }}'}
    json: {question: What is sepsis?, patient_id: P-0020, k: 5}
  - think: 300ms
phases: {main: {executor: constant-vus, vus: 3, duration: 80s}}
";

const SLOW: &str = "xtask/src/bench/slow.yml";

/// A fault of nothing, to be filled in.
const PLAIN: Fault = Fault { name: "", serve: &[], load: Load::Demo, act: None, fires: &[], finding: None };

/// All of them.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "a third of the questions fails",
        serve: &["--fault", "errors=0.3"],
        fires: &[
            ("ErrorRateHigh", "warning"),
            ("ErrorRateHigh", "critical"),
            ("ErrorBudgetSpent", "warning"),
            ("ServerErrors", "warning"),
            ("ChecksFailing", "warning"),
            ("ServiceErrorRateHigh", "warning"),
            ("ServiceErrorRateHigh", "critical"),
            ("ErrorBudgetBurnFast", "critical"),
        ],
        finding: Some("E001"),
        ..PLAIN
    },
    Fault {
        name: "embedding and search take six times as long",
        serve: &["--fault", "slow-embed=6", "--fault", "slow-search=6"],
        fires: &[("EmbedStageSlow", "warning"), ("SearchStageSlow", "warning")],
        ..PLAIN
    },
    Fault {
        name: "embedding takes thirteen times as long",
        serve: &["--fault", "slow-embed=13"],
        fires: &[("EmbedStageSlow", "warning")],
        finding: Some("B001 embed"),
        ..PLAIN
    },
    Fault {
        name: "search takes eight times as long",
        serve: &["--fault", "slow-search=8"],
        fires: &[("SearchStageSlow", "warning")],
        finding: Some("B001 search"),
        ..PLAIN
    },
    Fault {
        name: "a third of the streams breaks",
        serve: &["--fault", "stream-errors=0.3"],
        fires: &[("ErrorRateHigh", "critical")],
        finding: Some("E002"),
        ..PLAIN
    },
    Fault {
        name: "memory leaks",
        serve: &["--fault", "memory-leak=4MB"],
        load: Load::Own(HEALTH, &[]),
        finding: Some("R005 demo"),
        ..PLAIN
    },
    Fault {
        name: "descriptors leak",
        serve: &["--fault", "fd-leak=2"],
        load: Load::Own(HEALTH, &[]),
        finding: Some("R006 demo"),
        ..PLAIN
    },
    Fault {
        name: "the service stands still for a while",
        act: Some((25, Act::PauseService(15))),
        finding: Some("F003 demo"),
        ..PLAIN
    },
    Fault {
        name: "other programs need the machine",
        act: Some((0, Act::OtherPrograms)),
        finding: Some("R002"),
        ..PLAIN
    },
    Fault {
        name: "the model has one slot",
        serve: &["--fault", "llm-slots=1"],
        fires: &[
            ("QueryLatencyP99High", "warning"),
            ("QueryLatencyP99High", "critical"),
            ("GenerateStageSlow", "warning"),
            ("ServiceLatencyP99High", "warning"),
            ("ServiceLatencyP99High", "critical"),
            ("ModelLatencyP99High", "warning"),
            ("ModelLatencyP99High", "critical"),
            ("TimeToFirstTokenHigh", "warning"),
            ("ModelFirstTokenSlow", "warning"),
            ("ModelQueueGrowing", "warning"),
        ],
        finding: Some("Q001"),
        ..PLAIN
    },
    Fault {
        name: "another step than the query waits for one slot",
        serve: &["--fault", "llm-slots=1"],
        load: Load::Own(CHAT, &[]),
        fires: &[("StepLatencyP99High", "warning"), ("StepLatencyP99High", "critical")],
        finding: Some("Q001"),
        ..PLAIN
    },
    Fault {
        name: "six users share one slot",
        serve: &["--fault", "llm-slots=1"],
        load: Load::Own(ONE_SLOT, &[]),
        fires: &[("ThroughputLow", "warning")],
        finding: Some("Q001"),
        ..PLAIN
    },
    Fault {
        name: "tokens and logins come slowly",
        serve: &["--profile", SLOW],
        fires: &[
            ("TokenCadenceSlow", "warning"),
            ("ApiLatencyP99High", "warning"),
            ("RequestsTimeOut", "warning"),
        ],
        finding: Some("B001 generate"),
        ..PLAIN
    },
    Fault {
        name: "the model is away",
        serve: &["--llm", "http://127.0.0.1:9"],
        fires: &[("ComponentNotReady", "critical")],
        finding: Some("F004 generate"),
        ..PLAIN
    },
    Fault {
        name: "the service dies",
        load: Load::Own(HEALTH, &[]),
        act: Some((40, Act::KillService(None))),
        fires: &[
            ("TargetDown", "critical"),
            ("ServiceUnreachable", "critical"),
            ("NoThroughput", "critical"),
        ],
        finding: Some("F002 demo"),
        ..PLAIN
    },
    Fault {
        name: "the service restarts",
        act: Some((20, Act::KillService(Some(3)))),
        fires: &[("ServiceRestarted", "warning")],
        finding: Some("F001 demo"),
        ..PLAIN
    },
    Fault {
        name: "the service stands still",
        load: Load::Own(HEALTH, &[]),
        act: Some((80, Act::FreezeService)),
        fires: &[("ThroughputCollapsed", "warning")],
        finding: Some("F003 demo"),
        ..PLAIN
    },
    Fault {
        name: "memory and descriptors leak",
        serve: &["--fault", "memory-leak=40MB", "--fault", "fd-leak=8"],
        load: Load::Own(HEALTH, &[]),
        fires: &[("ProcessMemoryGrowing", "warning"), ("ProcessFilesHigh", "warning")],
        ..PLAIN
    },
    Fault {
        name: "the cache is switched off",
        load: Load::Own(ASKED_AGAIN, &[]),
        act: Some((35, Act::Plant(r#"{"faults": ["cache-off"]}"#))),
        finding: Some("B002"),
        ..PLAIN
    },
    Fault {
        name: "most questions fail for eight seconds",
        act: Some((20, Act::Plant(r#"{"faults": ["errors=0.8"], "seconds": 8}"#))),
        finding: Some("E001"),
        ..PLAIN
    },
    Fault {
        name: "the load has too few users for its rate",
        serve: &["--fault", "llm-slots=1"],
        load: Load::Own(OPEN, &[]),
        fires: &[("ThroughputBelowTarget", "warning"), ("GeneratorDropsIterations", "warning")],
        ..PLAIN
    },
    Fault {
        name: "the generator stands still",
        load: Load::Own(PACED, &[]),
        act: Some((10, Act::FreezeLoad(4))),
        fires: &[("GeneratorLate", "warning"), ("QueueingBeforeSend", "warning")],
        finding: Some("G002"),
        ..PLAIN
    },
    Fault {
        name: "the generator is killed",
        load: Load::Watched(PACED),
        act: Some((20, Act::KillLoad)),
        fires: &[("GeneratorGone", "critical")],
        ..PLAIN
    },
    Fault {
        name: "nobody takes the measurements",
        load: Load::Own(PACED, &["--otlp", "http://127.0.0.1:9/api/v1/otlp"]),
        fires: &[("GeneratorExportLate", "warning")],
        ..PLAIN
    },
    Fault {
        name: "the receiver of the measurements refuses them",
        load: Load::Own(PACED, &["--otlp", "http://SERVICE/nowhere"]),
        fires: &[("GeneratorExportFails", "warning")],
        ..PLAIN
    },
    Fault {
        name: "the generator needs the machine for itself",
        load: Load::Own(FLAT_OUT, &["--workers", "2"]),
        fires: &[("GeneratorCpuHigh", "warning")],
        finding: Some("G003"),
        ..PLAIN
    },
];
