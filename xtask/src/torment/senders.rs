//! Servers that answer without end, or so slowly that it comes to the same.

use std::{process::Command, time::Duration};

use anyhow::Result;
use assay_testkit::{
    Action, Server,
    server::{ok, raw, respond},
};

use super::{Options, Table, rig::Rig};

/// What a program may take that reads from such a server.
const MOST_MIB: f64 = 1000.0;

pub(super) fn run(rig: &Rig, _options: &Options, table: &mut Table) -> Result<()> {
    let head = |kind: &str| {
        raw(format!("HTTP/1.1 200 X\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"))
    };
    let chunk = |piece: &str| Action::SendForEver(format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes());
    let endless = move |kind: &str, start: &str, piece: &str| {
        let actions =
            [head(kind), raw(format!("{:x}\r\n{start}\r\n", start.len())), chunk(&piece.repeat(4096))];
        move || actions.to_vec()
    };
    let drip = move || {
        let drop = [raw("1\r\nx\r\n"), Action::Wait(Duration::from_millis(100))];
        [head("text/plain")].into_iter().chain(drop.into_iter().cycle().take(10_000)).collect::<Vec<_>>()
    };

    // A run of three seconds, and ten for what waits.
    for (name, answer) in [
        (
            "an OTLP receiver that answers without end",
            Box::new(endless("text/plain", "x", "x")) as Box<dyn Fn() -> Vec<Action> + Send + Sync>,
        ),
        ("an OTLP receiver that drips", Box::new(drip)),
    ] {
        let receiver = Server::start(move |_| answer());
        let mut command = rig.load("pushed", 3)?;
        command.args(["--otlp", &receiver.url()]);
        table.add(name, "200 MiB, 15 s", measured(rig, &command, 200.0, 15.0));
    }

    let matrix = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[0,\"0\"]";
    let series = endless("application/json", matrix, ",[0,\"0\"]");
    let endless_server = Server::start(move |_| series());
    // As much as is read at all, of the samples that take the least of it.
    let large = format!("{matrix}{}]}}]}}}}", ",[0,\"0\"]".repeat(6 << 20));
    let large_server = Server::start(move |_| respond(200, "content-type: application/json\r\n", &large));
    for (server, what) in
        [(&endless_server, "answers without end"), (&large_server, "sends 7 million samples in 54 MB")]
    {
        for chore in ["eval", "export"] {
            let mut command = Command::new(&rig.ruleseval);
            command.arg(chore).args(["--prometheus", &server.url()]);
            command.args(["--start", "2026-01-01T00:00:00Z", "--end", "2026-01-01T00:10:00Z"]);
            match chore {
                "eval" => command.args(["--trust-server-alerts", "--sla", "prometheus/sla/clinical-rag.yml"]),
                _ => command.arg("--out").arg(rig.dir.join("exported")),
            };
            let name = format!("`ruleseval {chore} --prometheus` of a server that {what}");
            table.add(&name, "1,000 MiB, 60 s", measured(rig, &command, MOST_MIB, 60.0));
        }
    }

    let exposition = endless("text/plain; version=0.0.4", "a 1\n", "b 1\n");
    let target = Server::start(move |seen| if seen.line() == "GET /metrics" { exposition() } else { ok() });
    let mut command = rig.load("scraped", 5)?;
    command.arg("--record").arg(rig.dir.join("scraped")).args(["--scrape", &target.url()]);
    table.add(
        "a scrape that answers without end",
        "1,000 MiB, 15 s",
        measured(rig, &command, MOST_MIB, 15.0),
    );
    Ok(())
}

fn measured(rig: &Rig, command: &Command, most_mib: f64, most_s: f64) -> Result<(String, bool)> {
    let tried = rig.try_it(command)?;
    let measured =
        format!("{:.0} MiB, {:.1} s, exit {}", tried.peak_mib, tried.wall_s, tried.code.unwrap_or(-1));
    Ok((measured, tried.is_orderly() && tried.peak_mib < most_mib && tried.wall_s < most_s))
}
