//! Appends that are odd, large, late or many at once.

use super::{at, batch, entries, fresh, hash, value};
use crate::{AppendError, Catalog};
use bytes::Bytes;
use callboard_core::id::RunId;
use futures::future::join_all;

pub(crate) async fn a_long_history_is_read_page_by_page(catalog: &dyn Catalog) {
    let run = fresh();
    for n in 0..3 {
        catalog.append(batch(&run, n * 100 + 1, 100, "a")).await.unwrap();
    }
    let mut read = Vec::new();
    while let page = catalog.history(&run, read.len() as u64, 70).await.unwrap()
        && !page.is_empty()
    {
        assert!(page.len() == 70 || read.len() + page.len() == 300);
        read.extend(page);
    }
    assert_eq!(read, entries(1, 300, "a"));
    assert_eq!(catalog.history(&run, 0, 0).await.unwrap(), []);
    assert_eq!(catalog.history(&run, u64::MAX, 10).await.unwrap(), []);
}

pub(crate) async fn an_append_over_a_part_adds_the_rest(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    catalog.append(batch(&run, 1, 6, "a")).await.unwrap();
    catalog.append(batch(&run, 4, 5, "a")).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 8, "a"));
    let tip = catalog.tip(&run, None).await.unwrap().unwrap();
    assert_eq!((tip.seq, tip.hash), (8, hash(8, "a")));
}

pub(crate) async fn a_fork_in_the_overlap_is_a_conflict_however_far_it_goes(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 3, "a")).await.unwrap();
    let mut forked = batch(&run, 2, 5, "a");
    forked.entries[1].hash = hash(3, "b");
    let refused = catalog.append(forked).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    let mut before = batch(&run, 3, 2, "a");
    before.prev_hash = hash(2, "b");
    let refused = catalog.append(before).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "the entry before is another: {refused:?}");
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 3, "a"));
}

pub(crate) async fn numbers_that_are_none_are_refused(catalog: &dyn Catalog) {
    let run = fresh();
    let mut zero = batch(&run, 1, 1, "a");
    (zero.first_seq, zero.entries[0].seq) = (0, 0);
    let mut hole = batch(&run, 1, 3, "a");
    hole.entries.remove(1);
    let mut beyond = batch(&run, 1, 1, "a");
    (beyond.first_seq, beyond.entries[0].seq) = (u64::MAX, u64::MAX);
    for append in [zero, hole, beyond] {
        let refused = catalog.append(append).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    }
    assert_eq!(catalog.run(&run).await.unwrap(), None);
}

pub(crate) async fn a_gap_tells_where_the_history_ends(catalog: &dyn Catalog) {
    let run = fresh();
    for end in [2, 5] {
        let first = catalog.tip(&run, None).await.unwrap().map_or(1, |tip| tip.seq + 1);
        catalog.append(batch(&run, first, end + 1 - first, "a")).await.unwrap();
        let refused = catalog.append(batch(&run, end + 3, 2, "a")).await;
        assert!(matches!(refused, Err(AppendError::Gap { last }) if last == end), "{refused:?}");
    }
}

pub(crate) async fn entries_keep_their_time_and_text(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 4, "a");
    for (entry, event) in append.entries.iter_mut().zip([
        r#"{"a": "\u0000 ü \"quoted\" 'q' \\u0000", "b":1.10, "a":2}"#.to_owned(),
        "null".to_owned(),
        format!(r#"["{}"]"#, "x".repeat(300_000)),
        "{\"emoji\":\"\u{1f980}\"}".to_owned(),
    ]) {
        entry.event = event;
        entry.at = at(i64::try_from(entry.seq).unwrap() * 1_000_000_007);
    }
    catalog.append(append.clone()).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 10).await.unwrap(), append.entries);
}

pub(crate) async fn values_may_be_large_and_of_any_bytes(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 1, "a");
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 256) as u8).collect();
    append.values.push(("large".to_owned(), Bytes::from(large.clone())));
    append.values.extend((0..100).map(|n| (format!("v.{n}"), value(&n.to_string()))));
    catalog.append(append).await.unwrap();
    let keys: Vec<String> = (0..100).map(|n| format!("v.{n}")).chain(["large".to_owned()]).collect();
    let found = catalog.values(&run, &keys).await.unwrap();
    assert_eq!(found.len(), 101);
    assert_eq!(found["large"], large);
    assert_eq!(found["v.99"], value("99"));
}

