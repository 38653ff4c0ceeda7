//! Maps that keep the order in which they were written, for what people read. Invariant: what is not known is left out.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

/// Keys and values in order.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<(&'static str, Item)>);

/// A value, or more fields.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    Value(Value),
    Fields(Fields),
    List(Vec<Fields>),
}

impl Fields {
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Item>) -> Self {
        let item = value.into();
        let is_unknown = match &item {
            Item::Value(value) => value.is_null() || value.as_str() == Some(""),
            Item::Fields(fields) => fields.0.is_empty(),
            Item::List(_) => false,
        };
        if !is_unknown {
            self.0.push((key, item));
        }
        self
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, item) in &self.0 {
            map.serialize_entry(key, item)?;
        }
        map.end()
    }
}

macro_rules! from_values {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Item {
            fn from(value: $kind) -> Self {
                Self::Value(value.into())
            }
        }
    )*};
}

from_values!(Value, String, &str, f64, usize, Option<String>, Option<f64>, Vec<String>);

impl From<Fields> for Item {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

impl From<Vec<Fields>> for Item {
    fn from(list: Vec<Fields>) -> Self {
        Self::List(list)
    }
}
