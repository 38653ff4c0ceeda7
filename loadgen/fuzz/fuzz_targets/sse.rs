#![no_main]
//! An event stream has the same events however its bytes are cut; the first byte says where.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| loadgen::fuzzing::event_stream(bytes));
