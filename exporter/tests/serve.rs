//! The exporter over real HTTP, of a made-up host.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::Arc,
};

use assay_model::expo::{Format, read_scrape};
use exporter::{Exporter, Options, ServeOptions, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start(options: Options, serve_options: ServeOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let exporter = Arc::new(Exporter::new(options));
    let server = tokio::spawn(serve(exporter, listener, serve_options, async {
        let _ = stopped.await;
    }));
    Running { url, stop, server }
}

/// Status, content type and body. A client of the tests' own, so that they alone say what is accepted.
async fn get(url: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&response[..end]).unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, content_type.to_owned(), response[end + 4..].to_vec())
}

#[tokio::test]
async fn formats_are_negotiated_and_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(common::made_up_host(directory.path()), ServeOptions::default()).await;
    let url = format!("{}/metrics?collect[]=loadavg&collect[]=vmstat", running.url);
    let openmetrics = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let protobuf =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    for (accept, format) in
        [("*/*", Format::Text), (openmetrics, Format::OpenMetrics), (protobuf, Format::Protobuf)]
    {
        let (status, content_type, body) = get(&url, &[("accept", accept)]).await;
        assert_eq!((status, content_type.as_str()), (200, format.content_type()));
        let scrape = read_scrape(format, &body).unwrap();
        let load5 = scrape.samples.iter().find(|s| s.labels.metric_name() == "node_load5").unwrap();
        assert!(format!("{:?}", load5.value).contains("2.63"), "{:?}", load5.value);
        assert!(scrape.samples.iter().any(|s| s.labels.metric_name() == "node_vmstat_pgfault"));
    }
    let (_, _, plain) = get(&url, &[]).await;
    let (_, _, zipped) = get(&url, &[("accept-encoding", "gzip")]).await;
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(zipped.as_slice()).read_to_string(&mut unzipped).unwrap();
    let names =
        |text: &str| text.lines().filter(|l| l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&unzipped), names(&String::from_utf8(plain).unwrap()));
    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn collectors_are_selected_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(common::made_up_host(directory.path()), ServeOptions::default()).await;
    let ask = async |query: &str| {
        let (status, _, body) = get(&format!("{}/metrics{query}", running.url), &[]).await;
        (status, String::from_utf8(body).unwrap())
    };
    let (status, text) = ask("?collect[]=loadavg").await;
    assert_eq!(status, 200);
    assert!(text.contains("node_load1 0.07\n") && !text.contains("node_cpu_seconds_total"));
    let (status, text) = ask("?exclude%5B%5D=loadavg").await;
    assert!(status == 200 && !text.contains("node_load1") && text.contains("node_cpu_seconds_total"));
    let refused = [
        ("?collect[]=cpu&exclude[]=stat", "collect[] and exclude[] cannot be combined; give one of them\n"),
        ("?collect[]=cpuu", "there is no collector \"cpuu\"; did you mean \"cpu\"?\n"),
        (
            "?collect[]=processes",
            "collector \"processes\" is disabled; start the exporter with --collector.processes\n",
        ),
    ];
    for (query, message) in refused {
        assert_eq!(ask(query).await, (400, message.to_owned()));
    }
    let (status, content_type, _) = get(&format!("{}/", running.url), &[]).await;
    assert_eq!((status, content_type.as_str()), (200, "text/html; charset=utf-8"));
    assert_eq!(get(&format!("{}/other", running.url), &[]).await.0, 404);
}

#[tokio::test]
async fn a_timeout_too_short_gives_what_there_was_time_for() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(common::made_up_host(directory.path()), ServeOptions::default()).await;
    let url = format!("{}/metrics", running.url);
    let (status, _, body) = get(&url, &[("x-prometheus-scrape-timeout-seconds", "0")]).await;
    let text = String::from_utf8(body).unwrap();
    assert!(status == 200 && text.contains("node_scrape_collector_success{collector=\"cpu\"} 0\n"));
}

fn exporter_binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = exporter_binary(&["--web.listen-address", &address]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with(&format!("exporter: cannot listen on {address}: ")), "{message}");
    assert!(message.contains("Address already in use"), "{message}");
}

#[test]
fn the_binary_serves_until_it_is_told_to_stop() {
    let mut child = exporter_binary(&["--web.listen-address=127.0.0.1:0"]).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("msg=\"listening\"") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0, "it ended before it listened");
    }
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (status, _, body) = runtime.block_on(get(&format!("http://{address}/metrics"), &[]));
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    for name in [
        "node_cpu_seconds_total{",
        "node_filesystem_size_bytes{",
        "process_open_fds ",
        "exporter_build_info{",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name} is missing");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