pub(crate) async fn a_value_given_twice_keeps_its_first_content(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 1, "a");
    append.values = vec![("k".to_owned(), value("first")), ("k".to_owned(), value("second"))];
    catalog.append(append.clone()).await.unwrap();
    append.values = vec![("k".to_owned(), value("third")), ("l".to_owned(), value("new"))];
    catalog.append(append).await.unwrap();
    let found = catalog.values(&run, &["k".to_owned(), "l".to_owned()]).await.unwrap();
    assert_eq!(
        (&found["k"], &found["l"]),
        (&value("first"), &value("new")),
        "a repeated append adds what it brings"
    );
}

pub(crate) async fn values_come_with_an_append_that_is_behind(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 4, "a")).await.unwrap();
    let mut late = batch(&run, 2, 1, "a");
    late.values = vec![("late".to_owned(), value("1"))];
    late.row.status = "late".to_owned();
    catalog.append(late).await.unwrap();
    assert_eq!(catalog.values(&run, &["late".to_owned()]).await.unwrap().len(), 1);
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().status, "running");
    let mut nothing = batch(&fresh(), 1, 0, "a");
    nothing.values = vec![("late".to_owned(), value("1"))];
    let nobody = nothing.run.clone();
    catalog.append(nothing).await.unwrap();
    assert!(catalog.values(&nobody, &["late".to_owned()]).await.unwrap().is_empty(), "of no run");
}

pub(crate) async fn the_same_append_many_times_at_once_is_one(catalog: &dyn Catalog) {
    let run = fresh();
    for first in [1, 4] {
        let results = join_all((0..16).map(|_| catalog.append(batch(&run, first, 3, "a")))).await;
        for result in results {
            result.unwrap();
        }
    }
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 6, "a"));
}

pub(crate) async fn appends_of_one_run_handed_in_at_once_follow_each_other(catalog: &dyn Catalog) {
    let run = fresh();
    let appends = (0..12).map(|n| {
        let mut append = batch(&run, n + 1, 1, "a");
        append.row.status = format!("after {}", n + 1);
        catalog.append(append)
    });
    for result in join_all(appends).await {
        result.unwrap();
    }
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 12, "a"));
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().status, "after 12");
}

pub(crate) async fn racing_appends_in_the_middle_let_one_win(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 5, "a")).await.unwrap();
    let forks: Vec<String> = (0..16).map(|n| format!("fork {n}")).collect();
    let append = |fork: &String| {
        let mut append = batch(&run, 6, 2, fork);
        append.prev_hash = hash(5, "a");
        append.values = vec![(fork.clone(), value("1"))];
        catalog.append(append)
    };
    let results = join_all(forks.iter().map(append)).await;
    let winners: Vec<_> = forks.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(f, _)| f).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(AppendError::Conflict))), "{results:?}");
    assert_eq!(catalog.history(&run, 5, 100).await.unwrap(), entries(6, 2, winners[0]));
    let values = catalog.values(&run, &forks).await.unwrap();
    assert_eq!(values.keys().collect::<Vec<_>>(), winners, "the others have left nothing");
}

pub(crate) async fn a_large_group_of_new_and_old_runs_is_taken(catalog: &dyn Catalog) {
    let runs: Vec<RunId> = (0..300).map(|_| fresh()).collect();
    for result in join_all(runs.iter().step_by(2).map(|run| catalog.append(batch(run, 1, 2, "a")))).await {
        result.unwrap();
    }
    let appends = runs.iter().enumerate().map(|(n, run)| {
        catalog.append(if n % 2 == 0 { batch(run, 3, 1, "a") } else { batch(run, 1, 3, "a") })
    });
    for result in join_all(appends).await {
        result.unwrap();
    }
    for run in &runs {
        assert_eq!(catalog.tip(run, Some(2)).await.unwrap().unwrap().hash_at, Some(hash(2, "a")), "{run}");
        assert_eq!(catalog.history(run, 0, 10).await.unwrap(), entries(1, 3, "a"));
    }
}

pub(crate) async fn a_tip_follows_each_append(catalog: &dyn Catalog) {
    let run = fresh();
    for n in 1..=4 {
        let mut append = batch(&run, n, 1, "a");
        append.row.purging = n == 2;
        catalog.append(append).await.unwrap();
        let tip = catalog.tip(&run, Some(n)).await.unwrap().unwrap();
        assert_eq!((tip.seq, tip.hash, tip.hash_at), (n, hash(n, "a"), Some(hash(n, "a"))));
        assert_eq!(tip.purging, n == 2, "as the last append says");
    }
    assert_eq!(catalog.tip(&run, Some(u64::MAX)).await.unwrap().unwrap().hash_at, None);
    assert_eq!(catalog.tip(&fresh(), Some(1)).await.unwrap(), None);
}
