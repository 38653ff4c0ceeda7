//! Servers that misbehave: each ends in its error class, soon, and in bounded memory.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use crate::server::{Do, Server, raw, respond, run};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One request that takes all of the body, and one that reads a stream.
fn check(want: &str, actions: impl Fn() -> Vec<Do> + Send + Sync + 'static) {
    check_within(0.6, want, actions);
}

/// The same, where a request may take so long at most: its timeout, and what the machine makes of it.
fn check_within(most_s: f64, want: &str, actions: impl Fn() -> Vec<Do> + Send + Sync + 'static) {
    let server = Server::start(move |_| actions());
    // Where another class is wanted, a busy machine must not run into the timeout.
    let timeout = if want == "timeout" { "400ms" } else { "30s" };
    let text = "scenario: t\ntimeout: TIMEOUT\nflow:\n  - one_of:\n      - flow: [{name: body, get: /b, check: {body: {contains: x}}}]\n      - flow: [{name: stream, get: /s, stream: sse}]\n      - flow: [{name: none, get: /n}]\nphases: {p: {executor: per-vu-iterations, vus: 1, iterations: 9}}\n";
    let began = Instant::now();
    let summary = run(&server, &text.replace("TIMEOUT", timeout));
    let most = Duration::from_secs_f64(60.0 * most_s);
    assert!(began.elapsed() < most, "{want}: {:?}", began.elapsed());
    assert_eq!(summary.requests, 9, "{want}: every attempt is on record\n{}", summary.to_text());
    for step in &summary.phases[0].steps {
        let classes: Vec<&str> = step.error_types.iter().map(|(c, _)| c.as_str()).collect();
        assert_eq!(classes, [want], "step {}", step.name);
        assert!(step.duration.p50 < most_s, "{want}: {:?}", step.duration);
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
fn a_server_whose_chunk_is_longer_than_any_number() {
    check("protocol", || vec![raw(CHUNKED), raw("ffffffffffffffffff\r\nabc\r\n"), Do::Hang]);
}

#[test]
fn a_server_that_gives_two_lengths() {
    check("protocol", || {
        vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"), Do::Hang]
    });
}

#[test]
fn a_header_that_never_ends() {
    check("too_large", || vec![raw("HTTP/1.1 200 OK\r\nx: "), Do::SendForEver(vec![b'y'; 65_536])]);
}

#[test]
fn a_server_that_says_continue_for_ever() {
    let many = format!("HTTP/1.1 100 Continue\r\nx: {}\r\n\r\n", "y".repeat(8_000)).repeat(20);
    // Reading all that comes keeps a debug build busy: four seconds for each before the clock was looked at.
    check_within(2.0, "timeout", move || vec![Do::SendForEver(many.clone().into_bytes())]);
}

#[test]
fn a_stream_of_events_that_never_ends() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    check_stream("timeout", head, || vec![Do::SendForEver("data: x\n\n".repeat(1_000).into_bytes())]);
}

#[test]
fn a_compressed_body_that_unpacks_to_more_than_it_may() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(64 << 20), &mut packed).expect("packed");
    let packed = packed.finish().expect("packed");
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    assert_eq!(classes(move || vec![raw(&head), raw(&packed)]), ["too_large"]);
}

#[test]
fn a_compressed_body_that_is_not_one() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd";
    assert_eq!(classes(move || vec![raw(answer)]), ["protocol"]);
}

/// The classes in which three requests end that need the body.
fn classes(actions: impl Fn() -> Vec<Do> + Send + Sync + 'static) -> Vec<String> {
    let server = Server::start(move |_| actions());
    let text = "scenario: t\ntimeout: 5s\nflow: [{get: /, check: {body: {contains: x}}}]\nphases: {p: {executor: per-vu-iterations, iterations: 3}}\n";
    let summary = run(&server, text);
    assert_eq!(summary.requests, 3);
    summary.phases[0].steps[0].error_types.iter().map(|(class, _)| class.clone()).collect()
}

/// Three requests that read a stream.
fn check_stream(want: &str, head: &'static str, actions: impl Fn() -> Vec<Do> + Send + Sync + 'static) {
    let server = Server::start(move |_| [vec![raw(head)], actions()].concat());
    let text = "scenario: t\ntimeout: 400ms\nflow: [{get: /, stream: sse}]\nphases: {p: {executor: per-vu-iterations, iterations: 3}}\n";
    let step = &run(&server, text).phases[0].steps[0];
    assert_eq!(step.error_types, [(want.to_owned(), 3)]);
    // Minutes, before the clock was looked at.
    assert!(step.duration.max < 5.0, "{:?}", step.duration);
}

#[test]
fn invalid_utf8_in_events_and_headers_is_read() {
    let server = Server::start(|_| {
        let events = b"data: \xff\xfe\n\ndata: {\"token\":\"\xc3\"}\n\n";
        let head = b"HTTP/1.1 200 OK\r\nx-odd: \xff\xfe\r\nset-cookie: \xff=1\r\ncontent-type: text/event-stream\r\n";
        vec![raw(head), raw(format!("content-length: {}\r\n\r\n", events.len())), raw(events)]
    });
    let text = "scenario: t\nflow: [{get: /, stream: sse}]\nphases: {p: {executor: per-vu-iterations, iterations: 2}}\n";
    let summary = run(&server, text);
    assert_eq!((summary.requests, summary.errors), (2, 0), "{}", summary.to_text());
    let generation = summary.phases[0].steps[0].generation.as_ref().expect("a stream");
    assert_eq!(generation.output_tokens, 4, "two pieces of content each");
}

#[test]
fn a_redirect_to_itself_ends_with_its_status() {
    let server = Server::start(|_| respond(302, "location: /\r\n", ""));
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations, iterations: 2}}\n";
    let summary = run(&server, text);
    assert_eq!(summary.phases[0].steps[0].error_types, [("302".to_owned(), 2)]);
    assert!(server.seen().len() <= 42, "{}", server.seen().len());
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
