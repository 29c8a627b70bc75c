//! What calls used, as people see it: what they cost is said, or that it is not known.

use crate::call::{Usage, is_zero};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Usage")]
pub struct UsageView {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// A provider did not say how many tokens it used: some of them are a guess.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// In millionths of a unit of the currency that the server's prices are in; null where no call's model had a price.
    #[serde(default)]
    pub cost: Option<u64>,
    /// Calls that are not in the cost: their models had no price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_calls: u64,
}

// === impl UsageView ===

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            calls: usage.calls,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            estimated: usage.estimated,
            cost: usage.known_cost(),
            unpriced_calls: usage.unpriced(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(usage: Usage) -> String {
        serde_json::to_string(&UsageView::from(usage)).expect("JSON")
    }

    #[test]
    fn a_cost_that_is_not_known_is_no_zero() {
        let calls = Usage { calls: 2, prompt_tokens: 3, ..Usage::default() };
        assert_eq!(
            shown(calls),
            r#"{"calls":2,"prompt_tokens":3,"completion_tokens":0,"cost":null,"unpriced_calls":2}"#
        );
        let some = Usage { priced: 1, cost: 7, ..calls };
        assert_eq!(
            shown(some),
            r#"{"calls":2,"prompt_tokens":3,"completion_tokens":0,"cost":7,"unpriced_calls":1}"#
        );
        let free = Usage { priced: 2, cost: 0, ..calls };
        assert_eq!(shown(free), r#"{"calls":2,"prompt_tokens":3,"completion_tokens":0,"cost":0}"#);
        assert_eq!(
            shown(Usage::default()),
            r#"{"calls":0,"prompt_tokens":0,"completion_tokens":0,"cost":0}"#
        );
    }
}
