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

impl Change {
    fn of(what: &'static str, abilities: Abilities) -> Self {
        Self { abilities, dropped: BTreeSet::new(), what, is_guess: false, once: false }
    }
}

/// Returns what to change after a refusal, if anything may help.
pub(super) fn change(now: &Dialect, fixed: &Abilities, sent: &Sent, refusal: &Refusal) -> Option<Change> {
    let refused = Refused { now, fixed, sent, text: &refusal.text };
    if refusal.is_of_stream() {
        return refused.stream();
    }
    if !refusal.is_of_request() {
        return None;
    }
    refused
        .extras()
        .or_else(|| refused.stream_usage())
        .or_else(|| refused.format())
        .or_else(|| refused.limit())
        .or_else(|| refused.temperature())
        .or_else(|| refused.instructions())
        // It does not say what it does not like. What is best effort goes first, what can be said otherwise then.
        .or_else(|| {
            let change = refused.stream()?;
            Some(Change { is_guess: !refused.says(&["stream"]), ..change })
        })
        .or_else(|| refused.any_format())
}

/// A request that was refused. Each function has one thing that may be done otherwise, if the settings leave it open.
struct Refused<'a> {
    now: &'a Dialect,
    fixed: &'a Abilities,
    sent: &'a Sent,
    /// What the endpoint says, in lower case.
    text: &'a str,
}

impl Refused<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }

    fn stream(&self) -> Option<Change> {
        let plain = Abilities { stream: Some(false), ..Abilities::default() };
        (self.sent.stream && self.fixed.stream.is_none()).then(|| Change::of("stream", plain))
    }

    fn extras(&self) -> Option<Change> {
        let is_named = |name: &&String| self.says(&[&name.to_ascii_lowercase()]);
        let dropped: BTreeSet<String> = self.sent.extras.iter().filter(is_named).cloned().collect();
        (!dropped.is_empty() && self.fixed.send_back.is_none())
            .then(|| Change { dropped, ..Change::of("fields of its answers", Abilities::default()) })
    }

    fn stream_usage(&self) -> Option<Change> {
        let abilities = Abilities { stream_usage: Some(false), ..Abilities::default() };
        (self.sent.stream
            && self.now.stream_usage
            && self.fixed.stream_usage.is_none()
            && self.says(&["stream_options", "include_usage"]))
        .then(|| Change::of("stream_options", abilities))
    }

    fn format(&self) -> Option<Change> {
        if !(self.sent.format && self.says(&FORMAT)) {
            return None;
        }
        let with_tools = self.sent.tools && self.fixed.structured_with_tools.is_none();
        if with_tools && self.says(&["tool", "function call"]) {
            let abilities = Abilities { structured_with_tools: Some(false), ..Abilities::default() };
            return Some(Change::of("response_format beside tools", abilities));
        }
        let once = self.says(&["invalid schema", "invalid_json_schema"]);
        Some(Change { once, ..Change::of("response_format", lower(self.now, self.fixed)?) })
    }

    fn limit(&self) -> Option<Change> {
        let is_open = self.sent.limit && self.fixed.token_limit.is_none();
        if !(is_open && self.is_unknown() && self.says(&["max_tokens", "max_completion_tokens"])) {
            return None;
        }
        let limit = match self.now.token_limit {
            TokenLimit::MaxTokens => TokenLimit::MaxCompletionTokens,
            TokenLimit::MaxCompletionTokens | TokenLimit::None => TokenLimit::MaxTokens,
        };
        let abilities = Abilities { token_limit: Some(limit), ..Abilities::default() };
        (limit != self.sent.first_limit).then(|| Change::of("the token limit's name", abilities))
    }

    fn temperature(&self) -> Option<Change> {
        let abilities = Abilities { temperature: Some(false), ..Abilities::default() };
        (self.sent.temperature
            && self.fixed.temperature.is_none()
            && self.is_unknown()
            && self.says(&["temperature"]))
        .then(|| Change::of("temperature", abilities))
    }

    fn instructions(&self) -> Option<Change> {
        let is_open = self.sent.instructions && self.fixed.instructions.is_none();
        let is_meant =
            self.says(&["role", "system", "developer"]) && (self.is_unknown() || self.says(&["one of"]));
        if !(is_open && is_meant) {
            return None;
        }
        let instructions = match self.now.instructions {
            Instructions::System => Instructions::User,
            Instructions::Developer => Instructions::System,
            Instructions::User => return None,
        };
        let abilities = Abilities { instructions: Some(instructions), ..Abilities::default() };
        Some(Change::of("the role of the instructions", abilities))
    }

    fn any_format(&self) -> Option<Change> {
        let abilities = Abilities { structured: Some(Structured::Prompt), ..Abilities::default() };
        (self.sent.format && self.fixed.structured.is_none())
            .then(|| Change { is_guess: true, ..Change::of("response_format", abilities) })
    }

    fn is_unknown(&self) -> bool {
        self.says(&UNKNOWN)
    }
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
