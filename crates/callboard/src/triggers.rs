//! What starts runs by itself: what its settings mean, and what an occasion of it is. Who is asked to start a run, and how that is
//! recorded, is the operations'.

pub mod calendar;
pub mod clockwork;
pub mod look;
pub mod settings;
pub mod signature;
pub mod vault;
pub mod webhook;

use crate::operations::Refusal;
use callboard_catalog::{Trigger, TriggerKind};
use callboard_core::{Problem, Timestamp};
use serde_json::{Map, Value};

pub use calendar::Calendar;
pub use clockwork::Clockwork;
pub use settings::{Missed, Overlap, ScheduleSettings};
pub use vault::Vault;
pub use webhook::WebhookSettings;

/// What is said of a trigger, by its kind.
#[derive(Debug, Clone)]
pub enum Settings {
    Schedule(ScheduleSettings),
    Webhook(WebhookSettings),
}

// === impl Settings ===

impl Settings {
    /// Reads what is said of a trigger, or everything that is wrong with it.
    pub fn read(kind: TriggerKind, settings: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        match kind {
            TriggerKind::Schedule => ScheduleSettings::read(settings).map(Self::Schedule),
            TriggerKind::Webhook => WebhookSettings::read(settings).map(Self::Webhook),
        }
    }

    /// Reads those of a stored trigger, which were right when they were saved.
    pub fn of(trigger: &Trigger) -> Result<Self, Refusal> {
        let empty = Map::new();
        Self::read(trigger.kind, trigger.settings.as_object().unwrap_or(&empty)).map_err(|problems| {
            tracing::error!(trigger = %trigger.id, ?problems, "a trigger's settings can't be read");
            Refusal::internal()
        })
    }

    /// Returns when it is due, if it follows a calendar.
    pub fn calendar(&self, since: Timestamp) -> Option<Calendar> {
        match self {
            Self::Schedule(schedule) => schedule.calendar(since).ok(),
            Self::Webhook(_) => None,
        }
    }

    /// Returns its first occasion after now. A schedule that has none is no schedule.
    pub fn next(&self, since: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, Vec<Problem>> {
        let Some(calendar) = self.calendar(since) else { return Ok(None) };
        let next = calendar.after(now).map(Some);
        next.ok_or_else(|| vec![Problem::new("cron", "invalid_cron", "there is no such day")])
    }

    /// Returns the version that runs, unless it is the latest.
    pub fn version(&self) -> Option<u32> {
        match self {
            Self::Schedule(schedule) => schedule.version,
            Self::Webhook(webhook) => webhook.version,
        }
    }

    /// Whether it has a secret, and we make it.
    pub fn makes_secret(&self) -> bool {
        match self {
            Self::Schedule(_) => false,
            Self::Webhook(webhook) => webhook.secret.is_none(),
        }
    }

    /// Returns a secret as its sender is told.
    pub fn fresh_secret(&self) -> String {
        match self {
            Self::Schedule(_) => String::new(),
            Self::Webhook(webhook) => webhook.scheme.fresh_secret(),
        }
    }
}
