//! What must hold of a seed, whatever happened in it. The numbers are those of the history checker's invariants.

use crate::{
    ledger::{CallKey, Calls, Promise},
    world::{EPOCH, World},
};
use callboard_core::{
    Datum, Hash,
    id::OperationId,
    workflow::{Event, What},
};
use std::collections::{BTreeMap, BTreeSet};

/// Longer than any chain of messages takes, shorter than a wake or a sweep.
const LATE: u64 = 6000;

/// Leftovers that only an expiry removes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Left {
    pub values: u64,
    pub agents: u64,
}

/// Whether nothing is left to happen.
pub fn is_over(world: &World) -> bool {
    let state = world.state.lock();
    let runs = state.book.0.values().all(|r| r.purged && (world.plan.calm || r.next_check_at.is_none()));
    state.ledger.clients == 0 && runs && state.reminders.all.is_empty()
}

/// Checks everything and notes the first violation.
pub fn all(world: &World) -> Left {
    let now = world.now();
    let mut found = Vec::new();
    let mut left = Left::default();
    {
        let mut state = world.state.lock();
        state.store.sweep(now);
        for (run, record) in &state.book.0 {
            history(run, record, &mut found);
            outcomes(run, &record.events, &mut found);
            answers(run, record, &state.ledger.calls, &mut found);
            cancelled(run, &record.events, &mut found);
            if world.plan.calm {
                latency(run, record, &state.ledger.calls, &mut found);
            }
            if !record.ended {
                found.push(format!("stuck: run {run} has not ended"));
            } else if !record.purged {
                found.push(format!("stuck: run {run} is not purged"));
            } else if record.next_check_at.is_some() && !world.plan.calm {
                found.push(format!("stuck: run {run} is still looked at"));
            }
            let published = state.published.get(run);
            for (event, seq) in record.events.iter().zip(1..) {
                if event.what.is_bookkeeping() {
                    continue;
                }
                let Some(seen) = published.and_then(|p| p.get(&seq)) else {
                    found.push(format!("event {seq} of run {run} was never published"));
                    continue;
                };
                if seen.kind != event.what.name() || seen.at != event.at.to_string() {
                    found.push(format!(
                        "INV-03 run {run}: seq {seq} was published as {}, recorded as {}",
                        seen.kind,
                        event.what.name()
                    ));
                }
            }
            if let Some(more) =
                published.and_then(|p| p.keys().next_back()).filter(|n| **n > record.events.len() as u64)
            {
                found.push(format!("INV-03 run {run}: seq {more} was published and never recorded"));
            }
        }
        for (run, promises) in &state.ledger.acknowledged {
            let events = state.book.0.get(run).map(|r| r.events.as_slice()).unwrap_or_default();
            promises.iter().for_each(|p| kept(run, p, events, &mut found));
        }
        for (kind, id) in state.reminders.all.keys() {
            found.push(format!("INV-20 a reminder of {kind}/{id} is left"));
        }
        for (key, item) in &state.store.0 {
            match key.split_once("}.").map(|(_, rest)| rest) {
                Some("doc") => found.push(format!("INV-20 document {key} is left")),
                Some(rest) if rest.starts_with("v.") => left.values += 1,
                // Who the agents of runs are is no single run's.
                None if key.starts_with("pin.") => {}
                _ => left.agents += 1,
            }
            if item.expires.is_none() {
                found.push(format!("INV-20 key {key} is left and never expires"));
            }
        }
        for (run, most) in state.ledger.budgets.iter().filter(|_| world.plan.calm) {
            let events = state.book.0.get(run).map(|r| r.events.as_slice()).unwrap_or_default();
            let generations =
                1 + events.iter().filter(|e| matches!(e.what, What::RunRerun { .. })).count() as u64;
            let made: u64 = state
                .ledger
                .calls
                .iter()
                .filter(|(k, _)| k.run == *run)
                .map(|(_, c)| u64::from(c.answered))
                .sum();
            if made > most * generations {
                found.push(format!("budget: run {run} made {made} calls of {most} allowed"));
            }
        }
        for (key, calls) in &state.ledger.calls {
            if world.plan.calm && calls.answered != 1 && calls.made != 0 && calls.answered > 0 {
                found
                    .push(format!("INV-13 {key:?} was performed {} times without any fault", calls.answered));
            }
        }
    }
    found.extend(callboard_actors::mutant::notes());
    if let Some(first) = found.into_iter().next() {
        world.violated(first);
    }
    left
}

