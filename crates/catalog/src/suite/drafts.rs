//! Drafts beside versions, what is said about versions, and names.

use super::{
    at, batch,
    definitions::{change, new},
    fresh,
};
use crate::{Catalog, Draft, Error, Expected, NewDraft, NewVersion, Provenance, Renaming, Version};
use callboard_core::{
    Problem,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use futures::future::join_all;
use serde_json::{Map, json};

const DEFAULT: ProjectId = ProjectId::DEFAULT;
/// YAML as somebody wrote it, with a comment and an end without a line.
const SOURCE: &str = "# why\r\nname: x   # what\n\n";

fn draft(name: &str, expected: Expected) -> NewDraft {
    NewDraft {
        expected,
        name: name.to_owned(),
        description: Some("half done".to_owned()),
        definition: json!({"name": name, "nodes": [{"id": "a", "type": "unheard of"}], "more": [1.0]}),
        problems: vec![Problem::new("nodes[0].type", "unknown_type", "there is no such kind").in_node("a")],
        metadata: Map::new(),
        from: Provenance { author: Some("key:1".into()), note: None, source: Some(SOURCE.into()) },
        at: at(5),
    }
}

fn is_stale<T: std::fmt::Debug>(result: Result<T, Error>, current: Option<u32>) {
    let told =
        matches!(&result, Err(Error::Conflict { what: "draft", current: found, .. }) if *found == current);
    assert!(told, "{current:?}: {result:?}");
}

async fn revision(catalog: &dyn Catalog, id: &WorkflowId) -> Option<u32> {
    catalog.draft(&DEFAULT, id).await.unwrap().map(|draft| draft.revision)
}

pub(crate) async fn a_draft_is_all_there_is_until_something_is_published(catalog: &dyn Catalog) {
    let id = fresh();
    let made = catalog.create_draft(new(&id, "first")).await.unwrap();
    assert_eq!((made.version, made.definition.clone()), (0, new(&id, "first").definition));
    assert_eq!(made.problems, new(&id, "first").problems);
    assert_eq!(made.draft.as_ref().map(|mark| (mark.revision, &mark.problems)), Some((1, &made.problems)));
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap(), Some(made));
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(0)).await.unwrap(), None);
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(1)).await.unwrap(), None);
    assert_eq!(catalog.versions(&DEFAULT, &id, None, 10).await.unwrap(), []);
    let listed = catalog.workflows(&DEFAULT, None, 100).await.unwrap();
    let listed = listed.into_iter().find(|workflow| workflow.id == id).unwrap();
    assert_eq!((listed.version, listed.name.as_str(), listed.problems.len()), (0, "first", 1));
    let again = catalog.create_draft(new(&id, "again")).await;
    assert!(matches!(again, Err(Error::Conflict { what: "workflow", .. })), "{again:?}");
    let kept = catalog.discard_draft(&DEFAULT, &id, Expected::Draft(1)).await;
    assert!(matches!(kept, Err(Error::Conflict { what: "workflow", .. })), "{kept:?}");

    // What is handed in takes its place.
    let published = catalog.update_workflow(&DEFAULT, &id, change(Some(0), "whole")).await.unwrap();
    assert_eq!((published.version, published.draft), (1, None));
    assert_eq!(revision(catalog, &id).await, None);
}

