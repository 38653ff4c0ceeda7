//! A target for scrapes, on a real socket.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, channel},
};

use assay_model::expo::{Format, MetricFamily, negotiate};
pub(crate) use assay_testkit::Request;
use assay_testkit::{Action, Server, server::raw};

/// Serves what `answer` gives for the n-th request: status, content type and body. The channel has the number of each
/// request.
#[allow(dead_code, reason = "not every test uses all of it")]
pub(crate) fn serve(
    answer: impl Fn(usize, &Request) -> (&'static str, String, Vec<u8>) + Send + Sync + 'static,
) -> (String, Receiver<usize>) {
    let (asked, requests) = channel();
    let (count, asked) = (AtomicUsize::new(0), Mutex::new(asked));
    let server = Server::start(move |request| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let (status, content_type, body) = answer(n, request);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A test that has seen enough is gone.
        let _ = asked.lock().expect("no panic").send(n);
        vec![raw([head.as_bytes(), &body].concat()), Action::Close]
    });
    (server.url(), requests)
}

/// The answer to a scrape, in the format that was asked for or in a given one.
#[allow(dead_code, reason = "not every test uses all of it")]
pub(crate) fn exposition(
    request: &Request,
    format: Option<Format>,
    families: &[MetricFamily],
) -> (&'static str, String, Vec<u8>) {
    let format = format.unwrap_or_else(|| negotiate(request.header("accept").unwrap_or_default()));
    ("200 OK", format.content_type().to_owned(), format.encode(families))
}
