//! Histories, values and projections.

use super::{at, batch, entries, fresh, hash, value};
use crate::{AppendError, Catalog, RunFilter};
use callboard_core::id::{ProjectId, RunId, WorkflowId};
use futures::future::join_all;

pub(crate) async fn a_history_reads_as_it_was_appended(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    catalog.append(batch(&run, 4, 2, "a")).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 5, "a"));
    assert_eq!(catalog.history(&run, 1, 2).await.unwrap(), entries(2, 2, "a"));
    assert_eq!(catalog.history(&run, 5, 100).await.unwrap(), []);
    assert_eq!(catalog.history(&fresh(), 0, 100).await.unwrap(), []);
}

pub(crate) async fn an_append_may_be_repeated_and_overlap(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    catalog.append(batch(&run, 2, 1, "a")).await.unwrap();
    catalog.append(batch(&run, 2, 4, "a")).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 5, "a"));
    assert_eq!(catalog.tip(&run, None).await.unwrap().unwrap().seq, 5);
}

pub(crate) async fn another_hash_at_the_same_seq_is_a_conflict(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    // A fork at an entry that is there, one before the first new entry, one at the very beginning.
    for append in [batch(&run, 3, 1, "b"), batch(&run, 4, 1, "b"), batch(&run, 1, 1, "b"), {
        let mut wrong_start = batch(&run, 1, 3, "a");
        wrong_start.prev_hash = hash(9, "b");
        wrong_start
    }] {
        let refused = catalog.append(append).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    }
    let mut wrong_start = batch(&fresh(), 1, 1, "a");
    wrong_start.prev_hash = hash(9, "b");
    assert!(matches!(catalog.append(wrong_start).await, Err(AppendError::Conflict)));
    let mut unordered = batch(&run, 4, 2, "a");
    unordered.entries.swap(0, 1);
    assert!(matches!(catalog.append(unordered).await, Err(AppendError::Conflict)));
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 3, "a"));
}

pub(crate) async fn a_hole_is_a_gap(catalog: &dyn Catalog) {
    let run = fresh();
    assert!(matches!(catalog.append(batch(&run, 2, 1, "a")).await, Err(AppendError::Gap { last: 0 })));
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    assert!(matches!(catalog.append(batch(&run, 5, 1, "a")).await, Err(AppendError::Gap { last: 3 })));
}

pub(crate) async fn a_refused_append_leaves_nothing(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 2, "a")).await.unwrap();
    let before = catalog.run(&run).await.unwrap();
    let mut forked = batch(&run, 2, 3, "b");
    forked.values = vec![("t.0".to_owned(), value("1"))];
    forked.next_check_at = Some(at(99));
    forked.row.status = "failed".to_owned();
    catalog.append(forked).await.unwrap_err();
    assert_eq!(catalog.run(&run).await.unwrap(), before);
    assert!(catalog.values(&run, &["t.0".to_owned()]).await.unwrap().is_empty());
}

pub(crate) async fn values_are_written_once(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 1, "a");
    append.values = vec![("t.0".to_owned(), value("one")), ("t.1".to_owned(), value(""))];
    catalog.append(append).await.unwrap();
    let mut append = batch(&run, 2, 1, "a");
    append.values = vec![("t.0".to_owned(), value("other")), ("t'2 \"".to_owned(), value("three"))];
    catalog.append(append).await.unwrap();
    let keys = ["t.0", "t.1", "t'2 \"", "t.9"].map(str::to_owned);
    let found = catalog.values(&run, &keys).await.unwrap();
    let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_ref())).collect();
    assert_eq!(found, [("t'2 \"", &b"three"[..]), ("t.0", b"one"), ("t.1", b"")]);
    assert!(catalog.values(&fresh(), &keys).await.unwrap().is_empty());
    assert!(catalog.values(&run, &[]).await.unwrap().is_empty());
}

pub(crate) async fn the_projection_only_moves_forward(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 1, "a");
    append.row.version = Some(7);
    append.row.workflow_id = Some(fresh());
    append.next_check_at = Some(at(50));
    catalog.append(append.clone()).await.unwrap();
    let mut end = batch(&run, 2, 1, "a");
    end.row.status = "completed".to_owned();
    end.row.summary = r#"{"n":2}"#.to_owned();
    end.row.ended_at = Some(at(9));
    end.next_check_at = Some(at(60));
    catalog.append(end).await.unwrap();
    append.next_check_at = Some(at(1));
    catalog.append(append).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.seq, row.status.as_str(), row.summary.as_str()), (2, "completed", r#"{"n":2}"#));
    assert_eq!((row.created_at, row.ended_at, row.next_check_at), (at(0), Some(at(9)), Some(at(60))));
    assert_eq!(catalog.run(&fresh()).await.unwrap(), None);
}

