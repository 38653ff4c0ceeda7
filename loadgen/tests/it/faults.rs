//! Servers that misbehave: each ends in its error class, soon, and in bounded memory.

use std::time::{Duration, Instant};

use crate::server::{Do, Server, raw, run};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One request that takes all of the body, and one that reads a stream.
fn check(want: &str, actions: impl Fn() -> Vec<Do> + Send + Sync + 'static) {
    let server = Server::start(move |_| actions());
    let text = "scenario: t\ntimeout: 400ms\nflow:\n  - one_of:\n      - flow: [{name: body, get: /b, check: {body: {contains: x}}}]\n      - flow: [{name: stream, get: /s, stream: sse}]\n      - flow: [{name: none, get: /n}]\nphases: {p: {executor: per-vu-iterations, vus: 1, iterations: 9}}\n";
    let began = Instant::now();
    let summary = run(&server, text);
    assert!(began.elapsed() < Duration::from_secs(8), "{want}: {:?}", began.elapsed());
    assert_eq!(summary.requests, 9, "{want}: every attempt is on record\n{}", summary.to_text());
    for step in &summary.phases[0].steps {
        let classes: Vec<&str> = step.error_types.iter().map(|(c, _)| c.as_str()).collect();
        assert_eq!(classes, [want], "step {}", step.name);
        assert!(step.duration.max < 0.6, "{want}: {:?}", step.duration);
    }
}

#[test]
fn a_server_that_hangs() {
    check("timeout", || vec![Do::Hang]);
}

#[test]
fn a_server_that_hangs_inside_the_body() {
    check("timeout", || vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"), Do::Hang]);
}

#[test]
fn a_server_that_resets() {
    check("reset", || vec![Do::Reset]);
}

#[test]
fn a_server_that_closes_without_a_word() {
    check("reset", || vec![Do::Close]);
}

#[test]
fn a_server_that_closes_inside_the_head() {
    check("cut_stream", || vec![raw("HTTP/1.1 200 O"), Do::Close]);
}

#[test]
fn a_server_that_closes_inside_the_body() {
    check("cut_stream", || vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"), Do::Close]);
}

#[test]
fn a_stream_that_is_cut() {
    check("cut_stream", || vec![raw(CHUNKED), raw("9\r\ndata: x\n\n\r\n"), Do::Close]);
}

#[test]
fn a_server_that_answers_garbage() {
    check("protocol", || vec![raw("\x00\x01\x02 this is not HTTP\r\n\r\n"), Do::Close]);
}

#[test]
fn a_server_with_a_broken_chunked_encoding() {
    check("protocol", || vec![raw(CHUNKED), raw("zz\r\nabc\r\n"), Do::Hang]);
}

#[test]
fn a_server_with_ten_thousand_headers() {
    check("too_large", || {
        let headers: String = (0..10_000).map(|i| format!("x-{i}: {i}\r\n")).collect();
        vec![raw(format!("HTTP/1.1 200 OK\r\n{headers}\r\n")), Do::Close]
    });
}

#[test]
fn an_endless_body_ends_at_the_limit_or_the_timeout() {
    let server = Server::start(|_| {
        vec![
            raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"),
            Do::SendForEver(vec![b'y'; 65_536]),
        ]
    });
    let text = "scenario: t\ntimeout: 3s\nflow: [{get: /, check: {body: {contains: x}}}]\nphases: {p: {executor: per-vu-iterations, iterations: 2}}\n";
    let classes = run(&server, text).phases[0].steps[0].error_types.clone();
    assert_eq!(classes, [("too_large".to_owned(), 2)]);
}

#[test]
fn an_event_that_never_ends_is_cut_at_the_limit() {
    let server = Server::start(|_| {
        vec![
            raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: "),
            Do::SendForEver(vec![b'y'; 65_536]),
        ]
    });
    let text = "scenario: t\ntimeout: 3s\nflow: [{get: /, stream: sse}]\nphases: {p: {executor: per-vu-iterations, iterations: 2}}\n";
    let classes = run(&server, text).phases[0].steps[0].error_types.clone();
    assert_eq!(classes, [("too_large".to_owned(), 2)]);
}

#[test]
fn invalid_utf8_is_read_and_fails_the_check_alone() {
    let server =
        Server::start(|_| vec![raw(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\xfe\x00\xc3")]);
    let text = "scenario: t\nflow: [{get: /, check: {body: {$.a: exists}}}]\nphases: {p: {executor: per-vu-iterations, iterations: 2}}\n";
    assert_eq!(run(&server, text).phases[0].steps[0].error_types, [("check".to_owned(), 2)]);
}

#[test]
fn a_target_that_goes_away_is_refused_and_not_hammered() {
    let server = Server::start(|_| vec![Do::Close]);
    let text = "scenario: t\nflow: [{get: 'http://127.0.0.1:1/'}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 450ms}}\n";
    let step = &run(&server, text).phases[0].steps[0];
    assert_eq!(step.error_types.len(), 1);
    assert_eq!(step.error_types[0].0, "refused");
    assert!((3..=6).contains(&step.requests), "a pause of 100 ms after each: {}", step.requests);
}

#[test]
fn a_name_that_does_not_resolve() {
    let server = Server::start(|_| vec![Do::Close]);
    let text = "scenario: t\ntimeout: 5s\nflow: [{get: 'http://no-such-host.invalid/'}]\nphases: {p: {executor: per-vu-iterations, iterations: 1}}\n";
    assert_eq!(run(&server, text).phases[0].steps[0].error_types, [("dns".to_owned(), 1)]);
}