pub(crate) async fn a_draft_reads_as_it_was_saved_and_stands_beside_the_version(catalog: &dyn Catalog) {
    let id = fresh();
    let first = catalog.create_workflow(new(&id, "one")).await.unwrap();
    assert_eq!((catalog.draft(&DEFAULT, &id).await.unwrap(), first.draft.clone()), (None, None));
    let saved = catalog.save_draft(&DEFAULT, &id, draft("two", Expected::Latest(1))).await.unwrap();
    assert_eq!((saved.version, saved.name.as_str(), saved.definition), (1, "one", first.definition));
    let NewDraft { name, description, definition, problems, metadata, from, at, .. } =
        draft("two", Expected::Anything);
    let expected = Draft {
        revision: 1,
        base: 1,
        name,
        description,
        definition,
        problems,
        metadata,
        from,
        updated_at: at,
    };
    assert_eq!(catalog.draft(&DEFAULT, &id).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(saved.draft.map(|mark| (mark.revision, mark.problems)), Some((1, expected.problems)));
    // A version that comes in between is not its base, and leaves it alone.
    catalog.update_workflow(&DEFAULT, &id, change(Some(1), "between")).await.unwrap();
    catalog.save_draft(&DEFAULT, &id, draft("three", Expected::Draft(1))).await.unwrap();
    let now = catalog.draft(&DEFAULT, &id).await.unwrap().unwrap();
    assert_eq!((now.revision, now.base, now.name.as_str()), (2, 1, "three"));
    let long = NewDraft { name: "ü".repeat(400), ..draft("", Expected::Draft(2)) };
    catalog.save_draft(&DEFAULT, &id, long).await.unwrap();
    assert_eq!(catalog.draft(&DEFAULT, &id).await.unwrap().unwrap().name, "ü".repeat(400));
}

pub(crate) async fn a_draft_is_changed_only_on_what_is_expected(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let save = async |expected| catalog.save_draft(&DEFAULT, &id, draft("draft", expected)).await;
    is_stale(save(Expected::Draft(1)).await, None);
    is_stale(save(Expected::Latest(2)).await, None);
    let other = save(Expected::Version(2)).await;
    assert!(matches!(other, Err(Error::Conflict { what: "workflow", current: Some(1), .. })), "{other:?}");
    save(Expected::NoDraft).await.unwrap();
    is_stale(save(Expected::NoDraft).await, Some(1));
    is_stale(save(Expected::Latest(1)).await, Some(1));
    is_stale(save(Expected::Draft(2)).await, Some(1));
    save(Expected::Version(1)).await.unwrap();
    save(Expected::Draft(2)).await.unwrap();
    save(Expected::Anything).await.unwrap();
    is_stale(catalog.discard_draft(&DEFAULT, &id, Expected::Draft(3)).await, Some(4));
    catalog.discard_draft(&DEFAULT, &id, Expected::Draft(4)).await.unwrap();
    is_stale(catalog.discard_draft(&DEFAULT, &id, Expected::Draft(4)).await, None);
    catalog.discard_draft(&DEFAULT, &id, Expected::Anything).await.unwrap();
    // No revision is given twice, so nobody takes a new draft for the old one.
    let saved = save(Expected::Latest(1)).await.unwrap();
    assert_eq!(saved.draft.map(|mark| mark.revision), Some(5));
    let nobody = catalog.save_draft(&DEFAULT, &fresh(), draft("x", Expected::Anything)).await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })), "{nobody:?}");
}

pub(crate) async fn of_changes_to_one_draft_one_wins(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_draft(new(&id, "one")).await.unwrap();
    let names: Vec<String> = (0..8).map(|n| format!("change {n}")).collect();
    let saves = names.iter().map(|name| catalog.save_draft(&DEFAULT, &id, draft(name, Expected::Draft(1))));
    let results = join_all(saves).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    results.into_iter().filter(Result::is_err).for_each(|result| is_stale(result, Some(2)));
}

pub(crate) async fn a_version_is_made_of_the_draft_that_was_looked_at(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_draft(new(&id, "one")).await.unwrap();
    let of = |revision| NewVersion { publishes: Some(revision), ..change(None, "published") };
    is_stale(catalog.update_workflow(&DEFAULT, &id, of(2)).await, Some(1));
    let from =
        Provenance { author: Some("me".into()), note: Some("better".into()), source: Some(SOURCE.into()) };
    let noted = NewVersion { from: from.clone(), ..of(1) };
    let first = catalog.update_workflow(&DEFAULT, &id, noted).await.unwrap();
    assert_eq!((first.version, &first.from, &first.draft), (1, &from, &None));
    is_stale(catalog.update_workflow(&DEFAULT, &id, of(1)).await, None);
    catalog.save_draft(&DEFAULT, &id, draft("two", Expected::Latest(1))).await.unwrap();
    let made_on = NewVersion { expected: Some(2), ..of(2) };
    let late = catalog.update_workflow(&DEFAULT, &id, made_on).await;
    assert!(matches!(late, Err(Error::Conflict { what: "workflow", current: Some(1), .. })), "{late:?}");
    let second = catalog.update_workflow(&DEFAULT, &id, of(2)).await.unwrap();
    assert_eq!((second.version, &second.from), (2, &Provenance::default()));
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(1)).await.unwrap(), Some(first));
}

