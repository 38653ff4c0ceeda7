//! Text that leaves for people: terminals, logs, Markdown, pages, files that are attached to tickets.
//!
//! What a program prints holds much that it did not write: label values, annotations, names, a server's words. The writers
//! of each kind go through here: [`Page`] and [`Clean`] for terminals and messages, [`document`] for whole files of any
//! kind, [`markdown`] and [`code`] for Markdown, and the module `console` for standard output, standard error and the log.
//! [`secret`] finds secrets, and all of the above take those in URLs out.
//!
//! Invariant: what comes out holds no control character but the line ends and tabs of the writer's own layout, nothing
//! that changes the direction of text, no command of a CI system, and no credentials of a URL.

#[cfg(feature = "console")]
pub mod console;
mod escape;
mod page;
pub mod secret;

pub use self::{
    escape::{Clean, code, document, is_hidden, markdown},
    page::Page,
};

/// A number and the thing that it counts, whose plural has an s: `1 request`, `2 requests`.
#[must_use]
pub fn counted(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}
