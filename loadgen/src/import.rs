//! Scenarios made of what others have written: an OpenAPI document, a HAR file, a curl command.
//!
//! What comes out is a scenario's text, for a person to continue with. Invariant: it is valid, and no secret of
//! the input is in it: what looks like one is read from the environment when the load runs.

mod curl;
mod draft;
mod har;
mod json;
mod openapi;
mod secrets;
mod shell;
mod write;
mod written;

use crate::scenario::Scenario;

/// A scenario that was made.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The scenario's text.
    pub text: String,
    /// Environment variables that stand for secrets of the input.
    pub variables: Vec<String>,
    /// What was left out, what was replaced, and what is to be looked at.
    pub notes: Vec<String>,
}

/// Why nothing was made: one line for each problem, `file:line:col: what, and what would be right`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(pub(crate) String);

/// A scenario of an OpenAPI 3 document, in YAML or JSON; `file` names it in messages.
///
/// # Errors
/// Where it is no such document.
pub fn openapi(file: &str, text: &str) -> Result<Imported, ImportError> {
    openapi::draft(file, text).and_then(finish)
}

/// A scenario of the requests that a browser noted in a HAR file, with their pauses.
///
/// # Errors
/// Where it is no HAR file, or has no request that can be repeated.
pub fn har(file: &str, text: &str) -> Result<Imported, ImportError> {
    har::draft(file, text, false).and_then(finish)
}

/// The same, with the requests to other origins than that of the first.
///
/// # Errors
/// As [`har()`].
pub fn har_of_all_origins(file: &str, text: &str) -> Result<Imported, ImportError> {
    har::draft(file, text, true).and_then(finish)
}

/// A scenario of one curl command, as it is in a shell.
///
/// # Errors
/// Where it is no curl command, or has an option that a scenario cannot have.
pub fn curl(command: &str) -> Result<Imported, ImportError> {
    let words = curl::words::split(command).map_err(ImportError)?;
    curl::draft(&words).and_then(finish)
}

/// The same, of words that a shell has split already.
///
/// # Errors
/// As [`curl()`].
pub fn curl_words(words: &[String]) -> Result<Imported, ImportError> {
    let words: Vec<_> = words.iter().map(|w| curl::words::Word { text: w.clone(), at: None }).collect();
    curl::draft(&words).and_then(finish)
}

fn finish(mut draft: draft::Draft) -> Result<Imported, ImportError> {
    draft.leave_out_what_cannot_be();
    let written = write::scenario(&draft);
    let text = draft.secrets.swept(written.clone());
    // What a user gets is what the loader takes, whatever the input was.
    // Files that it reads need not be where it is made.
    let files: Vec<(&str, &str)> = draft.files().into_iter().map(|name| (name, "")).collect();
    let load = |text: &str| Scenario::from_text("the scenario", text, &files);
    load(&text).map_err(|e| match load(&written) {
        Ok(_) => ImportError(
            "what looks like a secret also stands in the target or in a name, from which it cannot be taken; change it there".to_owned(),
        ),
        Err(_) => ImportError(e.to_string()),
    })?;
    let mut notes = draft.notes;
    notes.extend(draft.target.as_deref().and_then(public));
    notes.extend(draft.secrets.notes());
    Ok(Imported { text, variables: draft.secrets.variables(), notes })
}

/// A note where a target is not of this machine or a private network, by its name.
fn public(target: &str) -> Option<String> {
    let url = url::Url::parse(target).ok()?;
    let is_own = match url.host()? {
        url::Host::Domain(name) => {
            !name.contains('.')
                || [
                    ".localhost",
                    ".local",
                    ".internal",
                    ".test",
                    ".example",
                    ".invalid",
                    ".lan",
                    ".home.arpa",
                ]
                .iter()
                .any(|own| name.ends_with(own))
        }
        url::Host::Ipv4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_documentation()
        }
        url::Host::Ipv6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    (!is_own).then(|| {
        format!("the target {target} is public: load it only if it is yours, or send the load elsewhere with --target")
    })
}

#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
