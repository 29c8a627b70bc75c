//! Changes of the catalog that are asked for under a key: what was answered is answered again.

use super::{Key, Kind, Operations, Refusal, Saved, now};
use callboard_catalog::{Answer, Change, Error as CatalogError, Once, Request};
use callboard_core::{Hash, id::ProjectId};

/// Makes the answer of a change; what is hidden has nothing to show.
pub type Answering = fn(Option<&Saved>) -> Answer;

/// A change as its caller names it.
pub struct Naming {
    pub key: Key,
    /// What is asked for, whoever asks: with the key it names the change.
    pub route: &'static str,
    /// Of everything that decides what is done.
    pub body: Hash,
}

/// What is answered to a change.
#[derive(Debug)]
pub struct Answered {
    pub answer: Answer,
    /// It was made before, and answered so.
    pub replayed: bool,
    pub changed: Changed,
}

/// What a change was of, for the audit: the object, and its content before and after by their hashes.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    pub object: Option<String>,
    pub before: Option<Hash>,
    pub after: Option<Hash>,
}

// === impl Operations ===

impl Operations {
    /// Returns what was answered when this was asked for before. To be asked first: what was right then may be wrong now.
    pub(super) async fn answered(
        &self,
        project: &ProjectId,
        naming: Option<&Naming>,
    ) -> Result<Option<Answered>, Refusal> {
        let Some(naming) = naming else { return Ok(None) };
        self.catalog.answered(&naming.request(project)).await?.map(Answered::of).transpose()
    }

    /// Makes a change that has a key, unless it is made already.
    pub(super) async fn once(
        &self,
        project: &ProjectId,
        naming: &Naming,
        change: Change,
        answer: Answering,
    ) -> Result<Once, CatalogError> {
        let of = match &change {
            Change::CreateDraft(_) | Change::SaveDraft { .. } => Saved::of_draft,
            Change::CreateWorkflow(_) | Change::UpdateWorkflow { .. } | Change::HideWorkflow { .. } => {
                Saved::of
            }
        };
        let answering = move |workflow: Option<&_>| answer(workflow.map(of).as_ref());
        self.catalog.once(naming.request(project), change, Box::new(answering)).await
    }
}

// === impl Naming ===

impl Naming {
    fn request(&self, project: &ProjectId) -> Request {
        Request {
            project: project.clone(),
            route: self.route,
            key: self.key.as_str().to_owned(),
            body: self.body,
            at: now(),
        }
    }
}

// === impl Answered ===

impl Answered {
    pub(super) fn of(once: Once) -> Result<Self, Refusal> {
        match once {
            Once::Made(answer) => Ok(Self::now(answer)),
            Once::Known(answer) => Ok(Self { replayed: true, ..Self::now(answer) }),
            Once::Reused => {
                let detail = "this Idempotency-Key came with another request before: use another one for another request";
                Err(Refusal::new(Kind::Invalid, "idempotency_key_reused", detail))
            }
        }
    }

    pub(super) fn now(answer: Answer) -> Self {
        Self { answer, replayed: false, changed: Changed::default() }
    }

    /// Adds what was changed; by a repetition, nothing was.
    pub(super) fn having(self, changed: Changed) -> Self {
        if self.replayed { self } else { Self { changed, ..self } }
    }
}
