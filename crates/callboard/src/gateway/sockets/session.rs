//! One socket: what it has subscribed to, each subscription asked for and allowed on its own.
//!
//! A run is followed once, however many subscriptions want it. A workflow's subscription follows its open runs and those that
//! begin. All of it ends with the socket.

use super::{
    Seat,
    emit::{Sent, emit, resync},
    told::{Message, Teller},
};
use crate::{
    access::{Permission, Principal},
    gateway::Limits,
    operations::{self, Kind, Move, Moved, Operations, Outline, Refusal, Request},
};
use callboard_core::{
    Problem,
    id::{RunId, WorkflowId},
};
use futures::{StreamExt, future::BoxFuture};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use socketioxide::extract::{AckSender, SocketRef};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Runs that one socket follows; as many runs and workflows it may name.
const RUNS: usize = 200;
/// After a feed that ended.
const MOMENT: Duration = Duration::from_millis(100);
/// After something that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A socket that is let in.
pub struct Session {
    pub limits: Limits,
    operations: Operations,
    principal: Principal,
    subscriptions: Mutex<Subscriptions>,
    over: CancellationToken,
}

struct Subscriptions {
    /// Given back when the socket has gone.
    seat: Option<Seat>,
    runs: HashMap<RunId, Run>,
    workflows: HashMap<WorkflowId, AbortOnDropHandle<()>>,
    project: Option<AbortOnDropHandle<()>>,
    /// Of the next run's task.
    next: u64,
}

/// A run that is followed, or was to its end.
struct Run {
    /// It was asked for by its id.
    is_asked_for: bool,
    /// It is one of a workflow that was.
    of: Option<WorkflowId>,
    /// Up to where it was told, once its end was.
    told: Option<u64>,
    number: u64,
    _task: AbortOnDropHandle<()>,
}

/// What a client asks for: one of a workflow's runs that have not ended, a run, and what begins and ends in the project.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// As whoever asks calls it, and so the next: what can't be an id is unknown.
    #[serde(rename = "workflowId")]
    of: Option<String>,
    #[serde(rename = "runId")]
    called: Option<String>,
    /// Of a run: the last seq that the client knows. Without it, it is told what comes from now on.
    after: Option<u64>,
    #[expect(dead_code, reason = "that it is there says all, and is checked by the schema")]
    project: Option<bool>,
}

/// Who wants one answer.
pub struct Asked(pub Option<AckSender>);

enum Subject {
    Workflow(WorkflowId),
    Run(RunId, Option<u64>),
    Project,
}

impl Request for Wanted {
    fn mistakes(fields: &Map<String, Value>) -> Vec<Problem> {
        let given = |name: &&str| fields.get(*name).is_some_and(|value| !value.is_null());
        let named = ["workflowId", "runId", "project"].iter().filter(|name| given(name)).count();
        let mut mistakes = Vec::new();
        if named != 1 {
            let text = "name one of workflowId, runId and project: true";
            mistakes.push(Problem::new("", "invalid", text));
        }
        if fields.get("project").is_some_and(|project| *project == false) {
            mistakes.push(Problem::new("project", "invalid", "is true where it is given"));
        }
        if given(&"after") && !given(&"runId") {
            mistakes.push(Problem::new("after", "invalid", "goes with runId"));
        }
        mistakes
    }
}

/// `subscribe`.
pub fn subscribe(
    session: Arc<Session>,
    socket: SocketRef,
    body: Value,
    mut ack: Asked,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let done = match session.subject(body) {
            Ok(Subject::Run(run, after)) => session.follow_run(&socket, run, after, &mut ack).await,
            Ok(Subject::Workflow(workflow)) => session.follow_workflow(&socket, workflow, &mut ack).await,
            Ok(Subject::Project) => session.follow_project(&socket, &mut ack).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = done {
            ack.answer(&refused(&refusal));
        }
    })
}

/// `unsubscribe`: what is not subscribed to is not, either way.
pub fn unsubscribe(
    session: Arc<Session>,
    _: SocketRef,
    body: Value,
    mut ack: Asked,
) -> BoxFuture<'static, ()> {
    let done = session.subject(body).map(|subject| session.leave(&subject));
    ack.answer(&done.map_or_else(|refusal| refused(&refusal), |()| json!({"ok": true})));
    Box::pin(std::future::ready(()))
}

