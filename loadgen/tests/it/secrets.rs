//! Secrets in every place where a URL or a value may have one: none is in anything that a run writes or prints, and the
//! services that they are for get them.

use std::path::Path;

use base64::Engine as _;

use crate::{
    cli::{loadgen, outcome, write},
    server::{Server, ok, respond},
};

/// All files below a directory.
fn files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// A secret as it is, percent-encoded, and in base64 as user and password.
fn spellings(secret: &str) -> Vec<String> {
    let encoded = secret.replace('@', "%40");
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
    vec![secret.to_owned(), encoded, basic]
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

#[test]
fn no_secret_of_the_command_line_or_the_scenario_is_written_or_printed() {
    let dir = tempfile::tempdir().expect("a directory");
    let secrets: Vec<String> = (0..12).map(|n| format!("pl4nted@{n:02}x")).collect();
    let encoded: Vec<String> = secrets.iter().map(|s| s.replace('@', "%40")).collect();
    let server = Server::start(|seen| match seen.line() {
        "GET /m?token=pl4nted%4001x&x=1" => respond(500, "", "no metrics"),
        line if line.starts_with("POST /v1/") => respond(400, "", "not here"),
        _ => ok(),
    });
    let at = |n: usize| server.url().replace("http://", &format!("http://me:{}@", encoded[n]));
    let scenario = format!(
        "scenario: t\nhealth: /health?api_key={}\nflow:\n  - {{get: '/a?access_token={}'}}\n  - {{name: away, get: '{}/b?sig={}'}}\n\
         \x20 - {{name: own, get: /c, headers: {{authorization: 'Bearer {{{{ env.RAG_PASSWORD | default(0) }}}}'}}}}\n\
         phases: {{p: {{executor: per-vu-iterations, iterations: 3}}}}\n",
        encoded[2],
        encoded[3],
        at(4),
        encoded[5]
    );
    let path = write(dir.path(), &scenario);
    let runs = dir.path().join("runs");
    let target = at(0);
    let scrape = format!("job={}/m?token={}&x=1", at(6), encoded[1]);
    let (otlp, traces) = (at(7), format!("{}/v1/traces", at(8)));
    let var = format!("RAG_PASSWORD={}", secrets[9]);
    let runs_text = runs.display().to_string();
    let mut command = loadgen(&[
        "run",
        &path,
        "--target",
        &target,
        "--record",
        &runs_text,
        "--scrape",
        &scrape,
        "--otlp",
        &otlp,
        "--otlp-traces",
        &traces,
        "--trace-sample",
        "1",
        "--var",
        &var,
        "--view",
        "lines",
        "--summary",
        "json",
    ]);
    command.env("RUST_LOG", "debug").env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-team={}", encoded[10]));
    let (code, out, err) = outcome(&mut command);
    assert_eq!(code, 0, "{err}");
    let mut written = vec![("stdout".to_owned(), out.into_bytes()), ("stderr".to_owned(), err.into_bytes())];
    let mut paths = Vec::new();
    files(&runs, &mut paths);
    written.extend(paths.iter().map(|p| (p.display().to_string(), std::fs::read(p).expect("reads"))));
    assert!(written.len() > 4, "a record was made");
    for (place, bytes) in &written {
        for spelling in secrets.iter().flat_map(|s| spellings(s)) {
            assert!(!holds(bytes, &spelling), "{spelling} is in {place}: {}", String::from_utf8_lossy(bytes));
        }
    }
    let (path, manifest) = written.iter().find(|(p, _)| p.ends_with("run.json")).expect("a description");
    let manifest = String::from_utf8_lossy(manifest);
    assert!(manifest.contains("xxxxx@127.0.0.1") && manifest.contains("RAG_PASSWORD=xxxxx"), "{manifest}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    #[cfg(not(unix))]
    let _ = path;
    // Those that secrets are for get them: as Basic, as curl sends them.
    let basic = |n: usize| {
        let user = format!("me:{}", secrets[n]);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
    };
    let seen = server.seen();
    let sent = |line: &str| {
        let request = seen.iter().find(|s| s.line().starts_with(line)).unwrap_or_else(|| panic!("no {line}"));
        request.header("authorization").unwrap_or_default().to_owned()
    };
    assert_eq!(sent("GET /health"), basic(0));
    assert_eq!(sent("GET /a"), basic(0));
    assert_eq!(sent("GET /b"), basic(4));
    assert_eq!(sent("GET /c"), format!("Bearer {}", secrets[9]), "a step's own come first");
    assert_eq!(sent("GET /m"), basic(6));
    assert_eq!(sent("POST /v1/metrics"), basic(7));
}

#[test]
fn messages_about_urls_leave_their_secrets_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = write(dir.path(), crate::cli::SCENARIO);
    for target in [
        "http://me:pl4nted@127.0.0.1:1/",
        "http://me:pl4/nted@127.0.0.1:1/",
        "ftp://me:pl4nted@127.0.0.1/",
        "http://me:pl4nted@127.0.0.1:99999/",
        "http://127.0.0.1:1/?token=pl4nted",
    ] {
        for option in ["--target", "--proxy", "--otlp", "--scrape"] {
            let mut arguments = vec!["run", &path, option, target];
            if option != "--target" {
                arguments.extend(["--target", "http://127.0.0.1:1"]);
            }
            let runs = dir.path().join("runs").display().to_string();
            if option == "--scrape" {
                arguments.extend(["--record", &runs]);
            }
            let (code, _, err) = outcome(&mut loadgen(&arguments));
            assert!(code == 2 || code == 4, "{arguments:?}: {err}");
            assert!(!err.contains("pl4") && !err.contains("nted@"), "{arguments:?}: {err}");
        }
    }
}
