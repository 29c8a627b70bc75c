//! The same of drafts, and of what is said about versions.

use super::{Chance, STATUSES, change, new, told};
use crate::{Catalog, Expected, NewDraft, NewVersion, Renaming};
use callboard_core::id::{ProjectId, WorkflowId};

/// Makes one call on both, and returns what each answered.
pub async fn ask(
    chance: &mut Chance,
    (project, id): (ProjectId, WorkflowId),
    one: &dyn Catalog,
    other: &dyn Catalog,
) -> [String; 2] {
    let (kind, limit) = (chance.roll(12), u32::try_from(chance.roll(6)).unwrap());
    let (made, saved, expected) = (new(chance, project.clone(), id.clone()), draft(chance), expected(chance));
    let published = NewVersion { publishes: of_draft(one, &project, &id).await, ..change(chance, None) };
    let before = chance.maybe(|chance| u32::try_from(chance.roll(5)).unwrap());
    let renaming = Renaming {
        name: chance.maybe(|chance| format!("called {}", chance.roll(9))),
        description: chance.maybe(|chance| chance.maybe(|chance| format!("for {}", chance.roll(9)))),
    };
    let note = chance.maybe(|chance| format!("noted {}", chance.roll(9)));
    let mut answers = [String::new(), String::new()];
    for (catalog, answer) in [one, other].into_iter().zip(&mut answers) {
        let what = match kind {
            0 => told(catalog.create_draft(made.clone()).await),
            1..=3 => told(catalog.save_draft(&project, &id, saved.clone()).await),
            4 => told(catalog.draft(&project, &id).await),
            5 => told(catalog.discard_draft(&project, &id, expected).await),
            6 | 7 => told(catalog.update_workflow(&project, &id, published.clone()).await),
            8 => told(catalog.versions(&project, &id, before, limit).await),
            9 => told(catalog.note_version(&project, &id, limit, note.clone()).await),
            10 => told(catalog.rename_workflow(&project, &id, renaming.clone()).await),
            _ => told(catalog.runs_by_version(&project, &id, &STATUSES[..2]).await),
        };
        *answer = format!(
            "drafts {kind} {project} {id} {saved:?} {expected:?} {published:?} {before:?} {limit}: {what}"
        );
    }
    answers
}

/// The revision of the draft, which a version is mostly made of.
async fn of_draft(catalog: &dyn Catalog, project: &ProjectId, id: &WorkflowId) -> Option<u32> {
    catalog.draft(project, id).await.unwrap().map(|draft| draft.revision)
}

pub fn draft(chance: &mut Chance) -> NewDraft {
    let expected = expected(chance);
    let NewVersion { name, description, definition, problems, metadata, at, from, .. } = change(chance, None);
    NewDraft { expected, name, description, definition, problems, metadata, from, at }
}

fn expected(chance: &mut Chance) -> Expected {
    let n = u32::try_from(chance.roll(4)).unwrap();
    match chance.roll(9) {
        0 => Expected::Version(n),
        1 => Expected::Latest(n),
        2 => Expected::Draft(n),
        3 => Expected::NoDraft,
        _ => Expected::Anything,
    }
}
