//! Changes under a key, and messages that came too early.

use super::{at, fresh};
use crate::{
    Answer, Answering, Catalog, Change, EarlyMessage, Error, NewVersion, NewWorkflow, Once, Provenance,
    REMEMBERED, Request,
};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, WorkflowId},
};
use futures::future::join_all;
use serde_json::{Map, json};

const ROUTE: &str = "POST /workflows";

fn request(key: &str, body: &str) -> Request {
    Request {
        project: ProjectId::DEFAULT,
        route: ROUTE,
        key: key.to_owned(),
        body: Hash::of(body.as_bytes()),
        at: at(1),
    }
}

fn create(id: &WorkflowId) -> Change {
    Change::CreateWorkflow(NewWorkflow {
        project: ProjectId::DEFAULT,
        id: id.clone(),
        name: "named".to_owned(),
        description: None,
        definition: json!({"name": "named", "nodes": []}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(1),
        from: Provenance::default(),
    })
}

fn update(id: &WorkflowId, expected: Option<u32>) -> Change {
    let change = NewVersion {
        expected,
        name: "next".to_owned(),
        description: None,
        definition: json!({"name": "next", "nodes": []}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(2),
        from: Provenance::default(),
        publishes: None,
    };
    Change::UpdateWorkflow { project: ProjectId::DEFAULT, id: id.clone(), change }
}

fn hide(id: &WorkflowId) -> Change {
    Change::HideWorkflow { project: ProjectId::DEFAULT, id: id.clone() }
}

/// Answers with what there is of a workflow.
fn telling() -> Answering {
    Box::new(|workflow| {
        let told = workflow.map(|workflow| format!("{} {}", workflow.id, workflow.version));
        Answer {
            status: if told.is_some() { 201 } else { 204 },
            headers: vec![("etag".to_owned(), "\"1\"".to_owned())],
            body: told.unwrap_or_default().into(),
        }
    })
}

fn key() -> String {
    fresh::<WorkflowId>().to_string()
}

async fn version(catalog: &dyn Catalog, id: &WorkflowId) -> Option<u32> {
    catalog.workflow(&ProjectId::DEFAULT, id, None).await.unwrap().map(|workflow| workflow.version)
}

pub(crate) async fn a_change_under_a_key_is_made_once_and_answered_the_same(catalog: &dyn Catalog) {
    let (id, key) = (fresh::<WorkflowId>(), key());
    let asked = request(&key, "body");
    assert_eq!(catalog.answered(&asked).await.unwrap(), None);
    let made = catalog.once(asked.clone(), create(&id), telling()).await.unwrap();
    let Once::Made(answer) = &made else { panic!("{made:?}") };
    assert_eq!(answer.body, Bytes::from(format!("{id} 1")));
    let known = Once::Known(answer.clone());
    assert_eq!(catalog.answered(&asked).await.unwrap(), Some(known.clone()));
    // Another id: it is not looked at.
    let other = fresh::<WorkflowId>();
    assert_eq!(catalog.once(asked, create(&other), telling()).await.unwrap(), known);
    assert_eq!((version(catalog, &id).await, version(catalog, &other).await), (Some(1), None));
}

pub(crate) async fn every_kind_of_change_is_made_once(catalog: &dyn Catalog) {
    let id = fresh::<WorkflowId>();
    let (made, changed, hidden) = (request(&key(), "1"), request(&key(), "2"), request(&key(), "3"));
    for _ in 0..2 {
        catalog.once(made.clone(), create(&id), telling()).await.unwrap();
    }
    assert_eq!(version(catalog, &id).await, Some(1));
    for n in 0..2 {
        // The version that it expects is there the first time only.
        let done = catalog.once(changed.clone(), update(&id, Some(1)), telling()).await.unwrap();
        assert!(matches!(done, Once::Made(_)) == (n == 0), "{done:?}");
    }
    assert_eq!(version(catalog, &id).await, Some(2));
    for n in 0..2 {
        let done = catalog.once(hidden.clone(), hide(&id), telling()).await.unwrap();
        let (Once::Made(answer) | Once::Known(answer)) = &done else { panic!("{done:?}") };
        assert_eq!((answer.status, matches!(done, Once::Made(_))), (204, n == 0));
    }
    assert_eq!(version(catalog, &id).await, None);
}

pub(crate) async fn another_body_under_a_key_changes_nothing(catalog: &dyn Catalog) {
    let (id, key) = (fresh::<WorkflowId>(), key());
    catalog.once(request(&key, "one"), create(&id), telling()).await.unwrap();
    let other = request(&key, "two");
    assert_eq!(catalog.answered(&other).await.unwrap(), Some(Once::Reused));
    assert_eq!(catalog.once(other, update(&id, None), telling()).await.unwrap(), Once::Reused);
    assert_eq!(version(catalog, &id).await, Some(1));
    // Of another route, or another project, the same key is another one.
    let elsewhere = Request { route: "PUT /workflows/{id}", ..request(&key, "two") };
    assert_eq!(catalog.answered(&elsewhere).await.unwrap(), None);
    let foreign = Request { project: "other".parse().unwrap(), ..request(&key, "two") };
    assert_eq!(catalog.answered(&foreign).await.unwrap(), None);
}

pub(crate) async fn a_change_that_fails_is_not_remembered(catalog: &dyn Catalog) {
    let (id, key) = (fresh::<WorkflowId>(), key());
    let asked = request(&key, "body");
    for change in [update(&id, None), hide(&id)] {
        let failed = catalog.once(asked.clone(), change, telling()).await;
        assert!(matches!(failed, Err(Error::NotFound { .. })), "{failed:?}");
        assert_eq!(catalog.answered(&asked).await.unwrap(), None);
    }
    catalog
        .create_workflow(match create(&id) {
            Change::CreateWorkflow(new) => new,
            Change::UpdateWorkflow { .. }
            | Change::HideWorkflow { .. }
            | Change::CreateDraft(_)
            | Change::SaveDraft { .. } => unreachable!("it creates"),
        })
        .await
        .unwrap();
    let late = catalog.once(asked.clone(), update(&id, Some(7)), telling()).await;
    assert!(matches!(late, Err(Error::Conflict { current: Some(1), .. })), "{late:?}");
    let done = catalog.once(asked, update(&id, Some(1)), telling()).await.unwrap();
    assert!(matches!(done, Once::Made(_)), "{done:?}");
}

pub(crate) async fn whoever_asks_meanwhile_waits_for_the_first(catalog: &dyn Catalog) {
    let key = key();
    let ids: Vec<WorkflowId> = (0..8).map(|_| fresh()).collect();
    let asked = ids.iter().map(|id| catalog.once(request(&key, "body"), create(id), telling()));
    let done: Vec<Once> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|once| matches!(once, Once::Made(_))).count(), 1);
    let bodies: std::collections::BTreeSet<Bytes> = done
        .iter()
        .map(|once| match once {
            Once::Made(answer) | Once::Known(answer) => answer.body.clone(),
            Once::Reused => panic!("it is the same"),
        })
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let mut there = 0;
    for id in &ids {
        there += usize::from(version(catalog, id).await.is_some());
    }
    assert_eq!(there, 1);
}

