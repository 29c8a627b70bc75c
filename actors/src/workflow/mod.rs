//! The `Workflow` actor: one run. Its turn is load, decide, commit, arm, journal, act, answer.
//!
//! `turn` has the phases in their order; `load`, `decide`, `commit`, `reminder`, `journal` and `act` are one each.

mod act;
mod actor;
pub(crate) mod alarms;
mod attempts;
mod commit;
mod contents;
mod decide;
mod http_step;
mod journal;
mod load;
mod methods;
mod nodes;
mod offer;
mod outgoing;
mod purge;
mod reason;
mod reconcile;
mod reminder;
mod snapshot;
mod start;
mod turn;

use crate::{
    WORKFLOW,
    kernel::{ActorType, Fenced, Mailboxes},
    marks::Marks,
    pins::Pins,
    protocol::Reply,
    services::Services,
    tasks::Tasks,
};
use async_trait::async_trait;
use callboard_core::id::is_id;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Semaphore;

pub use methods::COMMANDS;

/// The runs this process hosts.
#[derive(Clone)]
pub(crate) struct Workflows(Arc<Inner>);

pub(crate) struct Inner {
    pub services: Services,
    pub tasks: Tasks,
    pub(crate) marks: Marks,
    boxes: Mailboxes<actor::Actor>,
    /// How often the turns of a run panicked.
    panics: Mutex<HashMap<String, u32>>,
    /// By workflow and version.
    plans: Mutex<HashMap<(String, u32), start::Compiled>>,
    /// Bounds the HTTP steps under way.
    calls: Arc<Semaphore>,
    pins: Pins,
    alarms: alarms::Alarms,
}

impl Workflows {
    pub fn new(services: Services, tasks: Tasks, marks: Marks, pins: Pins) -> Self {
        let boxes = Mailboxes::new(services.settings.mailbox);
        let calls = Arc::new(Semaphore::new(services.settings.calls));
        Self(Arc::new(Inner {
            services,
            tasks,
            marks,
            boxes,
            panics: Mutex::default(),
            plans: Mutex::default(),
            calls,
            pins,
            alarms: alarms::Alarms::default(),
        }))
    }

    fn document_of(&self, run: &str) -> Fenced<'_> {
        Fenced::new(&self.services, document_key(run))
    }
}

#[async_trait]
impl ActorType for Workflows {
    fn name(&self) -> &'static str {
        WORKFLOW
    }

    fn is_id(&self, id: &str) -> bool {
        is_id(id)
    }

    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply {
        self.call_method(id, method, body).await
    }

    async fn wake(&self, id: &str) -> Reply {
        self.tick(id).await
    }

    /// One whose HTTP step is performed here stays: whoever loaded it again would perform that a second time. So does one
    /// that is still to get its reminder: nothing else would call it.
    fn deactivate(&self, id: &str) {
        self.boxes.forget_if(id, |actor| !actor.attempts.are_here() && !actor.reminder.is_promised());
    }

    fn active(&self) -> usize {
        self.boxes.len()
    }
}

impl std::ops::Deref for Workflows {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Returns the key of a run's document.
pub fn document_key(run: &str) -> String {
    format!("{{{run}}}.doc")
}

/// Returns the id of a step's agent actor.
pub fn agent_id(run: &str, step: &callboard_core::workflow::StepKey) -> String {
    let iteration = if step.iteration.is_empty() { "_" } else { &step.iteration };
    format!("{run}.{}.{}.{iteration}", step.node, step.generation)
}
