//! What one client asks of `serve` is not felt by others. Invariant: nothing here depends on how fast the machine is;
//! bounds on time are generous factors.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use assay_testkit::{Program, http};

use crate::{
    recording::{Recording, Trouble},
    serve::serve,
};

/// A query that would take many hours: millions of deviations are sorted for each of a million steps.
const LONG: &str = "max_over_time(mad_over_time(vector(time())[30d:1s])[11d:1s])";

fn server(more: &[&str]) -> (Recording, Program) {
    let recording = Recording::new(Trouble::default());
    let server = serve(&recording, more);
    (recording, server)
}

fn path(query: &str, more: &str) -> String {
    format!("/api/v1/query?query={}{more}", http::encode(query))
}

/// A connection on which the query is sent and nothing is read.
fn ask(server: &Program, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("connects");
    let form = format!("query={}", http::encode(query));
    let length = form.len();
    let request = format!("POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{form}");
    stream.write_all(request.as_bytes()).expect("is sent");
    stream
}

#[test]
fn limits_are_those_of_prometheus() {
    let (_recording, server) = server(&["--query.max-samples", "100", "--query.timeout", "50ms"]);
    let check = |path: &str, status: u16, kind: &str, message: &str| {
        let answer = http::get(&server.address, path).expect("is answered");
        let json = answer.json();
        assert_eq!((answer.status, json["errorType"].as_str()), (status, Some(kind)), "{path}: {json}");
        assert_eq!(json["error"].as_str(), Some(message), "{path}");
    };
    let too_many = "query processing would load too many samples into memory in query execution";
    check(&path("max_over_time(vector(1)[100y:1ms])", ""), 422, "execution", too_many);
    check(&path("{__name__!=\"\"}[1h]", ""), 422, "execution", too_many);
    check(
        &format!("/api/v1/query_range?query={}&start=0&end=11001&step=1", http::encode("vector(1)")),
        400,
        "bad_data",
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    let all_steps = format!("/api/v1/query_range?query={}&start=0&end=99&step=1", http::encode("vector(1)"));
    assert_eq!(http::get(&server.address, &all_steps).expect("is answered").status, 200);
}

#[test]
fn a_query_ends_when_its_time_is_up_or_its_client_leaves() {
    let (_recording, server) = server(&["--query.max-concurrency", "1"]);
    let answer = http::get(&server.address, &path(LONG, "&timeout=100ms")).expect("is answered");
    assert_eq!(answer.status, 503, "{}", answer.text());
    let message = "query timed out in expression evaluation";
    assert_eq!(answer.json()["error"].as_str(), Some(message));

    // The one place is taken until the client has left.
    let long = ask(&server, LONG);
    let mut waited = loop {
        let answer = http::get(&server.address, &path("vector(1)", "&timeout=200ms")).expect("is answered");
        if answer.status == 503 {
            break answer;
        }
    };
    assert_eq!(waited.json()["error"].as_str(), Some("query timed out in query queue"));
    drop(long);
    waited = http::get(&server.address, &path("vector(1)", "&timeout=60s")).expect("is answered");
    assert_eq!(waited.status, 200, "{}", waited.text());
}

#[test]
fn the_server_ends_whatever_its_clients_do() {
    if assay_testkit::interrupt::is_helper() {
        return;
    }
    let (_recording, mut server) = server(&[]);
    let _long = ask(&server, LONG);
    let _idle = TcpStream::connect(&server.address).expect("connects");
    let _answer = ask(&server, &large(&server));
    assert_eq!(http::get(&server.address, "/-/ready").expect("is answered").status, 200);
    let asked = Instant::now();
    assert!(server.terminate().success());
    // It takes half a second; a machine may be busy.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// A query whose answer is 5 MB or more: the run's series with a label that grows by doubling.
fn large(server: &Program) -> String {
    let all = "{job!=\"\"}";
    let count = http::get(&server.address, &path(&format!("count({all})"), "")).expect("is answered").json();
    let count = count["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse::<usize>().ok());
    let (count, mut bytes) = (count.expect("a number of series"), 16);
    let mut text = format!("label_replace({all}, \"i\", \"0123456789abcdef\", \"\", \"\")");
    while bytes * count < 5_000_000 {
        text = format!("label_join({text}, \"i\", \"\", \"i\", \"i\")");
        bytes *= 2;
    }
    text
}

#[cfg(target_os = "linux")]
#[test]
fn sixty_large_answers_at_once_take_less_than_a_gigabyte() {
    let (_recording, server) = server(&[]);
    let query = large(&server);
    let mut clients: Vec<TcpStream> = (0..60).map(|_| ask(&server, &query)).collect();
    // All have the beginning of their answer, and none is read on.
    for client in &mut clients {
        let mut begin = [0; 1000];
        client.read_exact(&mut begin).expect("an answer begins");
        assert!(begin.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begin));
    }
    // The last one is read at once; on a busy machine the others may have waited for so long that the server left them.
    let mut lengths = clients.into_iter().rev().map(|mut client| {
        client.shutdown(std::net::Shutdown::Write).expect("shuts");
        let (mut length, mut rest) = (0, [0; 1 << 16]);
        while let Ok(n) = client.read(&mut rest)
            && n > 0
        {
            length += n;
        }
        length
    });
    let length = lengths.next().expect("there is one");
    lengths.for_each(drop);
    let peak_mib = peak_mib(&server);
    assert!(length > 4_000_000, "{length} bytes were sent");
    assert!(peak_mib < 1_000, "{peak_mib} MiB");
}

/// The most memory that the server had.
#[cfg(target_os = "linux")]
fn peak_mib(server: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("a status");
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") / 1024
}

/// A query of one sample whose labels would take gigabytes, which no count of samples sees.
fn long_labels() -> String {
    let mut text = "label_replace(vector(1), \"i\", \"0123456789abcdef\", \"\", \"\")".to_owned();
    for _ in 0..35 {
        text = format!("label_join({text}, \"i\", \"\", \"i\", \"i\")");
    }
    text
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_what_all_queries_take_together_whatever_it_is_for() {
    let (_recording, server) = server(&["--max-memory", "64MiB"]);
    let form = |query: &str| format!("query={}", http::encode(query));
    let ask =
        |query: &str| http::post_form(&server.address, "/api/v1/query", &form(query)).expect("is answered");
    let hostile = [
        long_labels(),
        "count_values(\"v\", vector(time()))[30d:1s]".to_owned(),
        LONG.replace("30d", "300d"),
    ];
    std::thread::scope(|scope| {
        for n in 0..12 {
            let (ask, query) = (&ask, &hostile[n % hostile.len()]);
            scope.spawn(move || {
                let answer = ask(query);
                assert!(answer.status == 422 || answer.status == 503, "{query}: {}", answer.text());
                if answer.status == 422 {
                    let message = answer.json()["error"].as_str().unwrap_or_default().to_owned();
                    assert!(message.contains("more than 64 MiB of memory"), "{message}");
                }
            });
        }
    });
    assert_eq!(ask("vector(1)").status, 200, "what they took is free again");
    let peak = peak_mib(&server);
    assert!(peak < 300, "{peak} MiB");
}