pub(crate) async fn an_answer_is_forgotten_after_a_day(catalog: &dyn Catalog) {
    let (one, two, key) = (fresh::<WorkflowId>(), fresh::<WorkflowId>(), key());
    let first = request(&key, "body");
    catalog.once(first.clone(), create(&one), telling()).await.unwrap();
    let before =
        Request { at: Timestamp(first.at.0 + i64::try_from(REMEMBERED.0).unwrap() - 1), ..first.clone() };
    assert!(matches!(catalog.answered(&before).await.unwrap(), Some(Once::Known(_))));
    let after = Request { at: first.at + REMEMBERED, ..request(&key, "other") };
    assert_eq!(catalog.answered(&after).await.unwrap(), None, "also where nobody has swept");
    let made = catalog.once(after.clone(), create(&two), telling()).await.unwrap();
    assert!(matches!(made, Once::Made(_)), "{made:?}");
    // Others' answers may be among them.
    assert!(catalog.forget_answers(after.at, 10_000).await.unwrap() < 10_000);
    assert!(matches!(catalog.answered(&after).await.unwrap(), Some(Once::Known(_))), "it is not older");
    assert!(catalog.forget_answers(Timestamp(after.at.0 + 1), 10_000).await.unwrap() >= 1);
    assert_eq!(catalog.answered(&after).await.unwrap(), None);
}

fn message(id: &str) -> EarlyMessage {
    EarlyMessage {
        id: id.to_owned(),
        run: fresh(),
        method: "signal".to_owned(),
        message: Bytes::from_static(b"{\"name\":\"go\"}"),
        event: Bytes::from_static(b"{\"id\":\"1\"}"),
        came_at: at(10),
    }
}

pub(crate) async fn an_early_message_is_kept_until_somebody_forgets_it(catalog: &dyn Catalog) {
    let (first, second) = (message(&key()), message(&key()));
    assert!(catalog.keep_early(first.clone(), at(20), 10_000).await.unwrap());
    assert!(catalog.keep_early(second.clone(), at(15), 10_000).await.unwrap());
    let again = EarlyMessage { came_at: at(99), ..first.clone() };
    assert!(catalog.keep_early(again, at(0), 10_000).await.unwrap(), "it is there");
    assert_eq!(catalog.early(at(14), at(50), 10).await.unwrap(), []);
    assert_eq!(catalog.early(at(15), at(50), 10).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(
        catalog.early(at(20), at(50), 10).await.unwrap(),
        std::slice::from_ref(&first),
        "the other is leased"
    );
    assert_eq!(
        catalog.early(at(50), at(90), 10).await.unwrap(),
        [first.clone(), second.clone()],
        "as they came"
    );
    catalog.early_again(&first.id, at(60)).await.unwrap();
    assert_eq!(catalog.early(at(60), at(90), 1).await.unwrap(), std::slice::from_ref(&first));
    for (id, there) in [(&first.id, true), (&second.id, true), (&first.id, false)] {
        assert_eq!(catalog.forget_early(id).await.unwrap(), there);
    }
    assert_eq!(catalog.early(at(1000), at(2000), 10).await.unwrap(), []);
}

pub(crate) async fn no_more_early_messages_are_kept_than_may_be(catalog: &dyn Catalog) {
    let (first, second) = (message(&key()), message(&key()));
    assert!(catalog.keep_early(first.clone(), at(1), 1).await.unwrap());
    assert!(!catalog.keep_early(second.clone(), at(1), 1).await.unwrap());
    assert!(catalog.keep_early(first.clone(), at(1), 1).await.unwrap(), "it is there already");
    assert!(catalog.forget_early(&first.id).await.unwrap());
    assert!(!catalog.forget_early(&second.id).await.unwrap());
}
