//! What becomes of the occasions of triggers: runs. One occasion is one run, whoever sees it and however often it comes, since the
//! run's id is made of both.

use super::{
    Key, Kind, Operations, Refusal, Request, Started, StartedView, Trace, now, off_the_reactor,
    request::given,
    start::{run_id, start_body},
};
use crate::{
    access::Principal,
    triggers::{
        ScheduleSettings, Settings,
        look::{Look, Occasion, Plan},
    },
};
use callboard_catalog::{Course, Error, Fire, Move, Outcome, Trigger};
use callboard_core::{
    Hash, Span, Timestamp,
    expr::{self, Brake, Meter},
    id::{RunId, TriggerId},
    workflow::Status,
};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Schedules that are looked at together.
pub const TOGETHER: u32 = 50;
/// A schedule that somebody looks at is looked at by nobody else before this.
const LEASE: Span = Span::secs(10);
/// How long a template may take.
const TIME: Duration = Duration::from_secs(2);
/// Characters of a key that is a part of an occasion as it is; of others the hash is.
const KEY: usize = 120;

/// A trigger fires now.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FireNow {
    /// The run's input; what the settings of a schedule say, or `{}`, unless it is given.
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Value>,
}

impl Request for FireNow {}

/// Whether another run under the id of an occasion is its run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// It is: the same occasion, which would begin otherwise by now.
    IsTheSame,
    /// It is not: its caller says what it begins with.
    IsRefused,
}

// === impl Operations ===

impl Operations {
    /// Looks at schedules that are due, and starts what they start. Returns how many there were.
    pub async fn look_at_schedules(&self, now: Timestamp) -> Result<usize, Error> {
        let store = &self.triggers.store;
        let due = store.due_triggers(now, now + LEASE, TOGETHER).await?;
        let found = due.len();
        let looked = due.into_iter().map(|trigger| self.look_at(trigger, now));
        let moves: Vec<Move> = join_all(looked).await.into_iter().flatten().collect();
        if !moves.is_empty() {
            store.move_triggers(moves).await?;
        }
        Ok(found)
    }

    /// Fires a trigger at somebody's wish, enabled or not. The same key is the same run.
    pub async fn fire_trigger(
        &self,
        principal: &Principal,
        trace: &Trace,
        id: &TriggerId,
        key: Option<Key>,
        body: FireNow,
    ) -> Result<Started, Refusal> {
        let trigger = self.stored_trigger(principal, id).await?;
        let settings = Settings::of(&trigger)?;
        let occasion = match &key {
            Some(key) if key.as_str().len() <= KEY => format!("now:{}", key.as_str()),
            Some(key) => format!("now:{}", Hash::of(key.as_str().as_bytes())),
            None => format!("now:{}", Uuid::now_v7()),
        };
        let (input, repeated) = match (body.input, &settings) {
            (Some(input), _) => (Some(input), Repeated::IsRefused),
            (None, Settings::Schedule(schedule)) => (rendered(schedule, now()).await?, Repeated::IsTheSame),
            (None, Settings::Webhook(_)) => (None, Repeated::IsRefused),
        };
        let begun = self.begin(trace, &trigger, &settings, &occasion, input, repeated).await;
        self.record(&trigger, &occasion, &begun).await;
        begun
    }

    /// Starts the run of an occasion.
    pub(super) async fn begin(
        &self,
        trace: &Trace,
        trigger: &Trigger,
        settings: &Settings,
        occasion: &str,
        input: Option<Value>,
        repeated: Repeated,
    ) -> Result<Started, Refusal> {
        let workflow = &trigger.workflow_id;
        let key = Key::of_occasion(&trigger.id, occasion);
        let run = run_id(&trigger.project, workflow.as_str(), Some(&key));
        let mut body = json!({"workflow_id": workflow});
        if let Some(version) = settings.version() {
            body["version"] = version.into();
        }
        let start = start_body(body, Some(key), input);
        let begun = self.started(trace, run.clone(), Some(workflow), start).await;
        match begun {
            Err(refusal) if repeated == Repeated::IsTheSame && is_begun(&refusal) => {
                let notices = self.runs.watch(&run);
                let status = self.runs.row(&run).await?.status;
                let view = StartedView { run_id: run, workflow_id: Some(workflow.clone()), status };
                Ok(Started { view, replayed: true, notices })
            }
            begun => begun,
        }
    }

    /// Keeps what came of an occasion, unless it may come again and then become something.
    pub(super) async fn record(&self, trigger: &Trigger, occasion: &str, begun: &Result<Started, Refusal>) {
        let fire = match begun {
            Ok(started) => started_by(trigger, occasion, now(), &started.view.run_id),
            Err(refusal) if may_pass(refusal) => return,
            Err(refusal) => refused_by(trigger, occasion, now(), refusal),
        };
        self.keep(fire).await;
    }

    pub(super) async fn keep(&self, fire: Fire) {
        let trigger = fire.trigger.clone();
        if let Err(error) = self.triggers.store.record_fire(fire).await {
            tracing::warn!(%trigger, %error, "what came of an occasion is not kept");
        }
    }

