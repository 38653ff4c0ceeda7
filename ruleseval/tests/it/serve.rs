//! The HTTP API over a run, asked by promtool as it is.

use std::process::Command;

use assay_testkit::{Program, peer};

use crate::recording::{Recording, T0_MS, Trouble, rules};

/// The program serving a run.
pub(crate) fn serve(recording: &Recording, more: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ruleseval"));
    command.arg("serve").arg(recording.path()).args(["--listen", "127.0.0.1:0"]).args(more);
    Program::listening(&mut command, "")
}

#[test]
fn promtool_queries_a_run() {
    let Some(promtool) = peer("promtool") else { return };
    let recording = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let server = serve(&recording, &["--rules", &rules()]);
    let check = |arguments: &[&str], want: &str| {
        let out = Command::new(&promtool).arg("query").args(arguments).output().expect("starts");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&out.stderr));
        assert!(said.contains(want), "{arguments:?}: {want:?} is not in\n{said}");
    };
    let url = &format!("http://{}", server.address);
    let (start, end) = (format!("{}", T0_MS / 1000), format!("{}", T0_MS / 1000 + 130));
    check(&["instant", url, "sum(load_users)", "--time", &end], "=> 24 @[1700000130]");
    check(
        &["instant", url, "ALERTS{alertname=\"QueryLatencyP99High\",alertstate=\"firing\"}", "--time", &end],
        "=> 1",
    );
    check(
        &[
            "instant",
            url,
            "histogram_count(http_client_request_duration_seconds{load_phase=\"peak\"})",
            "--time",
            &end,
        ],
        "=> ",
    );
    check(
        &["range", url, "sum(load_users)", "--start", &start, "--end", &end, "--step", "60s"],
        "24 @[1700000120]",
    );
    check(&["series", url, "--match", "up", "--start", &start, "--end", &end], "__name__=\"up\"");
    check(&["labels", url, "job", "--start", &start, "--end", &end], "loadgen");
    check(
        &["instant", url, "load_step:http_client_request_duration_seconds:p99_rate1m", "--time", &end],
        "load_step=\"query\"",
    );
    let out = Command::new(&promtool).args(["query", "instant", url, "sum("]).output().expect("starts");
    assert!(String::from_utf8_lossy(&out.stderr).contains("bad_data"), "{out:?}");
}
