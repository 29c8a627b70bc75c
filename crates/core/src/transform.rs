//! Pure data change: map, filter, reduce.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads `source`, writes `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A dotted path into the targets so far, else into the node's data; `"."` is the data itself.
    pub source: String,
    pub target: String,
    #[serde(flatten)]
    #[schemars(flatten)]
    pub change: Change,
}

/// What a rule does with its source. An unknown type is an error, never passed through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case")]
pub enum Change {
    /// `value` for each `item`.
    Map { value: String },
    /// The items for which `if` holds.
    Filter { r#if: String },
    /// `value` over `acc` and `item`, starting from `initial`.
    Reduce { initial: Value, value: String },
}
