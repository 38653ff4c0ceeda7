//! Any bytes as protobuf: no panic, memory in proportion to the input, and what decodes survives the round trip.
#![no_main]

use assay_model::expo::{Format, protobuf, read_scrape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_scrape(Format::Protobuf, bytes);
    if let Ok(families) = protobuf::decode(bytes) {
        protobuf::decode(&protobuf::encode(&families)).expect("what we encode, we decode");
    }
});
