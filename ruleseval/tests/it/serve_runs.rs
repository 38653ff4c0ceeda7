//! A folder of runs, served: the page, the reports and the API of each.

use std::{fs, path::Path, process::Command};

use assay_testkit::{Program, files::copy, http};

use crate::recording::{Recording, T0_MS, Trouble, rules, sla};

fn serve(folder: &Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ruleseval"));
    command.arg("serve").arg(folder).args(["--listen", "127.0.0.1:0"]);
    Program::listening(&mut command, "")
}

fn judge(run: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ruleseval"));
    command.arg("eval").arg(run).args(["--quiet", "--rules", &rules(), "--sla"]).arg(sla());
    command.arg("--json").arg(run.join("verdict.json")).arg("--html").arg(run.join("report.html"));
    let status = command.status().expect("starts");
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
}

#[test]
fn runs_are_listed_with_their_verdicts_reports_and_apis() {
    let slow = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    judge(&slow.path());
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let get = |path: &str| http::get(&server.address, path).expect("is answered");
    assert!(get("/").text().contains("No run has been recorded yet"));

    fs::rename(slow.path(), folder.path().join("a \"run\"")).expect("moves");
    let killed = Recording::new(Trouble { killed_after_s: Some(40), ..Trouble::default() });
    fs::rename(killed.path(), folder.path().join("killed")).expect("moves");
    let page = get("/");
    assert!(
        page.head.to_lowercase().contains("content-security-policy: default-src 'none'"),
        "{}",
        page.head
    );
    let page = page.text();
    for part in ["FAIL", "a &quot;run&quot;", "runs/a%20%22run%22/report.html", "NOT ENDED"] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }

    let verdict = get("/runs/a%20%22run%22/verdict.json");
    assert_eq!(verdict.json()["status"], "fail");
    assert!(get("/runs/a%20%22run%22/report.html").text().contains("<title>FAIL"));
    assert_eq!(get("/runs/killed/report.html").status, 404);
    // Any two are compared, by the SLA that the newer one brings along.
    let pair = "/compare?base=killed&new=a%20%22run%22";
    // Without one, its steps are what is compared.
    assert!(get(pair).text().contains("Steps <span class=\"soft\">(decide)"), "{}", get(pair).text());
    fs::create_dir(folder.path().join("a \"run\"/sla")).expect("makes");
    fs::copy(sla(), folder.path().join("a \"run\"/sla/sla.yml")).expect("copies");
    let compared = get(pair);
    assert_eq!(compared.status, 200, "{}", compared.text());
    assert!(compared.text().contains("Query latency p99") && compared.text().contains("all runs"));
    assert_eq!(get("/compare?base=none&new=killed").status, 404);
    let history = get("/history").text();
    assert!(history.contains("clinical-rag: 1 run") && history.contains("all runs"), "{history}");
    // A second verdict makes it a trend, which the list shows.
    copy(&folder.path().join("a \"run\""), &folder.path().join("again")).expect("copies");
    let page = get("/").text();
    assert!(page.contains("Trends") && page.contains("class=\"spark\""), "{page}");
    assert!(get("/history").text().contains("clinical-rag: 2 runs"));
    // The API of each run, more runs than are open at a time, and the killed one's as far as it went.
    for (name, users) in [("a%20%22run%22", "24"), ("killed", "5")] {
        let at = T0_MS / 1000 + if name == "killed" { 40 } else { 130 };
        let answer = get(&format!("/runs/{name}/api/v1/query?query=sum(load_users)&time={at}")).json();
        assert_eq!(answer["data"]["result"][0]["value"][1], users, "{name}: {answer}");
        let jobs = get(&format!("/runs/{name}/api/v1/label/job/values")).json();
        assert!(jobs["data"].as_array().is_some_and(|jobs| !jobs.is_empty()), "{jobs}");
    }
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let recording = Recording::new(Trouble::default());
    let folder = recording.place("runs");
    fs::create_dir(&folder).expect("a folder");
    let server = serve(&folder);
    for path in [
        "/runs/..%2Frun/api/v1/labels",
        "/runs/..%2Frun/report.html",
        "/runs/../run/api/v1/labels",
        "/runs/%2e%2e/run.json",
        "/runs/none/api/v1/labels",
        "/api/v1/labels",
    ] {
        let answer = http::get(&server.address, path).expect("is answered");
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
}
