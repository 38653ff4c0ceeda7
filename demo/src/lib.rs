//! The reference service under test, and the whole loop in one process.

pub mod service;