pub(crate) async fn an_append_without_entries_moves_the_next_check(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 0, "a")).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap(), None);
    catalog.append(batch(&run, 1, 2, "a")).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().next_check_at, Some(at(0)));
    let mut nothing = batch(&run, 3, 0, "a");
    nothing.next_check_at = Some(at(70));
    catalog.append(nothing.clone()).await.unwrap();
    nothing.next_check_at = None;
    catalog.append(nothing).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.seq, row.next_check_at), (2, Some(at(70))));
    assert!(matches!(catalog.append(batch(&run, 3, 0, "b")).await, Err(AppendError::Conflict)));
    assert!(matches!(catalog.append(batch(&run, 4, 0, "a")).await, Err(AppendError::Gap { last: 2 })));
}

pub(crate) async fn a_tip_names_the_hash_at_a_seq(catalog: &dyn Catalog) {
    let run = fresh();
    assert_eq!(catalog.tip(&run, Some(0)).await.unwrap(), None);
    let mut append = batch(&run, 1, 3, "a");
    append.row.purging = true;
    catalog.append(append).await.unwrap();
    for (asked, found) in [
        (None, None),
        (Some(0), Some(hash(0, "a"))),
        (Some(2), Some(hash(2, "a"))),
        (Some(3), Some(hash(3, "a"))),
        (Some(4), None),
    ] {
        let tip = catalog.tip(&run, asked).await.unwrap().unwrap();
        assert_eq!((tip.seq, tip.hash, tip.hash_at), (3, hash(3, "a"), found), "{asked:?}");
        assert_eq!((tip.purging, tip.purged, tip.cleaned_seq), (true, false, 0));
    }
}

