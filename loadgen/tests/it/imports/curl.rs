//! curl lines: what the file says under `--- sent`, and what the real curl sends for the same line, if it is there.
//!
//! A case has the line as a shell takes it (`--- bash`), and where it was copied for another shell that form too
//! (`--- cmd`, which is then imported); files that it reads (`--- file NAME`, `--- hex NAME`) are in a folder whose name `DIR`
//! stands for. `UPDATE_GOLDEN=1` writes down what curl sends.

use std::{path::Path, process::Command};

use super::{cases, differ, name, sections, send, settle, shown, variables};
use crate::server::{Server, respond};

struct Case<'t> {
    variables: Vec<(String, String)>,
    /// What curl is run with.
    bash: String,
    /// What is imported.
    line: String,
    sent: &'t str,
}

fn read<'t>(parts: &'t [(&'t str, String)], dir: &Path) -> Case<'t> {
    let mut case = Case { variables: Vec::new(), bash: String::new(), line: String::new(), sent: "" };
    for (title, text) in parts {
        let here = || text.replace("DIR", &dir.display().to_string());
        let file = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("a file");
        match title.split_once(' ').unwrap_or((title, "")) {
            ("", _) => case.variables = variables(text),
            ("bash", ends) => {
                case.bash = here();
                case.line = if ends == "crlf" { here().replace('\n', "\r\n") } else { here() };
            }
            ("cmd", _) => case.line = here().replace('\n', "\r\n"),
            ("file", name) => file(name, text.as_bytes()),
            ("hex", name) => {
                let bytes = text.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).expect("hex"));
                file(name, &bytes.collect::<Vec<u8>>());
            }
            ("sent", _) => case.sent = text,
            (other, _) => panic!("an unknown part {other:?}"),
        }
    }
    case
}

/// Runs a line with the real curl, every connection of which ends at the server.
fn by_curl(server: &Server, dir: &Path, case: &Case<'_>) -> Result<String, String> {
    // TLS is not what is compared: a URL is asked for without it.
    let script = format!(
        r#"curl() {{
  local words=() before=
  for word in "$@"; do
    case "$before" in
      -e | --referer) ;;
      *) case "$word" in https://*) word="http://${{word#https://}}" ;; esac ;;
    esac
    words+=("$word")
    before=$word
  done
  command curl -q -sS -o /dev/null --noproxy '*' --connect-to ::{} "${{words[@]}}"
}}
{}"#,
        server.address, case.bash
    );
    let before = server.seen().len();
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(dir).env("HOME", dir).envs(case.variables.iter().cloned());
    let output = command.output().map_err(|e| format!("bash: {e}"))?;
    match server.seen().get(before) {
        Some(seen) => Ok(shown(seen)),
        None => Err(format!("curl sent nothing: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// What differs between the versions and the builds of curl: the codings that it can decode, and the case of digits.
fn of_any_curl(case: &Case<'_>, text: &str) -> String {
    let is_kept =
        |line: &&str| !(case.bash.contains("--compressed") && line.starts_with("accept-encoding: deflate"));
    let text = text.split('\n').filter(is_kept).collect::<Vec<_>>().join("\n");
    if !case.bash.contains("--data-urlencode") {
        return text;
    }
    let mut pieces = text.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| match (piece.get(..2), piece.get(2..)) {
        (Some(digits), Some(rest)) => format!("{out}%{}{rest}", digits.to_ascii_uppercase()),
        _ => format!("{out}%{piece}"),
    })
}

#[test]
fn lines_are_sent_as_curl_sends_them() {
    let server = Server::start(|_| respond(200, "", ""));
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let has_curl = cfg!(unix) && Command::new("curl").arg("--version").output().is_ok();
    if !has_curl {
        eprintln!("left out: curl is not there, what it sends is taken from the cases");
    }
    let files = cases("curl", "txt");
    let mut problems = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("a case");
        let dir = tempfile::tempdir().expect("a folder");
        let parts = sections(&text);
        let case = read(&parts, dir.path());
        let mut sent = case.sent.to_owned();
        if has_curl {
            match by_curl(&server, dir.path(), &case) {
                Ok(truth) if is_update => {
                    sent = of_any_curl(&case, &truth);
                    if truth.contains("accept-encoding: deflate") {
                        sent = truth;
                    }
                    let head = text.split("--- sent\n").next().unwrap_or_default();
                    std::fs::write(path, format!("{head}--- sent\n{sent}\n")).expect("written");
                }
                Ok(truth) => {
                    let texts = [of_any_curl(&case, &sent), of_any_curl(&case, &truth)];
                    let found = differ(["the case", "curl    "], [&texts[0], &texts[1]]);
                    problems.extend(found.map(|found| format!("{}: curl\n{found}", name(path))));
                }
                Err(e) => problems.push(format!("{}: {e}", name(path))),
            }
        }
        let before = server.seen().len();
        let made = loadgen::import::curl(&case.line).map_err(|e| e.to_string());
        let done = made.and_then(|made| {
            send(&server, dir.path(), &made.text, &case.variables).map_err(|e| format!("{e}\n{}", made.text))
        });
        if let Err(e) = done {
            problems.push(format!("{}: {e}", name(path)));
            continue;
        }
        let got = server.seen().get(before).map(shown).unwrap_or_default();
        let found = differ(["sent    ", "imported"], [&sent, &got]);
        problems.extend(found.map(|found| format!("{}:\n{found}", name(path))));
    }
    settle(files.len(), 30, &problems);
}
