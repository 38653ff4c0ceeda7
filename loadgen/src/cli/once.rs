//! `loadgen run --once`: one iteration, looked at. Invariant: what is shown has no secret in it and steers no terminal.

use std::fmt::Write as _;

use assay_text::{Page, console};
use loadgen::{Checked, Exchange, RunError};

use super::exit;

/// Does one iteration and says how it went; 1 if it failed.
pub(super) async fn once(checked: Checked, verbose: bool) -> Result<u8, RunError> {
    let show = move |exchange: &Exchange| {
        let mut page = Page::new();
        page.lines(if verbose { whole(exchange) } else { line(exchange) });
        if let Err(e) = console::print(&page.into_text()) {
            console::say(format_args!("loadgen: {e}"));
        }
    };
    match checked.once(show).await? {
        None => Ok(exit::DONE),
        Some(failure) => {
            console::say(format_args!("loadgen: the iteration failed: {failure}"));
            Ok(exit::FAILED)
        }
    }
}

/// An exchange in a line.
fn line(exchange: &Exchange) -> String {
    let status = exchange.status.map_or("no response".to_owned(), |status| status.to_string());
    let ms = exchange.duration.as_secs_f64() * 1e3;
    let problem = exchange.error.as_ref().map(|e| format!(" FAILED: {e}")).unwrap_or_default();
    format!("{}: {} → {status} in {ms:.1} ms{problem}", exchange.step, exchange.request)
}

/// All of an exchange.
fn whole(exchange: &Exchange) -> String {
    let mut out = line(exchange) + "\n";
    part(&mut out, '>', &exchange.request_headers, &exchange.request_body);
    part(&mut out, '<', &exchange.headers, &exchange.body);
    for (at, data) in &exchange.events {
        let _ = writeln!(out, "  < {:.1} ms: {data}", at.as_secs_f64() * 1e3);
    }
    if exchange.events_left_out > 0 {
        let _ = writeln!(out, "  < and {} events more", exchange.events_left_out);
    }
    for (name, passed, found) in &exchange.checks {
        let _ = match passed {
            true => writeln!(out, "  check passed: {name}"),
            false => writeln!(out, "  check FAILED: {name}; found {found}"),
        };
    }
    for (name, value) in &exchange.captures {
        let _ = match value {
            Some(value) => writeln!(out, "  captured {name} = {value}"),
            None => writeln!(out, "  captured nothing as {name}"),
        };
    }
    out
}

fn part(out: &mut String, mark: char, headers: &[(String, String)], body: &str) {
    for (name, value) in headers {
        let _ = writeln!(out, "  {mark} {name}: {value}");
    }
    for line in body.lines() {
        let _ = writeln!(out, "  {mark} {line}");
    }
}
