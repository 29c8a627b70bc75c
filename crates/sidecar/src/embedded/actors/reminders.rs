//! Reminders: callbacks that survive everything but their removal (`dapr-contract` 4.5).
//!
//! At least once: the tick is written down as done after its callback answered, with the next commit. A failed
//! tick is tried again as its failure policy says (1 s, three times, unless told otherwise), then it is over:
//! a one-shot is gone, a periodic one goes on with its next beat.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tonic::Code;

use super::super::fault::Fault;
use super::super::store::{Reminder, Write};
use super::super::{names, times};
use super::Actors;
use super::schedule::{Entry, Key, Kind};

/// Between two reminders that a start finds overdue by a wrong clock, in milliseconds: a hundred thousand of them must
/// not come at once.
const STAGGER: i64 = 2;
/// A difference of the wall clock and the steady one that is no jump, in milliseconds.
const NO_JUMP: i64 = 500;
/// Callbacks at the same time; each may wait for its actor's turn.
const FIRING: usize = 1024;

/// A reminder or timer as its caller asked for it.
#[derive(Debug, Clone, Default)]
pub(in crate::embedded) struct Registration {
    pub(in crate::embedded) actor_type: String,
    pub(in crate::embedded) actor_id: String,
    pub(in crate::embedded) name: String,
    pub(in crate::embedded) due_time: String,
    pub(in crate::embedded) period: String,
    pub(in crate::embedded) ttl: String,
    /// JSON; empty for none.
    pub(in crate::embedded) data: String,
    /// A timer's.
    pub(in crate::embedded) callback: String,
    pub(in crate::embedded) keep_existing: bool,
    pub(in crate::embedded) failure: Failure,
}

/// What happens to a failed tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::embedded) enum Failure {
    #[default]
    Default,
    Drop,
    /// `times: None` is for ever. Milliseconds.
    Constant {
        every: i64,
        times: Option<u32>,
    },
}

// === impl Registration ===

impl Registration {
    /// Works out when it fires, or why it never can.
    pub(super) fn plan(&self, now: i64) -> Result<Reminder, String> {
        if self.due_time.is_empty() && self.period.is_empty() {
            return Err("either dueTime or period must be set".to_owned());
        }
        let period = match self.period.as_str() {
            "" => None,
            text => Some(times::period(text).ok_or_else(|| format!("unsupported period format: {text:?}"))?),
        };
        let every = period.map(|period| i64::try_from(period.every.as_millis()).unwrap_or(i64::MAX).max(1));
        let due = match (self.due_time.as_str(), every) {
            ("", Some(every)) => now.saturating_add(every),
            (text, _) => {
                times::when(text).ok_or_else(|| format!("unsupported dueTime format: {text:?}"))?.from(now)
            }
        };
        let expires = match self.ttl.as_str() {
            "" => None,
            text => {
                Some(times::when(text).ok_or_else(|| format!("unsupported ttl format: {text:?}"))?.from(now))
            }
        };
        if expires.is_some_and(|end| end <= due) {
            return Err("ttl ends before the first firing".to_owned());
        }
        if expires.is_some() && every.is_none() {
            return Err("a ttl on a one-shot is not allowed".to_owned());
        }
        let left = period.and_then(|period| period.times);
        if left == Some(0) {
            return Err("a period must not repeat zero times".to_owned());
        }
        let (retry_every, retries) = match self.failure {
            Failure::Default => (1000, Some(3)),
            Failure::Drop => (1000, Some(0)),
            Failure::Constant { every, times } => (every.max(1), times),
        };
        Ok(Reminder {
            id: uuid::Uuid::new_v4().to_string(),
            actor_type: self.actor_type.clone(),
            actor_id: self.actor_id.clone(),
            name: self.name.clone(),
            data: self.data.clone(),
            due_time: self.due_time.clone(),
            period: self.period.clone(),
            ttl: self.ttl.clone(),
            due,
            every,
            left,
            expires,
            retry_every,
            retries,
        })
    }
}

// === impl Actors ===

