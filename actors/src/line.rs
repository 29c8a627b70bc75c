//! Places for calls to the outside, and whose turn it is.
//!
//! A call takes the place of whom it calls, a model's provider or an http host, and then one of the process. In this
//! order, so that who waits for something slow holds nothing that others could use.
//!
//! A place that becomes free goes to the next project that waits, in it to the next workflow, in that to the next run, and
//! there to the call that came first. So a workflow with a thousand open steps takes no more of a provider than one with a
//! single step, while that one waits.

mod rota;

use crate::metrics::Metrics;
use callboard_core::{
    id::{ProjectId, RunId, WorkflowId},
    workflow::Run,
};
use parking_lot::Mutex;
use rota::{Queue, Rota};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::oneshot;

/// Calls of one http host at the same time.
const PER_HOST: usize = 64;
/// Hosts that are remembered although nobody calls them.
const HOSTS: usize = 1024;
/// Calls that wait before those are looked for whose callers have gone away.
const CROWD: usize = 1024;

/// Whose call it is.
#[derive(Debug, Clone)]
pub struct Owner {
    pub run: RunId,
    /// Not known of an inline definition's run, nor where only the agent's document was read since this process began:
    /// then the project's runs without one take their turns as one workflow would.
    pub workflow: Option<WorkflowId>,
}

/// All lines of a process.
#[derive(Clone)]
pub struct Lines(Arc<Inner>);

struct Inner {
    process: Line,
    providers: Mutex<BTreeMap<String, Line>>,
    hosts: Mutex<BTreeMap<String, Line>>,
    metrics: Metrics,
}

/// The places of one call, until it is dropped.
#[must_use]
pub struct Places {
    _own: Option<Place>,
    _process: Place,
}

/// A number of places, and who waits for one.
#[derive(Clone)]
struct Line(Arc<Mutex<State>>);

struct State {
    places: usize,
    taken: usize,
    /// Nobody, while a place is free.
    waiting: Rota<ProjectId, Workflows>,
    /// How many wait before the dead are taken out.
    crowd: usize,
}

/// Who waits in a project: by workflow, by run, in the order of coming.
type Workflows = Rota<Option<WorkflowId>, Rota<RunId, VecDeque<Waiter>>>;

/// A call that waits; its owner may have gone away.
type Waiter = oneshot::Sender<Place>;

/// One place; dropped, it goes to who is next.
struct Place(Option<Line>);

// === impl Owner ===

impl Owner {
    /// Returns whose the calls of a run are.
    pub fn of(id: &RunId, run: &Run) -> Self {
        let workflow = run.created.as_ref().and_then(|created| created.workflow_id.clone());
        Self { run: id.clone(), workflow }
    }
}

// === impl Lines ===

impl Lines {
    /// Lines where `calls` can be under way at the same time.
    pub fn new(calls: usize, metrics: Metrics) -> Self {
        let inner = Inner {
            process: Line::new(calls),
            providers: Mutex::default(),
            hosts: Mutex::default(),
            metrics,
        };
        Self(Arc::new(inner))
    }

    /// Waits until a provider may be called, which takes `parallel` calls at the same time. How long that takes counts to
    /// no call.
    pub async fn of_model(&self, provider: &str, parallel: Option<usize>, owner: &Owner) -> Places {
        let line = parallel.map(|parallel| {
            let mut providers = self.0.providers.lock();
            providers.entry(provider.to_owned()).or_insert_with(|| Line::new(parallel)).clone()
        });
        self.both(line, provider, owner).await
    }

    /// Waits until a host may be called.
    pub async fn of_host(&self, host: &str, owner: &Owner) -> Places {
        let line = {
            let mut hosts = self.0.hosts.lock();
            if hosts.len() >= HOSTS {
                hosts.retain(|_, line| line.0.lock().taken > 0);
            }
            hosts.entry(host.to_owned()).or_insert_with(|| Line::new(PER_HOST)).clone()
        };
        self.both(Some(line), "http", owner).await
    }

    async fn both(&self, own: Option<Line>, name: &str, owner: &Owner) -> Places {
        let own = match own {
            Some(line) => Some(line.place(owner, || self.0.metrics.waits(name)).await),
            None => None,
        };
        let process = self.0.process.place(owner, || self.0.metrics.waits("process")).await;
        Places { _own: own, _process: process }
    }
}

// === impl Line ===

impl Line {
    fn new(places: usize) -> Self {
        let state = State { places: places.max(1), taken: 0, waiting: Rota::default(), crowd: CROWD };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for a place. `waits` says that it has to, until what it returns is dropped.
    async fn place<W>(&self, owner: &Owner, waits: impl FnOnce() -> W) -> Place {
        let receiver = {
            let mut state = self.0.lock();
            if state.taken < state.places {
                state.taken += 1;
                return Place(Some(self.clone()));
            }
            let (waiter, receiver) = oneshot::channel();
            state.join(owner, waiter);
            receiver
        };
        let _waits = waits();
        match receiver.await {
            Ok(place) => place,
            // Only a line that is gone drops who waits, and this one is here.
            Err(_) => std::future::pending().await,
        }
    }
}

// === impl State ===

impl State {
    fn join(&mut self, owner: &Owner, waiter: Waiter) {
        if self.waiting.len() >= self.crowd {
            self.waiting.retain(&|waiter| !waiter.is_closed());
            // As many again come before the next look, so that it costs each of them the same.
            self.crowd = CROWD.max(2 * self.waiting.len());
        }
        let path = (owner.run.project().clone(), (owner.workflow.clone(), (owner.run.clone(), ())));
        self.waiting.push(path, waiter);
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let Some(line) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = line.0.lock();
                let next = state.waiting.pop();
                if next.is_none() {
                    state.taken -= 1;
                }
                next
            };
            let Some(waiter) = next else { return };
            match waiter.send(Place(Some(line.clone()))) {
                Ok(()) => return,
                // Its owner has gone away. The place is not dropped here, which would be one call deeper for each of them.
                Err(mut place) => place.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
