//! What a refusal teaches: which part of a request the endpoint does not know, by what it says about it.
//!
//! A refused request costs nothing, so it is changed and sent again at once. What helped is remembered until the
//! process ends. What the settings say is not changed.

use super::{
    super::abilities::{Abilities, Dialect, Instructions, Structured, TokenLimit},
    refusal::Refusal,
    wire::Sent,
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long no stream is asked for after one that could not be read.
const DISTRUST: Duration = Duration::from_secs(60);

/// So many streams one after the other that can't be read are the endpoint's way, and no accident.
pub(super) const UNREAD: u32 = 2;

/// What was found out about a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Learnt {
    pub abilities: Abilities,
    pub dropped: BTreeSet<String>,
    /// Its last streams could not be read: how many, and when.
    pub unread: (u32, Option<Instant>),
}

/// What is to be done otherwise.
#[derive(Debug)]
pub(super) struct Change {
    pub abilities: Abilities,
    pub dropped: BTreeSet<String>,
    /// What is not sent any more, for the log.
    pub what: &'static str,
    /// The refusal does not name it: it is a guess.
    pub is_guess: bool,
    /// It is not the model, but this one request: nothing is to be remembered.
    pub once: bool,
}

impl Learnt {
    pub fn add(&mut self, change: &Change) {
        self.abilities = self.abilities.under(&change.abilities);
        self.dropped.extend(change.dropped.iter().cloned());
    }

    pub fn trusts_streams(&self) -> bool {
        let (times, last) = self.unread;
        times < UNREAD || last.is_none_or(|at| at.elapsed() > DISTRUST)
    }
}

/// Returns what to change after a refusal, if anything may help.
pub(super) fn change(now: &Dialect, fixed: &Abilities, sent: &Sent, refusal: &Refusal) -> Option<Change> {
    let says = |words: &[&str]| words.iter().any(|word| refusal.text.contains(word));
    let change =
        |what, abilities| Change { abilities, dropped: BTreeSet::new(), what, is_guess: false, once: false };
    if refusal.is_of_stream() {
        let plain = Abilities { stream: Some(false), ..Abilities::default() };
        return (sent.stream && fixed.stream.is_none()).then(|| change("stream", plain));
    }
    if !refusal.is_of_request() {
        return None;
    }
    let unknown = says(&UNKNOWN);
    let named: BTreeSet<String> =
        sent.extras.iter().filter(|name| says(&[&name.to_ascii_lowercase()])).cloned().collect();
    if !named.is_empty() && fixed.send_back.is_none() {
        return Some(Change { dropped: named, ..change("fields of its answers", Abilities::default()) });
    }
    if sent.stream
        && now.stream_usage
        && fixed.stream_usage.is_none()
        && says(&["stream_options", "include_usage"])
    {
        let abilities = Abilities { stream_usage: Some(false), ..Abilities::default() };
        return Some(change("stream_options", abilities));
    }
    if sent.format && says(&FORMAT) {
        if sent.tools && fixed.structured_with_tools.is_none() && says(&["tool", "function call"]) {
            let abilities = Abilities { structured_with_tools: Some(false), ..Abilities::default() };
            return Some(change("response_format beside tools", abilities));
        }
        if let Some(lower) = lower(now, fixed) {
            let once = says(&["invalid schema", "invalid_json_schema"]);
            return Some(Change { once, ..change("response_format", lower) });
        }
    }
    if sent.limit && unknown && fixed.token_limit.is_none() && says(&["max_tokens", "max_completion_tokens"])
    {
        let limit = match now.token_limit {
            TokenLimit::MaxTokens => TokenLimit::MaxCompletionTokens,
            TokenLimit::MaxCompletionTokens | TokenLimit::None => TokenLimit::MaxTokens,
        };
        if limit != sent.first_limit {
            let abilities = Abilities { token_limit: Some(limit), ..Abilities::default() };
            return Some(change("the token limit's name", abilities));
        }
    }
    if sent.temperature && unknown && fixed.temperature.is_none() && says(&["temperature"]) {
        let abilities = Abilities { temperature: Some(false), ..Abilities::default() };
        return Some(change("temperature", abilities));
    }
    if sent.instructions
        && fixed.instructions.is_none()
        && says(&["role", "system", "developer"])
        && (unknown || says(&["one of"]))
    {
        let instructions = match now.instructions {
            Instructions::System => Some(Instructions::User),
            Instructions::Developer => Some(Instructions::System),
            Instructions::User => None,
        };
        if instructions.is_some() {
            let abilities = Abilities { instructions, ..Abilities::default() };
            return Some(change("the role of the instructions", abilities));
        }
    }
    // It does not say what it does not like. What is best effort goes first, what can be said otherwise then.
    if sent.stream && fixed.stream.is_none() {
        let abilities = Abilities { stream: Some(false), ..Abilities::default() };
        return Some(Change { is_guess: !says(&["stream"]), ..change("stream", abilities) });
    }
    if sent.format && fixed.structured.is_none() {
        let abilities = Abilities { structured: Some(Structured::Prompt), ..Abilities::default() };
        return Some(Change { is_guess: true, ..change("response_format", abilities) });
    }
    None
}

/// The next way to hold an answer to its schema.
fn lower(now: &Dialect, fixed: &Abilities) -> Option<Abilities> {
    if fixed.structured.is_some() {
        return None;
    }
    let next = match now.structured {
        Structured::JsonSchema => Structured::JsonObject,
        Structured::JsonObject => Structured::Prompt,
        Structured::Prompt => return None,
    };
    Some(Abilities { structured: Some(next), ..Abilities::default() })
}

/// Words by which endpoints refuse a field, and not its value.
const UNKNOWN: [&str; 15] = [
    "unsupported",
    "not support",
    "n't support",
    "unrecognized",
    "unknown",
    "unexpected",
    "extra",
    "not permitted",
    "not allowed",
    "not enabled",
    "not available",
    "unavailable",
    "deprecated",
    "instead",
    "only supports",
];
const FORMAT: [&str; 12] = [
    "response_format",
    "response format",
    "responseformat",
    "json_schema",
    "json schema",
    "json_object",
    "json mode",
    "structured output",
    "response_schema",
    "response schema",
    "response mime type",
    "guided",
];