impl Actors {
    /// Registers a reminder and returns once it is on disk.
    pub(in crate::embedded) async fn register_reminder(
        &self,
        registration: Registration,
    ) -> Result<(), Fault> {
        let Registration { actor_type, actor_id, name, .. } = &registration;
        check_names(actor_type, actor_id, name)?;
        self.check_hosted(actor_type)?;
        let failed = |reason: &dyn std::fmt::Display| {
            let message = format!("error creating actor reminder: {reason}");
            Fault::new("ERR_ACTOR_REMINDER_CREATE", 500, Code::Internal, message)
        };
        let reminder = registration.plan(times::now()).map_err(|reason| failed(&reason))?;
        let key = key(Kind::Reminder, actor_type, actor_id, name);
        // One registration of a name at a time, so that disk and memory agree on the last.
        let _order = self.order(&key).await;
        if registration.keep_existing && self.schedule.get(&key).is_some() {
            return Err(Fault::new(
                "ERR_ACTOR_REMINDER_ALREADY_EXISTS",
                409,
                Code::AlreadyExists,
                format!("reminder {name} of actor {actor_type}/{actor_id} exists already"),
            ));
        }
        if self.schedule.is_full() {
            return Err(failed(&"there are too many reminders"));
        }
        self.store
            .write(vec![Write::PutReminder(Box::new(reminder.clone()))])
            .await
            .map_err(|e| failed(&e))?;
        self.schedule.put(entry(reminder));
        Ok(())
    }

    /// Removes a reminder; a missing one is no error.
    pub(in crate::embedded) async fn remove_reminder(
        &self,
        actor_type: &str,
        actor_id: &str,
        name: &str,
    ) -> Result<(), Fault> {
        check_names(actor_type, actor_id, name)?;
        self.check_hosted(actor_type)?;
        let key = key(Kind::Reminder, actor_type, actor_id, name);
        let _order = self.order(&key).await;
        if self.schedule.get(&key).is_none() {
            return Ok(());
        }
        let write = Write::RemoveReminder {
            actor_type: actor_type.to_owned(),
            actor_id: actor_id.to_owned(),
            name: name.to_owned(),
        };
        self.store.write(vec![write]).await.map_err(|error| {
            let message = format!("error deleting actor reminder: {error}");
            Fault::new("ERR_ACTOR_REMINDER_DELETE", 500, Code::Internal, message)
        })?;
        self.schedule.remove(&key);
        Ok(())
    }

    /// Removes all reminders of a type, or of one actor of it.
    pub(in crate::embedded) async fn remove_reminders(
        &self,
        actor_type: &str,
        actor_id: Option<&str>,
    ) -> Result<(), Fault> {
        self.check_hosted(actor_type)?;
        for reminder in self.schedule.list(Kind::Reminder, actor_type, actor_id) {
            let Reminder { actor_type, actor_id, name, .. } = &reminder.what;
            self.remove_reminder(actor_type, actor_id, name).await?;
        }
        Ok(())
    }

    pub(in crate::embedded) fn reminder(
        &self,
        actor_type: &str,
        actor_id: &str,
        name: &str,
    ) -> Result<Reminder, Fault> {
        check_names(actor_type, actor_id, name)?;
        self.check_hosted(actor_type)?;
        let found = self.schedule.get(&key(Kind::Reminder, actor_type, actor_id, name));
        found.map(|entry| entry.what.clone()).ok_or_else(|| {
            Fault::new(
                "ERR_ACTOR_REMINDER_NOT_FOUND",
                404,
                Code::NotFound,
                format!("actor reminder {actor_type}/{actor_id}/{name} not found"),
            )
        })
    }

    pub(in crate::embedded) fn list_reminders(
        &self,
        actor_type: &str,
        actor_id: Option<&str>,
    ) -> Result<Vec<Reminder>, Fault> {
        self.check_hosted(actor_type)?;
        let found = self.schedule.list(Kind::Reminder, actor_type, actor_id);
        Ok(found.into_iter().map(|entry| entry.what.clone()).collect())
    }

    pub(super) fn restore(&self, reminders: Vec<Reminder>) {
        let now = times::now();
        let mut overdue = 0;
        for mut reminder in reminders {
            let due = reminder.due_after_start(now);
            if due != reminder.due {
                reminder.due = due.saturating_add(overdue * STAGGER);
                overdue += 1;
            }
            self.schedule.put(entry(reminder));
        }
        if overdue > 0 {
            tracing::warn!(reminders = overdue, "written when the clock was ahead of now; they are due now");
        }
    }

