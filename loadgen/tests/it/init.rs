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

#[test]
fn a_scenario_is_made_of_what_is_known_of_the_service() {
    let scenario = |arguments: &[&str]| {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = dir.path().display().to_string();
        let (ended, _, err) = run(&[&["init", &folder], arguments].concat());
        assert_eq!(ended, 0, "{err}");
        let path = format!("{folder}/assay/scenario.yml");
        let (ended, _, err) = run(&["check", &path]);
        assert_eq!(ended, 0, "{err}");
        let sla = std::fs::read_to_string(format!("{folder}/assay/sla.yml")).expect("an SLA");
        (std::fs::read_to_string(path).expect("a scenario"), sla)
    };
    let (text, _) = scenario(&["--target", "http://shop.example:8000"]);
    assert!(text.contains("target: \"http://shop.example:8000\""), "{text}");
    let (text, sla) = scenario(&["--service", "chat"]);
    assert!(text.contains("openai: chat") && sla.contains("load_step=\"front\""), "{text}");
    let document = tempfile::NamedTempFile::new().expect("a file");
    let openapi = "openapi: 3.0.0\ninfo: {title: shop, version: '1'}\nservers: [{url: http://shop.example}]\npaths:\n  /items: {get: {responses: {'200': {description: all}}}}\n";
    std::fs::write(document.path(), openapi).expect("written");
    let document = document.path().display().to_string();
    let (text, sla) = scenario(&["--openapi", &document, "--target", "http://127.0.0.1:9"]);
    assert!(
        text.contains("get: /items") && text.contains("short:") && !text.contains("shop.example"),
        "{text}"
    );
    assert!(!sla.contains("front"), "{sla}");
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().display().to_string();
    let (ended, _, err) = run(&["init", &folder, "--target", "shop"]);
    assert!(ended == 2 && err.contains("is not a URL to load"), "{err}");
    assert!(!dir.path().join("assay").exists());
}
