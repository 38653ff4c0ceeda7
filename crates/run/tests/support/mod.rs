//! A target for scrapes, on a real socket.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
};

use assay_model::expo::{Format, MetricFamily, negotiate};

/// A request as far as the tests look at it.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "not every test uses all of it")]
pub(crate) struct Request {
    /// Such as `GET /metrics HTTP/1.1`.
    pub(crate) line: String,
    pub(crate) accept: String,
}

/// Serves what `answer` gives for the n-th request: status, content type and body. Each request is told through
/// the channel when it has been answered.
#[allow(dead_code, reason = "not every test uses all of it")]
pub(crate) fn serve(
    answer: impl Fn(usize, &Request) -> (&'static str, String, Vec<u8>) + Send + 'static,
) -> (String, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut request = Request::default();
            for line in BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()) {
                if request.line.is_empty() {
                    request.line.clone_from(&line);
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("accept: ") {
                    request.accept = line[line.len() - value.len()..].to_owned();
                }
            }
            let (status, content_type, body) = answer(n, &request);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever asked may be gone by now.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            if asked.send(n).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

/// The answer to a scrape, in the format that was asked for or in a given one.
#[allow(dead_code, reason = "not every test uses all of it")]
pub(crate) fn exposition(
    request: &Request,
    format: Option<Format>,
    families: &[MetricFamily],
) -> (&'static str, String, Vec<u8>) {
    let format = format.unwrap_or_else(|| negotiate(&request.accept));
    ("200 OK", format.content_type().to_owned(), format.encode(families))
}
