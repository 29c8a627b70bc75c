//! Workflows whose documents are odd, and several who change one at once.

use super::{
    definitions::{change, new},
    fresh,
};
use crate::{Catalog, Error, NewVersion, NewWorkflow};
use callboard_core::id::{ProjectId, WorkflowId};
use futures::future::join_all;
use serde_json::{Map, Value, json};

const DEFAULT: ProjectId = ProjectId::DEFAULT;

pub(crate) async fn a_document_comes_back_as_it_is(catalog: &dyn Catalog) {
    let id = fresh();
    let text = r#"{"z":1,"a":[1.5,-0.0,1e300,18446744073709551615,"ü \" \\ \u0000"],"nodes":[{"id":"n\u0000","type":"odd",
        "config":{"\u0000":"\u0000","b":1,"a":"\\u0000"},"position":{"x":1e-7}}],"edges":"none","name":null}"#;
    let definition: Value = serde_json::from_str(text).unwrap();
    let metadata = Map::from_iter([("z".to_owned(), json!("\0")), ("a".to_owned(), json!([1, {"k": null}]))]);
    let new = NewWorkflow { definition: definition.clone(), metadata: metadata.clone(), ..new(&id, "odd") };
    catalog.create_workflow(new).await.unwrap();
    let read = catalog.workflow(&DEFAULT, &id, None).await.unwrap().unwrap();
    assert_eq!(read.definition.to_string(), definition.to_string(), "in the same order");
    assert_eq!(Value::from(read.metadata).to_string(), Value::from(metadata).to_string());
}

pub(crate) async fn a_name_may_be_long(catalog: &dyn Catalog) {
    let (id, name) = (fresh(), "ü".repeat(400));
    let created = catalog.create_workflow(new(&id, &name)).await.unwrap();
    assert_eq!(created.name, name);
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap().unwrap().name, name);
    let listed = catalog.workflows(&DEFAULT, None, 1).await.unwrap();
    assert_eq!((&listed[0].id, &listed[0].name), (&id, &name));
}

pub(crate) async fn parts_that_nobody_knows_are_saved(catalog: &dyn Catalog) {
    for definition in [
        json!(null),
        json!({"nodes": {"id": "a"}, "edges": [{"source": "a"}, 7]}),
        json!({"nodes": [{"id": "a", "type": "t".repeat(80)}, {"id": "a"}, {"type": "x"}, "text"],
            "edges": [{"source": "a", "target": "a"}, {"source": "a", "target": "ghost"}]}),
        json!({"nodes": [{"id": "a", "type": "for_each", "config": {"body": {"nodes": [
            {"id": "b", "type": "loop", "config": {"body": {"nodes": [{"id": "c"}]}}}]}}}]}),
    ] {
        let id = fresh();
        let new = NewWorkflow { definition: definition.clone(), ..new(&id, "draft") };
        catalog.create_workflow(new).await.unwrap();
        assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap().unwrap().definition, definition);
    }
}

pub(crate) async fn each_version_replaces_what_was_said_before(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let with = |key: &str| NewVersion {
        metadata: Map::from_iter([(key.to_owned(), json!(1))]),
        description: Some(key.to_owned()),
        definition: new(&id, key).definition,
        ..change(None, "named")
    };
    for key in ["a", "b", "c"] {
        catalog.update_workflow(&DEFAULT, &id, with(key)).await.unwrap();
    }
    let read = catalog.workflow(&DEFAULT, &id, None).await.unwrap().unwrap();
    assert_eq!((read.version, read.description.as_deref()), (4, Some("c")));
    assert_eq!(read.metadata, with("c").metadata);
    let bare = catalog.update_workflow(&DEFAULT, &id, change(Some(4), "bare")).await.unwrap();
    assert_eq!((bare.description, bare.metadata), (None, Map::new()));
    let third = catalog.workflow(&DEFAULT, &id, Some(3)).await.unwrap().unwrap();
    assert_eq!((third.description.as_deref(), third.definition), (Some("b"), new(&id, "b").definition));
    assert!(third.problems.is_empty());
}

