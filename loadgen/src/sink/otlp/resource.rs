//! Who exports: the resource and the scope. Invariant: metrics and traces of a run have the same ones.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
};

use crate::measure::names::{self, EXPORTER, VERSION};

pub(super) fn resource(instance: &str) -> Resource {
    let attributes = names::resource(instance).map(|(key, value)| text(key, value)).into();
    Resource { attributes, ..Resource::default() }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: EXPORTER.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute that is a text.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.to_owned()))
}

/// An attribute that is a number.
pub(super) fn number(key: &str, value: i64) -> KeyValue {
    pair(key, any_value::Value::IntValue(value))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
