//! A block's index: everything that a query would read of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| assay_tsdb::fuzzing::index(data));
