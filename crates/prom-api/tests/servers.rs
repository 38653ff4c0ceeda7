//! Servers that answer without end, drip, or send the client elsewhere.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use assay_prom_api::{ApiError, Auth, Blocking, ClientOptions, Request};
use assay_testkit::{
    Action, Server,
    server::{ok, raw, respond},
};

const ENDLESS: &str = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";

fn options(server: &Server) -> ClientOptions {
    let mut options = ClientOptions::new(server.url());
    options.attempts = 1;
    options.max_bytes = 1 << 20;
    options.auth = Auth::Bearer("secret".into());
    options.headers = vec![("x-api-key".into(), "secret".into())];
    options
}

fn ask(options: ClientOptions) -> Result<Vec<u8>, ApiError> {
    Blocking::new(options).unwrap().call(&Request::new("query").with("query", "up"))
}

#[test]
fn an_answer_without_end_is_refused_at_the_limit() {
    let server = Server::start(|_| vec![raw(ENDLESS), Action::SendForEver(b"5\r\n[0,0]\r\n".to_vec())]);
    let error = ask(options(&server)).unwrap_err();
    assert!(matches!(&error, ApiError::TooLarge { what, .. } if what.contains("1048576 bytes")), "{error}");
}

#[test]
fn an_answer_that_drips_ends_with_its_time_as_a_whole() {
    let server = Server::start(|_| {
        let drop = [raw("1\r\n \r\n"), Action::Wait(Duration::from_millis(20))];
        [raw(ENDLESS)].into_iter().chain(drop.into_iter().cycle().take(100_000)).collect()
    });
    let mut options = options(&server);
    options.timeout = Duration::from_millis(300);
    let error = ask(options).unwrap_err().to_string();
    assert!(error.contains("timed out"), "{error}");
}

#[test]
fn a_redirect_to_another_server_is_not_followed() {
    let other = Server::start(|_| ok());
    let to = format!("location: {}/api/v1/query?token=secret\r\n", other.url());
    let server = Server::start(move |_| respond(307, &to, ""));
    let error = ask(options(&server)).unwrap_err().to_string();
    assert!(error.ends_with(&format!("a redirect to {}; give that address", other.url())), "{error}");
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn a_redirect_on_the_same_server_is_followed_with_the_headers() {
    let server = Server::start(|request| match request.line() {
        "POST /api/v1/query" => respond(307, "location: /new/api/v1/query\r\n", ""),
        _ => ok(),
    });
    assert_eq!(ask(options(&server)).unwrap(), b"ok");
    let seen = server.seen();
    assert_eq!((seen.len(), seen[1].body.as_str()), (2, "query=up"));
    assert_eq!(
        (seen[1].header("x-api-key"), seen[1].header("authorization")),
        (Some("secret"), Some("Bearer secret"))
    );
}
