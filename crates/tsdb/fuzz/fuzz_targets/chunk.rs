//! A chunk of any encoding: the first byte is the encoding, the rest the data.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| assay_tsdb::fuzzing::chunk(data));
