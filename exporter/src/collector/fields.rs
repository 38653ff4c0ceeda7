//! Fields of the kernel's long tables, of which a pattern selects a few.
//!
//! Invariant: a field's name is held to the pattern once; the kernel's names are few and stay.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use crate::{Families, Filter};

/// Names remembered at most. No kernel has a tenth of them.
const MOST: usize = 8192;

/// The fields that are shown, as metrics without a type.
pub(super) struct Fields {
    shown: Filter,
    known: Mutex<HashMap<String, Option<Metric>>>,
}

struct Metric {
    name: String,
    help: String,
}

impl Fields {
    pub(super) fn new(shown: Filter) -> Self {
        Self { shown, known: Mutex::default() }
    }

    /// Shows what `value` gives for the field `key`, where the pattern selects it; `describe` gives the metric's name and
    /// help.
    pub(super) fn show<E>(
        &self,
        out: &mut Families,
        key: &str,
        describe: impl FnOnce() -> (String, String),
        value: impl FnOnce() -> Result<f64, E>,
    ) -> Result<(), E> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        let metric = known.entry_ref(key).or_insert_with(|| {
            self.shown.allows(key).then(describe).map(|(name, help)| Metric { name, help })
        });
        if let Some(Metric { name, help }) = metric {
            out.untyped(name, help, &[], value()?);
        }
        Ok(())
    }
}
