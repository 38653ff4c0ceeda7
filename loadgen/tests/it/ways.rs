//! The way to the target and back: certificates that nobody signed, names that are elsewhere, sockets of this machine, and bodies
//! that come packed.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::{
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

#[cfg(unix)]
use crate::server::Seen;
use crate::{
    server::{Server, ok, raw, respond, run, run_with},
    tls::{self, Authority},
};

#[test]
fn any_certificate_is_taken_only_when_asked_and_the_run_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Authority::new().server(false);
    let refused = tls::run(&server, dir.path(), "").expect_err("nobody knows who signed it");
    assert!(refused.contains("(tls)"), "{refused}");
    let summary = tls::run(&server, dir.path(), "tls: {insecure: true}\n").expect("taken");
    assert_eq!((summary.requests, summary.errors), (3, 0));
    assert!(summary.notes.iter().any(|n| n.contains("not verified (insecure)")), "{:?}", summary.notes);
    let both = tls::run(&server, dir.path(), "tls: {insecure: true, ca: ca.pem}\n").expect_err("both");
    assert!(both.contains("so that ca has no effect"), "{both}");
}

#[test]
fn the_record_of_a_run_says_that_nothing_was_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Authority::new().server(false);
    let scenario = dir.path().join("s.yml");
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations}}\n";
    std::fs::write(&scenario, text).expect("written");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .arg("run")
        .arg(&scenario)
        .args(["--insecure", "--quiet", "--target", &format!("https://{}", server.address), "--record"])
        .arg(dir.path())
        .output()
        .expect("runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let out = String::from_utf8_lossy(&run.stdout);
    assert!(out.contains("note: the certificates of servers were not verified (insecure)"), "{out}");
    let run_json = std::fs::read_dir(dir.path())
        .expect("a directory")
        .filter_map(|e| std::fs::read_to_string(e.ok()?.path().join("run.json")).ok())
        .next()
        .expect("a run");
    assert!(run_json.contains("not verified (insecure)"), "{run_json}");
}

#[test]
fn a_name_is_where_it_is_said_to_be() {
    let server = Server::start(|_| ok());
    let port = server.address.port();
    let text = format!(
        "scenario: t\nresolve: 'nowhere.invalid:{port}:127.0.0.1'\nflow: [{{get: /}}]\nphases: {{p: {{executor: per-vu-iterations}}}}\n"
    );
    let summary = run_with(&server, &text, |o| o.target = Some(format!("http://nowhere.invalid:{port}")));
    assert_eq!((summary.requests, summary.errors), (1, 0), "{}", summary.to_text());
    let seen = server.seen();
    let seen = seen.last().expect("a request");
    assert_eq!(seen.header("host"), Some(format!("nowhere.invalid:{port}").as_str()));
    assert!(summary.notes.iter().any(|n| n.contains("taken to be at 127.0.0.1 (resolve)")));
    // What the command line says comes before what the file says.
    let text = text.replace("127.0.0.1'", "127.0.0.99'");
    let summary = run_with(&server, &text, |o| {
        o.target = Some(format!("http://nowhere.invalid:{port}"));
        o.routes = vec![format!("*:{port}:127.0.0.1").parse().expect("a route")];
    });
    assert_eq!(summary.errors, 0, "{}", summary.to_text());
}

/// Takes connections at a socket and passes them on to a server.
#[cfg(unix)]
fn bridge(path: &Path, server: &Server) {
    let (listener, address) = (UnixListener::bind(path).expect("a socket"), server.address);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let peer = std::net::TcpStream::connect(address).expect("a server");
            let (reads, writes) = (socket.try_clone().expect("a copy"), peer.try_clone().expect("a copy"));
            thread::spawn(move || {
                pass(reads, writes.try_clone().expect("a copy"));
                let _ = writes.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                pass(peer, socket.try_clone().expect("a copy"));
                let _ = UnixStream::shutdown(&socket, Shutdown::Both);
            });
        }
    });
}

#[cfg(unix)]
fn pass(mut from: impl Read, mut to: impl Write) {
    let _ = io::copy(&mut from, &mut to);
}