/// INV-04, INV-03: the hash chain is whole. INV-12: nothing follows the end but a rerun or the purge.
fn history(run: &str, record: &crate::catalog::Record, found: &mut Vec<String>) {
    let mut hash = Hash::default();
    for entry in &record.entries {
        hash = Hash::chain(&[&hash.0, entry.event.as_bytes()]);
        if hash != entry.hash {
            found.push(format!("INV-03 the hash chain of run {run} breaks at {}", entry.seq));
            return;
        }
    }
    let mut ended = false;
    for (event, seq) in record.events.iter().zip(1u64..) {
        let allowed = match &event.what {
            What::RunRerun { .. } | What::RunPurging {} => true,
            _ => !ended,
        };
        if !allowed {
            found.push(format!("INV-12 run {run}: {} follows the end, at {seq}", event.what.name()));
        }
        match &event.what {
            What::RunCompleted { .. } | What::RunFailed { .. } | What::RunCancelled { .. } => ended = true,
            What::RunRerun { .. } => ended = false,
            _ => {}
        }
    }
    let purges = record.events.iter().filter(|e| matches!(e.what, What::RunPurging {})).count();
    let last = record.events.last().is_some_and(|e| matches!(e.what, What::RunPurging {}));
    if purges > 1 || purges == 1 && !last {
        found.push(format!("INV-12 something follows the purge of run {run}"));
    }
    let created = record.events.iter().filter(|e| matches!(e.what, What::RunCreated { .. })).count();
    if created != 1 {
        found.push(format!("INV-02 run {run} was created {created} times"));
    }
}

/// INV-05: one final outcome of each step. INV-06: no attempt starts twice, and each outcome belongs to a start.
fn outcomes(run: &str, events: &[Event], found: &mut Vec<String>) {
    let mut ended = BTreeSet::new();
    let mut started = BTreeSet::new();
    let mut operations: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::StepStarted { step, attempt, .. } => {
                if !started.insert((step.clone(), *attempt)) {
                    found.push(format!("INV-06 run {run}: {step} attempt {attempt} starts twice"));
                }
            }
            What::StepCompleted { step, .. }
            | What::StepFailed { step, retry_at: None, .. }
            | What::StepSkipped { step }
            | What::StepCancelled { step } => {
                if !ended.insert(step.clone()) {
                    found.push(format!("INV-05 run {run}: {step} has two outcomes"));
                }
            }
            _ => {}
        }
        if let Some(op) = operation(&event.what) {
            *operations.entry(op).or_default() += 1;
        }
    }
    for (op, times) in operations {
        if times > 1 || op.matches('-').count() > 2 {
            found.push(format!("INV-02 run {run}: operation {op} was recorded {times} times"));
        }
    }
}

/// INV-08: a recorded answer was given for that step and attempt, and for no other.
fn answers(
    run: &str,
    record: &crate::catalog::Record,
    calls: &BTreeMap<CallKey, Calls>,
    found: &mut Vec<String>,
) {
    for event in &record.events {
        let What::StepCompleted {
            step,
            attempt,
            output,
            error: None,
            op: None,
            signal: None,
            branch: None,
            ..
        } = &event.what
        else {
            continue;
        };
        let value = match output {
            Datum::Inline(value) => Some((**value).clone()),
            Datum::Stored(r) => match record.values.get(&r.key) {
                Some(data) if Hash::of(data) == r.hash => serde_json::from_slice(data).ok(),
                Some(_) => {
                    found.push(format!("INV-08 run {run}: value {} has another content", r.key));
                    None
                }
                None => {
                    found.push(format!("INV-08 run {run}: value {} of {step} is not in the catalog", r.key));
                    None
                }
            },
        };
        let said = value.as_ref().and_then(|v| v.as_str().or_else(|| v["body"].as_str()));
        let Some(said) = said.filter(|s| s.starts_with("says ")) else { continue };
        // A step without calls of its own hands on what one of the run's others said, as a loop does.
        let pure = !calls.keys().any(|k| k.run == run && k.step == step.to_string());
        let mine =
            |k: &CallKey| k.run == run && (pure || k.step == step.to_string() && k.attempt == *attempt);
        let mine: Vec<_> = calls.iter().filter(|(k, _)| mine(k)).collect();
        if !mine.into_iter().any(|(_, c)| c.answers.contains(said)) {
            found.push(format!(
                "INV-08 run {run}: the answer recorded for {step} attempt {attempt} was never given"
            ));
        }
    }
}

