//! PromQL: lexer, parser, checker, printer and a columnar engine over [`assay_model::Queryable`]. No I/O.

pub mod ast;
mod check;
pub mod engine;
mod error;
mod lexer;
mod parser;
mod pretty;
mod printer;
pub mod promqltest;
pub mod value;

pub use ast::Expr;
pub use engine::{Engine, EngineOptions, EvalError, Limits, Memory, RangeQuery, Reserved};
pub use error::{ParseError, ParseErrors, line_and_column};
pub use parser::{ParseOptions, parse, parse_selector, parse_with};
pub use pretty::pretty;
pub use value::{Annotation, Annotations, InstantSample, QueryResult, QueryValue, RangeSeries, Severity};
