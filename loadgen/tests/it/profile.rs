//! `--profile-pid`, with a stand-in for perf that prints what perf prints.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use assay_run::Manifest;

use crate::{
    cli::{loadgen, outcome, write},
    server::{Server, ok},
};

const SCENARIO: &str = "scenario: t\nflow: [{get: /}]\nphases:\n  warm: {executor: per-vu-iterations, warmup: true}\n  \
     main: {executor: per-vu-iterations}\n";

/// Samples until it is interrupted; its report is three samples of two stacks.
const PERF: &str = r#"#!/bin/sh
case "$1" in
record)
  while [ "$1" != --output ]; do shift; done
  trap 'exit 130' INT
  : > "$2"
  while :; do sleep 0.02; done ;;
script)
  while [ "$1" != --input ]; do shift; done
  [ -e "$2" ] || exit 1
  for leaf in embed embed search; do
    printf 'demo 47 9.000001: cpu-clock: \n\t 55d0 demo::%s+0x10 (/bin/demo)\n\t 55e0 main+0x1 (/bin/demo)\n\n' $leaf
  done ;;
esac
"#;

/// The directories of the records in a folder.
fn records(runs: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(runs).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn each_phase_but_the_warm_up_has_a_flame_graph() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bin, runs) = (dir.path().join("bin"), dir.path().join("runs"));
    std::fs::create_dir(&bin).expect("made");
    std::fs::write(bin.join("perf"), PERF).expect("written");
    std::fs::set_permissions(bin.join("perf"), std::fs::Permissions::from_mode(0o755)).expect("set");
    // The main phase lasts until something samples: its request is answered then.
    let (begun, seen) = (Instant::now(), runs.clone());
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let is_main = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0;
        let samples = || records(&seen).iter().any(|run| run.join("profile-main.data").exists());
        while is_main && !samples() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing samples");
            std::thread::sleep(Duration::from_millis(5));
        }
        ok()
    });
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let pid = std::process::id().to_string();
    let place = runs.display().to_string();
    let scenario = write(dir.path(), SCENARIO);
    let arguments = ["run", &scenario, "--target", &server.url(), "--record", &place, "--profile-pid", &pid];
    let (code, out, err) = outcome(loadgen(&arguments).arg("--quiet").env("PATH", path));
    assert_eq!(code, 0, "{err}");
    let note = format!("flame graph of process {pid} in main: profile-main.svg (3 samples)");
    assert!(out.contains(&note), "{out}");
    let run = &records(&runs)[0];
    assert!(Manifest::read(run).expect("reads").notes.contains(&note));
    let folded = std::fs::read_to_string(run.join("profile-main.folded")).expect("written");
    assert_eq!(folded, "demo;main;demo::embed 2\ndemo;main;demo::search 1\n");
    let svg = std::fs::read_to_string(run.join("profile-main.svg")).expect("written");
    assert!(svg.contains("demo::search (1 samples, 33.33%)"), "{svg}");
    assert!(!run.join("profile-main.data").exists() && !run.join("profile-warm.svg").exists());
}

#[test]
fn what_is_missing_for_a_profile_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let (pid, runs) = (std::process::id().to_string(), dir.path().join("runs").display().to_string());
    let run = |arguments: &[&str]| {
        let mut command = loadgen(&["run", &scenario, "--target", &server.url(), "--quiet"]);
        outcome(command.args(arguments).env("PATH", dir.path()))
    };
    let (code, out, _) = run(&["--record", &runs, "--profile-pid", &pid]);
    let note = format!("note: no profile of process {pid} in main: perf: No such file or directory");
    assert!(
        code == 0 && out.contains(&note) && out.contains("it needs perf (linux-perf, linux-tools)"),
        "{out}"
    );
    let (code, _, err) = run(&["--record", &runs, "--profile-pid", "2147483647"]);
    assert_eq!(
        (code, err.as_str()),
        (2, "loadgen: --profile-pid 2147483647: No such process (os error 3)\n")
    );
    let (code, _, err) = run(&["--profile-pid", &pid]);
    assert!(code == 2 && err.contains("--profile-pid is for a run that is recorded"), "{err}");
}
