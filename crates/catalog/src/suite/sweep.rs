//! When a run is looked at again. Instants lie in the far past, so that other runs of the catalog are never due.

use super::{batch, fresh};
use crate::Catalog;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId},
};

const THEN: Timestamp = Timestamp(1_700_000_000_000);

async fn due(catalog: &dyn Catalog, now: i64, run: &RunId) -> bool {
    let due = catalog.due(Timestamp(now), THEN, 10_000).await.unwrap();
    due.iter().any(|id| id == run)
}

async fn run_due_at(catalog: &dyn Catalog, next: i64, retain_until: Option<i64>) -> RunId {
    let run = fresh();
    let mut append = batch(&run, 1, 2, "a");
    append.next_check_at = Some(Timestamp(next));
    append.row.retain_until = retain_until.map(Timestamp);
    catalog.append(append).await.unwrap();
    run
}

pub(crate) async fn due_runs_are_given_out_once(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, None).await;
    assert!(!due(catalog, 99, &run).await);
    assert!(due(catalog, 100, &run).await);
    assert!(!due(catalog, 100, &run).await);
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().next_check_at, Some(THEN));
    let (earlier, _later) = (run_due_at(catalog, 1, None).await, run_due_at(catalog, 2, None).await);
    assert_eq!(catalog.due(Timestamp(5), THEN, 1).await.unwrap(), [earlier]);
    assert_eq!(catalog.due(Timestamp(5), THEN, 10).await.unwrap().len(), 1);
}

pub(crate) async fn open_runs_are_found_by_status_page_by_page(catalog: &dyn Catalog) {
    let status = format!("status-{}", fresh::<String>());
    let mut all = Vec::new();
    for n in 0..3 {
        let run = fresh();
        let mut append = batch(&run, 1, 2, "a");
        append.row.status.clone_from(&status);
        append.row.created_at = Timestamp(n);
        append.next_check_at = Some(Timestamp(THEN.0 + n));
        let last = append.entries.last().unwrap().at;
        catalog.append(append).await.unwrap();
        all.push((run, last));
    }
    let first = catalog.open_runs(&ProjectId::DEFAULT, &status, None, 2).await.unwrap();
    let second = catalog.open_runs(&ProjectId::DEFAULT, &status, Some(&first[1].id), 2).await.unwrap();
    let found: Vec<_> = first.iter().chain(&second).map(|run| (run.id.clone(), run.last_at)).collect();
    assert_eq!(found, all);
    assert_eq!(second[0].next_check_at, Some(Timestamp(THEN.0 + 2)));
    assert_eq!(catalog.open_runs(&ProjectId::DEFAULT, &fresh::<String>(), None, 2).await.unwrap(), []);
}

pub(crate) async fn a_run_is_cleaned_only_at_the_end_of_its_history(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, Some(200)).await;
    assert!(!catalog.mark_cleaned(&run, 1).await.unwrap());
    assert!(!catalog.mark_cleaned(&fresh(), 1).await.unwrap());
    assert!(!catalog.tip(&run, None).await.unwrap().unwrap().is_cleaned());
    assert!(catalog.mark_cleaned(&run, 2).await.unwrap());
    assert!(catalog.tip(&run, None).await.unwrap().unwrap().is_cleaned());
    assert!(catalog.run(&run).await.unwrap().unwrap().is_cleaned());
    assert!(!due(catalog, 199, &run).await, "a cleaned run waits for its retention");
    assert!(due(catalog, 200, &run).await);
    catalog.append(batch(&run, 3, 1, "a")).await.unwrap();
    assert!(!catalog.run(&run).await.unwrap().unwrap().is_cleaned(), "a new entry opens it again");
    let kept = run_due_at(catalog, 100, None).await;
    assert!(catalog.mark_cleaned(&kept, 2).await.unwrap());
    assert!(!due(catalog, 1000, &kept).await, "without retention nothing is left to do");
}

pub(crate) async fn a_purged_run_is_looked_at_again(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, None).await;
    catalog.mark_purged(&run, Some(Timestamp(300))).await.unwrap();
    assert!(!due(catalog, 299, &run).await);
    assert!(due(catalog, 300, &run).await);
    catalog.mark_purged(&run, None).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.purged, row.next_check_at), (true, None));
    assert!(catalog.tip(&run, None).await.unwrap().unwrap().purged);
    assert_eq!(catalog.history(&run, 0, 10).await.unwrap().len(), 2, "the catalog keeps the history");
    let mut late = batch(&run, 3, 0, "a");
    late.next_check_at = Some(Timestamp(1));
    catalog.append(late).await.unwrap();
    assert!(!due(catalog, 1000, &run).await, "whoever was left behind does not move the next look");
}
