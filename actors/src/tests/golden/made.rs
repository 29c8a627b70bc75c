//! Values written out: each kind of event, and each document with its optional parts given and not given.

use super::super::run_id;
use crate::{
    agent::{Document as AgentDocument, Target},
    document::{self, Document, HeadPart, Page, Snapshot, Version, form::MAGIC},
};
use callboard_core::{
    Datum, Hash, Span, Timestamp,
    agent::{
        message::ToolCall,
        run::{Ending, Phase, Run as AgentRun},
        task::{Origin, Task},
    },
    call::{CallError, Fallback, Usage},
    id::{OperationId, WorkflowId},
    price::Price,
    value::ValueRef,
    workflow::{
        Event, Fingerprint, Run, StepKey, Trial, What,
        event::{Failure, Otherwise, Reserved, RunError, RunSettings},
        run::Archived,
    },
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How many public types of events there are.
pub const KINDS: usize = 22;

fn step(node: &str, iteration: &str) -> StepKey {
    StepKey::new(2, node, iteration)
}

fn inline() -> Datum {
    Datum::inline(
        json!({"b": 0.1, "a": [null, true, "é\u{1F600}\n"], "big": u64::MAX, "low": i64::MIN, "e": 1e300}),
    )
}

fn stored() -> Datum {
    Datum::Stored(ValueRef { key: "1f.0".into(), hash: Hash([7; 16]), size: 5000 })
}

fn usage(estimated: bool) -> Usage {
    Usage { calls: 1, prompt_tokens: 20, completion_tokens: u64::MAX, estimated, ..Usage::default() }
}

fn failure() -> Failure {
    Failure { code: "http_status".into(), message: "it answered 500".into(), details: None }
}

fn settings(full: bool) -> RunSettings {
    RunSettings {
        dispatch: 64,
        retention: 86_400_000,
        max_tokens: if full { [("qa".to_owned(), 1024)].into() } else { BTreeMap::new() },
        otherwise: full.then_some(Otherwise { failed: 1, cancelled: 2 }),
        prices: BTreeMap::new(),
    }
}

/// Each kind of event, bare and with everything.
pub fn events() -> Vec<Event> {
    let reserved = Reserved { calls: 1, tokens: 500, cost: 0 };
    let op = || OperationId::new("op-1");
    let all = vec![
        What::RunCreated {
            op: op(),
            workflow_id: None,
            version: 0,
            plan: inline(),
            input: Datum::null(),
            settings: settings(false),
            body: None,
        },
        What::RunCreated {
            op: op(),
            workflow_id: Some(WorkflowId::new("0192")),
            version: 3,
            plan: stored(),
            input: stored(),
            settings: settings(true),
            body: None,
        },
        What::StepStarted {
            step: step("a", ""),
            attempt: 1,
            input: None,
            deadline: None,
            reserved: Reserved::default(),
        },
        What::StepStarted {
            step: step("a", "3.17"),
            attempt: 2,
            input: Some(stored()),
            deadline: Some(Timestamp(9)),
            reserved,
        },
        What::StepCompleted {
            step: step("a", ""),
            attempt: 1,
            output: inline(),
            branch: None,
            usage: None,
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepCompleted {
            step: step("a", "3.17"),
            attempt: 2,
            output: stored(),
            branch: Some("approved".into()),
            usage: Some(usage(true)),
            error: Some(failure()),
            op: Some(op()),
            signal: Some("payment".into()),
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepFailed {
            step: step("b", ""),
            attempt: 1,
            error: failure(),
            retry_at: None,
            usage: None,
            op: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepFailed {
            step: step("b", "0"),
            attempt: 1,
            error: failure(),
            retry_at: Some(Timestamp(99)),
            usage: Some(usage(false)),
            op: Some(op()),
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepSkipped { step: step("c", "") },
        What::StepCancelled { step: step("c", "1") },
        What::StepUnknown { step: step("d", ""), attempt: 1 },
        What::StepGranted { step: step("d", ""), attempt: 1, activation: "act".into() },
        What::IterationStarted { step: step("e", ""), index: 4 },
        What::IterationEnded { step: step("e", ""), index: 4, output: None, of: None },
        What::IterationEnded {
            step: step("e", ""),
            index: 5,
            output: Some(inline()),
            of: Some(step("a", "5")),
        },
        What::SignalReceived { op: op(), name: "payment".into(), data: inline(), body: None },
        What::BudgetReserved { step: step("a", ""), attempt: 1, reserved, op: op() },
        What::BudgetBreached { limit: "calls".into() },
        What::RunPaused { op: op(), body: None },
        What::RunResumed { op: op(), body: None },
        What::RunRerun { op: op(), from: "b".into(), input: None, body: None },
        What::RunRerun { op: op(), from: "b".into(), input: Some(stored()), body: None },
        What::RunCompleted { output: inline() },
        What::RunFailed { error: RunError { code: "c".into(), message: "m".into(), node: None } },
        What::RunFailed { error: RunError { code: "c".into(), message: "m".into(), node: Some("b".into()) } },
        What::RunCancelled { op: op(), body: None },
        What::DecisionCut {},
        What::RunPurging {},
    ];
    all.into_iter().zip(1_790_000_000_000..).map(|(what, at)| Event { at: Timestamp(at), what }).collect()
}

fn empty(v: Version) -> Document {
    let mut doc = Document::empty();
    doc.raise(v);
    doc
}

fn document(v: Version, snapshot: bool) -> Document {
    let mut doc = empty(v);
    events().into_iter().for_each(|event| drop(doc.push(event)));
    if snapshot {
        doc.snapshot = Some(Snapshot { key: "2a.1".into(), size: 4000, seq: 6 });
        doc.drop_until(6);
        doc.published = 5;
    }
    doc
}

/// States with open, finished and iterated steps, as every kind of event leaves them.
fn states() -> Vec<Run> {
    (1..=events().len()).map(|n| Run::fold(&run_id("r"), &events()[..n])).collect()
}

fn task(full: bool, secrets: &[&str], pin: Option<Hash>) -> Task {
    Task {
        agent: "qa".into(),
        input: if full { stored() } else { Datum::inline(json!({"agent": "qa", "prompt": "p"})) },
        key: "r/1/a//1".into(),
        attempt: 1,
        output_schema: full.then(|| json!({"type": "object"})),
        at_most_once: full,
        budgeted: full,
        origin: full.then(|| Origin {
            depth: 1,
            agent: "r.a.1._".parse().expect("an id"),
            iteration: 2,
            call: "call_1".into(),
        }),
        secrets: secrets.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>(),
        pin,
    }
}

/// Agents in each phase, bare and with everything; their runs have these `secrets` and this `pin`.
fn agents(v: Version, secrets: &[&str], pin: Option<Hash>) -> Vec<AgentDocument> {
    let call = |id: &str| ToolCall { id: id.into(), name: "order".into(), arguments: r#"{"n":1}"#.into() };
    let error = CallError {
        code: "model_unavailable".into(),
        message: "m".into(),
        retryable: true,
        retry_after: Some(Span(5)),
        elsewhere: false,
        details: None,
    };
    let phases = vec![
        Phase::Idle,
        Phase::Reserving,
        Phase::Thinking { not_before: Timestamp(7) },
        Phase::Acting { calls: vec![call("call_0"), call("")], results: BTreeMap::new() },
        Phase::Acting {
            calls: vec![call("call_0"), call("call_1")],
            results: [("call_1".to_owned(), stored())].into(),
        },
        Phase::Done { outcome: Ending::Completed(inline()) },
        Phase::Done { outcome: Ending::Failed(error.clone()) },
        Phase::Done { outcome: Ending::Failed(CallError { retry_after: None, ..error }) },
        Phase::Done { outcome: Ending::Unknown },
        Phase::Done { outcome: Ending::Cancelled },
    ];
    let both = phases.into_iter().flat_map(|phase| [(phase.clone(), false), (phase, true)]);
    let one = |(phase, full): (Phase, bool)| {
        let run = AgentRun {
            task: (full || phase != Phase::Idle).then(|| task(full, secrets, pin)),
            accepted_at: Timestamp(3),
            phase,
            messages: if full { vec![stored(), stored()] } else { Vec::new() },
            iterations: 2,
            failures: 1,
            strikes: u32::from(full),
            model: usize::from(full),
            usage: usage(full),
            repeats: if full { [(Hash([1; 16]), 2)].into() } else { BTreeMap::new() },
            delivered: false,
            children: if full { vec!["r.a.1._.d.2.0".parse().expect("an id")] } else { Vec::new() },
            profile: None,
            fallbacks: Vec::new(),
        };
        let target = full.then(|| Target { run: run_id("r"), step: step("a", "3.17") });
        AgentDocument { v, run, target }
    };
    both.map(one).collect()
}

/// Encoded documents by name; the name's head says what it is.
pub fn documents(v: Version) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, data: Vec<u8>| drop(all.insert(name, data));
    add("document-empty".into(), empty(v).encode());
    add("document-tail".into(), document(v, false).encode());
    add("document-snapshot".into(), document(v, true).encode());
    let leaf = Page { key: "2a.0".into(), size: 2100, items: 9, level: 0 };
    let list = Page { key: "2b.0".into(), size: 300, items: 72, level: 1 };
    for (n, run) in states().into_iter().enumerate() {
        let archived: Vec<Archived> = run.archive.iter().cloned().collect();
        let pages = if n % 2 == 0 { vec![list.clone(), leaf.clone()] } else { Vec::new() };
        add(format!("page-{n:02}"), document::encode(&archived, v));
        let part = HeadPart { head: run.head(), pages, rest: archived };
        add(format!("head-{n:02}"), document::encode(&part, v));
    }
    add("list".into(), document::encode(&vec![leaf, list], v));
    for (n, agent) in agents(v, &[], None).into_iter().enumerate() {
        add(format!("agent-{n:02}"), document::encode(&agent, v));
    }
    all
}

/// What the first release of version 1 could not say yet: agents of runs with secrets.
pub fn later(v: Version) -> BTreeMap<String, Vec<u8>> {
    let with_secrets = agents(v, &["payments", "tok"], None).into_iter().enumerate();
    with_secrets.map(|(n, agent)| (format!("agent-secrets-{n:02}"), document::encode(&agent, v))).collect()
}

/// What version 1 can't say: agents at work that are pinned.
pub fn pinned(v: Version) -> BTreeMap<String, Vec<u8>> {
    let hash = Some(Hash([9; 16]));
    let all = agents(v, &[], hash).into_iter().chain(agents(v, &["tok"], hash)).enumerate();
    let pinned = all.filter(|(_, agent)| agent.run.task.as_ref().is_some_and(|task| task.pin.is_some()));
    pinned.map(|(n, agent)| (format!("agent-pinned-{n:02}"), document::encode(&agent, v))).collect()
}

/// What came with models that were asked in place of others: events of steps, and agents at work.
pub fn fallen(v: Version) -> BTreeMap<String, Vec<u8>> {
    let fallback = |model: &str, next: &str| Fallback {
        model: model.into(),
        code: "model_quota".into(),
        message: "the account is used up: é".into(),
        next: next.into(),
    };
    let fallbacks = || vec![fallback("gpt", "local/small"), fallback("local/small", "m")];
    let ends = [
        What::StepCompleted {
            step: step("a", "3"),
            attempt: 1,
            output: inline(),
            branch: None,
            usage: Some(usage(false)),
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks: fallbacks(),
        },
        What::StepFailed {
            step: step("b", ""),
            attempt: 2,
            error: failure(),
            retry_at: None,
            usage: None,
            op: None,
            body: None,
            fallbacks: fallbacks(),
        },
    ];
    let mut doc = empty(v);
    for what in ends {
        doc.push(Event { at: Timestamp(1_790_000_000_000), what });
    }
    let fallen = agents(v, &[], None)
        .into_iter()
        .map(|agent| AgentDocument { run: AgentRun { fallbacks: fallbacks(), ..agent.run }, ..agent });
    let agents = fallen.enumerate();
    let mut all: BTreeMap<String, Vec<u8>> =
        agents.map(|(n, agent)| (format!("agent-fallbacks-{n:02}"), document::encode(&agent, v))).collect();
    all.insert("document-fallbacks".into(), doc.encode());
    all
}

/// What version 1 can't say: failures with what came all the same, in the event, under a key of their own, beside a default.
pub fn detailed() -> BTreeMap<String, Vec<u8>> {
    let v = Version::Named;
    let failed = |details: Datum| Failure { details: Some(details), ..failure() };
    let small = Datum::inline(
        json!({"status": 422, "headers": {"x-request-id": "r-1"}, "body": {"field": ["é", 1.0]}}),
    );
    let all = [
        What::StepFailed {
            step: step("b", ""),
            attempt: 1,
            error: failed(small.clone()),
            retry_at: Some(Timestamp(99)),
            usage: None,
            op: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepFailed {
            step: step("b", ""),
            attempt: 2,
            error: failed(stored()),
            retry_at: None,
            usage: Some(usage(false)),
            op: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepCompleted {
            step: step("c", ""),
            attempt: 1,
            output: inline(),
            branch: None,
            usage: None,
            error: Some(failed(small)),
            op: None,
            signal: None,
            body: None,
            fallbacks: Vec::new(),
        },
    ];
    let events: Vec<Event> = all
        .into_iter()
        .zip(1_790_000_000_000..)
        .map(|(what, at)| Event { at: Timestamp(at), what })
        .collect();
    let mut doc = empty(v);
    events.iter().for_each(|event| drop(doc.push(event.clone())));
    let mut all = BTreeMap::from([("document-detailed".to_owned(), doc.encode())]);
    for n in 1..=events.len() {
        let run = Run::fold(&run_id("r"), &events[..n]);
        let rest: Vec<Archived> = run.archive.iter().cloned().collect();
        all.insert(format!("page-detailed-{n}"), document::encode(&rest, v));
        let part = HeadPart { head: run.head(), pages: Vec::new(), rest };
        all.insert(format!("head-detailed-{n}"), document::encode(&part, v));
    }
    all
}

/// Each kind of event that an operation makes, with what the operation asked.
fn asked_events() -> Vec<Event> {
    let all = events().into_iter().filter_map(|Event { at, mut what }| {
        let body = match &mut what {
            What::RunCreated { body, .. }
            | What::StepCompleted { body, op: Some(_), .. }
            | What::StepFailed { body, op: Some(_), .. }
            | What::SignalReceived { body, .. }
            | What::RunPaused { body, .. }
            | What::RunResumed { body, .. }
            | What::RunRerun { body, .. }
            | What::RunCancelled { body, .. } => body,
            _ => return None,
        };
        *body = Some(Fingerprint(u32::MAX - 1));
        Some(Event { at, what })
    });
    all.collect()
}

/// What version 1 can't say: operations with what they asked, in events and in the state.
pub fn asked(v: Version) -> BTreeMap<String, Vec<u8>> {
    let mut doc = empty(v);
    asked_events().into_iter().for_each(|event| drop(doc.push(event)));
    let mut all = BTreeMap::from([("document-asked".to_owned(), doc.encode())]);
    for (n, _) in asked_events().iter().enumerate() {
        let run = Run::fold(&run_id("r"), &asked_events()[..=n]);
        let part =
            HeadPart { head: run.head(), pages: Vec::new(), rest: run.archive.iter().cloned().collect() };
        all.insert(format!("head-asked-{n:02}"), document::encode(&part, v));
    }
    all
}

/// Runs that are tried: the event, and what the state keeps of it, with and without each part.
pub fn tried(v: Version) -> BTreeMap<String, Vec<u8>> {
    let trial = |only: bool, outputs: Datum| Trial {
        until: (!only).then(|| "b".to_owned()),
        only: only.then(|| "c".to_owned()),
        pinned: if only { ["a".to_owned(), "é".to_owned()].into() } else { BTreeSet::new() },
        outputs,
        asked: Fingerprint(7),
    };
    let event = |trial: Trial| Event { at: Timestamp(1_790_000_000_000), what: What::RunTried { trial } };
    let both = [trial(true, stored()), trial(false, Datum::inline(json!({})))];
    let mut all = BTreeMap::new();
    for (n, trial) in both.into_iter().enumerate() {
        let begun = [events().remove(0), event(trial)];
        let mut doc = empty(v);
        begun.iter().for_each(|event| drop(doc.push(event.clone())));
        all.insert(format!("document-tried-{n:02}"), doc.encode());
        let run = Run::fold(&run_id("r"), &begun);
        let part = HeadPart { head: run.head(), pages: Vec::new(), rest: Vec::new() };
        all.insert(format!("head-tried-{n:02}"), document::encode(&part, v));
    }
    all
}

/// What calls cost: the prices of a run's agents, what is set aside, what was spent, in events and in states.
pub fn priced(v: Version) -> BTreeMap<String, Vec<u8>> {
    let price = Price { input: 2_500_000, output: 10_000_000, cached: 1 };
    let usage = |cost: u64| Usage { priced: 1, cost, ..usage(cost > 0) };
    let reserved = Reserved { calls: 1, tokens: 0, cost: 12_345 };
    let op = || OperationId::new("r/2/a//1/2");
    let made = [
        What::RunCreated {
            op: OperationId::new("op-1"),
            workflow_id: None,
            version: 0,
            plan: inline(),
            input: Datum::null(),
            settings: RunSettings { prices: [("qa".to_owned(), price)].into(), ..settings(true) },
            body: None,
        },
        What::StepStarted { step: step("a", ""), attempt: 1, input: None, deadline: None, reserved },
        What::BudgetReserved { step: step("a", ""), attempt: 1, reserved, op: op() },
        What::StepFailed {
            step: step("a", ""),
            attempt: 1,
            error: failure(),
            retry_at: Some(Timestamp(99)),
            usage: Some(usage(0)),
            op: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::StepStarted { step: step("a", ""), attempt: 2, input: None, deadline: None, reserved },
        What::StepCompleted {
            step: step("a", ""),
            attempt: 2,
            output: inline(),
            branch: None,
            usage: Some(usage(999)),
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks: Vec::new(),
        },
    ];
    let events: Vec<Event> = made
        .into_iter()
        .zip(1_790_000_000_000..)
        .map(|(what, at)| Event { at: Timestamp(at), what })
        .collect();
    let mut doc = empty(v);
    events.iter().for_each(|event| drop(doc.push(event.clone())));
    let mut all = BTreeMap::from([("document-priced".to_owned(), doc.encode())]);
    for n in 1..=events.len() {
        let run = Run::fold(&run_id("r"), &events[..n]);
        let rest: Vec<Archived> = run.archive.iter().cloned().collect();
        all.insert(format!("page-priced-{n}"), document::encode(&rest, v));
        let part = HeadPart { head: run.head(), pages: Vec::new(), rest };
        all.insert(format!("head-priced-{n}"), document::encode(&part, v));
    }
    for (n, agent) in agents(v, &[], None).into_iter().enumerate() {
        let run = AgentRun { usage: usage(n as u64), ..agent.run };
        all.insert(format!("agent-priced-{n:02}"), document::encode(&AgentDocument { run, ..agent }, v));
    }
    all
}

/// The version that bytes claim to be of.
pub fn version_of(data: &[u8]) -> Version {
    if data.starts_with(&MAGIC) { Version::Named } else { Version::Positional }
}

/// Reads a document by what its name says it is, and writes it again the same.
pub fn assert_reads(name: &str, data: &[u8]) {
    fn same<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str, data: &[u8]) {
        let read: T = document::decode(data).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(document::encode(&read, version_of(data)), data, "{name} is written in another way");
    }
    match name.split('-').next().unwrap_or(name) {
        "document" => {
            let read = Document::decode(data).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(read.encode(), data, "{name} is written in another way");
        }
        "head" => same::<HeadPart>(name, data),
        "page" => same::<Vec<Archived>>(name, data),
        "list" => same::<Vec<Page>>(name, data),
        _ => {
            let read: AgentDocument = document::versioned(data).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(document::encode(&read, read.v), data, "{name} is written in another way");
        }
    }
}
