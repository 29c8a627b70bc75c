//! What is asked over all runs of a project.

use super::{at, batch, fresh};
use crate::{AskedPlace, Asking, Catalog, RunFilter, Search, Words};
use callboard_core::id::{ProjectId, RunId, WorkflowId};

/// A project of its own, so that a case meets its own runs only.
fn project() -> ProjectId {
    format!("p{}", &fresh::<String>().replace('-', "")[1..32]).parse().unwrap()
}

fn search(text: &str) -> Search {
    Search { words: Words::parse(text).unwrap(), workflow_id: None, from: None, to: None }
}

async fn found(
    catalog: &dyn Catalog,
    project: &ProjectId,
    search: Search,
    after: Option<&RunId>,
    limit: u32,
) -> Vec<String> {
    let rows = catalog.search_runs(project, search, after, limit).await.unwrap();
    rows.into_iter().map(|row| row.id.name().to_owned()).collect()
}

/// A run of each name, created in this order.
async fn runs(catalog: &dyn Catalog, project: &ProjectId, names: &[(&str, &str)]) -> Vec<RunId> {
    let mut runs = Vec::new();
    for (n, (name, of)) in (0..).zip(names) {
        let run = RunId::new(project, name).unwrap();
        let mut append = batch(&run, 1, 1, "a");
        append.row.name = (*of).to_owned();
        append.row.created_at = at(n);
        catalog.append(append).await.unwrap();
        runs.push(run);
    }
    runs
}

pub(crate) async fn runs_are_found_by_words_and_beginnings_of_words(catalog: &dyn Catalog) {
    let project = project();
    runs(
        catalog,
        &project,
        &[
            ("order-17", "Ship the Goods"),
            ("order-18", "ship a letter"),
            ("Invoice_17", "Überweisung 'zwei'"),
        ],
    )
    .await;
    let all = async |text: &str| found(catalog, &project, search(text), None, 10).await;
    assert_eq!(all("order").await, ["order-18", "order-17"]);
    assert_eq!(all("ORD ship").await, ["order-18", "order-17"]);
    assert_eq!(all("17").await, ["Invoice_17", "order-17"]);
    assert_eq!(all("order-17").await, ["order-17"]);
    assert_eq!(all("über").await, ["Invoice_17"]);
    assert_eq!(all("goods letter").await, [""; 0], "all words are in one run");
    assert_eq!(all("rder").await, [""; 0], "the middle of a word is none");
    assert_eq!(all("nobody").await, [""; 0]);
}

pub(crate) async fn a_failed_run_is_found_by_its_error(catalog: &dyn Catalog) {
    let project = project();
    let made = runs(catalog, &project, &[("a", "one"), ("b", "one")]).await;
    let mut failed = batch(&made[0], 2, 1, "a");
    failed.row.name = "one".to_owned();
    failed.row.error = Some("model_quota: the provider said \"no\"".to_owned());
    failed.row.created_at = at(0);
    failed.row.ended_at = Some(at(9));
    failed.row.status = "failed".to_owned();
    catalog.append(failed).await.unwrap();
    assert_eq!(found(catalog, &project, search("quota prov"), None, 10).await, ["a"]);
    assert_eq!(found(catalog, &project, search("one"), None, 10).await, ["b", "a"]);
}

pub(crate) async fn a_search_has_pages_spans_and_workflows(catalog: &dyn Catalog) {
    let (project, workflow): (ProjectId, WorkflowId) = (project(), fresh());
    let mut made = Vec::new();
    for n in 0..6 {
        let run = RunId::new(&project, &format!("r{n}")).unwrap();
        let mut append = batch(&run, 1, 1, "a");
        append.row.name = "some".to_owned();
        append.row.created_at = at(n);
        append.row.workflow_id = (n % 2 == 0).then(|| workflow.clone());
        catalog.append(append).await.unwrap();
        made.push(run);
    }
    let some = || search("some");
    assert_eq!(found(catalog, &project, some(), None, 2).await, ["r5", "r4"]);
    assert_eq!(found(catalog, &project, some(), Some(&made[4]), 3).await, ["r3", "r2", "r1"]);
    let unknown = RunId::new(&project, "nobody").unwrap();
    assert_eq!(found(catalog, &project, some(), Some(&unknown), 3).await, [""; 0]);
    let span = Search { from: Some(at(1)), to: Some(at(4)), ..some() };
    assert_eq!(found(catalog, &project, span.clone(), None, 10).await, ["r3", "r2", "r1"]);
    let own = Search { workflow_id: Some(workflow.clone()), ..span };
    assert_eq!(found(catalog, &project, own, None, 10).await, ["r2"]);
    assert_eq!(found(catalog, &project, search(workflow.as_str()), None, 10).await, ["r4", "r2", "r0"]);
    let other = Search { workflow_id: Some(fresh()), ..some() };
    assert_eq!(found(catalog, &project, other, None, 10).await, [""; 0]);
}

