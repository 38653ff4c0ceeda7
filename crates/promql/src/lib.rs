//! PromQL: lexer, parser, checker, printer and a columnar engine over [`assay_model::Queryable`]. No I/O.

pub mod ast;
pub mod value;

pub use ast::Expr;
pub use value::{Annotation, Annotations, InstantSample, QueryResult, QueryValue, RangeSeries, Severity};