    /// Looks at a schedule. Nothing where that can't be done now: it is looked at again when its lease is over.
    async fn look_at(&self, trigger: Trigger, now: Timestamp) -> Option<Move> {
        let settings = Settings::of(&trigger).ok()?;
        let Settings::Schedule(schedule) = &settings else { return None };
        let calendar = schedule.calendar(trigger.since).ok()?;
        let plan = Plan { calendar, missed: schedule.missed, overlap: schedule.overlap };
        let goes_on = match &trigger.course.current_run {
            Some(run) if plan.asks_for_the_run_before() => self.goes_on(run).await.ok()?,
            Some(_) | None => false,
        };
        let look = plan.look(&trigger.course, goes_on, now);
        let mut fires = Vec::new();
        if let Some((occasion, why)) = look.skip {
            let (code, detail) = (why.code().to_owned(), why.sentence().to_owned());
            let fire = fire(&trigger, &occasion.at.to_string(), now, Outcome::Skipped);
            fires.push(Fire { code: Some(code), detail: Some(detail), missed: occasion.missed, ..fire });
        }
        let mut to = Course { next_at: look.next_at, queued: look.queued, ..trigger.course.clone() };
        if let Some(Occasion { at, missed }) = look.start {
            let started = self.start_scheduled(&trigger, &settings, schedule, at).await;
            let fire = match started {
                Ok(run) => {
                    (to.last_at, to.current_run) = (Some(at), Some(run.clone()));
                    started_by(&trigger, &at.to_string(), now, &run)
                }
                Err(refusal) if may_pass(&refusal) => {
                    tracing::warn!(trigger = %trigger.id, code = %refusal.code, "a scheduled run can't be started now");
                    return None;
                }
                Err(refusal) => refused_by(&trigger, &at.to_string(), now, &refusal),
            };
            fires.push(Fire { missed, ..fire });
        }
        Some(moved(trigger, &look, to, now, fires))
    }

    async fn start_scheduled(
        &self,
        trigger: &Trigger,
        settings: &Settings,
        schedule: &ScheduleSettings,
        at: Timestamp,
    ) -> Result<RunId, Refusal> {
        let input = rendered(schedule, at).await?;
        let (trace, occasion) = (Trace::begun(), at.to_string());
        let started = self.begin(&trace, trigger, settings, &occasion, input, Repeated::IsTheSame).await?;
        Ok(started.view.run_id)
    }

    /// Whether a run has not ended.
    async fn goes_on(&self, run: &RunId) -> Result<bool, Error> {
        let row = self.catalog.run(run).await?;
        Ok(row.is_some_and(|row| !Status::is_final(&row.status)))
    }
}

/// Renders the input of a scheduled run, where it holds up nobody.
async fn rendered(schedule: &ScheduleSettings, at: Timestamp) -> Result<Option<Value>, Refusal> {
    let Some(template) = schedule.input.clone() else { return Ok(None) };
    let seen = json!({"scheduled_at": at.to_string()});
    within_time(move |brake| expr::render_under(&Meter::new(Some(brake)), &template, &seen)).await.map(Some)
}

/// Evaluates for a bounded time, where it holds up nobody.
pub(super) async fn within_time<T: Send + 'static>(
    evaluate: impl FnOnce(&Brake) -> Result<T, expr::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let brake = Arc::new(Brake::default());
    let watched = brake.clone();
    let evaluated = off_the_reactor(move || {
        evaluate(&brake).map_err(|error| Refusal::new(Kind::Invalid, "invalid_input", error.to_string()))
    });
    tokio::pin!(evaluated);
    tokio::select! {
        done = &mut evaluated => return done,
        () = tokio::time::sleep(TIME) => watched.stop(),
    }
    evaluated.await
}

/// Whether somebody has begun that run, with something else.
fn is_begun(refusal: &Refusal) -> bool {
    matches!(&*refusal.code, "idempotency_key_reused" | "run_exists")
}

/// Whether the same may be started later.
pub(super) fn may_pass(refusal: &Refusal) -> bool {
    refusal.retry_after.is_some()
        || refusal.code == "project_paused"
        || matches!(refusal.kind, Kind::Unavailable | Kind::TooMany | Kind::Internal)
}

fn moved(trigger: Trigger, look: &Look, to: Course, now: Timestamp, fires: Vec<Fire>) -> Move {
    Move {
        project: trigger.project,
        id: trigger.id,
        revision: trigger.revision,
        from: trigger.course,
        to,
        look_at: look.again(now),
        fires,
    }
}

fn fire(trigger: &Trigger, occasion: &str, at: Timestamp, outcome: Outcome) -> Fire {
    Fire {
        project: trigger.project.clone(),
        trigger: trigger.id.clone(),
        occasion: occasion.to_owned(),
        at,
        run: None,
        outcome,
        code: None,
        detail: None,
        missed: 0,
    }
}

fn started_by(trigger: &Trigger, occasion: &str, at: Timestamp, run: &RunId) -> Fire {
    Fire { run: Some(run.clone()), ..fire(trigger, occasion, at, Outcome::Started) }
}

/// What its own settings leave out.
pub(super) fn skipped_by(trigger: &Trigger, occasion: &str, at: Timestamp) -> Fire {
    let detail = "its condition is false".to_owned();
    Fire {
        code: Some("condition".into()),
        detail: Some(detail),
        ..fire(trigger, occasion, at, Outcome::Skipped)
    }
}

fn refused_by(trigger: &Trigger, occasion: &str, at: Timestamp, refusal: &Refusal) -> Fire {
    let problem = refusal.problems.iter().flatten().next().map(ToString::to_string);
    let detail = [Some(refusal.detail.clone()), problem].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let code = Some(refusal.code.clone().into_owned());
    Fire { code, detail: Some(detail), ..fire(trigger, occasion, at, Outcome::Refused) }
}