pub(crate) async fn words_of_another_project_find_nothing(catalog: &dyn Catalog) {
    let (one, other) = (project(), project());
    let made = runs(catalog, &one, &[("hidden", "treasure")]).await;
    assert_eq!(found(catalog, &one, search("treasure"), None, 10).await, ["hidden"]);
    assert_eq!(found(catalog, &other, search("treasure"), None, 10).await, [""; 0]);
    assert_eq!(found(catalog, &other, search("treasure"), Some(&made[0]), 10).await, [""; 0]);
    assert_eq!(found(catalog, &other, search(one.as_str()), None, 10).await, [""; 0]);
}

pub(crate) async fn the_oldest_may_come_first(catalog: &dyn Catalog) {
    let project = project();
    let made = runs(catalog, &project, &[("a", ""), ("b", ""), ("c", ""), ("d", "")]).await;
    let listed = async |filter: RunFilter, after: Option<&RunId>| {
        let rows = catalog.runs(&project, filter, after, 2).await.unwrap();
        rows.into_iter().map(|row| row.id.name().to_owned()).collect::<Vec<_>>()
    };
    let oldest = || RunFilter { oldest_first: true, ..RunFilter::default() };
    assert_eq!(listed(oldest(), None).await, ["a", "b"]);
    assert_eq!(listed(oldest(), Some(&made[1])).await, ["c", "d"]);
    let span = RunFilter { from: Some(at(1)), to: Some(at(3)), ..oldest() };
    assert_eq!(listed(span.clone(), None).await, ["b", "c"]);
    let several = RunFilter { statuses: ["running".to_owned(), "other".to_owned()].into(), ..span };
    assert_eq!(listed(several, Some(&made[1])).await, ["c"]);
}

fn asking(step: &str, since: i64) -> Asking {
    Asking {
        step: step.to_owned(),
        since: at(since),
        asked: format!(r#"{{"step":"{step}","text":"\u0000"}}"#),
    }
}

pub(crate) async fn what_waits_for_a_person_is_listed_until_it_is_answered(catalog: &dyn Catalog) {
    let project = project();
    let made = runs(catalog, &project, &[("a", ""), ("b", "")]).await;
    let list = async |after: Option<&AskedPlace>| {
        let rows = catalog.asked(&project, after, 2).await.unwrap();
        rows.into_iter().map(|row| row.place).collect::<Vec<_>>()
    };
    let place = |run: &RunId, step: &str, since| AskedPlace {
        since: at(since),
        run: run.clone(),
        step: step.to_owned(),
    };
    let ask = async |run: &RunId, first: u64, asks: Vec<Asking>| {
        let mut append = batch(run, first, 1, "a");
        append.row.asks = asks;
        catalog.append(append).await.unwrap();
    };
    assert_eq!((list(None).await, catalog.count_asked(&project).await.unwrap()), (Vec::new(), 0));
    ask(&made[0], 2, vec![asking("1.x.", 7), asking("1.y.", 5)]).await;
    ask(&made[1], 2, vec![asking("1.x.", 6)]).await;
    assert_eq!(list(None).await, [place(&made[0], "1.y.", 5), place(&made[1], "1.x.", 6)]);
    assert_eq!(list(Some(&place(&made[1], "1.x.", 6))).await, [place(&made[0], "1.x.", 7)]);
    assert_eq!(catalog.count_asked(&project).await.unwrap(), 3);
    let rows = catalog.asked(&project, None, 1).await.unwrap();
    assert_eq!(rows[0].asked, asking("1.y.", 5).asked);
    // The same again changes nothing, another one takes its place.
    ask(&made[0], 3, vec![asking("1.x.", 7), asking("1.y.", 5)]).await;
    assert_eq!(catalog.count_asked(&project).await.unwrap(), 3);
    ask(&made[0], 4, vec![asking("1.z.", 1)]).await;
    assert_eq!(list(None).await, [place(&made[0], "1.z.", 1), place(&made[1], "1.x.", 6)]);
    ask(&made[0], 5, Vec::new()).await;
    ask(&made[1], 3, Vec::new()).await;
    assert_eq!((list(None).await, catalog.count_asked(&project).await.unwrap()), (Vec::new(), 0));
}

pub(crate) async fn an_append_that_is_behind_asks_nothing_again(catalog: &dyn Catalog) {
    let project = project();
    let made = runs(catalog, &project, &[("a", "")]).await;
    let mut asks = batch(&made[0], 2, 1, "a");
    asks.row.asks = vec![asking("1.x.", 7)];
    catalog.append(asks.clone()).await.unwrap();
    catalog.append(batch(&made[0], 3, 1, "a")).await.unwrap();
    catalog.append(asks).await.unwrap();
    assert_eq!(catalog.count_asked(&project).await.unwrap(), 0);
}
