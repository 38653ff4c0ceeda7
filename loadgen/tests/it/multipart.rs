//! Multipart forms, as the server gets them.

use std::path::Path;

use crate::server::{Server, respond};

/// The parts of a body: the lines of each head, and its content.
fn parts(body: &str, boundary: &str) -> Vec<(Vec<String>, String)> {
    let whole = body.strip_suffix(&format!("--{boundary}--\r\n")).expect("the end");
    whole
        .split(&format!("--{boundary}\r\n"))
        .skip(1)
        .map(|part| {
            let (head, content) = part.split_once("\r\n\r\n").expect("a head");
            let content = content.strip_suffix("\r\n").expect("a line end").to_owned();
            (head.lines().map(str::to_owned).collect(), content)
        })
        .collect()
}

fn run(server: &Server, dir: &Path, form: &str) -> Result<loadgen::Summary, String> {
    let path = dir.join("s.yml");
    let text = format!(
        "scenario: t\ntarget: {}\nflow: [{{name: send, post: /, multipart: {form}, check: {{status: 200}}}}]\nphases: {{p: {{executor: per-vu-iterations, iterations: 2}}}}\n",
        server.url()
    );
    std::fs::write(&path, text).expect("written");
    let scenario = loadgen::Scenario::load(&path.display().to_string()).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let options = loadgen::RunOptions::new(std::sync::Arc::new(scenario));
    runtime.expect("a runtime").block_on(loadgen::run(options)).map_err(|e| e.to_string())
}

#[test]
fn values_and_files_arrive_as_parts() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("note.txt"), "one\r\ntwo").expect("written");
    let server = Server::start(|_| respond(200, "", ""));
    let form = r#"{question: "why {{ iteration }}?", note: {file: note.txt, type: text/plain}, raw: {file: note.txt, filename: "n-{{ vu }}"}}"#;
    let summary = run(&server, dir.path(), form).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((summary.requests, summary.errors), (2, 0));
    for (i, seen) in server.seen().iter().enumerate() {
        let kind = seen.header("content-type").expect("a type");
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect(kind);
        let parts = parts(&seen.body, boundary);
        let heads: Vec<_> = parts.iter().map(|(head, _)| head.join("|")).collect();
        assert_eq!(
            heads,
            [
                r#"Content-Disposition: form-data; name="question""#,
                r#"Content-Disposition: form-data; name="note"; filename="note.txt"|Content-Type: text/plain"#,
                r#"Content-Disposition: form-data; name="raw"; filename="n-1"|Content-Type: application/octet-stream"#,
            ]
        );
        let contents: Vec<_> = parts.iter().map(|(_, content)| content.as_str()).collect();
        assert_eq!(contents, [format!("why {}?", i + 1).as_str(), "one\r\ntwo", "one\r\ntwo"]);
    }
}

#[test]
fn several_parts_of_one_name_are_a_list() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("note.txt"), "one").expect("written");
    let server = Server::start(|_| respond(200, "", ""));
    let form = r#"{tags: [a, "{{ vu }}"], files: [{file: note.txt}, {value: b, type: text/html}]}"#;
    run(&server, dir.path(), form).unwrap_or_else(|e| panic!("{e}"));
    let seen = server.seen();
    let kind = seen[0].header("content-type").expect("a type");
    let parts = parts(&seen[0].body, kind.strip_prefix("multipart/form-data; boundary=").expect(kind));
    let found: Vec<_> =
        parts.iter().map(|(head, content)| (head[0].split('"').nth(1), content.as_str())).collect();
    assert_eq!(
        found,
        [(Some("tags"), "a"), (Some("tags"), "1"), (Some("files"), "one"), (Some("files"), "b")]
    );
    assert_eq!(parts[3].0[1], "Content-Type: text/html");
}

#[test]
fn what_is_wrong_with_a_part_has_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| respond(200, "", ""));
    let check = |form: &str, want: &str| {
        let e = run(&server, dir.path(), form).expect_err(form);
        assert!(e.contains(want), "{e}");
    };
    check("{a: {file: none.bin}}", "s.yml:3:52: none.bin: cannot be read");
    check("{a: {fiel: x}}", "unknown key \"fiel\" in a part of a form; did you mean \"file\"?");
    check("{a: {type: x}}", "a part is a text, or a map with file or value");
    check("{a: x}, json: {}", "a request has one body: json, form, multipart or body");
}
