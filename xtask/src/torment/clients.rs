//! Clients of `ruleseval serve`: very many, and such that do not read or do not ask. Those that leave are in `leaving`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assay_testkit::{Program, http};

use super::{Options, Table, rig::Rig};
use crate::process::{PEAK, memory_mib};

/// A query that would take long: millions of deviations are sorted for each step of a million.
const LONG: &str = "max_over_time(mad_over_time(vector(time())[30d:1s])[11d:1s])";
/// Large answers at a time, and how many bytes each has at least.
const LARGE: usize = 60;
const LARGE_BYTES: usize = 5_000_000;

pub(super) fn run(rig: &Rig, options: &Options, table: &mut Table) -> Result<()> {
    let name = format!("{} clients of `ruleseval serve` at once", options.clients);
    table.add(&name, "all answered, 1,000 MiB", crowd(rig, options.clients));
    let name = format!("{LARGE} answers of 5 MB at once, none read until all have begun");
    table.add(&name, "1,000 MiB", large(rig));
    table.add("SIGTERM with a query, an idle and an unread connection", "the end within 1 s", ending(rig));
    Ok(())
}

fn crowd(rig: &Rig, clients: usize) -> Result<(String, bool)> {
    let server = rig.serve(&rig.run, &[]);
    let (answered, begun) = (AtomicUsize::new(0), Instant::now());
    let form = format!("query={}", http::encode("sum by (__name__) ({__name__!=\"\"})"));
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..clients {
            let builder = std::thread::Builder::new().stack_size(64 << 10);
            builder.spawn_scoped(scope, || {
                let answer = http::post_form(&server.address, "/api/v1/query", &form);
                answered.fetch_add(usize::from(answer.is_ok_and(|a| a.status == 200)), Ordering::Relaxed);
            })?;
        }
        Ok(())
    })?;
    let (answered, peak) = (answered.into_inner(), memory_mib(server.id(), PEAK)?);
    let measured = format!("{answered} answered in {:.1} s, {peak:.0} MiB", begun.elapsed().as_secs_f64());
    Ok((measured, answered == clients && peak < 1000.0))
}

/// A connection on which a query is sent and nothing is read.
fn ask(server: &Program, query: &str) -> Result<TcpStream> {
    send(server, "/api/v1/query", &format!("query={}", http::encode(query)))
}

/// The same for any path and form.
pub(super) fn send(server: &Program, path: &str, form: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(&server.address)?;
    let length = form.len();
    let kind = "application/x-www-form-urlencoded";
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// A query whose answer is large: the run's series with a long label.
fn large_query(server: &Program) -> Result<String> {
    let all = "{__name__!=\"\"}";
    let count = http::post_form(
        &server.address,
        "/api/v1/query",
        &format!("query={}", http::encode(&format!("count({all})"))),
    )?
    .json();
    let count: usize = count["data"]["result"][0]["value"][1].as_str().context("a count")?.parse()?;
    let label = "x".repeat(LARGE_BYTES / count + 1);
    Ok(format!("label_replace({all}, \"i\", \"{label}\", \"\", \"\")"))
}

fn large(rig: &Rig) -> Result<(String, bool)> {
    let server = rig.serve(&rig.run, &[]);
    let query = large_query(&server)?;
    let mut clients = (0..LARGE).map(|_| ask(&server, &query)).collect::<Result<Vec<_>>>()?;
    for client in &mut clients {
        let mut begin = [0; 1000];
        client.read_exact(&mut begin)?;
        ensure!(begin.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begin));
    }
    let mut length = 0;
    for mut client in clients {
        let mut rest = [0; 1 << 16];
        while let Ok(n @ 1..) = client.read(&mut rest) {
            length += n;
        }
    }
    let peak = memory_mib(server.id(), PEAK)?;
    let measured = format!("{peak:.0} MiB, {:.0} MB sent", length as f64 / 1e6);
    Ok((measured, peak < 1000.0 && length >= LARGE * LARGE_BYTES))
}

fn ending(rig: &Rig) -> Result<(String, bool)> {
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let mut server = rig.serve(&rig.run, &[]);
        let _long = ask(&server, LONG)?;
        let _idle = TcpStream::connect(&server.address)?;
        let _unread = ask(&server, &large_query(&server)?)?;
        ensure!(http::get(&server.address, "/-/ready")?.status == 200, "not ready");
        let asked = Instant::now();
        ensure!(server.terminate().success(), "it did not end with success");
        longest = longest.max(asked.elapsed());
    }
    Ok((format!("at most {:.2} s of 5", longest.as_secs_f64()), longest < Duration::from_secs(1)))
}
