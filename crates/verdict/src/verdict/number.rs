//! Numbers in JSON. Invariant: a finite number is a JSON number, any other is the text that Prometheus writes.

/// A number.
pub(crate) mod plain {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            value.serialize(s)
        } else {
            assay_model::number::format_f(*value).serialize(s)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(d)? {
            Either::Number(n) => Ok(n),
            Either::Text(t) => t.parse().map_err(|_| {
                serde::de::Error::custom(format!(
                    "expected a number, \"NaN\", \"+Inf\" or \"-Inf\", found {t:?}"
                ))
            }),
        }
    }
}

/// A number or nothing.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Plain(#[serde(with = "super::plain")] f64);

    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
        value.map(Plain).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Plain>::deserialize(d)?.map(|p| p.0))
    }
}
