//! What every catalog must do, as plain functions over `&dyn Catalog`.
//!
//! `all` runs them one after the other on one catalog; each makes its own ids, so the order does not matter and an
//! old database may be used. The last one closes it. They panic at the first difference: call them from a test.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

pub(crate) mod access;
mod appends;
pub(crate) mod definitions;
mod documents;
pub mod drafts;
mod journal;
mod keys;
mod marks;
mod meter;
mod once;
mod pins;
mod projects;
mod quota;
pub mod random;
mod rows;
mod survey;
mod sweep;
pub mod triggers;

use crate::{Access, Append, AppendError, Catalog, Entry, Error, Marks, NO_HASH, RunProjection};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId},
};
use futures::future::{BoxFuture, join};
use std::{fmt::Debug, str::FromStr};

/// A case, by the sentence that it holds.
pub type Case = (&'static str, for<'c> fn(&'c dyn Catalog) -> BoxFuture<'c, ()>);

macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        [$($((stringify!($case), |catalog| Box::pin($module::$case(catalog))),)+)+]
    };
}

/// Every case but the last, which closes the catalog.
pub const CASES: [Case; 107] = cases! {
    definitions:
        a_workflow_reads_as_it_was_saved,
        versions_stay_readable_and_conflicts_are_told,
        a_hidden_workflow_is_gone_but_its_versions_are_not,
        workflows_are_listed_newest_first_by_cursor,
        a_workflow_shows_the_status_of_its_latest_run;
    documents:
        a_document_comes_back_as_it_is,
        a_name_may_be_long,
        parts_that_nobody_knows_are_saved,
        each_version_replaces_what_was_said_before,
        there_is_no_version_zero,
        an_id_of_another_form_is_nobodys,
        pages_of_workflows_end,
        of_changes_to_one_version_one_wins,
        changes_that_expect_nothing_follow_each_other,
        of_creations_of_one_id_one_wins,
        hiding_at_once_is_told_once;
    drafts:
        a_draft_is_all_there_is_until_something_is_published,
        a_draft_reads_as_it_was_saved_and_stands_beside_the_version,
        a_draft_is_changed_only_on_what_is_expected,
        of_changes_to_one_draft_one_wins,
        a_version_is_made_of_the_draft_that_was_looked_at,
        versions_are_listed_newest_first_with_what_is_said_of_them,
        a_name_that_was_given_stays_until_a_version_says_another,
        a_hidden_workflow_has_no_draft,
        a_draft_of_another_project_is_not_there,
        runs_are_counted_by_version_and_status;
    journal:
        a_history_reads_as_it_was_appended,
        an_append_may_be_repeated_and_overlap,
        another_hash_at_the_same_seq_is_a_conflict,
        a_hole_is_a_gap,
        a_refused_append_leaves_nothing,
        values_are_written_once,
        the_projection_only_moves_forward,
        an_append_without_entries_moves_the_next_check,
        a_tip_names_the_hash_at_a_seq,
        runs_are_listed_newest_first_by_filter_and_cursor,
        runs_are_listed_by_statuses_and_span_over_all_workflows,
        concurrent_appends_do_not_disturb_each_other,
        racing_appends_of_one_run_let_one_win;
    appends:
        a_long_history_is_read_page_by_page,
        an_append_over_a_part_adds_the_rest,
        a_fork_in_the_overlap_is_a_conflict_however_far_it_goes,
        numbers_that_are_none_are_refused,
        a_gap_tells_where_the_history_ends,
        entries_keep_their_time_and_text,
        values_may_be_large_and_of_any_bytes,
        a_value_given_twice_keeps_its_first_content,
        values_come_with_an_append_that_is_behind,
        the_same_append_many_times_at_once_is_one,
        appends_of_one_run_handed_in_at_once_follow_each_other,
        racing_appends_in_the_middle_let_one_win,
        a_large_group_of_new_and_old_runs_is_taken,
        a_tip_follows_each_append;
    rows:
        a_row_reads_as_it_was_projected,
        a_row_without_a_workflow_has_none,
        the_creation_of_a_run_never_changes,
        a_run_that_goes_on_has_no_end_again,
        instants_far_away_are_kept,
        a_list_of_nothing_is_empty,
        pages_of_one_meet_every_run_once,
        names_are_sorted_byte_by_byte,
        a_status_with_marks_is_a_text,
        a_status_that_changed_moves_the_run,
        a_cursor_may_be_a_run_that_is_left_out,
        runs_of_a_workflow_are_listed_by_status_and_span,
        a_purged_run_is_still_listed,
        the_longest_names_are_names;
    pins:
        a_pin_reads_as_it_was_kept,
        a_pin_of_another_project_is_not_there,
        a_pin_goes_when_every_run_that_may_name_it_is_purged,
        a_pin_may_be_large_and_is_never_changed,
        a_pin_in_two_projects_is_two,
        a_pin_kept_by_many_at_once_is_one;
    sweep:
        due_runs_are_given_out_once,
        open_runs_are_found_by_status_page_by_page,
        a_run_is_cleaned_only_at_the_end_of_its_history,
        a_purged_run_is_looked_at_again,
        the_earliest_are_due_first,
        sweepers_share_what_is_due,
        a_run_that_nobody_has_to_look_at_is_never_due,
        many_marks_at_once_are_each_answered,
        an_append_without_entries_leaves_a_run_cleaned,
        the_history_of_a_purged_run_and_its_row_stay_together,
        a_project_is_told_once,
        open_runs_tell_the_latest_time_of_their_entries;
    projects:
        nothing_crosses_from_one_project_to_another,
        a_run_of_one_name_in_two_projects_is_two_runs;
    survey:
        runs_are_found_by_words_and_beginnings_of_words,
        a_failed_run_is_found_by_its_error,
        a_search_has_pages_spans_and_workflows,
        words_of_another_project_find_nothing,
        the_oldest_may_come_first,
        what_waits_for_a_person_is_listed_until_it_is_answered,
        an_append_that_is_behind_asks_nothing_again;
    meter:
        usage_is_added_once_for_each_part_of_a_history,
        usage_is_summed_by_what_is_asked_for;
    keys:
        a_key_is_made_once_and_two_are_valid,
        keys_that_are_made_at_once_have_each_a_number,
        signatures_once_required_stay_so;
    once:
        a_change_under_a_key_is_made_once_and_answered_the_same,
        every_kind_of_change_is_made_once,
        another_body_under_a_key_changes_nothing,
        a_change_that_fails_is_not_remembered,
        whoever_asks_meanwhile_waits_for_the_first,
        an_answer_is_forgotten_after_a_day,
        an_early_message_is_kept_until_somebody_forgets_it,
        no_more_early_messages_are_kept_than_may_be;
};

