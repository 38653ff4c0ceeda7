//! OpenAPI documents: what each operation sends, as the file of the same name that ends in `.sent` says; one that has
//! `error: …` in it is refused with these words. `file NAME=text` is a file that the user has put there.

use super::{cases, differ, name, sections, send, settle, shown, variables};
use crate::server::{Server, respond};

/// A choice as a flow that does each of its operations once, whatever the server answers.
fn one_by_one(scenario: &str) -> String {
    let is_of_the_choice =
        |line: &str| line == "  - one_of:" || line == "      - weight: 1" || line == "        flow:";
    let is_about_the_answer =
        |line: &str| line.trim_start().starts_with("check: ") || line.trim() == "stream: sse";
    let kept = scenario.lines().filter(|line| !is_of_the_choice(line) && !is_about_the_answer(line));
    kept.map(|line| line.strip_prefix("        ").unwrap_or(line).to_owned() + "\n").collect()
}

#[test]
fn operations_send_what_their_document_says() {
    let files = cases("openapi", "sent");
    let mut problems = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).expect("a case");
        let parts = sections(&text);
        let (head, wanted) = parts.split_first().expect("a head");
        let dir = tempfile::tempdir().expect("a folder");
        for (file, content) in head.1.lines().filter_map(|line| line.strip_prefix("file ")?.split_once('=')) {
            std::fs::write(dir.path().join(file), content).expect("a file");
        }
        let document = ["yml", "json"].map(|end| path.with_extension(end));
        let document = document.iter().find(|path| path.is_file()).expect("a document");
        let source = std::fs::read_to_string(document).expect("a document");
        let made = loadgen::import::openapi(&name(document), &source).map_err(|e| e.to_string());
        if let Some(error) = head.1.lines().find_map(|line| line.strip_prefix("error: ")) {
            match made {
                Err(e) if e == error => {}
                Err(e) => problems.push(format!("{}: {e}", name(path))),
                Ok(made) => problems.push(format!("{}: not refused\n{}", name(path), made.text)),
            }
            continue;
        }
        let server = Server::start(|_| respond(200, "", ""));
        let is_choice = wanted.len() > 1;
        let done = made.and_then(|made| {
            let scenario = if is_choice { one_by_one(&made.text) } else { made.text.clone() };
            send(&server, dir.path(), &scenario, &variables(&head.1))
                .map_err(|e| format!("{e}\n{}", made.text))
        });
        let got: Vec<String> = server.seen().iter().map(shown).collect();
        let mut own: Vec<String> = done.err().into_iter().collect();
        if got.len() != wanted.len() {
            own.push(format!("{} of {} operations", got.len(), wanted.len()));
        }
        let pairs = wanted.iter().zip(&got);
        own.extend(pairs.filter_map(|((operation, want), got)| {
            Some(format!("  {operation}\n{}", differ(["document", "imported"], [want, got])?))
        }));
        problems.extend((!own.is_empty()).then(|| format!("{}:\n{}", name(path), own.join("\n"))));
    }
    settle(files.len(), 10, &problems);
}