// === impl Asked ===

impl Asked {
    /// Whoever did not ask for an answer gets none.
    pub fn answer(&mut self, answer: &Value) {
        if let Some(ack) = self.0.take()
            && let Err(error) = ack.send(answer)
        {
            tracing::debug!(%error, "an answer finds no room");
        }
    }
}

/// What is refused, as the answer says it.
pub fn refused(refusal: &Refusal) -> Value {
    let mut error = json!({"code": refusal.code, "detail": refusal.detail});
    if let Some(problems) = &refusal.problems {
        error["problems"] = json!(problems);
    }
    json!({"error": error})
}

// === impl Session ===

impl Session {
    pub fn new(operations: Operations, limits: Limits, principal: Principal, seat: Seat) -> Self {
        let subscriptions = Subscriptions {
            seat: Some(seat),
            runs: HashMap::new(),
            workflows: HashMap::new(),
            project: None,
            next: 0,
        };
        let subscriptions = Mutex::new(subscriptions);
        Self { limits, operations, principal, subscriptions, over: CancellationToken::new() }
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.principal.may(permission)
    }

    pub async fn credential_ended(&self) {
        self.operations.access.ended(&self.principal).await;
    }

    pub async fn closed(&self) {
        self.over.cancelled().await;
    }

    /// Ends all that was subscribed to, and gives the seat back.
    pub fn close(&self) {
        self.over.cancel();
        let mut all = self.subscriptions();
        all.seat = None;
        all.runs.clear();
        all.workflows.clear();
        all.project = None;
    }

    /// Reads what is asked for. What nobody can have, or have here, is unknown.
    fn subject(&self, body: Value) -> Result<Subject, Refusal> {
        let Wanted { of, called, after, .. } = operations::read(Some(body))?;
        if let Some(text) = called {
            let run = RunId::called(&self.principal.project, &text);
            return run
                .map(|run| Subject::Run(run, after))
                .ok_or_else(|| Refusal::not_found("run", "of this id"));
        }
        match of.map(|text| text.parse()) {
            Some(Ok(workflow)) => Ok(Subject::Workflow(workflow)),
            Some(Err(_)) => Err(Refusal::not_found("workflow", "of this id")),
            None => Ok(Subject::Project),
        }
    }

    async fn follow_run(
        self: &Arc<Self>,
        socket: &SocketRef,
        run: RunId,
        after: Option<u64>,
        ack: &mut Asked,
    ) -> Result<(), Refusal> {
        let outline = self.operations.outline(&self.principal, &run).await?;
        self.subscriptions().has_room(Some(&run))?;
        ack.answer(&json!({"ok": true, "runs": {(run.as_str()): outline.seq}}));
        let is_followed = self.subscriptions().asked_for(&run);
        // Whoever names a place is told from there on, also what was told before.
        if after.is_some() || !is_followed {
            let after = after.unwrap_or(outline.seq);
            self.follow(socket, outline, after, true, None);
        }
        Ok(())
    }

    async fn follow_workflow(
        self: &Arc<Self>,
        socket: &SocketRef,
        workflow: WorkflowId,
        ack: &mut Asked,
    ) -> Result<(), Refusal> {
        self.subscriptions().has_room(None)?;
        // First, so that none begins unheard while the others are looked for.
        let moves = self.operations.moves(&self.principal).await?;
        let (mut open, mut more) = self.operations.open_runs(&self.principal, &workflow, RUNS as u32).await?;
        let free = self.subscriptions().free();
        let mut taken = 0;
        open.retain(|outline| {
            let is_new = !self.subscriptions().runs.contains_key(&outline.run);
            taken += usize::from(is_new);
            more |= is_new && taken > free;
            !is_new || taken <= free
        });
        let seqs: Map<String, Value> =
            open.iter().map(|outline| (outline.run.to_string(), outline.seq.into())).collect();
        let mut said = json!({"ok": true, "runs": seqs});
        if more {
            said["more"] = json!(true);
        }
        ack.answer(&said);
        for outline in open {
            // One that is followed already is told on from where it is, not from here.
            let is_followed = self.subscriptions().is_of(&outline.run, &workflow);
            if !is_followed {
                let seq = outline.seq;
                self.follow(socket, outline, seq, false, Some(&workflow));
            }
        }
        let task = tokio::spawn(self.clone().watch_workflow(socket.clone(), workflow.clone(), moves));
        self.subscriptions().workflows.insert(workflow, AbortOnDropHandle::new(task));
        Ok(())
    }