pub(crate) async fn versions_are_listed_newest_first_with_what_is_said_of_them(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let from = Provenance { author: Some("me".into()), note: Some("two it is".into()), source: None };
    catalog.update_workflow(&DEFAULT, &id, NewVersion { from, ..change(None, "two") }).await.unwrap();
    catalog.update_workflow(&DEFAULT, &id, change(None, "three")).await.unwrap();
    let all = catalog.versions(&DEFAULT, &id, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 2, 1]);
    let second = Version {
        version: 2,
        name: "two".to_owned(),
        note: Some("two it is".to_owned()),
        author: Some("me".to_owned()),
        hash: content::hash(&change(None, "two").definition),
        problems: Vec::new(),
        created_at: at(2),
    };
    assert_eq!(all[1], second);
    assert_eq!(all[2].problems, new(&id, "one").problems);
    assert_eq!(catalog.versions(&DEFAULT, &id, Some(3), 1).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(catalog.versions(&DEFAULT, &id, Some(1), 9).await.unwrap(), []);

    catalog.note_version(&DEFAULT, &id, 1, Some("the first".to_owned())).await.unwrap();
    catalog.note_version(&DEFAULT, &id, 2, None).await.unwrap();
    let notes: Vec<_> =
        catalog.versions(&DEFAULT, &id, None, 9).await.unwrap().into_iter().map(|v| v.note).collect();
    assert_eq!(notes, [None, None, Some("the first".to_owned())]);
    let none = catalog.note_version(&DEFAULT, &id, 4, None).await;
    assert!(matches!(none, Err(Error::NotFound { what: "version", .. })), "{none:?}");
    catalog.hide_workflow(&DEFAULT, &id).await.unwrap();
    assert_eq!(catalog.versions(&DEFAULT, &id, None, 9).await.unwrap(), []);
    let hidden = catalog.note_version(&DEFAULT, &id, 1, None).await;
    assert!(matches!(hidden, Err(Error::NotFound { what: "workflow", .. })), "{hidden:?}");
}

pub(crate) async fn a_name_that_was_given_stays_until_a_version_says_another(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let called = |name: &str| Renaming { name: Some(name.to_owned()), description: None };
    let renamed = catalog.rename_workflow(&DEFAULT, &id, called("mine")).await.unwrap();
    assert_eq!(
        (renamed.version, renamed.name.as_str(), renamed.description.as_deref()),
        (1, "mine", Some("what it does"))
    );
    let bare = Renaming { name: None, description: Some(None) };
    let renamed = catalog.rename_workflow(&DEFAULT, &id, bare).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.description.as_deref()), ("mine", None));
    assert_eq!(
        catalog.workflow(&DEFAULT, &id, Some(1)).await.unwrap().unwrap().name,
        "one",
        "as it was saved"
    );
    let listed = catalog.workflows(&DEFAULT, None, 100).await.unwrap();
    assert_eq!(listed.into_iter().find(|workflow| workflow.id == id).unwrap().name, "mine");

    // A draft of the name that it was begun with does not undo it; one of another name means that.
    let publish = async |name: &str| {
        let saved = catalog.save_draft(&DEFAULT, &id, draft(name, Expected::NoDraft)).await.unwrap();
        let publishes = saved.draft.map(|mark| mark.revision);
        let version = NewVersion { publishes, ..change(None, name) };
        catalog.update_workflow(&DEFAULT, &id, version).await.unwrap().name
    };
    assert_eq!(publish("one").await, "mine");
    assert_eq!(publish("two").await, "two");
    catalog.rename_workflow(&DEFAULT, &id, called("mine again")).await.unwrap();
    let handed_in = catalog.update_workflow(&DEFAULT, &id, change(None, "two")).await.unwrap();
    assert_eq!(handed_in.name, "two", "a definition that is handed in says what it is called");
}

pub(crate) async fn a_hidden_workflow_has_no_draft(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_draft(new(&id, "one")).await.unwrap();
    assert!(catalog.hide_workflow(&DEFAULT, &id).await.unwrap());
    assert_eq!(
        (catalog.draft(&DEFAULT, &id).await.unwrap(), catalog.workflow(&DEFAULT, &id, None).await.unwrap()),
        (None, None)
    );
    for gone in [
        catalog.save_draft(&DEFAULT, &id, draft("x", Expected::Anything)).await.map(drop),
        catalog.discard_draft(&DEFAULT, &id, Expected::Anything).await,
        catalog.rename_workflow(&DEFAULT, &id, Renaming::default()).await.map(drop),
    ] {
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    }
}

