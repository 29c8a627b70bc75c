//! What comes of a call to the outside, of a model, a tool or an address: why it failed, and what it used.
//!
//! Agents and workflows both speak of calls, so this belongs to neither.

use crate::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a call has no answer, and what may help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallError {
    /// Stable: of models `model_…`, listed in `docs/definitions.md`; of other calls `http_…`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Trying the same call again, here, may help.
    pub retryable: bool,
    /// The delay that the provider asked for.
    pub retry_after: Option<Span>,
    /// Trying again would not help here, but may elsewhere: another model has its own account, limits and rules. Asked
    /// while the call is made and never after that, so it is not recorded.
    #[serde(skip)]
    pub elsewhere: bool,
    /// What came all the same: of an http call `{status, headers, body}`. Whoever records the failure says how.
    #[serde(skip)]
    pub details: Option<Box<Value>>,
}

/// A model that gave no answer, and which was asked in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fallback {
    /// The model that was asked, as the agent names it.
    pub model: String,
    /// Why it gave no answer: `model_quota`, `model_refused`, ….
    pub code: String,
    /// A sentence for people; of a long one the beginning.
    pub message: String,
    /// The model that was asked next. The one of the last fallback is the one that answered, or failed for good.
    pub next: String,
}

/// What came with the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spent {
    /// Nothing where no call was made.
    pub usage: Option<Usage>,
    pub fallbacks: Vec<Fallback>,
}

/// What calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// A provider did not say how many tokens it used: some of them are a guess.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// Calls whose model had a price when they were made; what the others cost is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priced: u64,
    /// What those cost, in millionths of a unit of the prices' currency.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
}

// === impl CallError ===

impl CallError {
    /// A failure that trying again does not cure. `code` is stable, `message` is a sentence for people.
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            retry_after: None,
            elsewhere: false,
            details: None,
        }
    }

    /// A failure that trying again may cure; when to try is for the policy to say.
    pub fn transient(code: &str, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::permanent(code, message) }
    }

    /// A failure that trying again does not cure here, but may elsewhere.
    pub fn elsewhere(code: &str, message: impl Into<String>) -> Self {
        Self { elsewhere: true, ..Self::permanent(code, message) }
    }

    /// Whether the call may have been performed although it failed: it went out, and no answer came back or was waited for.
    pub fn leaves_unknown(&self) -> bool {
        matches!(
            self.code.as_str(),
            "timeout" | "http_timeout" | "http_broken" | "model_timeout" | "agent_cancelled"
        )
    }
}

// === impl Fallback ===

impl Fallback {
    /// Characters of a message that are kept.
    const MESSAGE: usize = 300;
    /// How many of one attempt are believed.
    pub const LIMIT: usize = 32;

    /// Says that `next` was asked because `model` failed.
    pub fn new(model: &str, error: &CallError, next: &str) -> Self {
        let message = match error.message.char_indices().nth(Self::MESSAGE) {
            Some((at, _)) => format!("{}…", &error.message[..at]),
            None => error.message.clone(),
        };
        Self { model: model.to_owned(), code: error.code.clone(), message, next: next.to_owned() }
    }
}

// === impl Spent ===

impl From<Usage> for Spent {
    fn from(usage: Usage) -> Self {
        Self { usage: Some(usage), fallbacks: Vec::new() }
    }
}

// === impl Usage ===

impl Usage {
    /// More than anybody uses, and the last whole number that every reader of JSON reads as written.
    pub const LIMIT: u64 = 1 << 53;

    /// Whether every number is at most `LIMIT`.
    pub fn is_plausible(&self) -> bool {
        let all = [self.calls, self.prompt_tokens, self.completion_tokens, self.priced, self.cost];
        all.iter().all(|n| *n <= Self::LIMIT)
    }

    /// Takes what somebody outside says they used. A number that can't be counts as zero, and the sum is marked as an
    /// estimate.
    pub fn believed(self) -> Self {
        if self.is_plausible() {
            return self;
        }
        let known = |n: u64| if n <= Self::LIMIT { n } else { 0 };
        Self {
            calls: known(self.calls),
            prompt_tokens: known(self.prompt_tokens),
            completion_tokens: known(self.completion_tokens),
            estimated: true,
            priced: known(self.priced),
            cost: known(self.cost),
        }
    }

    /// Returns the tokens of prompts and completions together.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Returns what the calls cost whose price was known; nothing if that of none was. Where nothing was called that is 0.
    pub fn known_cost(&self) -> Option<u64> {
        (self.priced > 0 || self.calls == 0).then_some(self.cost)
    }

    /// Returns how many calls are not in the cost.
    pub fn unpriced(&self) -> u64 {
        self.calls.saturating_sub(self.priced)
    }
}

/// Whether a number is left out of what is recorded.
pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        // The sums saturate: one that wrapped would open the budget again.
        self.calls = self.calls.saturating_add(other.calls);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.estimated = self.estimated || other.estimated;
        self.priced = self.priced.saturating_add(other.priced);
        self.cost = self.cost.saturating_add(other.cost);
    }
}
