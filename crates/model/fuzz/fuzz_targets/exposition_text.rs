//! Any bytes as text of either dialect: no panic, neither in reading nor in writing what was read.
#![no_main]

use assay_model::expo::{Dialect, Format, parse_families, read_scrape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (format, dialect) in [(Format::Text, Dialect::Text), (Format::OpenMetrics, Dialect::OpenMetrics)] {
        let _ = read_scrape(format, bytes);
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let Ok(families) = parse_families(text, dialect) else { continue };
        for other in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            other.encode(&families);
        }
    }
});