/// Runs the whole suite, and closes the catalog.
pub async fn all(catalog: &dyn Catalog) {
    for (_, case) in CASES {
        case(catalog).await;
    }
    catalog.health().await.unwrap();
    closing_finishes_what_was_handed_in_and_refuses_the_rest(catalog).await;
}

/// Runs the part of who may ask. It closes nothing.
pub async fn access(access: &dyn Access) {
    access::a_key_reads_as_it_was_made(access).await;
    access::a_renewed_key_has_the_secret_before_until_then(access).await;
    access::a_revoked_key_stays_revoked(access).await;
    access::keys_are_listed_by_cursor_and_of_one_project(access).await;
    access::default_is_there_and_a_projects_id_is_given_once(access).await;
    access::a_deleted_project_takes_its_keys_along(access).await;
    access::the_audit_is_listed_newest_first_by_cursor(access).await;
    access::a_refusal_is_recorded_once_a_minute(access).await;
    quota::a_project_is_paused_and_bounded_until_it_is_not(access).await;
    quota::a_key_keeps_its_limits(access).await;
}

/// Runs the part of what a project may still begin.
pub async fn quotas<C: Catalog + Access>(both: &C) {
    quota::a_standing_has_what_is_open_and_what_was_used(both).await;
}

/// Which installation a catalog is of.
pub async fn marks(catalog: &dyn Marks) {
    marks::a_mark_is_named_once_and_only_goes_forward(catalog).await;
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
