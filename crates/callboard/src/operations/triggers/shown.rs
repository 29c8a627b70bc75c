//! What is shown of triggers and their occasions.

use crate::triggers::Settings;
use callboard_catalog::{Fire, Outcome, Trigger, TriggerKind};
use callboard_core::{
    Problem, Timestamp,
    id::{RunId, TriggerId, WorkflowId},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Occasions that are shown ahead.
const AHEAD: usize = 5;

/// A trigger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Trigger")]
pub struct TriggerView {
    pub id: TriggerId,
    pub workflow_id: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub enabled: bool,
    pub settings: Value,
    /// Counts the changes.
    pub revision: u64,
    /// What was before is none of its occasions.
    pub since: String,
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    pub updated_at: String,
    /// Of a schedule that is enabled: its next occasions, five at most.
    pub next_fires: Vec<String>,
    /// Of a schedule: an occasion that waits for the end of the current run.
    pub queued: Option<String>,
    /// Of a schedule: the last occasion that started a run.
    pub last_at: Option<String>,
    /// Of a schedule: that run.
    pub current_run: Option<RunId>,
    /// Of a webhook: the path that requests are sent to.
    pub address: Option<String>,
}

/// A trigger with its secret, which is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TriggerMade {
    #[serde(flatten)]
    pub trigger: TriggerView,
    /// Of a webhook whose secret we made: what its sender signs with, or sends. Nobody can show it again.
    pub secret: Option<String>,
}

/// What settings would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TriggerPreview {
    /// Of a schedule: its next occasions, five at most.
    pub next_fires: Vec<String>,
    /// Everything that is wrong with them; they could be saved if this is empty.
    pub problems: Vec<Problem>,
}

/// What came of an occasion.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fire")]
pub struct FireView {
    /// It comes once: an instant of a schedule, the id of a message.
    pub occasion: String,
    pub at: String,
    pub outcome: Outcome,
    /// The run that it started.
    pub run_id: Option<RunId>,
    /// Why nothing was started.
    pub code: Option<String>,
    pub detail: Option<String>,
    /// Occasions before it that nothing was started for, as nobody looked.
    pub missed: u32,
}

/// Returns the next occasions.
pub(super) fn ahead(settings: &Settings, since: Timestamp, now: Timestamp) -> Vec<String> {
    let ahead = settings.calendar(since).map(|calendar| calendar.following(now, AHEAD));
    ahead.into_iter().flatten().map(|at| at.to_string()).collect()
}

// === impl TriggerView ===

impl TriggerView {
    pub(super) fn of(trigger: Trigger, now: Timestamp) -> Self {
        let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let next_fires = match Settings::of(&trigger) {
            Ok(settings) if trigger.enabled => ahead(&settings, trigger.since, now.max(trigger.since)),
            Ok(_) | Err(_) => Vec::new(),
        };
        let is_webhook = trigger.kind == TriggerKind::Webhook;
        let address = is_webhook.then(|| format!("/hooks/{}/{}", trigger.project, trigger.id));
        Self {
            id: trigger.id,
            workflow_id: trigger.workflow_id,
            kind: trigger.kind,
            name: trigger.name,
            enabled: trigger.enabled,
            settings: trigger.settings,
            revision: trigger.revision,
            since: trigger.since.to_string(),
            created_at: trigger.created_at.to_string(),
            created_by: trigger.created_by,
            updated_at: trigger.updated_at.to_string(),
            next_fires,
            queued: shown(trigger.course.queued),
            last_at: shown(trigger.course.last_at),
            current_run: trigger.course.current_run,
            address,
        }
    }
}

impl From<Fire> for FireView {
    fn from(fire: Fire) -> Self {
        Self {
            occasion: fire.occasion,
            at: fire.at.to_string(),
            outcome: fire.outcome,
            run_id: fire.run,
            code: fire.code,
            detail: fire.detail,
            missed: fire.missed,
        }
    }
}