    async fn follow_project(self: &Arc<Self>, socket: &SocketRef, ack: &mut Asked) -> Result<(), Refusal> {
        let moves = self.operations.moves(&self.principal).await?;
        ack.answer(&json!({"ok": true, "runs": {}}));
        let task = tokio::spawn(watch_project(socket.clone(), moves));
        self.subscriptions().project = Some(AbortOnDropHandle::new(task));
        Ok(())
    }

    fn leave(&self, subject: &Subject) {
        let mut all = self.subscriptions();
        match subject {
            Subject::Project => all.project = None,
            Subject::Workflow(workflow) => {
                all.workflows.remove(workflow);
                for run in all.runs.values_mut().filter(|run| run.of.as_ref() == Some(workflow)) {
                    run.of = None;
                }
            }
            Subject::Run(run, _) => {
                if let Some(run) = all.runs.get_mut(run) {
                    run.is_asked_for = false;
                }
            }
        }
        all.runs.retain(|_, run| run.is_asked_for || run.of.is_some());
    }

    /// Follows a run from a place on; what followed it before is replaced. False if there is no room.
    fn follow(
        self: &Arc<Self>,
        socket: &SocketRef,
        outline: Outline,
        after: u64,
        is_asked_for: bool,
        of: Option<&WorkflowId>,
    ) -> bool {
        let mut all = self.subscriptions();
        let before = all.runs.get(&outline.run);
        let is_new = before.is_none();
        let is_asked_for = is_asked_for || before.is_some_and(|run| run.is_asked_for);
        let of = of.cloned().or_else(|| before.and_then(|run| run.of.clone()));
        if (is_new && all.free() == 0) || self.over.is_cancelled() {
            return false;
        }
        all.next += 1;
        let (run, number) = (outline.run.clone(), all.next);
        let task = tokio::spawn(self.clone().tell(socket.clone(), outline, after, number));
        all.runs
            .insert(run, Run { is_asked_for, of, told: None, number, _task: AbortOnDropHandle::new(task) });
        true
    }

