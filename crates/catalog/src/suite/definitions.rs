//! Workflows and versions.

use super::{at, batch, fresh};
use crate::{Catalog, Error, NewVersion, NewWorkflow, Provenance};
use callboard_core::{
    Problem,
    id::{ProjectId, WorkflowId},
};
use serde_json::{Map, Value, json};

const DEFAULT: ProjectId = ProjectId::DEFAULT;

pub(super) fn new(id: &WorkflowId, name: &str) -> NewWorkflow {
    let metadata = Map::from_iter([("team".to_owned(), Value::from("a"))]);
    NewWorkflow {
        project: DEFAULT,
        id: id.clone(),
        name: name.to_owned(),
        description: Some("what it does".to_owned()),
        definition: json!({
            "name": name,
            "nodes": [{"id": "a", "type": "wait", "config": {"for": "1s"}, "position": {"x": 0.5, "y": -1}},
                      {"id": "b", "type": "wait", "config": {"for": "1s"}}],
            "edges": [{"source": "a", "target": "b"}]
        }),
        problems: vec![Problem::new("nodes[0]", "odd", "an odd node").in_node("a")],
        metadata,
        at: at(1),
        from: Provenance::default(),
    }
}

pub(super) fn change(expected: Option<u32>, name: &str) -> NewVersion {
    NewVersion {
        expected,
        name: name.to_owned(),
        description: None,
        definition: json!({"name": name, "nodes": []}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(2),
        from: Provenance::default(),
        publishes: None,
    }
}

pub(crate) async fn a_workflow_reads_as_it_was_saved(catalog: &dyn Catalog) {
    let id = fresh();
    let created = catalog.create_workflow(new(&id, "first")).await.unwrap();
    assert_eq!((created.version, created.status.clone()), (1, None));
    assert_eq!(created.definition, new(&id, "first").definition);
    assert_eq!(created.problems, new(&id, "first").problems);
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap(), Some(created));
    let again = catalog.create_workflow(new(&id, "second")).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    assert_eq!(catalog.workflow(&DEFAULT, &fresh(), None).await.unwrap(), None);
}

pub(crate) async fn versions_stay_readable_and_conflicts_are_told(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let second = catalog.update_workflow(&DEFAULT, &id, change(Some(1), "two")).await.unwrap();
    assert_eq!((second.version, second.created_at, second.updated_at), (2, at(1), at(2)));
    let late = catalog.update_workflow(&DEFAULT, &id, change(Some(1), "late")).await;
    assert!(matches!(late, Err(Error::Conflict { current: Some(2), .. })), "{late:?}");
    let third = catalog.update_workflow(&DEFAULT, &id, change(None, "three")).await.unwrap();
    assert_eq!(third.version, 3);
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(1)).await.unwrap().unwrap().name, "one");
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(2)).await.unwrap(), Some(second));
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap(), Some(third));
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(4)).await.unwrap(), None);
    let unknown = catalog.update_workflow(&DEFAULT, &fresh(), change(None, "none")).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
}

pub(crate) async fn a_hidden_workflow_is_gone_but_its_versions_are_not(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    assert!(catalog.hide_workflow(&DEFAULT, &id).await.unwrap());
    assert!(!catalog.hide_workflow(&DEFAULT, &id).await.unwrap());
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap(), None);
    assert!(catalog.workflow(&DEFAULT, &id, Some(1)).await.unwrap().unwrap().hidden);
    assert!(catalog.workflows(&DEFAULT, None, 100).await.unwrap().iter().all(|w| w.id != id));
    let update = catalog.update_workflow(&DEFAULT, &id, change(None, "two")).await;
    assert!(matches!(update, Err(Error::NotFound { .. })), "{update:?}");
    assert!(!catalog.hide_workflow(&DEFAULT, &fresh()).await.unwrap());
}

pub(crate) async fn workflows_are_listed_newest_first_by_cursor(catalog: &dyn Catalog) {
    let (older, newer): (WorkflowId, WorkflowId) = (fresh(), fresh());
    for id in [&older, &newer] {
        catalog.create_workflow(new(id, "listed")).await.unwrap();
    }
    let first = catalog.workflows(&DEFAULT, None, 1).await.unwrap();
    assert_eq!(first[0].id, newer);
    assert_eq!(first[0].definition, Value::Null);
    let next = catalog.workflows(&DEFAULT, Some(&newer), 1).await.unwrap();
    assert_eq!(next[0].id, older);
}

pub(crate) async fn a_workflow_shows_the_status_of_its_latest_run(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "ran")).await.unwrap();
    for (n, status) in ["completed", "failed"].into_iter().enumerate() {
        let mut append = batch(&fresh(), 1, 1, "w");
        append.row.workflow_id = Some(id.clone());
        append.row.status = status.to_owned();
        append.row.created_at = at(i64::try_from(n).unwrap());
        catalog.append(append).await.unwrap();
    }
    let status = Some("failed".to_owned());
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap().unwrap().status, status);
    assert_eq!(catalog.update_workflow(&DEFAULT, &id, change(None, "two")).await.unwrap().status, status);
    let listed = catalog.workflows(&DEFAULT, None, 100).await.unwrap();
    assert_eq!(listed.into_iter().find(|w| w.id == id).unwrap().status, status);
}
