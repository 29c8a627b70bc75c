//! The `Agent` actor: one task of an agent at a time. Its turn is load, decide, commit, act; models and tools are
//! called outside it.
//!
//! A task that needs one model call commits once, with its answer; one that loops over tools commits after each call
//! and arms its own `wake`. An answer is told first, for what keeps it is the commit of whoever asked, and saved then: it
//! stays as a tombstone that answers late duplicates.

mod conversation;
mod delegate;
mod job;
mod methods;
mod perform;
mod reason;
mod turn;

use crate::{
    AGENT,
    document::Version,
    kernel::{ActorType, Mailboxes, Reminder, no_id},
    line::{Lines, Owner},
    marks::Marks,
    pins::Pins,
    protocol::Reply,
    services::Services,
    tasks::Tasks,
};
use async_trait::async_trait;
use callboard_core::{
    Datum, Span, Timestamp,
    agent::run::{Phase, Run},
    id::{AgentId, RunId, WorkflowId},
    workflow::StepKey,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::Arc,
};
use tokio::sync::Notify;

/// A first message older than this may have come before.
const YOUNG: Span = Span::secs(5);
/// Agents whose end is remembered: more than end within that time.
const ENDED: usize = 16_384;

/// The agents this process hosts.
#[derive(Clone)]
pub(crate) struct Agents(Arc<Inner>);

pub(crate) struct Inner {
    pub services: Services,
    pub tasks: Tasks,
    marks: Marks,
    boxes: Mailboxes<AgentId, Actor>,
    lines: Lines,
    /// Who the agents of runs are.
    pins: Pins,
    since: Timestamp,
    ended: Mutex<Ended>,
}

/// Agents that came to an end here lately, so that a message that comes again is not taken for their first.
#[derive(Default)]
struct Ended {
    ids: HashSet<AgentId>,
    order: VecDeque<AgentId>,
}

/// One agent's place in this process.
#[derive(Default)]
struct Actor {
    mem: Option<Mem>,
    /// Effects under way, by attempt.
    in_flight: BTreeSet<(u32, job::Job)>,
    reminder: Reminder,
    /// Names this activation to the run that grants `at_most_once` calls.
    activation: Option<String>,
    /// Of the run that the task is a part of, as far as it was told here.
    workflow: Option<WorkflowId>,
    /// Wakes whoever waits for the task to end.
    ended: Arc<Notify>,
    /// The call under way, for a cancel.
    call: Option<tokio::task::AbortHandle>,
    /// What the agent's time is more than the steady one, in milliseconds.
    ahead: Option<i64>,
    /// When the task's time limit is over, and who looks at the clock for that.
    limit: Option<(Timestamp, tokio::task::AbortHandle)>,
}

struct Mem {
    run: Run,
    target: Option<Target>,
    etag: Option<String>,
    /// What the document was read in, or is to be written in at least, its pin aside.
    version: Version,
    /// The task has ended, and its answer is told before it is saved here.
    unsaved: bool,
    /// The task is not certainly new, and nothing is saved of it: its run is asked before the model.
    asks: bool,
    /// Messages seen or made here.
    contents: BTreeMap<String, Arc<Value>>,
}

impl Actor {
    /// Says whose the agent's calls are.
    fn owner(&self, id: &AgentId) -> Owner {
        Owner { run: id.home().clone(), workflow: self.workflow.clone() }
    }
}

impl Mem {
    fn empty() -> Self {
        Self {
            run: Run::default(),
            target: None,
            etag: None,
            version: Version::default(),
            unsaved: false,
            asks: false,
            contents: BTreeMap::new(),
        }
    }
}

impl Ended {
    fn insert(&mut self, id: &AgentId) {
        if self.ids.insert(id.clone()) {
            self.order.push_back(id.clone());
        }
        if self.order.len() > ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// Who wants the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub run: RunId,
    pub step: StepKey,
}

/// An agent's document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) v: Version,
    pub(crate) run: Run,
    pub(crate) target: Option<Target>,
}

impl Agents {
    pub fn new(services: Services, tasks: Tasks, marks: Marks, pins: Pins, lines: Lines) -> Self {
        let boxes = Mailboxes::new(services.settings.mailbox);
        let (since, ended) = (services.clock.now(), Mutex::default());
        Self(Arc::new(Inner { services, tasks, marks, boxes, lines, pins, since, ended }))
    }

    /// Whether nothing can have been saved of an agent whose first task was published `at` that time: the message is
    /// young, this process has been there since, and has not seen the agent's end.
    fn is_new(&self, id: &AgentId, at: Timestamp) -> bool {
        let now = self.services.clock.now();
        at >= self.since && at <= now && now < at + YOUNG && !self.ended.lock().ids.contains(id)
    }

    /// Returns what time it is for an agent: the wall clock's when its task came or was read, and from there on the steady
    /// one's. Setting the clock neither ends a task nor lets it go on for longer than its limit.
    fn time(&self, actor: &mut Actor, run: &Run) -> Timestamp {
        let steady = self.services.clock.steady();
        let wall = self.services.clock.now();
        let ahead = actor.ahead.get_or_insert_with(|| wall.max(run.accepted_at).0 - steady.0);
        Timestamp(steady.0.saturating_add(*ahead))
    }
}

#[async_trait]
impl ActorType for Agents {
    fn name(&self) -> &'static str {
        AGENT
    }

    fn is_id(&self, id: &str) -> bool {
        id.parse::<AgentId>().is_ok()
    }

    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply {
        let agent = id.parse::<AgentId>().map_err(|_| no_id(id))?;
        self.call_method(&agent, method, body).await
    }

    async fn wake(&self, id: &str) -> Reply {
        let agent = id.parse::<AgentId>().map_err(|_| no_id(id))?;
        self.tick(&agent).await
    }

    /// One that calls its model, or delivers, stays: its task is nowhere but here, and it forgets itself when it is through.
    fn deactivate(&self, id: &str) {
        if let Ok(agent) = id.parse::<AgentId>() {
            self.boxes.forget_if(&agent, |actor| actor.in_flight.is_empty());
        }
    }

    fn active(&self) -> usize {
        self.boxes.len()
    }
}

impl std::ops::Deref for Agents {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Returns the values that an agent's document names, for the purge of its run.
pub fn named(data: &[u8]) -> Vec<(String, u64)> {
    let Ok(doc) = crate::document::versioned::<Document>(data) else { return Vec::new() };
    let mut all: Vec<Datum> = doc.run.messages;
    if let Phase::Acting { results, .. } = doc.run.phase {
        all.extend(results.into_values());
    }
    all.into_iter().filter_map(|d| d.reference().map(|r| (r.key.clone(), r.size))).collect()
}

/// Returns the ids of the agents that worked for this one, for the same purge.
pub fn children(data: &[u8]) -> Vec<AgentId> {
    crate::document::versioned::<Document>(data).map(|doc| doc.run.children).unwrap_or_default()
}
