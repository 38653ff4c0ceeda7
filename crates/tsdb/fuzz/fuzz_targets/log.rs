//! A segment of a log, checksums and compression and all.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| assay_tsdb::fuzzing::log(data));
