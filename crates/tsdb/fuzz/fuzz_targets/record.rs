//! A record of a log, behind its checksum.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| assay_tsdb::fuzzing::record(data));
