//! An agent at work: the actor of one step's task, of a part of it that was delegated, or of a caller outside.

use super::{NoId, RunId, checked, is_word, text};
use crate::Hash;
use std::{cmp::Ordering, str::FromStr, sync::Arc};

/// The id of an agent's actor: the text of a run, for a caller outside any name that a run could have; behind it, after
/// a dot each, what the run knows the agent by. At most 256 bytes. A clone is cheap.
#[derive(Clone)]
pub struct AgentId {
    text: Arc<str>,
    home: RunId,
}

/// The longest id, in bytes.
const LONGEST: usize = 256;
/// So much of it is left for what an agent delegates: `.sub.` and a hash.
const PART: usize = 5 + 32;

const FORM: NoId =
    NoId { what: "an agent's id", form: "a run's id and words after dots, 256 bytes long at most" };

text!(AgentId);
checked!(AgentId);

// === impl AgentId ===

impl AgentId {
    /// Returns the id of the agent that works on a node of a run, by its generation and its path of iterations.
    pub fn of_step(run: &RunId, node: &str, generation: u32, iteration: &str) -> Self {
        let of = |iteration: &str| format!("{run}.{node}.{generation}.{iteration}");
        let mut text = of(if iteration.is_empty() { "_" } else { iteration });
        if text.len() > LONGEST - PART {
            // A long path of iterations gives way to its hash. It never did in `default`, whose ids stay as they were:
            // there a path this long goes beyond every bound of a plan.
            text = of(&format!("h{}", Hash::of(iteration.as_bytes())));
        }
        Self { text: text.into(), home: run.clone() }
    }

    /// Returns the id of the agent that performs what this one delegates by a call. Whatever the depth, ids stay short.
    pub fn delegate(&self, attempt: u32, iteration: u32, call: &str) -> Self {
        let (attempt, iteration) = (attempt.to_le_bytes(), iteration.to_le_bytes());
        let hash = Hash::chain(&[self.as_str().as_bytes(), &attempt, &iteration, call.as_bytes()]);
        // Iterations are numbers, so no step's agent has such an end.
        let own = self.text.rsplit_once('.').and_then(|(rest, _)| rest.strip_suffix(".sub"));
        let text = format!("{}.sub.{hash}", own.unwrap_or(&self.text));
        Self { text: text.into(), home: self.home.clone() }
    }

    /// Returns the run whose keys this agent's own values stand under: for an agent of a run, that run.
    pub fn home(&self) -> &RunId {
        &self.home
    }

    /// Whether somebody outside called it into being: its id is a name and nothing else.
    pub fn is_outside(&self) -> bool {
        !self.text.contains('.')
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the key of the agent's document in the state store.
    pub fn document_key(&self) -> String {
        match self.text.split_once('.') {
            Some((run, rest)) => format!("{{{run}}}.a.{rest}"),
            None => format!("{{{self}}}.a"),
        }
    }
}

impl FromStr for AgentId {
    type Err = NoId;

    /// Reads the id of an agent of any project. Whether somebody may speak of that project is for whoever reads it to ask.
    fn from_str(text: &str) -> Result<Self, NoId> {
        let mut parts = text.split('.');
        let home = parts.next().unwrap_or_default().parse().map_err(|_| FORM)?;
        if text.len() > LONGEST || !parts.all(is_word) {
            return Err(FORM);
        }
        Ok(Self { text: text.into(), home })
    }
}

// The run follows from the text.

impl PartialEq for AgentId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AgentId {}

impl PartialOrd for AgentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AgentId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for AgentId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
