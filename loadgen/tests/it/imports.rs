//! What imported scenarios send, byte for byte: as the program sent it that the import is of.
//!
//! Each case is a file below `imports/`, next to what has to be sent. What belongs to a connection (`Host`, `Content-Length`, the
//! boundary of a form) and how a client names itself are not compared.

mod curl;
mod har;
mod openapi;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::server::{Seen, Server};

/// Headers that belong to a connection.
const OF_THE_CONNECTION: [&str; 3] = ["host", "content-length", "connection"];

/// The cases of a kind: the files with this end, by name.
fn cases(kind: &str, end: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/imports").join(kind);
    let files = std::fs::read_dir(&dir).expect("the cases").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|found| found == end)).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The parts of a file that lines `--- name` begin; what is before the first has no name.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut found = vec![("", String::new())];
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("--- "), found.last_mut()) {
            (Some(name), _) => found.push((name.trim_end(), String::new())),
            (None, Some((_, text))) => text.push_str(line),
            (None, None) => {}
        }
    }
    // The line end belongs to the file.
    for (_, text) in &mut found {
        text.truncate(text.strip_suffix('\n').unwrap_or(text).len());
    }
    found
}

/// `set NAME=value` lines.
fn variables(text: &str) -> Vec<(String, String)> {
    let set = text.lines().filter_map(|line| line.strip_prefix("set ")?.split_once('='));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A request as a text that can be compared.
fn shown(seen: &Seen) -> String {
    let headers = seen.head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    as_text(seen.line(), headers.collect(), &seen.bytes)
}

/// The same of its parts: the line, the headers by name, the body with a mark for each carriage return.
fn as_text(line: &str, headers: Vec<(String, String)>, body: &[u8]) -> String {
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut boundary = None;
    for (name, value) in headers {
        let is_own_name = value.starts_with("curl/") || value.starts_with("assay-loadgen/");
        if OF_THE_CONNECTION.contains(&name.as_str()) || name == "user-agent" && is_own_name {
            continue;
        }
        if let Some((_, found)) = value.split_once("boundary=").filter(|_| value.starts_with("multipart/")) {
            boundary = Some(found.to_owned());
        }
        // Several of one name mean the same as one with commas (RFC 9110, 5.3).
        match kept.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = format!("{known}, {value}"),
            None => kept.push((name, value)),
        }
    }
    kept.sort();
    let body =
        match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(body)
                .split('\n')
                .zip(body.split(|b| *b == b'\n'))
                .map(|(text, bytes)| {
                    if text.contains('\u{fffd}') { bytes.escape_ascii().to_string() } else { text.to_owned() }
                })
                .collect::<Vec<_>>()
                .join("\n"),
        };
    let headers: String =
        kept.iter().map(|(name, value)| format!("{}\n", format!("{name}: {value}").trim_end())).collect();
    let whole = format!("{line}\n{headers}\n{}", body.replace('\r', "␍"));
    match boundary {
        Some(boundary) => whole.replace(&boundary, "BOUNDARY"),
        None => whole,
    }
}

/// Does one iteration of a scenario against a server.
fn send(server: &Server, dir: &Path, scenario: &str, variables: &[(String, String)]) -> Result<(), String> {
    let path = dir.join("scenario.yml");
    std::fs::write(&path, scenario).map_err(|e| e.to_string())?;
    let scenario = loadgen::Scenario::load(&path.display().to_string()).map_err(|e| e.to_string())?;
    let mut options = loadgen::RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    options.environment = variables.to_vec();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let failure = runtime.map_err(|e| e.to_string())?.block_on(async {
        let checked = options.check().await.map_err(|e| e.to_string())?;
        checked.once(|_| {}).await.map_err(|e| e.to_string())
    })?;
    failure.map_or(Ok(()), Err)
}

/// The lines of two texts that differ, with a word for whose they are; `None` where they are the same.
fn differ(who: [&str; 2], texts: [&str; 2]) -> Option<String> {
    if texts[0] == texts[1] {
        return None;
    }
    let [a, b] = texts.map(|text| text.split('\n').collect::<Vec<_>>());
    let only = |own: &[&str], other: &[&str], who: &str| {
        let lines = own.iter().filter(|line| !other.contains(line));
        lines.map(|line| format!("  {who}: {line:?}\n")).collect::<String>()
    };
    let found = only(&a, &b, who[0]) + &only(&b, &a, who[1]);
    Some(if found.is_empty() {
        format!("  {}: {:?}\n  {}: {:?}\n", who[0], texts[0], who[1], texts[1])
    } else {
        found
    })
}

/// Fails with all that went wrong.
#[track_caller]
fn settle(cases: usize, least: usize, problems: &[String]) {
    assert!(cases >= least, "{cases} cases");
    assert!(problems.is_empty(), "{} of {cases} cases:\n{}", problems.len(), problems.join("\n"));
}