    /// Tells a run to its end, or as long as the socket is there.
    async fn tell(self: Arc<Self>, socket: SocketRef, outline: Outline, after: u64, number: u64) {
        let Outline { run, workflow, .. } = outline;
        let shape = loop {
            match self.operations.shape(&run).await {
                Ok(shape) => break shape,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let mut teller = Teller { run, workflow, shape, seq: after };
        loop {
            let cursor = match self.operations.cursor(&self.principal, &teller.run, teller.seq).await {
                Ok(Some(cursor)) => cursor,
                Ok(None) => break,
                Err(refusal) if refusal.kind == Kind::NotFound => break,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match told(&socket, cursor.follow(true), &mut teller).await {
                // At the run's end there is no cursor any more. If it was not that, it goes on in a moment.
                Sent::Queued => tokio::time::sleep(MOMENT).await,
                Sent::Slow => {
                    if !self.catch_up(&socket, &mut teller).await {
                        return;
                    }
                }
                Sent::Gone => return,
            }
        }
        if let Some(run) = self.subscriptions().runs.get_mut(&teller.run)
            && run.number == number
        {
            run.told = Some(teller.seq);
        }
    }

    /// Leaves out what a slow client has not taken, says so, and goes on at the end of what there is.
    async fn catch_up(&self, socket: &SocketRef, teller: &mut Teller) -> bool {
        loop {
            let Ok(outline) = self.operations.outline(&self.principal, &teller.run).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            teller.seq = outline.seq;
            let body = json!({"runId": teller.run, "workflowId": teller.workflow, "seq": teller.seq});
            match emit(socket, &Message::resync(body)).await {
                Sent::Queued => return true,
                Sent::Slow => {}
                Sent::Gone => return false,
            }
        }
    }

    /// Follows the runs of a workflow that begin.
    async fn watch_workflow(
        self: Arc<Self>,
        socket: SocketRef,
        workflow: WorkflowId,
        mut moves: broadcast::Receiver<Arc<Moved>>,
    ) {
        loop {
            let is_missed = match moves.recv().await {
                Ok(moved) if moved.what == Move::Ended || moved.workflow.as_ref() != Some(&workflow) => false,
                Ok(moved) => !self.begun(&socket, &moved, &workflow),
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            };
            if is_missed && !resync(&socket, || json!({"workflowId": workflow})).await {
                return;
            }
        }
    }

    /// Follows a run that has begun, from its first event on; or, where it is run again, from where it was told.
    fn begun(self: &Arc<Self>, socket: &SocketRef, moved: &Moved, workflow: &WorkflowId) -> bool {
        let told = match self.subscriptions().runs.get(&moved.run).map(|run| run.told) {
            // It is followed.
            Some(None) => return true,
            Some(Some(told)) => told,
            None if moved.what == Move::BeganAgain => moved.seq,
            None => 0,
        };
        let outline = Outline { run: moved.run.clone(), workflow: moved.workflow.clone(), seq: moved.seq };
        self.follow(socket, outline, told, false, Some(workflow))
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what a feed tells, until it ends or the client does not take it.
async fn told(socket: &SocketRef, mut feed: operations::RunFeed, teller: &mut Teller) -> Sent {
    while let Some(news) = feed.next().await {
        for message in teller.messages(&news) {
            match emit(socket, &message).await {
                Sent::Queued => {}
                Sent::Slow if message.is_extra => {}
                not_sent => return not_sent,
            }
        }
    }
    Sent::Queued
}

/// Tells which runs of the project begin and end.
async fn watch_project(socket: SocketRef, mut moves: broadcast::Receiver<Arc<Moved>>) {
    loop {
        let sent = match moves.recv().await {
            Ok(moved) => emit(&socket, &Message::moved(&moved)).await,
            Err(RecvError::Lagged(_)) => Sent::Slow,
            Err(RecvError::Closed) => return,
        };
        match sent {
            Sent::Queued => {}
            Sent::Slow => {
                if !resync(&socket, || json!({"project": true})).await {
                    return;
                }
            }
            Sent::Gone => return,
        }
    }
}

// === impl Subscriptions ===

impl Subscriptions {
    /// Refuses one subscription too many. A run that is followed already takes no more.
    fn has_room(&mut self, run: Option<&RunId>) -> Result<(), Refusal> {
        let is_full = match run {
            Some(run) => !self.runs.contains_key(run) && self.free() == 0,
            None => self.workflows.len() >= RUNS,
        };
        match is_full {
            true => {
                let detail = format!("a socket follows at most {RUNS} runs, and as many workflows");
                Err(Refusal::new(Kind::TooMany, "too_many_subscriptions", detail))
            }
            false => Ok(()),
        }
    }

    /// Returns how many more runs can be followed. Those that were told to their ends make room.
    fn free(&mut self) -> usize {
        if self.runs.len() >= RUNS {
            self.runs.retain(|_, run| run.told.is_none());
        }
        RUNS.saturating_sub(self.runs.len())
    }

    /// Notes that a run was asked for by its id. False if it is not followed.
    fn asked_for(&mut self, run: &RunId) -> bool {
        let Some(run) = self.runs.get_mut(run) else { return false };
        run.is_asked_for = true;
        run.told.is_none()
    }

    /// Notes that a run is one of a workflow that was asked for. False if it is not followed.
    fn is_of(&mut self, run: &RunId, workflow: &WorkflowId) -> bool {
        let Some(run) = self.runs.get_mut(run) else { return false };
        run.of = Some(workflow.clone());
        run.told.is_none()
    }
}