pub(crate) async fn there_is_no_version_zero(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(0)).await.unwrap(), None);
    assert_eq!(catalog.workflow(&DEFAULT, &id, Some(u32::MAX)).await.unwrap(), None);
}

pub(crate) async fn an_id_of_another_form_is_nobodys(catalog: &dyn Catalog) {
    let known: WorkflowId = fresh();
    catalog.create_workflow(new(&known, "one")).await.unwrap();
    for id in ["w-1".to_owned(), known.as_str().to_uppercase(), known.as_str().replace('-', "")] {
        let id = WorkflowId::new(id);
        assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap(), None, "{id}");
        assert!(!catalog.hide_workflow(&DEFAULT, &id).await.unwrap());
        let changed = catalog.update_workflow(&DEFAULT, &id, change(None, "two")).await;
        assert!(matches!(changed, Err(Error::NotFound { .. })), "{changed:?}");
    }
}

pub(crate) async fn pages_of_workflows_end(catalog: &dyn Catalog) {
    let ids: Vec<WorkflowId> = (0..4).map(|_| fresh()).collect();
    for id in &ids {
        catalog.create_workflow(new(id, "paged")).await.unwrap();
    }
    let after = async |id: &WorkflowId, limit| {
        let page = catalog.workflows(&DEFAULT, Some(id), limit).await.unwrap();
        page.into_iter().map(|workflow| workflow.id).collect::<Vec<_>>()
    };
    assert!(after(&ids[3], 0).await.is_empty());
    catalog.hide_workflow(&DEFAULT, &ids[2]).await.unwrap();
    assert_eq!(after(&ids[3], 2).await, [ids[1].clone(), ids[0].clone()], "a hidden one is passed over");
    assert_eq!(after(&ids[2], 1).await, ids[1..2], "and still marks its place");
    assert!(after(&WorkflowId::new("00000000-0000-0000-0000-000000000000"), 10).await.is_empty());
    assert_eq!(catalog.workflows(&DEFAULT, Some(&WorkflowId::new("zz")), 1).await.unwrap()[0].id, ids[3]);
}

pub(crate) async fn of_changes_to_one_version_one_wins(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let names: Vec<String> = (0..8).map(|n| format!("change {n}")).collect();
    let results =
        join_all(names.iter().map(|name| catalog.update_workflow(&DEFAULT, &id, change(Some(1), name))))
            .await;
    let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let is_told =
        |result: &Result<_, Error>| matches!(result, Ok(_) | Err(Error::Conflict { current: Some(2), .. }));
    assert!(results.iter().all(is_told), "{results:?}");
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap().as_ref(), Some(won[0]));
}

pub(crate) async fn changes_that_expect_nothing_follow_each_other(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let results =
        join_all((0..8).map(|_| catalog.update_workflow(&DEFAULT, &id, change(None, "next")))).await;
    let mut versions: Vec<u32> = results.into_iter().map(|result| result.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4, 5, 6, 7, 8, 9]);
}

pub(crate) async fn of_creations_of_one_id_one_wins(catalog: &dyn Catalog) {
    let id = fresh();
    let names: Vec<String> = (0..8).map(|n| format!("creation {n}")).collect();
    let results = join_all(names.iter().map(|name| catalog.create_workflow(new(&id, name)))).await;
    let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert_eq!(catalog.workflow(&DEFAULT, &id, None).await.unwrap().as_ref(), Some(won[0]));
}

pub(crate) async fn hiding_at_once_is_told_once(catalog: &dyn Catalog) {
    let id = fresh();
    catalog.create_workflow(new(&id, "one")).await.unwrap();
    let hidden = join_all((0..6).map(|_| catalog.hide_workflow(&DEFAULT, &id))).await;
    assert_eq!(hidden.into_iter().filter(|hidden| *hidden.as_ref().unwrap()).count(), 1);
}