pub(crate) async fn a_draft_of_another_project_is_not_there(catalog: &dyn Catalog) {
    let (id, theirs): (WorkflowId, ProjectId) = (fresh(), "theirs".parse().unwrap());
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    catalog.save_draft(&DEFAULT, &id, draft("draft", Expected::NoDraft)).await.unwrap();
    assert_eq!(catalog.draft(&theirs, &id).await.unwrap(), None);
    assert_eq!(catalog.versions(&theirs, &id, None, 9).await.unwrap(), []);
    for foreign in [
        catalog.save_draft(&theirs, &id, draft("x", Expected::Anything)).await.map(drop),
        catalog.discard_draft(&theirs, &id, Expected::Anything).await,
        catalog.note_version(&theirs, &id, 1, None).await,
        catalog.rename_workflow(&theirs, &id, Renaming::default()).await.map(drop),
    ] {
        assert!(matches!(foreign, Err(Error::NotFound { .. })), "{foreign:?}");
    }
    assert_eq!(revision(catalog, &id).await, Some(1));
}

pub(crate) async fn runs_are_counted_by_version_and_status(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "ran")).await.unwrap();
    for (version, status) in
        [(1, "running"), (1, "waiting"), (1, "failed"), (2, "completed"), (0, "running"), (3, "paused")]
    {
        let mut append = batch(&fresh(), 1, 1, "w");
        append.row.workflow_id = Some(id.clone());
        (append.row.version, append.row.status) = (Some(version), status.to_owned());
        catalog.append(append).await.unwrap();
    }
    let open = catalog.runs_by_version(&DEFAULT, &id, &["running", "waiting", "paused"]).await.unwrap();
    assert_eq!(open.into_iter().collect::<Vec<_>>(), [(0, 1), (1, 2), (3, 1)]);
    assert!(catalog.runs_by_version(&DEFAULT, &fresh(), &["running"]).await.unwrap().is_empty());
    assert!(catalog.runs_by_version(&"theirs".parse().unwrap(), &id, &["running"]).await.unwrap().is_empty());
}

/// After an update: of three workflows whose versions were drafts as well. Of the first the third version and the second were,
/// of the second its only one, of the third the first one.
pub async fn drafts_of_the_release_before_are_there(catalog: &dyn Catalog, ids: [WorkflowId; 3]) {
    let [several, only, mended] = ids;
    let latest = catalog.workflow(&DEFAULT, &several, None).await.unwrap().unwrap();
    assert_eq!((latest.version, latest.name.as_str(), latest.problems.len()), (1, "one", 0));
    let draft = catalog.draft(&DEFAULT, &several).await.unwrap().unwrap();
    assert_eq!((draft.revision, draft.base, draft.name.as_str()), (1, 1, "three"));
    assert_eq!(
        (draft.description.as_deref(), draft.updated_at),
        (Some("half"), callboard_core::Timestamp(3))
    );
    assert_eq!((draft.definition["n"].clone(), draft.metadata["t"].clone()), (json!(3), json!(1)));
    assert_eq!(draft.problems[0].path, "y");
    let versions = catalog.versions(&DEFAULT, &several, None, 9).await.unwrap();
    let told: Vec<_> = versions.iter().map(|v| (v.version, v.problems.len(), v.hash)).collect();
    let hash = |n: u32| content::hash(&json!({ "n": n }));
    assert_eq!(told, [(2, 1, hash(2)), (1, 0, hash(1))], "hashes that were not kept are made");
    assert_eq!(
        catalog.workflow(&DEFAULT, &several, Some(2)).await.unwrap().unwrap().definition,
        json!({"n": 2})
    );
    let next = NewVersion { publishes: Some(1), ..change(Some(1), "next") };
    assert_eq!(
        catalog.update_workflow(&DEFAULT, &several, next).await.unwrap().version,
        3,
        "after those that are left"
    );

    let draft = catalog.workflow(&DEFAULT, &only, None).await.unwrap().unwrap();
    assert_eq!((draft.version, draft.draft.map(|mark| mark.revision), draft.problems.len()), (0, Some(1), 1));
    assert_eq!(catalog.update_workflow(&DEFAULT, &only, change(Some(0), "first")).await.unwrap().version, 1);
    let mended = catalog.workflow(&DEFAULT, &mended, None).await.unwrap().unwrap();
    assert_eq!((mended.version, mended.draft, mended.name.as_str()), (2, None, "mended"));
}