/// INV-16: nothing starts after a cancel.
fn cancelled(run: &str, events: &[Event], found: &mut Vec<String>) {
    let mut cancelled = false;
    for event in events {
        match &event.what {
            What::RunCancelled { .. } => cancelled = true,
            What::RunRerun { .. } => cancelled = false,
            What::StepStarted { step, .. } if cancelled => {
                found.push(format!("INV-16 run {run}: {step} starts after the cancel"));
            }
            _ => {}
        }
    }
}

/// INV-01: what was acknowledged is in the history.
fn kept(run: &str, promise: &Promise, events: &[Event], found: &mut Vec<String>) {
    // A start that found its run there is promised by the run, not by the operation.
    let there = match promise.what {
        "start" => events.iter().any(|e| matches!(e.what, What::RunCreated { .. })),
        _ => events.iter().any(|e| operation(&e.what).is_some_and(|op| op.starts_with(&promise.op))),
    };
    if !there {
        found.push(format!("INV-01 run {run}: the acknowledged {} {} is lost", promise.what, promise.op));
    }
}

/// INV-01, at the moment of the promise.
pub fn promised(world: &World, run: &str, promise: &Promise) {
    let mut found = Vec::new();
    {
        let state = world.state.lock();
        let events = state.book.0.get(run).map(|r| r.events.as_slice()).unwrap_or_default();
        kept(run, promise, events, &mut found);
    }
    found.into_iter().for_each(|what| world.violated(format!("{what} before it was durable")));
}

fn operation(what: &What) -> Option<&str> {
    match what {
        What::RunCreated { op, .. }
        | What::SignalReceived { op, .. }
        | What::RunPaused { op, .. }
        | What::RunResumed { op, .. }
        | What::RunRerun { op, .. }
        | What::RunCancelled { op, .. } => Some(op.as_str()),
        What::StepCompleted { op, .. } | What::StepFailed { op, .. } => op.as_ref().map(OperationId::as_str),
        _ => None,
    }
}

/// Without faults nobody waits for a wake or the sweeper: steps are as fast as their calls and their own waits.
fn latency(
    run: &str,
    record: &crate::catalog::Record,
    calls: &BTreeMap<CallKey, Calls>,
    found: &mut Vec<String>,
) {
    let since = |event: &Event| event.at.since(EPOCH).0;
    let paused = record.events.iter().any(|e| matches!(e.what, What::RunPaused { .. }));
    let mut starts: BTreeMap<(String, u32), (u64, Option<u64>)> = BTreeMap::new();
    let mut late = |what: String, by: u64| {
        if by > LATE {
            found.push(format!("latency: run {run} waited {by} ms for {what} without any fault"));
        }
    };
    for event in &record.events {
        let (Some((step, attempt)), at) = (event.what.step(), since(event)) else { continue };
        let key = (step.to_string(), attempt.unwrap_or(0));
        if let What::StepStarted { deadline, .. } = &event.what {
            if let Some(due) = starts.remove(&(key.0.clone(), 0)).and_then(|(_, due)| due)
                && !paused
            {
                late(format!("the retry of {step}"), at.saturating_sub(due));
            }
            starts.insert(key, (at, deadline.map(|d| d.since(EPOCH).0)));
            continue;
        }
        if let What::StepFailed { retry_at: Some(due), .. } = &event.what {
            starts.insert((key.0.clone(), 0), (at, Some(due.since(EPOCH).0)));
        }
        let Some((began, deadline)) = starts.remove(&key) else { continue };
        let mine: Vec<&Calls> = calls
            .iter()
            .filter(|(k, c)| k.run == run && k.step == key.0 && k.attempt == key.1 && c.ended > 0)
            .map(|(_, c)| c)
            .collect();
        if let (Some(first), Some(last)) =
            (mine.iter().map(|c| c.began).min(), mine.iter().map(|c| c.ended).max())
        {
            late(format!("the call of {step}"), first.saturating_sub(began));
            late(format!("the answer of {step}"), at.saturating_sub(last));
        } else if let (Some(deadline), false) = (deadline, paused) {
            late(format!("the deadline of {step}"), at.saturating_sub(deadline));
        }
    }
    late("its clean-up".to_owned(), record.cleaned_after);
}