#[test]
#[cfg(unix)]
fn a_socket_of_this_machine_is_a_target() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.sock");
    let server = Server::start(|seen| match seen.line() {
        "GET /moved" => respond(302, "location: /here\r\n", ""),
        _ => ok(),
    });
    bridge(&path, &server);
    let target = format!("unix:{}", path.display());
    let text = format!(
        "scenario: t\ntarget: {target}\nflow: [{{get: /moved}}]\nphases: {{p: {{executor: per-vu-iterations, iterations: 2}}}}\n"
    );
    let summary = run_with(&server, &text, |o| o.target = None);
    assert_eq!((summary.requests, summary.errors), (2, 0), "{}", summary.to_text());
    let seen = server.seen();
    assert!(seen.iter().all(|s| s.header("host") == Some("localhost")), "{seen:?}");
    assert_eq!(seen.iter().map(Seen::line).filter(|l| *l == "GET /here").count(), 2);
    // The connection is kept as any other: one for the check of its health, one for the user.
    assert!(seen.iter().all(|s| s.connection == seen[0].connection), "{seen:?}");
    let e = |target: &str| {
        let scenario = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations}}\n";
        let scenario = loadgen::Scenario::from_text("t.yml", scenario, &[]).expect("valid");
        let mut options = loadgen::RunOptions::new(std::sync::Arc::new(scenario));
        options.target = Some(target.to_owned());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let result = runtime.expect("a runtime").block_on(loadgen::run(options));
        result.expect_err("there is nobody").to_string()
    };
    assert!(e("unix:app.sock").contains("not an absolute path"));
    let missing = e("unix:/nowhere/app.sock");
    assert!(missing.contains("(refused)") && missing.contains("unix:/nowhere/app.sock"), "{missing}");
}

#[test]
fn a_lookup_is_on_record_where_there_was_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let port = server.address.port();
    let looks_up = |more: &str, target: String| {
        let text = format!(
            "scenario: t\n{more}flow: [{{get: /}}]\nphases: {{p: {{executor: per-vu-iterations}}}}\n"
        );
        let lines = dir.path().join("requests.jsonl");
        let file = loadgen::sink::requests::RequestsFile::create(&lines).expect("a file");
        let summary = run_with(&server, &text, |o| {
            o.target = Some(target);
            o.outputs.requests = Some(file);
        });
        assert_eq!((summary.requests, summary.errors), (1, 0), "{}", summary.to_text());
        let line = std::fs::read_to_string(&lines).expect("was written");
        let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        assert!(line["connecting_s"].is_f64() && line["tls_s"].is_null(), "{line}");
        line["lookup_s"].is_f64()
    };
    assert!(looks_up("", format!("http://localhost:{port}")));
    assert!(!looks_up("", server.url()));
    let route = format!("resolve: 'nowhere.invalid:{port}:127.0.0.1'\n");
    assert!(!looks_up(&route, format!("http://nowhere.invalid:{port}")));
    #[cfg(unix)]
    {
        let path = dir.path().join("app.sock");
        bridge(&path, &server);
        assert!(!looks_up("", format!("unix:{}", path.display())));
    }
}

/// `{"answer":"hello hello hello"}` in Brotli.
const BROTLI: [u8; 34] = [
    0x8b, 0x0e, 0x80, 0x7b, 0x22, 0x61, 0x6e, 0x73, 0x77, 0x65, 0x72, 0x22, 0x3a, 0x22, 0x68, 0x65, 0x6c,
    0x6c, 0x6f, 0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x22, 0x7d, 0x03,
];
/// 64 MiB of zeros in Brotli.
const BROTLI_BOMB: [u8; 106] = [
    0xcb, 0xff, 0xff, 0x3f, 0xf8, 0x27, 0x00, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x8f, 0xff, 0xff, 0x7f,
    0xf0, 0x4f, 0x00, 0xc4, 0x61, 0x11, 0x80, 0xee, 0xfd, 0x1f, 0xff, 0xff, 0xff, 0xe0, 0x9f, 0x00, 0x88,
    0xc3, 0x02, 0x00, 0xdd, 0xfb, 0x3f, 0xfe, 0xff, 0xff, 0xc1, 0x3f, 0x01, 0x10, 0x87, 0x05, 0x00, 0xba,
    0xf7, 0x7f, 0xfc, 0xff, 0xff, 0x83, 0x7f, 0x02, 0x20, 0x0e, 0x0b, 0x00, 0x74, 0xef, 0xff, 0xf8, 0xff,
    0xff, 0x07, 0xff, 0x04, 0x40, 0x1c, 0x16, 0x00, 0xe8, 0xde, 0xff, 0xf1, 0xff, 0xff, 0x0f, 0xfe, 0x09,
    0x80, 0x38, 0x2c, 0x00, 0xd0, 0xbd, 0xff, 0xcb, 0xff, 0xff, 0x3f, 0xfc, 0x13, 0x00, 0x71, 0x58, 0x00,
    0xa0, 0x7b, 0xff, 0x07,
];
/// `data: one`, `data: two`, each with the line that ends an event, in Brotli.
const BROTLI_EVENTS: [u8; 26] = [
    0x8b, 0x0a, 0x80, 0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0x6f, 0x6e, 0x65, 0x0a, 0x0a, 0x64, 0x61, 0x74,
    0x61, 0x3a, 0x20, 0x74, 0x77, 0x6f, 0x0a, 0x0a, 0x03,
];