    async fn order(&self, key: &Key) -> tokio::sync::MutexGuard<'_, ()> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % self.orders.len() as u64).unwrap_or_default();
        self.orders[place].lock().await
    }

    /// Fires what is due, until the sidecar stops.
    pub(super) async fn tick(self: Arc<Self>) {
        let permits = Arc::new(Semaphore::new(FIRING));
        let mut gap = times::now() - times::steady();
        loop {
            let now = times::now();
            let now_gap = now - times::steady();
            if (now_gap - gap).abs() > NO_JUMP {
                if now_gap < gap {
                    self.schedule.set_back(gap - now_gap);
                }
                gap = now_gap;
            }
            match self.schedule.due(now) {
                Ok(entry) => {
                    let permit = tokio::select! {
                        () = self.stop.cancelled() => return,
                        permit = permits.clone().acquire_owned() => permit,
                    };
                    let actors = self.clone();
                    self.tasks.spawn(async move {
                        actors.fire(&entry).await;
                        drop(permit);
                    });
                }
                Err(next) => {
                    // The wall clock may jump: look at it at least once a second.
                    let wait = next.map_or(1000, |at| at.saturating_sub(now).clamp(1, 1000)).unsigned_abs();
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = self.schedule.changed() => {}
                        () = tokio::time::sleep(std::time::Duration::from_millis(wait)) => {}
                    }
                }
            }
        }
    }

    async fn fire(&self, entry: &Entry) {
        let Reminder { actor_type, actor_id, name, .. } = &entry.what;
        if entry.what.expires.is_some_and(|end| end <= times::now()) || !self.hosted().hosts(actor_type) {
            // A type that is hosted no more may come back: its reminders stay on disk.
            if self.hosted().hosts(actor_type) {
                self.over(entry).await;
            } else {
                self.schedule.end(entry);
            }
            return;
        }
        let (path, body) = callback(entry);
        let request = http::Request::put(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header("dapr-api-call", "true")
            .body(Bytes::from(body));
        let Ok(request) = request else { return self.over(entry).await };
        let outcome = self.turn(actor_type, actor_id, request).await;
        if self.stop.is_cancelled() && outcome.is_err() {
            // The tick is still due after the next start.
            return;
        }
        let cancelled = match &outcome {
            Ok(answer) => entry.kind == Kind::Timer && answer.headers.contains_key("x-daprremindercancel"),
            Err(fault) => {
                tracing::warn!(actor_type, actor_id, name, tries = entry.tries, error = %fault, "callback failed");
                false
            }
        };
        let again = entry.what.retries.is_none_or(|retries| entry.tries < retries);
        if outcome.is_err() && entry.kind == Kind::Reminder && again {
            let at = times::now().saturating_add(entry.what.retry_every);
            self.schedule.put_back(Entry { at, tries: entry.tries.saturating_add(1), ..entry.clone() });
            return;
        }
        match entry.after_tick(times::now()) {
            Some(next) if !cancelled => {
                let Reminder { id, due, left, .. } = next.what.clone();
                if self.schedule.put_back(next) && entry.kind == Kind::Reminder {
                    let (actor_type, actor_id, name) = (actor_type.clone(), actor_id.clone(), name.clone());
                    self.store.later(Write::MoveReminder { id, actor_type, actor_id, name, due, left }).await;
                }
            }
            _ => self.over(entry).await,
        }
    }

    async fn over(&self, entry: &Entry) {
        self.schedule.end(entry);
        if entry.kind == Kind::Reminder {
            let Reminder { id, actor_type, actor_id, name, .. } = entry.what.clone();
            self.store.later(Write::EndReminder { id, actor_type, actor_id, name }).await;
        }
    }
}

fn entry(reminder: Reminder) -> Entry {
    Entry { kind: Kind::Reminder, at: reminder.due, tries: 0, callback: String::new(), what: reminder }
}

pub(super) fn key(kind: Kind, actor_type: &str, actor_id: &str, name: &str) -> Key {
    Key { kind, actor_type: actor_type.to_owned(), actor_id: actor_id.to_owned(), name: name.to_owned() }
}

pub(super) fn check_names(actor_type: &str, actor_id: &str, name: &str) -> Result<(), Fault> {
    if actor_type.starts_with("dapr.internal.") {
        return Err(Fault::new(
            "ERR_ACTOR_TYPE_RESERVED",
            403,
            Code::PermissionDenied,
            format!("actor type {actor_type} is reserved"),
        ));
    }
    names::check("actor type", actor_type)?;
    names::check("actor id", actor_id)?;
    names::check("name", name)
}

/// Returns path and body of a callback (`dapr-contract` 1.2). Data is JSON already.
fn callback(entry: &Entry) -> (String, String) {
    let Reminder { actor_type, actor_id, name, data, due_time, period, .. } = &entry.what;
    let data = RawValue::from_string(data.clone()).ok();
    let (kind, mut body) = match entry.kind {
        // With the Scheduler both times are empty.
        Kind::Reminder => ("remind", json!({"dueTime": "", "period": ""})),
        Kind::Timer => ("timer", json!({"callback": entry.callback, "dueTime": due_time, "period": period})),
    };
    if let Some(data) = data.and_then(|data| serde_json::from_str(data.get()).ok()) {
        body["data"] = data;
    }
    (format!("/actors/{actor_type}/{actor_id}/method/{kind}/{name}"), body.to_string())
}
