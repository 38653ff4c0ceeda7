//! `loadgen init`: what it writes drives and judges a service as it is.

use crate::{
    breakdown::only_run,
    cli::run,
    server::{Server, ok, respond},
};

/// A service with metrics of its own.
fn service(status: u16) -> Server {
    Server::start(move |seen| match seen.line() {
        "GET /metrics" => respond(200, "content-type: text/plain; version=0.0.4\r\n", "mine 1\n"),
        _ if status == 200 => ok(),
        _ => respond(status, "", ""),
    })
}

#[test]
fn what_is_written_judges_a_service() {
    for (status, code) in [(200, 0), (500, 1)] {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = dir.path().display().to_string();
        let (ended, list, _) = run(&["init", &folder]);
        assert_eq!(ended, 0);
        assert!(list.lines().count() == 5 && list.contains("docker-compose.own.yml"), "{list}");

        let server = service(status);
        let own = |name: &str| format!("{folder}/assay/{name}");
        let list = format!(
            "- targets: [\"{}\"]\n  labels: {{job: service}}\n",
            server.url().trim_start_matches("http://")
        );
        std::fs::write(own("targets.yml"), list).expect("writes");
        let (scenario, sla, rules, targets) =
            (own("scenario.yml"), own("sla.yml"), own("rules.yml"), own("targets.yml"));
        let runs = format!("{folder}/runs");
        let (ended, out, err) = run(&[
            "run",
            &scenario,
            "--mode",
            "short",
            "--time-scale",
            "0.4",
            "--target",
            &server.url(),
            "--sla",
            &sla,
            "--rules",
            &rules,
            "--scrape-file",
            &targets,
            "--record",
            &runs,
            "--judge",
            "--quiet",
        ]);
        assert_eq!(ended, code, "{out}{err}");
        let run = assay_run::Run::open(&only_run(&dir.path().join("runs"))).expect("opens");
        let own =
            [assay_model::Matcher::equal("__name__", "mine"), assay_model::Matcher::equal("job", "service")];
        let found = assay_model::Queryable::select(&run.database, &own, i64::MIN, i64::MAX).expect("selects");
        assert!(!found.is_empty(), "its own metrics are in the record");
    }
}
