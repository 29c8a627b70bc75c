//! A run: its project and its name. Nobody else makes or reads the text of one.

use super::{NoId, ProjectId, checked, is_id, text};
use std::{str::FromStr, sync::Arc};

/// A run's id. Its text is the name in the project `default` and `project~name` elsewhere: the actor's id, the head of
/// the state keys, the subject of its events. A clone is cheap.
///
/// `~` passes every path of the sidecar's; it is not valid in names and labels of Kubernetes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    // First, so that ids are in the order of their texts.
    text: Arc<str>,
    project: ProjectId,
}

/// Between project and name: in neither of them.
const BETWEEN: char = '~';
const FORM: NoId = NoId { what: "a run's id", form: "1 to 64 of A-Z a-z 0-9 _ -" };

text!(RunId);
checked!(RunId);

// === impl RunId ===

impl RunId {
    /// Returns the run of a name, 1 to 64 of `A-Z a-z 0-9 _ -`, in a project.
    pub fn new(project: &ProjectId, name: &str) -> Result<Self, NoId> {
        if !is_id(name) {
            return Err(FORM);
        }
        let text = match project.is_default() {
            true => name.into(),
            false => format!("{project}{BETWEEN}{name}").into(),
        };
        Ok(Self { text, project: project.clone() })
    }

    /// Reads what somebody who asks in a project calls a run: its name, or the whole text as answers have it.
    pub fn called(project: &ProjectId, text: &str) -> Option<Self> {
        let whole = || text.parse::<Self>().ok().filter(|run| run.project() == project);
        Self::new(project, text).ok().or_else(whole)
    }

    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Returns the name within the project.
    pub fn name(&self) -> &str {
        // A name has no `~`.
        self.text.rsplit(BETWEEN).next().unwrap_or(&self.text)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the key of the run's document in the state store.
    pub fn document_key(&self) -> String {
        format!("{{{self}}}.doc")
    }

    /// Returns the key of one of the run's values in the state store.
    pub fn value_key(&self, name: &str) -> String {
        format!("{{{self}}}.v.{name}")
    }
}

impl FromStr for RunId {
    type Err = NoId;

    /// Reads the text of a run of any project. Whether somebody may speak of that project is for whoever reads it to ask.
    fn from_str(text: &str) -> Result<Self, NoId> {
        let Some((project, name)) = text.split_once(BETWEEN) else {
            return Self::new(&ProjectId::DEFAULT, text);
        };
        let project = project.parse::<ProjectId>()?;
        // One run has one text.
        if project.is_default() { Err(FORM) } else { Self::new(&project, name) }
    }
}
