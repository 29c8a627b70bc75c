//! The sidecar conformance suite: one set of cases, run against the embedded server and against daprd.
//!
//! Each server is started once and all cases run on it at the same time; a failing server names every case that
//! failed, with what was expected and what was seen. What may differ is one table, [`releases`], and what differs
//! on purpose in the embedded server stands in `docs/sidecar.md`: a test compares the two.

#![allow(clippy::panic, reason = "a case that cannot go on has failed")]

mod app;
mod case;
mod cases;
mod documents;
mod durability;
mod figures;
mod openapi;
mod postgres;
mod releases;
pub mod sdk;
mod start;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;

use case::{Named, cases, run_all};
use releases::{DIFFERENCES, Server};
use target::Target;

use crate::harness::root;

fn all() -> Vec<Named> {
    cases! {
        state:
            a_value_is_saved_read_and_deleted,
            etags_count_up_by_one,
            a_stale_etag_is_refused,
            a_first_write_does_not_overwrite,
            keys_are_read_in_bulk,
            transactions_commit_together,
            keys_may_have_braces_but_no_separator,
            large_bodies_are_refused,
            values_expire,
            mistakes_are_named,
            bytes_pass_unchanged_over_grpc;
        publish:
            json_arrives_in_an_envelope,
            other_content_is_text_or_base64,
            metadata_names_the_event,
            a_ready_event_is_completed_not_wrapped,
            a_raw_payload_has_no_envelope,
            a_trace_goes_along,
            messages_are_published_in_bulk,
            an_event_says_when_it_expires,
            mistakes_are_named;
        delivery:
            success_is_said_in_many_ways,
            failures_are_retried_then_dead_lettered,
            dropped_messages_are_dead_lettered_at_once,
            an_expired_event_is_dead_lettered,
            a_recovered_subscriber_gets_the_message,
            rules_choose_the_route,
            declared_subscriptions_are_served,
            without_a_policy_the_broker_decides;
        streams:
            events_arrive_and_are_answered,
            dropped_events_are_dead_lettered,
            an_event_without_an_answer_is_delivered_again,
            a_topic_may_keep_what_nobody_reads,
            a_stream_begins_with_one_request,
            subscribers_of_a_topic_compete;
        actors:
            a_method_is_always_a_put,
            only_200_is_success,
            an_applications_error_comes_back_whole,
            a_type_nobody_hosts_fails,
            turns_are_taken_one_at_a_time_and_in_order,
            actors_do_not_wait_for_each_other,
            a_caller_that_leaves_ends_its_turn,
            a_waiting_caller_that_leaves_takes_nobody_along,
            an_idle_actor_is_let_go_and_comes_back,
            a_trace_reaches_the_actor,
            names_that_could_lead_elsewhere_are_refused;
        actor_state:
            an_active_actor_keeps_state,
            etags_guard_transactions_over_http,
            state_over_grpc_is_what_was_sent;
        reminders:
            a_reminder_fires_with_its_data,
            times_that_cannot_be_read_are_refused,
            a_reminder_is_read_replaced_and_removed,
            a_failing_one_shot_is_tried_as_the_release_does,
            a_failure_policy_says_how_often,
            a_failing_periodic_reminder_comes_again,
            a_period_may_have_an_end,
            a_removed_reminder_fires_no_more,
            timers_fire_and_stop;
        api:
            the_app_is_called_by_its_id,
            another_app_is_not_found,
            secrets_are_read,
            the_metadata_document_describes_the_sidecar,
            health_is_told,
            what_there_is_not_is_said;
        sdk:
            a_python_program_uses_every_part;
        second:
            tokens_are_asked_for_and_a_dead_app_is_told;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_over_sockets_keeps_the_contract() {
    verify("embedded, sockets", start::sockets()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_in_one_process_keeps_the_contract() {
    verify("embedded, in process", start::in_process()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daprd_keeps_the_contract() {
    verify("daprd", start::daprd()).await;
}

/// The list in `docs/sidecar.md` is the table's: whoever changes one is told to change the other.
#[test]
fn every_known_difference_is_documented() {
    let file = root().join("docs/sidecar.md");
    let text = std::fs::read_to_string(&file).expect("docs/sidecar.md is there");
    let listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- `"))
        .filter(|line| line.contains("`: "))
        .collect();
    let known: Vec<String> = DIFFERENCES.iter().map(|(name, why)| format!("{name}`: {why}")).collect();
    let expected: String = known.iter().map(|line| format!("\n- `{line}")).collect();
    assert_eq!(listed, known, "the section \"Checked by the suite\" has to read:{expected}");
}

async fn verify(name: &str, start: impl Future<Output = Target>) {
    let cases = figures::QUIET.read().await;
    let target = Arc::new(start.await);
    let started = std::time::Instant::now();
    let outcomes = run_all(&target, all()).await;
    let took = started.elapsed();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.mismatches.is_empty()).collect();
    let slowest = outcomes.iter().max_by_key(|outcome| outcome.took).expect("there are cases");
    println!(
        "{name} ({:?}): {} cases, {} failed, {took:.1?}; slowest: {} {:.1?}",
        target.server,
        outcomes.len(),
        failed.len(),
        slowest.name,
        slowest.took
    );
    drop(cases);
    let mut report = String::new();
    for outcome in &failed {
        report += &format!("\n{}", outcome.name);
        for mismatch in &outcome.mismatches {
            report += &format!("\n    {mismatch}");
        }
    }
    assert!(failed.is_empty(), "{name}: {} of {} cases failed{report}", failed.len(), outcomes.len());
    if target.server == Server::Embedded {
        let met: BTreeSet<_> = outcomes.iter().flat_map(|outcome| outcome.met.iter().copied()).collect();
        let known: BTreeSet<_> = DIFFERENCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(met, known, "a difference that no case meets is none");
    }
    let _quiet = figures::QUIET.write().await;
    figures::print(name, &target).await;
}
