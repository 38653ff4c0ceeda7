//! Fetching from a server that answers as it likes: slices, refusals, failures that pass and that do not.

mod support;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use assay_run::{
    Run,
    pull::{PullOptions, pull},
};

const NOTHING: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
const ONE: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":[[1,"2"]]}]}}"#;

fn options(url: &str) -> PullOptions {
    let mut options = PullOptions::new(url, 0, 3_600_000);
    options.server.pause = Duration::from_millis(1);
    options.server.attempts = 3;
    options
}

/// Fetches from a server that gives these answers in turn, the last one for ever. The number of queries comes
/// back beside what became of it.
fn check(answers: &[(&'static str, &'static str)]) -> (Result<u64, String>, usize) {
    let answers = answers.to_vec();
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let (url, _requests) = support::serve(move |_, request| {
        if !request.line().ends_with("/api/v1/query") {
            return ("404 Not Found", String::new(), Vec::new());
        }
        let mut counted = counted.lock().expect("no panic");
        let (status, body) = answers[answers.len().min(*counted + 1) - 1];
        *counted += 1;
        (status, "application/json".into(), body.into())
    });
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let result = pull(&options(&url), &out).map(|run| run.stats.samples);
    assert_eq!(out.exists(), result.is_ok());
    assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), usize::from(result.is_ok()));
    let requests = *count.lock().expect("no panic");
    (result.map_err(|e| e.to_string().replace(&url, "URL")), requests)
}

#[test]
fn slices_widen_while_answers_are_small() {
    // 10, 20 and 40 minutes, the last cut at the end of the hour.
    assert_eq!(check(&[("200 OK", ONE), ("200 OK", NOTHING)]), (Ok(1), 3));
}

#[test]
fn a_slice_that_is_too_large_is_asked_for_in_halves() {
    let too_many = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
    // 10 minutes refused; then 5, 10, 20 and the rest.
    assert_eq!(check(&[("422 Unprocessable Entity", too_many), ("200 OK", ONE)]), (Ok(1), 5));
    let (result, requests) = check(&[("422 Unprocessable Entity", too_many)]);
    assert!(result.expect_err("given up").contains("in one second; select fewer series"));
    assert!(requests < 15, "{requests} requests");
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    assert_eq!(
        check(&[("503 Service Unavailable", "starting"), ("429 Too Many Requests", ""), ("200 OK", ONE)]).0,
        Ok(1)
    );
    let (result, requests) = check(&[("502 Bad Gateway", "<html>nothing there</html>")]);
    assert_eq!(
        (result, requests),
        (Err("URL: the server returned 502 Bad Gateway: <html>nothing there</html>; gave up after 3 attempts".into()), 3)
    );
}

#[test]
fn a_failure_that_does_not_pass_ends_it() {
    for (status, body, want) in [
        (
            "400 Bad Request",
            r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
            "URL: the server returned 400 Bad Request: parse error",
        ),
        (
            "401 Unauthorized",
            "",
            "URL: the server returned 401 Unauthorized; give a bearer token, or a user and a password",
        ),
        ("200 OK", "{\"status\":\"success\"", "URL:1:19: EOF while parsing an object"),
        ("200 OK", NOTHING, "URL: holds no samples"),
    ] {
        let (result, _) = check(&[(status, body)]);
        assert_eq!(result, Err(want.to_owned()));
    }
}

#[test]
fn credentials_go_into_the_request_and_not_into_the_run() {
    let (url, requests) = support::serve(|_, _| ("200 OK", "application/json".into(), ONE.into()));
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let options = options(&url.replace("http://", "http://user:secret@"));
    let imported = pull(&options, &out).expect("fetches");
    assert!(requests.recv().is_ok());
    assert_eq!(imported.manifest.source, [url]);
    let manifest = std::fs::read_to_string(out.join("run.json")).expect("reads");
    assert!(!manifest.contains("secret"), "{manifest}");
    assert_eq!((imported.manifest.start_ms, imported.manifest.end_ms), (0, Some(3_600_000)));
    assert!(Run::open(&out).expect("opens").cut_short.is_none());
}

#[test]
fn a_server_without_remote_read_is_queried() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let (url, _requests) = support::serve(move |_, request| {
        let path = request.line().split(['?', ' ']).nth(1).unwrap_or_default().to_owned();
        heard.lock().expect("no panic").push(path.clone());
        match path.as_str() {
            "/api/v1/status/config" => ("200 OK", String::new(), b"global: {}".to_vec()),
            "/api/v1/query" => ("200 OK", String::new(), ONE.into()),
            "/api/v1/read" => ("400 Bad Request", String::new(), b"unsupported path".to_vec()),
            _ => ("404 Not Found", String::new(), Vec::new()),
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(&url);
    options.end_ms = 1000;
    assert_eq!(pull(&options, &dir.path().join("run")).expect("fetches").stats.samples, 1);
    let asked = asked.lock().expect("no panic").clone();
    let want = ["status/config", "metadata", "read", "query"].map(|p| format!("/api/v1/{p}"));
    assert_eq!(asked, want);
}

#[test]
fn options_that_make_no_sense() {
    let refused =
        |options: PullOptions| pull(&options, Path::new("/tmp/never")).expect_err("refused").to_string();
    assert_eq!(
        refused(PullOptions::new("http://h", 2000, 1000)),
        "the end, 1970-01-01T00:00:01.000Z, is before the start, 1970-01-01T00:00:02.000Z"
    );
    assert!(
        refused(PullOptions::new("localhost:9090", 0, 1)).contains("write for example http://127.0.0.1:9090")
    );
}
