//! Connections through a proxy.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    server::{Server, ok, run_with},
    tls::Authority,
};

/// A proxy that knows `CONNECT` and keeps the heads that it got.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Tunnels requests with these credentials.
    fn start(credentials: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), log) = (client, Arc::clone(&log)) else { return };
                thread::spawn(move || serve(client, credentials, &log));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

fn serve(mut client: TcpStream, credentials: &str, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    log.lock().expect("no panic").push(head.clone());
    if !head.contains(&format!("proxy-authorization: Basic {credentials}\r\n")) {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").expect("answered");
        return;
    }
    let to = head.split_whitespace().nth(1).expect("a target");
    let server = TcpStream::connect(to).expect("the target is there");
    client.write_all(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n").expect("answered");
    let (mut from_client, mut to_server) =
        (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = std::io::copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Write);
}

const SCENARIO: &str = "scenario: t\nflow: [{get: /a}, {get: /b}]\nphases: {p: {executor: per-vu-iterations, vus: 2, iterations: 3}}\n";

#[test]
fn every_connection_is_a_tunnel_and_nothing_of_it_reaches_the_target() {
    // me:p@ss
    let (proxy, server) = (Proxy::start("bWU6cEBzcw=="), Server::start(|_| ok()));
    let summary = run_with(&server, SCENARIO, |o| {
        o.proxy = Some(format!("http://me:p%40ss@{}", proxy.address));
    });
    assert_eq!((summary.requests, summary.errors), (12, 0), "{}", summary.to_text());
    let heads = proxy.heads();
    assert_eq!(heads.len(), 3, "two users and the health check: {heads:?}");
    for head in &heads {
        assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address)), "{head}");
    }
    for seen in server.seen() {
        assert!(["GET /a", "GET /b"].contains(&seen.line()) && !seen.head.contains("proxy"), "{}", seen.head);
    }
}

#[test]
fn tls_goes_through_the_tunnel_to_the_target_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let (authority, proxy) = (Authority::new(), Proxy::start("bWU6cEBzcw=="));
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("written");
    let server = authority.server(false);
    let more = format!("tls: {{ca: ca.pem}}\nproxy: 'http://me:p%40ss@{}'\n", proxy.address);
    let summary = crate::tls::run(&server, dir.path(), &more).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((summary.requests, summary.errors), (3, 0));
    assert_eq!(proxy.heads().len(), 2);
}

#[test]
fn a_proxy_that_refuses_is_told_without_its_password() {
    let (proxy, server) = (Proxy::start("other"), Server::start(|_| ok()));
    let scenario = loadgen::Scenario::from_text("t.yml", SCENARIO, &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut options = loadgen::RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    options.proxy = Some(format!("http://me:s3cret@{}", proxy.address));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let e = runtime.expect("a runtime").block_on(loadgen::run(options)).expect_err("refused").to_string();
    assert!(e.contains("refuses") && e.contains("407 Proxy Authentication Required"), "{e}");
    assert!(!e.contains("s3cret"), "{e}");
    assert!(server.seen().is_empty());
}
