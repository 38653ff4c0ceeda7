#![no_main]
//! A rule file is read or refused with positions inside it, and whatever is read can be checked.

use assay_rules::{
    file::RuleFiles,
    lint::{CheckOptions, check},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(files) = RuleFiles::parse("rules.yml", text) {
        let _ = check(&files, &CheckOptions::default());
    }
});
