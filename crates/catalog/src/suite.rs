//! What every catalog must do, as plain functions over `&dyn Catalog`.
//!
//! `all` runs them one after the other on one catalog; each makes its own ids, so the order does not matter and an
//! old database may be used. The last one closes it. They panic at the first difference: call them from a test.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod access;
mod definitions;
mod journal;
mod keys;
mod once;
mod pins;
mod projects;
mod sweep;

use crate::{Access, Append, AppendError, Catalog, Entry, Error, NO_HASH, RunProjection};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId},
};
use futures::future::join;
use std::{fmt::Debug, str::FromStr};

pub(crate) use access::*;
pub(crate) use definitions::*;
pub(crate) use journal::*;
pub(crate) use keys::*;
pub(crate) use once::*;
pub(crate) use pins::*;
pub(crate) use projects::*;
pub(crate) use sweep::*;

/// Runs the whole suite, and closes the catalog.
pub async fn all(catalog: &dyn Catalog) {
    a_workflow_reads_as_it_was_saved(catalog).await;
    versions_stay_readable_and_conflicts_are_told(catalog).await;
    a_hidden_workflow_is_gone_but_its_versions_are_not(catalog).await;
    workflows_are_listed_newest_first_by_cursor(catalog).await;
    a_workflow_shows_the_status_of_its_latest_run(catalog).await;
    a_history_reads_as_it_was_appended(catalog).await;
    an_append_may_be_repeated_and_overlap(catalog).await;
    another_hash_at_the_same_seq_is_a_conflict(catalog).await;
    a_hole_is_a_gap(catalog).await;
    a_refused_append_leaves_nothing(catalog).await;
    values_are_written_once(catalog).await;
    the_projection_only_moves_forward(catalog).await;
    an_append_without_entries_moves_the_next_check(catalog).await;
    a_tip_names_the_hash_at_a_seq(catalog).await;
    runs_are_listed_newest_first_by_filter_and_cursor(catalog).await;
    runs_are_listed_by_statuses_and_span_over_all_workflows(catalog).await;
    concurrent_appends_do_not_disturb_each_other(catalog).await;
    racing_appends_of_one_run_let_one_win(catalog).await;
    a_pin_reads_as_it_was_kept(catalog).await;
    a_pin_of_another_project_is_not_there(catalog).await;
    a_pin_goes_when_every_run_that_may_name_it_is_purged(catalog).await;
    due_runs_are_given_out_once(catalog).await;
    open_runs_are_found_by_status_page_by_page(catalog).await;
    a_run_is_cleaned_only_at_the_end_of_its_history(catalog).await;
    a_purged_run_is_looked_at_again(catalog).await;
    nothing_crosses_from_one_project_to_another(catalog).await;
    a_run_of_one_name_in_two_projects_is_two_runs(catalog).await;
    a_key_is_made_once_and_two_are_valid(catalog).await;
    signatures_once_required_stay_so(catalog).await;
    a_change_under_a_key_is_made_once_and_answered_the_same(catalog).await;
    every_kind_of_change_is_made_once(catalog).await;
    another_body_under_a_key_changes_nothing(catalog).await;
    a_change_that_fails_is_not_remembered(catalog).await;
    whoever_asks_meanwhile_waits_for_the_first(catalog).await;
    an_answer_is_forgotten_after_a_day(catalog).await;
    an_early_message_is_kept_until_somebody_forgets_it(catalog).await;
    no_more_early_messages_are_kept_than_may_be(catalog).await;
    catalog.health().await.unwrap();
    closing_finishes_what_was_handed_in_and_refuses_the_rest(catalog).await;
}

/// Runs the part of who may ask. It closes nothing.
pub async fn access(access: &dyn Access) {
    a_key_reads_as_it_was_made(access).await;
    a_renewed_key_has_the_secret_before_until_then(access).await;
    a_revoked_key_stays_revoked(access).await;
    keys_are_listed_by_cursor_and_of_one_project(access).await;
    default_is_there_and_a_projects_id_is_given_once(access).await;
    a_deleted_project_takes_its_keys_along(access).await;
    the_audit_is_listed_newest_first_by_cursor(access).await;
    a_refusal_is_recorded_once_a_minute(access).await;
}

async fn closing_finishes_what_was_handed_in_and_refuses_the_rest(catalog: &dyn Catalog) {
    let run = fresh();
    let (appended, ()) = join(catalog.append(batch(&run, 1, 2, "a")), catalog.close()).await;
    appended.unwrap();
    let late = catalog.append(batch(&run, 3, 1, "a")).await;
    assert!(matches!(late, Err(AppendError::Unavailable(_))), "{late:?}");
    let read = catalog.history(&run, 0, 10).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    let marked = catalog.mark_cleaned(&run, 2).await;
    assert!(matches!(marked, Err(Error::Unavailable(_))), "{marked:?}");
    let hidden = catalog.hide_workflow(&ProjectId::DEFAULT, &fresh()).await;
    assert!(matches!(hidden, Err(Error::Unavailable(_))), "{hidden:?}");
    assert!(catalog.health().await.is_err());
    catalog.close().await;
}

/// A moment; the suite's own clock.
pub fn at(n: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + n)
}

/// An id nobody used before, of whatever kind; a run's is of `default`.
pub fn fresh<T: FromStr<Err: Debug>>() -> T {
    uuid::Uuid::now_v7().to_string().parse().unwrap()
}

/// Entries `from..from + n` of a made-up history that goes the way of `fork`.
pub fn entries(from: u64, n: u64, fork: &str) -> Vec<Entry> {
    (from..from + n)
        .map(|seq| Entry {
            seq,
            at: at(i64::try_from(seq).unwrap()),
            hash: hash(seq, fork),
            event: format!(r#"{{"type":"made_up","n":{seq},"fork":"{fork}"}}"#),
        })
        .collect()
}

/// The hash of entry `seq` in that history.
pub fn hash(seq: u64, fork: &str) -> Hash {
    if seq == 0 { NO_HASH } else { Hash::chain(&[fork.as_bytes(), &seq.to_le_bytes()]) }
}

/// An append of `n` entries from `first_seq` that agrees with `entries`.
pub fn batch(run: &RunId, first_seq: u64, n: u64, fork: &str) -> Append {
    Append {
        run: run.clone(),
        first_seq,
        prev_hash: hash(first_seq - 1, fork),
        entries: entries(first_seq, n, fork),
        values: Vec::new(),
        next_check_at: None,
        row: RunProjection {
            status: "running".to_owned(),
            summary: "{}".to_owned(),
            created_at: at(0),
            ..RunProjection::default()
        },
    }
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
