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

pub(crate) async fn the_earliest_are_due_first(catalog: &dyn Catalog) {
    let mut runs = Vec::new();
    for next in [-30, -10, -20] {
        runs.push(run_due_at(catalog, next, None).await);
    }
    let mut due = catalog.due(Timestamp(-5), THEN, 2).await.unwrap();
    due.sort();
    let mut first = [runs[0].clone(), runs[2].clone()];
    first.sort();
    assert_eq!(due, first);
    assert_eq!(catalog.due(Timestamp(-5), THEN, 0).await.unwrap(), []);
    let row = catalog.run(&runs[1]).await.unwrap().unwrap();
    assert_eq!(row.next_check_at, Some(Timestamp(-10)), "what is not given out is not moved");
    assert_eq!(catalog.due(Timestamp(-5), THEN, 2).await.unwrap(), runs[1..2]);
}

pub(crate) async fn sweepers_share_what_is_due(catalog: &dyn Catalog) {
    let mut runs = Vec::new();
    for n in 0..40 {
        runs.push(run_due_at(catalog, -1000 - n, None).await);
    }
    let mut given = Vec::new();
    // One that finds another at work may come away with less.
    while given.len() < runs.len() {
        let due = futures::future::join_all((0..4).map(|_| catalog.due(Timestamp(-900), THEN, 15))).await;
        given.extend(due.into_iter().flat_map(Result::unwrap));
    }
    given.sort();
    runs.sort();
    assert_eq!(given, runs, "each once");
}

pub(crate) async fn a_run_that_nobody_has_to_look_at_is_never_due(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, None).await;
    assert!(catalog.mark_cleaned(&run, 2).await.unwrap());
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().next_check_at, None);
    assert!(!due(catalog, 1_000_000, &run).await);
    catalog.mark_purged(&fresh(), Some(Timestamp(1))).await.unwrap();
}

pub(crate) async fn many_marks_at_once_are_each_answered(catalog: &dyn Catalog) {
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(run_due_at(catalog, 100, None).await);
    }
    let marks =
        runs.iter().enumerate().map(|(n, run)| catalog.mark_cleaned(run, if n % 2 == 0 { 2 } else { 1 }));
    let marks: Vec<bool> = futures::future::join_all(marks).await.into_iter().map(Result::unwrap).collect();
    for (n, (run, marked)) in runs.iter().zip(marks).enumerate() {
        assert_eq!(marked, n % 2 == 0);
        assert_eq!(catalog.run(run).await.unwrap().unwrap().is_cleaned(), marked);
    }
    assert!(catalog.mark_cleaned(&runs[0], 2).await.unwrap(), "a mark may be made again");
}

pub(crate) async fn an_append_without_entries_leaves_a_run_cleaned(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, None).await;
    assert!(catalog.mark_cleaned(&run, 2).await.unwrap());
    let mut nothing = batch(&run, 3, 0, "a");
    nothing.next_check_at = Some(Timestamp(500));
    catalog.append(nothing).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert!(row.is_cleaned());
    assert_eq!(row.next_check_at, Some(Timestamp(500)));
    assert!(due(catalog, 500, &run).await);
}

pub(crate) async fn the_history_of_a_purged_run_and_its_row_stay_together(catalog: &dyn Catalog) {
    let run = run_due_at(catalog, 100, None).await;
    catalog.mark_purged(&run, None).await.unwrap();
    for seq in [3, 4] {
        let mut append = batch(&run, seq, 1, "a");
        append.next_check_at = Some(Timestamp(1));
        append.row.status = format!("after {seq}");
        catalog.append(append).await.unwrap();
        let tip = catalog.tip(&run, None).await.unwrap().unwrap();
        assert_eq!((tip.seq, tip.purged), (seq, true));
        let row = catalog.run(&run).await.unwrap().unwrap();
        assert_eq!((row.seq, row.status, row.next_check_at), (seq, format!("after {seq}"), None));
        // Whoever remembers nothing of the run finds the same.
        catalog.append(batch(&run, 2, seq - 1, "a")).await.unwrap();
    }
}

pub(crate) async fn a_project_is_told_once(catalog: &dyn Catalog) {
    let project: ProjectId = format!("q{}", &fresh::<String>().replace('-', "")[1..]).parse().unwrap();
    assert!(!catalog.projects().await.unwrap().contains(&project));
    for n in 0..3 {
        let run = RunId::new(&project, &format!("run-{n}")).unwrap();
        catalog.append(batch(&run, 1, 1, "a")).await.unwrap();
    }
    let projects = catalog.projects().await.unwrap();
    assert_eq!(projects.iter().filter(|known| **known == project).count(), 1);
    assert!(projects.is_sorted());
}

pub(crate) async fn open_runs_tell_the_latest_time_of_their_entries(catalog: &dyn Catalog) {
    let (run, status): (RunId, String) = (fresh(), format!("status-{}", fresh::<String>()));
    for (seq, time) in [(1, 50), (2, 40), (3, 60)] {
        let mut append = batch(&run, seq, 1, "a");
        append.entries[0].at = Timestamp(time);
        append.row.status.clone_from(&status);
        append.row.created_at = Timestamp(1_000_000_000_000);
        catalog.append(append).await.unwrap();
        let open = catalog.open_runs(&ProjectId::DEFAULT, &status, None, 10).await.unwrap();
        assert_eq!(open[0].last_at, Timestamp(time.max(50)));
    }
}
