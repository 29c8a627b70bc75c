//! The words by which a run is found: made here, so that both databases have the same.
//!
//! A word is a row of letters and digits, in small letters, of a long one the beginning. Two kinds of marks stand among them, which no
//! text can hold: whose run it is, and of which workflow.

use crate::Append;
use callboard_core::id::{ProjectId, WorkflowId};
use std::collections::BTreeSet;

/// Letters of a word that count.
const LETTERS: usize = 64;
/// Words of a run that are kept: of a long error the first ones.
const KEPT: usize = 128;
/// Words that can be searched for at once.
const ASKED: usize = 8;

/// What is searched for: each of these words, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    words: BTreeSet<String>,
    /// The text may be the id of a workflow.
    workflow: Option<WorkflowId>,
}

fn split(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| {
        word.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).take(LETTERS).collect()
    })
}

/// Returns the words and marks of a run, with spaces between.
pub(crate) fn of(append: &Append) -> String {
    let row = &append.row;
    let texts = [append.run.name(), &row.name, row.error.as_deref().unwrap_or_default()];
    let words: BTreeSet<String> = texts.into_iter().flat_map(split).take(KEPT).collect();
    let mut words: Vec<String> = words.into_iter().collect();
    words.push(project(append.run.project()));
    words.extend(row.workflow_id.as_ref().and_then(workflow));
    words.join(" ")
}

fn project(project: &ProjectId) -> String {
    format!("=p={project}")
}

/// Ids of workflows are UUIDs. Nothing is found by another one.
fn workflow(id: &WorkflowId) -> Option<String> {
    let is_word = id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_word.then(|| format!("=w={id}"))
}

// === impl Words ===

impl Words {
    /// Reads what somebody searches for; nothing if there is no word in it, or more than eight.
    pub fn parse(text: &str) -> Option<Self> {
        let words: BTreeSet<String> = split(text).collect();
        let id = text.trim().to_lowercase();
        let workflow = uuid::Uuid::try_parse(&id).ok().map(|_| WorkflowId::new(id));
        (1..=ASKED).contains(&words.len()).then_some(Self { words, workflow })
    }

    /// Each word once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// The query as FTS5 has it, for runs of a project, and of a workflow.
    pub(crate) fn fts5(&self, own: &ProjectId, of: Option<&WorkflowId>) -> Option<String> {
        self.query(own, of, " AND ", " OR ", |word| format!("\"{word}\" *"), |mark| format!("\"{mark}\""))
    }

    /// The same as a `tsquery`.
    pub(crate) fn tsquery(&self, own: &ProjectId, of: Option<&WorkflowId>) -> Option<String> {
        self.query(own, of, " & ", " | ", |word| format!("'{word}':*"), |mark| format!("'{mark}'"))
    }

    /// Nothing where no run can be of that workflow.
    fn query(
        &self,
        own: &ProjectId,
        of: Option<&WorkflowId>,
        and: &str,
        or: &str,
        begins: impl Fn(&str) -> String,
        is: impl Fn(&str) -> String,
    ) -> Option<String> {
        let words: Vec<String> = self.words.iter().map(|word| begins(word)).collect();
        let mut query = format!("({})", words.join(and));
        if let Some(id) = self.workflow.as_ref().and_then(workflow) {
            query = format!("({query}{or}{})", is(&id));
        }
        if let Some(of) = of {
            query.push_str(&format!("{and}{}", is(&workflow(of)?)));
        }
        query.push_str(&format!("{and}{}", is(&project(own))));
        Some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_small_letters() {
        let words = |text: &str| split(text).collect::<Vec<_>>();
        assert_eq!(words("Order-17_b: \"Ärger\"=p=x"), ["order", "17", "b", "ärger", "p", "x"]);
        assert_eq!(words(" .,'"), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(64)]);
    }

    #[test]
    fn a_search_has_words_and_not_too_many() {
        assert_eq!(Words::parse("--"), None);
        assert_eq!(Words::parse("a b c d e f g h i"), None);
        let own = ProjectId::DEFAULT;
        let words = Words::parse("Time out").expect("words");
        assert_eq!(words.fts5(&own, None).as_deref(), Some(r#"("out" * AND "time" *) AND "=p=default""#));
        let of = WorkflowId::new("w-1");
        assert_eq!(
            words.tsquery(&own, Some(&of)).as_deref(),
            Some("('out':* & 'time':*) & '=w=w-1' & '=p=default'")
        );
        assert_eq!(words.fts5(&own, Some(&WorkflowId::new("it's"))), None);
        let id = Words::parse("0190F0E0-0000-7000-8000-000000000001").expect("an id");
        assert!(
            id.tsquery(&own, None)
                .is_some_and(|query| query.contains("| '=w=0190f0e0-0000-7000-8000-000000000001'"))
        );
    }
}
