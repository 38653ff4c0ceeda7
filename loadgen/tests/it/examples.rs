//! Examples of failures: which there are, and what is not in them.

use std::sync::Arc;

use assay_run::failures;
use loadgen::examples::Examples;

use crate::server::{Server, respond};

const SCENARIO: &str = "
scenario: t
data: {patients: patients.csv}
flow:
  - {name: refused, get: '/refused/{{ patients.random.id }}', on_failure: continue}
  - {name: empty, get: /empty, check: {body: {contains: answer}}, on_failure: continue}
  - {name: long, get: /long, on_failure: continue}
  - {name: head, get: /head, check: {headers: {x-there: exists}}}
phases:
  main: {executor: per-vu-iterations, vus: 2, iterations: 10}
";

fn examples(keep_bodies: bool) -> Vec<failures::Failure> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|seen| {
        let body = "{\"error\": \"no bed for Ada Lovelace\", \"token\": \"ghp_0123456789abcdefABCDEF0123456789abcd\"}";
        if seen.line().starts_with("GET /refused") {
            respond(503, "", body)
        } else if seen.line() == "GET /long" {
            // A secret that the first kilobyte ends in the middle of.
            let before = "x".repeat(1024 - 20);
            respond(
                500,
                "",
                format!("{before} ghp_0123456789abcdefABCDEF0123456789abcd {}", "y".repeat(5000)),
            )
        } else {
            respond(200, "", "all is well")
        }
    });
    let data = [("patients.csv", "id,name\n1,Ada Lovelace\n2,Ada Lovelace\n")];
    let scenario =
        loadgen::Scenario::from_text("test.yml", SCENARIO, &data).unwrap_or_else(|e| panic!("{e}"));
    let scenario = Arc::new(scenario);
    let mut options = loadgen::RunOptions::new(Arc::clone(&scenario));
    options.target = Some(server.url());
    let examples = Examples::start(dir.path(), &scenario, keep_bodies).expect("starts");
    options.outputs.examples = Some(examples);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"));
    failures::read(dir.path())
}

#[test]
fn three_of_each_step_and_class_without_what_is_nobodys_business() {
    let found = examples(false);
    let of = |step: &str| found.iter().filter(|f| f.step == step).collect::<Vec<_>>();
    let (refused, empty) = (of("refused"), of("empty"));
    assert_eq!((refused.len(), empty.len(), found.len()), (3, 3, 12), "{found:?}");
    let long = of("long");
    assert!(long[0].body.len() <= 1024 && !long[0].body.contains("ghp_0"), "{}", long[0].body);
    assert_eq!(of("head")[0].body, "");
    let first = refused[0];
    assert_eq!((first.class.as_str(), first.status, first.phase.as_str()), ("503", Some(503), "main"));
    assert_eq!(first.message, "unexpected status 503");
    assert!(first.body.contains("no bed for [data]"), "{}", first.body);
    assert!(!first.body.contains("Lovelace") && !first.body.contains("ghp_"), "{}", first.body);
    // What a service says with the expected status is kept only if that is asked for.
    assert_eq!((empty[0].class.as_str(), empty[0].body.as_str()), ("check", ""));
    assert!(empty[0].message.starts_with("failed check"), "{}", empty[0].message);
    let kept = examples(true);
    assert!(kept.iter().any(|f| f.step == "empty" && f.body == "all is well"), "{kept:?}");
    // Of steps that need no body, too.
    assert!(kept.iter().any(|f| f.step == "head" && f.body == "all is well"), "{kept:?}");
    assert!(
        kept.iter().any(|f| f.step == "long" && f.body.len() > 4000 && f.body.contains("yyy")),
        "{kept:?}"
    );
}
