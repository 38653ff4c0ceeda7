//! YAML input with positions: the one way in for every file that a user writes by hand.
//!
//! [`Document::parse`] gives a tree in which every node knows its line and column. A [`Cx`] reads values out
//! of it and collects every problem as `file:line:col: what, and what would be right`, so that a user sees
//! all of them at once; unknown keys name the nearest known one.
//!
//! Invariant: nothing here stops at the first error of a document that scans, and an alias can't blow the
//! tree up (see [`MAX_NODES`]).
//!
//! ```
//! use assay_yaml::{Cx, Document};
//!
//! let doc = Document::parse("a.yml", "naem: x\nsize: many\n").expect("scans");
//! let mut cx = Cx::new(&doc);
//! if let Some(mut map) = cx.map(doc.root(), "an example") {
//!     let _name = map.get("name");
//!     let _size = map.get("size").and_then(|n| cx.integer::<u32>(n));
//!     map.finish(&mut cx);
//! }
//! let problems = cx.finish().expect_err("two problems");
//! assert_eq!(
//!     problems.to_string(),
//!     "a.yml:1:1: unknown key \"naem\" in an example; did you mean \"name\"?\n\
//!      a.yml:2:7: expected a whole number, found \"many\""
//! );
//! ```

pub mod block;
mod cx;
mod diagnostics;
mod node;
mod parse;
mod scalar_map;
pub mod shape;

pub use cx::{Cx, MapReader, nearest};
pub use diagnostics::{Diagnostic, Diagnostics, Position};
pub use node::{Kind, Node, Style};
pub use parse::{Document, MAX_NODES};
