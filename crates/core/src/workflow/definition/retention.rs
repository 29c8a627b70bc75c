//! How long the state of an ended run is kept, by how it ended. One duration stands for all three.

use crate::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

/// The longest retention, 90 days. Values in the state store expire after that even if nothing deletes them, so a
/// state that is kept longer would name values that are gone.
pub const RETENTION_LIMIT: Span = Span::secs(90 * 24 * 3600);

/// How long an ended run is kept, by how it ended. What is `None` falls back: from the definition to the server's
/// setting, and from there to `USUAL`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Span>,
}

/// The long form, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct ByStatus {
    completed: Option<Span>,
    failed: Option<Span>,
    cancelled: Option<Span>,
}

// === impl Retention ===

impl Retention {
    /// The built-in default: a day, and a week for a failed run, which people look at and rerun.
    pub const USUAL: Retention = Retention {
        completed: Some(Span::secs(24 * 3600)),
        failed: Some(Span::secs(7 * 24 * 3600)),
        cancelled: Some(Span::secs(24 * 3600)),
    };

    /// The same span for every ending.
    pub fn all(span: Span) -> Self {
        Self { completed: Some(span), failed: Some(span), cancelled: Some(span) }
    }

    /// Fills what is `None` here from `other`.
    #[must_use]
    pub fn or(self, other: Retention) -> Self {
        Self {
            completed: self.completed.or(other.completed),
            failed: self.failed.or(other.failed),
            cancelled: self.cancelled.or(other.cancelled),
        }
    }

    /// Returns the names of the spans above `RETENTION_LIMIT`.
    pub fn too_long(&self) -> Vec<&'static str> {
        let each = [("completed", self.completed), ("failed", self.failed), ("cancelled", self.cancelled)];
        each.into_iter().filter(|(_, span)| *span > Some(RETENTION_LIMIT)).map(|(name, _)| name).collect()
    }
}

// This is no untagged enum, because serde would then only say that no variant matched.
impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Retention;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration, or durations for completed, failed and cancelled")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Retention, E> {
                Span::deserialize(de::value::StrDeserializer::new(text)).map(Retention::all)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Retention, A::Error> {
                let ByStatus { completed, failed, cancelled } =
                    ByStatus::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Retention { completed, failed, cancelled })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Retention {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (one, each) = (generator.subschema_for::<Span>(), ByStatus::json_schema(generator));
        schemars::json_schema!({
            "description": "How long the state of an ended run is kept: one duration, or one for each way to end.",
            "oneOf": [one, each]
        })
    }
}