pub(crate) async fn runs_are_listed_newest_first_by_filter_and_cursor(catalog: &dyn Catalog) {
    let workflow: WorkflowId = fresh();
    // Two were created in the same millisecond: the id decides.
    let runs: Vec<RunId> = (0..4).map(|_| fresh()).collect();
    for (run, (created, status)) in
        runs.iter().zip([(1, "completed"), (2, "failed"), (2, "completed"), (3, "completed")])
    {
        let mut append = batch(run, 1, 1, "a");
        append.row.workflow_id = Some(workflow.clone());
        append.row.status = status.to_owned();
        append.row.created_at = at(created);
        catalog.append(append).await.unwrap();
    }
    let of = |workflow: &WorkflowId, statuses: &[&str]| RunFilter {
        workflow_id: Some(workflow.clone()),
        statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
        ..RunFilter::default()
    };
    let ids = async |filter: RunFilter, after: Option<&RunId>, limit| {
        let rows = catalog.runs(&ProjectId::DEFAULT, filter, after, limit).await.unwrap();
        rows.into_iter().map(|r| runs.iter().position(|id| *id == r.id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(of(&workflow, &[]), None, 100).await, [3, 2, 1, 0]);
    assert_eq!(ids(of(&workflow, &[]), None, 2).await, [3, 2]);
    assert_eq!(ids(of(&workflow, &[]), Some(&runs[2]), 2).await, [1, 0]);
    assert!(
        ids(of(&workflow, &[]), Some(&fresh()), 100).await.is_empty(),
        "nothing comes after an unknown run"
    );
    assert_eq!(ids(of(&workflow, &["completed"]), None, 100).await, [3, 2, 0]);
    assert_eq!(ids(of(&workflow, &["completed"]), Some(&runs[3]), 1).await, [2]);
    assert_eq!(ids(of(&workflow, &["failed", "completed"]), Some(&runs[3]), 2).await, [2, 1]);
    assert_eq!(ids(of(&workflow, &["failed", "other"]), None, 100).await, [1]);
    assert!(ids(of(&fresh(), &[]), None, 100).await.is_empty());
    assert!(
        catalog
            .runs(&ProjectId::DEFAULT, RunFilter::default(), None, 10_000)
            .await
            .unwrap()
            .iter()
            .any(|r| r.id == runs[0])
    );
}

pub(crate) async fn runs_are_listed_by_statuses_and_span_over_all_workflows(catalog: &dyn Catalog) {
    // Statuses of its own tell these runs from others.
    let names = ["a", "b", "c"].map(|name| format!("{name}-{}", fresh::<String>()));
    let runs: Vec<RunId> = (0..9).map(|_| fresh()).collect();
    for (n, run) in runs.iter().enumerate() {
        let mut append = batch(run, 1, 1, "a");
        append.row.status.clone_from(&names[n % 3]);
        append.row.created_at = at(i64::try_from(n / 2).unwrap());
        catalog.append(append).await.unwrap();
    }
    let ids = async |statuses: &[String], span: (Option<i64>, Option<i64>), after: Option<usize>, limit| {
        let statuses = statuses.iter().cloned().collect();
        let (from, to) = (span.0.map(at), span.1.map(at));
        let filter = RunFilter { statuses, from, to, ..RunFilter::default() };
        let rows = catalog.runs(&ProjectId::DEFAULT, filter, after.map(|n| &runs[n]), limit).await.unwrap();
        rows.into_iter().map(|r| runs.iter().position(|id| *id == r.id).unwrap()).collect::<Vec<_>>()
    };
    let all = (None, None);
    assert_eq!(ids(&names[..1], all, None, 100).await, [6, 3, 0]);
    assert_eq!(ids(&names[..2], all, None, 100).await, [7, 6, 4, 3, 1, 0]);
    assert_eq!(ids(&names, all, None, 100).await, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(ids(&names, all, None, 4).await, [8, 7, 6, 5]);
    assert_eq!(ids(&names, all, Some(5), 3).await, [4, 3, 2]);
    // Created at 0 0 1 1 2 2 3 3 4: the first instant counts, the last one does not.
    assert_eq!(ids(&names, (Some(2), None), None, 100).await, [8, 7, 6, 5, 4]);
    assert_eq!(ids(&names, (None, Some(2)), None, 100).await, [3, 2, 1, 0]);
    assert_eq!(ids(&names, (Some(1), Some(3)), None, 100).await, [5, 4, 3, 2]);
    assert_eq!(ids(&names, (Some(1), Some(3)), Some(4), 100).await, [3, 2]);
    assert_eq!(ids(&names, (Some(1), Some(3)), Some(8), 100).await, [5, 4, 3, 2], "a cursor beyond the span");
    assert!(ids(&names, (Some(3), Some(3)), None, 100).await.is_empty());
    // More statuses than anybody names are looked for in another way.
    let many: Vec<String> = (0..40).map(|n| format!("none-{n}")).chain(names[..1].to_vec()).collect();
    assert_eq!(ids(&many, all, None, 100).await, [6, 3, 0]);
    assert_eq!(ids(&many, all, Some(6), 1).await, [3]);
}

pub(crate) async fn concurrent_appends_do_not_disturb_each_other(catalog: &dyn Catalog) {
    let runs: Vec<RunId> = (0..64).map(|_| fresh()).collect();
    let results = join_all(runs.iter().enumerate().map(async |(n, run)| {
        for step in 0..8 {
            // Every fourth run forks at once and must not take its neighbours with it.
            let forks = n % 4 == 0 && step > 0;
            let refused = catalog.append(batch(run, step * 2 + 1, 2, if forks { "b" } else { "a" })).await;
            assert_eq!(refused.is_err(), forks, "{refused:?}");
        }
        catalog.history(run, 0, 100).await.unwrap()
    }))
    .await;
    for (n, history) in results.into_iter().enumerate() {
        assert_eq!(history, entries(1, if n % 4 == 0 { 2 } else { 16 }, "a"));
    }
}

pub(crate) async fn racing_appends_of_one_run_let_one_win(catalog: &dyn Catalog) {
    let run = fresh();
    let forks: Vec<String> = (0..16).map(|n| format!("fork {n}")).collect();
    let results = join_all(forks.iter().map(|fork| catalog.append(batch(&run, 1, 2, fork)))).await;
    let winners: Vec<_> = forks.iter().zip(results).filter(|(_, r)| r.is_ok()).map(|(f, _)| f).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 2, winners[0]));
}
