//! Who exports: the resource and the scope. Invariant: metrics and traces of a run have the same ones.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn resource(instance: &str) -> Resource {
    let pairs =
        [("service.name", "loadgen"), ("service.instance.id", instance), ("service.version", VERSION)];
    Resource { attributes: pairs.iter().map(|(k, v)| text(k, v)).collect(), ..Resource::default() }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "loadgen".to_owned(),
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
