//! Other ways of a record to the judge than a recorder's or an export's directory: fetched from a real Prometheus, as
//! OpenMetrics text, merged from shards. The cases are those of the matrix, by their names.

use std::path::Path;

use assay_prom_api::ClientOptions;
use assay_run::{
    Run,
    export::to_openmetrics,
    import::{ImportOptions, import},
    merge::merge,
};
use assay_testkit::Prometheus;
use assay_verdict::eval::{FetchOptions, eval, eval_fetched};

use crate::{
    case::{Case, Says},
    world::{Form, at_ms},
};

/// A way, the cases that go it, what is said of each, and the sentence.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) cases: &'static [(&'static str, Says, &'static str)],
    /// `None` where it cannot be gone here.
    pub(crate) go: fn(&Case, &Path) -> Option<(u8, String)>,
}

pub(crate) const WAYS: [Way; 3] = [
    Way {
        name: "fetched from a Prometheus that scraped every 15 s",
        cases: &[
            ("nothing is wrong", Says::Pass, "8 of 8 objectives met"),
            ("ten of 240 requests fail within one second", Says::Fail, "Error rate in steady"),
            ("a critical alert fires in a judged phase", Says::Fail, "Queue fired in steady"),
            ("a rollout replaces the pods in the middle of steady", Says::Pass, ""),
            (
                "the generator is killed half-way through a phase",
                Says::Inconclusive,
                "phase steady has no end on record",
            ),
            ("the service has classic histograms", Says::Pass, ""),
            ("a misspelt metric", Says::Inconclusive, "app_request_total"),
        ],
        go: |case, dir| {
            case.world.record(dir, Form::Exported(15));
            let server = Prometheus::start(&dir.join("run/data"), "global: {scrape_interval: 1h}\n", &[])?;
            let fetch = FetchOptions {
                server: ClientOptions::new(format!("http://{}", server.address())),
                start_ms: at_ms(-5.0),
                end_ms: at_ms(case.world.end_s() + 1.0),
                dir: dir.join("fetched"),
            };
            Some(case.judge_run(dir, dir.join("none"), &|options| eval_fetched(&fetch, options)))
        },
    },
    Way {
        name: "as OpenMetrics text, which has no native histograms",
        cases: &[
            (
                "nothing is wrong",
                Says::Inconclusive,
                "the run has no series of http_client_request_duration_seconds",
            ),
            ("the service counts errors under a label that is new", Says::Fail, "Service errors in steady"),
            ("a critical alert fires in a judged phase", Says::Fail, "Queue fired in steady"),
            ("there is no SLA, and no alert fires", Says::Pass, "no alert that counts fired"),
            ("the service has classic histograms", Says::Pass, ""),
        ],
        go: |case, dir| {
            let run = case.world.record(dir, Form::Exported(5));
            let text = dir.join("run.om");
            let mut file = std::fs::File::create(&text).expect("creates");
            let source = Run::open(&run).expect("opens");
            to_openmetrics(&source.database, &[], i64::MIN, i64::MAX, &mut file).expect("writes");
            let out = dir.join("imported");
            import(&[text], &out, &ImportOptions::default()).expect("imports");
            Some(case.judge_run(dir, out, &eval))
        },
    },
    Way {
        name: "merged from the records of two shards",
        cases: &[
            ("two generators share the load", Says::Pass, ""),
            ("ten of 240 requests fail within one second", Says::Fail, "Error rate in steady"),
            (
                "the load is stopped half-way through a phase",
                Says::Inconclusive,
                "phase steady was cut short after 1m of 2m",
            ),
            ("a critical alert fires in a judged phase", Says::Fail, "Queue fired in steady"),
        ],
        go: |case, dir| {
            let mut world = case.world.clone();
            world.shards = 2;
            let merged = merge(&world.record_shards(dir), &dir.join("merged")).expect("merges");
            Some(case.judge_run(dir, merged.dir, &eval))
        },
    },
];
