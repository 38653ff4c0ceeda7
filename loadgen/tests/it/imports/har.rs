//! HAR files: each entry's request, as the entry says it. The server answers as the entries do.
//!
//! An entry whose comment begins with `left out` is not to be sent; `_variables` are the secrets. A cache is none of a
//! new user's, so that no header that asks about one is sent, and the answer is the whole.

use std::{collections::VecDeque, path::Path, sync::Mutex};

use base64::Engine as _;
use serde_json::Value;

use super::{as_text, cases, differ, name, send, settle, shown};
use crate::server::{Server, respond};

/// Headers that a client makes for a connection, of a browser's cache, or of the browser itself.
const NOT_SENT: [&str; 9] = [
    "te",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "transfer-encoding",
    "if-none-match",
    "if-modified-since",
    "x-client-data",
    "expect",
];

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// What an entry's request is; a file of a form is put into the folder.
fn wanted(request: &Value, dir: &Path) -> String {
    let url = text(request, "url");
    let after = url.split_once("://").map_or(url, |(_, rest)| rest).split('#').next().unwrap_or_default();
    let target = after.find(['/', '?']).map_or("/", |at| &after[at..]);
    let list = request["headers"].as_array().cloned().unwrap_or_default();
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in &list {
        let (name, value) = (text(header, "name").to_ascii_lowercase(), text(header, "value").to_owned());
        if name.starts_with(':') || NOT_SENT.contains(&name.as_str()) {
            continue;
        }
        // HTTP/2 sends cookies one by one.
        match headers.iter_mut().find(|(known, _)| *known == name && name == "cookie") {
            Some((_, known)) => *known = format!("{known}; {value}"),
            None => headers.push((name, value)),
        }
    }
    let data = &request["postData"];
    let mut body = text(data, "text").as_bytes().to_vec();
    if text(data, "encoding") == "base64" {
        body = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
    }
    if body.is_empty() && text(data, "mimeType").starts_with("multipart/") {
        headers.retain(|(name, _)| name != "content-type");
        headers.push(("content-type".to_owned(), "multipart/form-data; boundary=BOUNDARY".to_owned()));
        body = form(data["params"].as_array().expect("parts"), dir).into_bytes();
    }
    as_text(&format!("{} {target}", text(request, "method")), headers, &body)
}

/// The parts of a form as a browser writes them.
fn form(parts: &[Value], dir: &Path) -> String {
    let part = |p: &Value| {
        let (file, kind) = (text(p, "fileName"), text(p, "contentType"));
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", text(p, "name"));
        if !file.is_empty() {
            std::fs::write(dir.join(file), text(p, "value")).expect("a file");
            head += &format!("; filename=\"{file}\"");
        }
        if !kind.is_empty() {
            head += &format!("\r\nContent-Type: {kind}");
        }
        format!("--BOUNDARY\r\n{head}\r\n\r\n{}\r\n", text(p, "value"))
    };
    parts.iter().map(part).collect::<String>() + "--BOUNDARY--\r\n"
}

/// The answer of an entry.
fn answer(response: &Value) -> (u16, String, String) {
    let status = response["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(200);
    let status = if status == 304 { 200 } else { status };
    let headers = response["headers"].as_array().cloned().unwrap_or_default();
    let is_kept = |name: &str| ["set-cookie", "location", "content-type"].contains(&name);
    let lines = headers.iter().filter(|h| is_kept(&text(h, "name").to_ascii_lowercase())).flat_map(|h| {
        // Chrome joins several of one name by line ends.
        text(h, "value").split('\n').map(|v| format!("{}: {v}\r\n", text(h, "name"))).collect::<Vec<_>>()
    });
    (status, lines.collect(), text(&response["content"], "text").to_owned())
}

#[test]
fn requests_of_a_browser_are_sent_as_it_sent_them() {
    let files = cases("har", "har");
    let mut problems = Vec::new();
    for path in &files {
        let source = std::fs::read_to_string(path).expect("a case");
        let har: Value = serde_json::from_str(source.trim_start_matches('\u{feff}'))
            .unwrap_or_else(|e| panic!("{}: {e}", name(path)));
        let dir = tempfile::tempdir().expect("a folder");
        let entries = har["log"]["entries"].as_array().expect("entries");
        let mut entries: Vec<&Value> =
            entries.iter().filter(|entry| !text(entry, "comment").starts_with("left out")).collect();
        entries.sort_by_key(|entry| text(entry, "startedDateTime").to_owned());
        let want: Vec<String> = entries.iter().map(|entry| wanted(&entry["request"], dir.path())).collect();
        let answers: VecDeque<_> = entries.iter().map(|entry| answer(&entry["response"])).collect();
        let answers = Mutex::new(answers);
        let server = Server::start(move |_| {
            let (status, headers, body) = answers.lock().expect("one at a time").pop_front().unwrap_or((
                500,
                String::new(),
                String::new(),
            ));
            respond(status, &headers, body)
        });
        let variables = har["log"]["_variables"].as_object().cloned().unwrap_or_default();
        let variables: Vec<(String, String)> = variables
            .into_iter()
            .map(|(name, v)| (name, v.as_str().unwrap_or_default().to_owned()))
            .collect();
        let made = loadgen::import::har(&name(path), &source).map_err(|e| e.to_string());
        let done = made.and_then(|made| {
            let mut found = made.variables.clone();
            found.sort();
            if found != variables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                return Err(format!("the variables are {found:?}\n{}", made.text));
            }
            send(&server, dir.path(), &made.text, &variables).map_err(|e| format!("{e}\n{}", made.text))
        });
        let got: Vec<String> = server.seen().iter().map(shown).collect();
        let mut own: Vec<String> = done.err().into_iter().collect();
        if got.len() != want.len() {
            own.push(format!("{} of {} requests", got.len(), want.len()));
        }
        own.extend(
            want.iter().zip(&got).filter_map(|(want, got)| differ(["har     ", "imported"], [want, got])),
        );
        problems.extend((!own.is_empty()).then(|| format!("{}:\n{}", name(path), own.join("\n"))));
    }
    settle(files.len(), 10, &problems);
}