/// What becomes of a body that is packed so.
fn outcome(coding: &'static str, body: Vec<u8>) -> Vec<(String, u64)> {
    let server =
        Server::start(move |_| respond(200, &format!("content-encoding: {coding}\r\n"), body.clone()));
    let text = "scenario: t\nflow: [{get: /, check: {body: {$.answer: hello hello hello}}}]\nphases: {p: {executor: per-vu-iterations}}\n";
    run(&server, text).phases[0].steps[0].error_types.clone()
}

#[test]
fn bodies_come_in_every_usual_coding() {
    let zstd = zstd::encode_all(&br#"{"answer":"hello hello hello"}"#[..], 3).expect("packed");
    assert_eq!(outcome("br", BROTLI.to_vec()), []);
    assert_eq!(outcome("zstd", zstd.clone()), []);
    let one = |class: &str| [(class.to_owned(), 1)];
    assert_eq!(outcome("br", BROTLI[..20].to_vec()), one("protocol"));
    assert_eq!(outcome("br", [&BROTLI[..], b"more"].concat()), one("protocol"));
    assert_eq!(outcome("br", b"{\"answer\": 1}".to_vec()), one("protocol"));
    assert_eq!(outcome("zstd", zstd[..zstd.len() - 6].to_vec()), one("protocol"));
    assert_eq!(outcome("zstd", b"not zstd at all".to_vec()), one("protocol"));
}

#[test]
fn what_unpacks_without_end_is_cut_off() {
    let one = |class: &str| [(class.to_owned(), 1)];
    assert_eq!(outcome("br", BROTLI_BOMB.to_vec()), one("too_large"));
    let zeros = zstd::encode_all(io::repeat(0).take(64 << 20), 3).expect("packed");
    assert!(zeros.len() < 10_000, "{}", zeros.len());
    assert_eq!(outcome("zstd", zeros), one("too_large"));
    // A window of 128 MiB is not what HTTP allows.
    let mut wide = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    wide.window_log(27).expect("a window");
    wide.include_contentsize(false).expect("an option");
    wide.write_all(&[0; 100]).expect("packed");
    assert_eq!(outcome("zstd", wide.finish().expect("packed")), one("protocol"));
}

#[test]
fn events_come_packed_as_they_are_sent() {
    let events = b"data: one\n\ndata: two\n\n";
    let zstd = zstd::encode_all(&events[..], 3).expect("packed");
    for (coding, body) in [("br", BROTLI_EVENTS.to_vec()), ("zstd", zstd)] {
        let server = Server::start(move |_| {
            let head = format!(
                "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            // In two parts, one inside of the first event.
            vec![raw(head), raw(&body[..8]), raw(&body[8..])]
        });
        let text = "scenario: t\nflow: [{get: /, stream: sse}]\nphases: {p: {executor: per-vu-iterations}}\n";
        let summary = run(&server, text);
        let step = &summary.phases[0].steps[0];
        assert_eq!(step.errors, 0, "{coding}: {}", summary.to_text());
        assert_eq!(step.generation.as_ref().map(|g| g.output_tokens), Some(2), "{coding}");
    }
}
