//! The commit: new values first, then the document by one single-key save with its etag.
//!
//! daprd reports any failure of such a save as a mismatch, so every error means unknown: the caller reloads.

use super::{
    Workflows,
    actor::{Actor, Armed, Mem},
    document_key,
    turn::{Refused, Turn},
};
use crate::{
    document::{HeadPart, PAGE_SIZE, Page, Snapshot, TAIL_LIMIT, encode, foldable},
    failpoint::failpoint,
    mutant::{Rule, holds},
    values::{self, Made},
    wake,
};
use bytes::Bytes;
use callboard_core::{
    Datum, Hash, Machine, Span,
    workflow::{Event, Input, Outcome, Run, run::Archived},
};
use callboard_sidecar::client::{Error, Fence, Save, Ttl};
use std::{sync::Arc, time::Duration};

/// A first document that nobody journaled goes after so many seconds.
const FIRST_TTL: u32 = 600;

/// Why an answer's value can't be had.
pub(super) enum Unadopted {
    /// The store does not have it.
    Lost,
    /// The store does not answer.
    Unknown,
}

impl Workflows {
    /// Saves what the events make of the run, and arms `wake` beside it. On failure the state is worthless, and what
    /// was made is returned for cleaning up.
    pub(super) async fn commit(
        &self,
        actor: &mut Actor,
        run: &str,
        mem: &mut Mem,
        events: Vec<Event>,
        mut adopted: Option<(String, Bytes)>,
    ) -> Result<(), Option<Refused>> {
        let services = &self.services;
        let turn = if holds(Rule::TurnKeys) { self.turn_id() } else { format!("{}", mem.doc.seq + 1) };
        let mut made: Vec<Made> = Vec::new();
        let mut recorded = Vec::with_capacity(events.len());
        mem.doc.raise(services.settings.version());
        for mut event in events {
            let from = made.len();
            values::move_out(event.what.data_mut(), &turn, &mut made);
            let mut own: Vec<(String, Bytes)> =
                made[from..].iter().map(|m| (m.key.clone(), m.data.clone())).collect();
            // A value that came by reference (an agent's answer) is journaled with the first event that names it.
            let names = super::load::references(&event);
            own.extend(adopted.take_if(|(key, _)| names.iter().any(|r| r.key == *key)));
            mem.run.apply(&event);
            let json = mem.doc.push(event.clone());
            mem.sizes.push(json.len());
            recorded.push((mem.doc.seq, event, mem.doc.hash, json, own));
        }
        let superseded = self.fold_tail(actor, mem, &turn, &mut made);
        mem.doc.published = if holds(Rule::RememberPublished) { actor.tail.published() } else { mem.doc.seq };
        let names: Vec<(String, u64)> = made.iter().map(|m| (m.key.clone(), m.data.len() as u64)).collect();
        failpoint!("commit.before_values");
        if let Err(error) = values::save(services, run, &made).await {
            tracing::debug!(run, %error, "values are not saved");
            // The document never left, so nothing names them.
            let _ = values::delete(services, run, &names).await;
            return Err(None);
        }
        failpoint!("commit.after_values");
        // What the catalog has certainly never heard of goes by itself if nobody comes back to it.
        let unheard = mem.unheard && actor.tail.journaled() == 0;
        let (fence, ttl) = match &mem.etag {
            None => (
                Fence::FirstWrite,
                if holds(Rule::FirstTtl) {
                    Ttl::Seconds(services.settings.expiry(FIRST_TTL))
                } else {
                    Ttl::Keep
                },
            ),
            Some(etag) => {
                let fence = if holds(Rule::Fence) { Fence::Etag(etag.clone()) } else { Fence::None };
                let ttl = match mem.expires && holds(Rule::KeepFirst) {
                    true if unheard => Ttl::Seconds(services.settings.expiry(FIRST_TTL)),
                    true => Ttl::Persist,
                    false => Ttl::Keep,
                };
                (fence, ttl)
            }
        };
        let save = Save { key: document_key(run), data: Bytes::from(mem.doc.encode()), fence, ttl };
        let (saved, ()) = tokio::join!(
            services.sidecar.save(&services.settings.statestore, vec![save]),
            self.arm(actor, run, &mem.run, false),
        );
        if let Err(error) = saved {
            tracing::debug!(run, %error, "the document's save is refused or unknown");
            return Err(Some(Refused { etag: mem.etag.clone(), made: names }));
        }
        failpoint!("commit.after_document");
        mem.expires = mem.etag.is_none() || mem.expires && unheard;
        mem.etag = next_etag(self, run, mem.etag.as_deref()).await.map_err(|_| None)?;
        for value in made {
            if let Some(content) = value.value {
                mem.values.insert(value.key, content);
            }
        }
        for (seq, event, hash, json, mut own) in recorded {
            if !holds(Rule::JournalValues) {
                own.clear();
            }
            actor.tail.push(seq, &event, hash, json, own);
        }
        if !superseded.is_empty() {
            let (this, run) = (self.clone(), run.to_owned());
            self.tasks.spawn(async move {
                failpoint!("commit.before_superseded");
                let _ = values::delete(&this.services, &run, &superseded).await;
            });
        }
        Ok(())
    }

    /// Reads the value of an answer that somebody else saved under this run, before anything names it: the store may
    /// have lost it since.
    pub(super) async fn adopt(
        &self,
        run: &str,
        mem: &mut Mem,
        turn: &Turn,
    ) -> Result<Option<(String, Bytes)>, Unadopted> {
        let Turn::Input(Input::AgentAnswer {
            step, attempt, outcome: Outcome::Done(Datum::Stored(r)), ..
        }) = turn
        else {
            return Ok(None);
        };
        // A late answer is not looked at.
        if mem.run.ended.is_some()
            || mem.run.steps.get(step).is_none_or(|s| s.attempt != *attempt || !s.is_open())
        {
            return Ok(None);
        }
        let found = values::load(&self.services, run, &[(r.key.clone(), r.size)]).await;
        let found =
            found.map_err(|_| Unadopted::Unknown)?.remove(&r.key).filter(|data| Hash::of(data) == r.hash);
        let Some(data) = found else {
            return if holds(Rule::AnswerValue) { Err(Unadopted::Lost) } else { Ok(None) };
        };
        if let Ok(value) = serde_json::from_slice(&data) {
            mem.values.insert(r.key.clone(), Arc::new(value));
        }
        Ok(Some((r.key.clone(), data)))
    }

    /// Folds a long tail into a snapshot. Returns the parts it replaces.
    fn fold_tail(
        &self,
        actor: &Actor,
        mem: &mut Mem,
        turn: &str,
        made: &mut Vec<Made>,
    ) -> Vec<(String, u64)> {
        let journaled = if holds(Rule::KeepUnjournaled) { actor.tail.journaled() } else { mem.doc.seq };
        let droppable = (journaled + 1).saturating_sub(mem.doc.tail_from) as usize;
        let total: usize = mem.sizes.iter().sum();
        let gain: usize = mem.sizes.iter().take(droppable).sum();
        if total <= TAIL_LIMIT {
            return Vec::new();
        }
        if gain < TAIL_LIMIT / 2 {
            // Each save carries it until it is journaled.
            actor.tail.hurry();
            return Vec::new();
        }
        let old = mem.doc.snapshot.clone();
        fold_into_snapshot(mem, turn, journaled, made);
        old.into_iter().map(|snapshot| (snapshot.key, snapshot.size)).collect()
    }

    /// Deletes what refused turns made, once the document has moved past them and names none of it.
    pub(super) async fn clean_refused(&self, run: &str, mem: &Mem, refused: &mut Vec<Refused>) {
        let version = |etag: Option<&String>| etag.and_then(|e| e.parse::<u64>().ok()).unwrap_or(0);
        let now = version(mem.etag.as_ref());
        let mut rest = Vec::new();
        for lost in refused.drain(..) {
            if now <= version(lost.etag.as_ref()) && holds(Rule::EtagMoved) {
                // Its save may still arrive.
                rest.push(lost);
                continue;
            }
            let named = super::load::state_references(&mem.run);
            let parts = mem
                .doc
                .snapshot
                .iter()
                .map(|s| &s.key)
                .chain(mem.pages.iter().chain(&mem.listed).map(|p| &p.key));
            let parts: Vec<&String> = parts.collect();
            let is_named =
                lost.made.iter().any(|(key, _)| named.iter().any(|r| r.key == *key) || parts.contains(&key));
            if !is_named {
                let _ = values::delete(&self.services, run, &lost.made).await;
            }
        }
        *refused = rest;
    }

    /// Registers `wake` if the run wants it sooner than it is, or, on a wake, otherwise than it is.
    pub(super) async fn arm(&self, actor: &mut Actor, run: &str, state: &Run, on_wake: bool) {
        let now = self.services.clock.now();
        let settings = &self.services.settings;
        if !holds(Rule::Reminders) {
            return;
        }
        let Some(want) = wanted(state, now, settings.pause(wake::SELDOM)) else { return };
        let again = match actor.armed {
            None => actor.arming.is_none() || on_wake,
            Some(have) if want.often != have.often => want.often || on_wake,
            // A few seconds are not worth a call; the in-process timer is exact.
            Some(have) => {
                let few = settings.paced(Span::secs(5)).0;
                !want.often && want.due.0.abs_diff(have.due.0) > few && want.due.since(now).0 > few
            }
        };
        if !again || self.services.clock.steady() < actor.cools_until {
            return;
        }
        if std::mem::take(&mut actor.unarmed) && !on_wake {
            self.arm_later(actor, run);
            return;
        }
        self.register(actor, run, want).await;
    }

    async fn register(&self, actor: &mut Actor, run: &str, want: Armed) {
        let settings = &self.services.settings;
        let (due, period) = if want.often {
            (settings.pause(wake::OFTEN), settings.pause(wake::OFTEN))
        } else {
            (Duration::from_millis(want.due.since(self.services.clock.now()).0), settings.pause(wake::SELDOM))
        };
        failpoint!("arm.before");
        match wake::arm(&self.services, crate::WORKFLOW, run, due, period).await {
            Ok(()) => {
                failpoint!("arm.after");
                actor.armed = Some(want)
            }
            Err(error) => {
                actor.cools_until = self.services.clock.steady() + settings.paced(wake::COOL);
                tracing::debug!(run, %error, "wake is not registered");
            }
        }
    }

    /// A run that just began gets its reminder a little later: most that only call agents have ended by then. If this
    /// process ends before, the sweeper of the next one wakes the run.
    fn arm_later(&self, actor: &mut Actor, run: &str) {
        let (this, run) = (self.clone(), run.to_owned());
        let pause = self.services.settings.pause(wake::FIRST);
        let task = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = this.tasks.stopped() => return,
            }
            let Ok(mut actor) = this.boxes.enter(&run).await else { return };
            actor.arming = None;
            if let Some(mem) = actor.mem.take() {
                this.arm(&mut actor, &run, &mem.run, false).await;
                actor.mem = Some(mem);
            }
        });
        actor.arming = Some(task.abort_handle());
    }

    /// Registers `wake` for a run that the catalog may never have heard of: the sweeper would not find it.
    pub(super) async fn arm_at_once(&self, actor: &mut Actor, run: &str) {
        if let Some(task) = actor.arming.take() {
            task.abort();
        }
        let now = self.services.clock.now();
        if actor.armed.is_none_or(|armed| !armed.often) && self.services.clock.steady() >= actor.cools_until {
            self.register(actor, run, Armed { due: now, often: true }).await;
        }
    }

    /// Removes `wake`, and tells whether it is gone. What this process remembers of it is no proof: a registration that
    /// was given up may have gone through.
    pub(super) async fn disarm(&self, actor: &mut Actor, run: &str) -> bool {
        if let Some(task) = actor.arming.take() {
            // Nobody asked for one yet.
            task.abort();
            return true;
        }
        let now = self.services.clock.steady();
        if now < actor.cools_until {
            return false;
        }
        failpoint!("disarm.before");
        match wake::disarm(&self.services, crate::WORKFLOW, run).await {
            Ok(()) => {
                failpoint!("disarm.after");
                actor.armed = None;
                true
            }
            Err(error) => {
                actor.cools_until = now + self.services.settings.paced(wake::COOL);
                tracing::debug!(run, %error, "wake is not removed yet");
                false
            }
        }
    }

    pub(super) fn turn_id(&self) -> String {
        format!("{:x}", self.services.clock.id())
    }
}

/// Returns how a run wants to be woken; an ended one is woken until it is cleaned up.
fn wanted(run: &Run, now: callboard_core::Timestamp, seldom: Duration) -> Option<Armed> {
    if run.purging || !run.pending().is_empty() {
        return Some(Armed { due: now, often: true });
    }
    if run.ended.is_some() {
        return None;
    }
    let latest = now + Span(seldom.as_millis() as u64);
    // The reminder is the wall clock's, the deadline of the run's own time.
    let due = run.deadline().map_or(latest, |deadline| now + deadline.since(now + run.ahead));
    Some(Armed { due, often: false })
}

/// Writes the state as a snapshot: a new head, and a page when enough finished work has come together.
pub(super) fn fold_into_snapshot(mem: &mut Mem, turn: &str, journaled: u64, made: &mut Vec<Made>) {
    let version = mem.doc.version();
    let mut rest: Vec<Archived> = mem.run.archive.iter().skip(mem.paged).cloned().collect();
    let data = encode(&rest, version);
    if data.len() > PAGE_SIZE {
        let key = format!("{turn}.{}", made.len());
        let items = rest.len() as u64;
        mem.pages.push(Page { key: key.clone(), size: data.len() as u64, items, level: 0 });
        mem.paged += rest.len();
        made.push(Made { key, data: data.into(), value: None });
        rest.clear();
        while let Some(n) = foldable(&mem.pages) {
            let list = mem.pages.split_off(mem.pages.len() - n);
            let (data, key) = (encode(&list, version), format!("{turn}.{}", made.len()));
            let items = list.iter().map(|page| page.items).sum();
            let level = list.first().map_or(0, |page| page.level) + 1;
            mem.pages.push(Page { key: key.clone(), size: data.len() as u64, items, level });
            made.push(Made { key, data: data.into(), value: None });
            mem.listed.extend(list);
        }
    }
    let part = HeadPart { head: mem.run.head(), pages: mem.pages.clone(), rest };
    let key = format!("{turn}.{}", made.len());
    let data = Bytes::from(encode(&part, version));
    mem.doc.snapshot = Some(Snapshot { key: key.clone(), size: data.len() as u64, seq: mem.doc.seq });
    made.push(Made { key, data, value: None });
    let before = mem.doc.tail.len();
    mem.doc.drop_until(journaled.min(mem.doc.seq));
    let dropped = before - mem.doc.tail.len();
    mem.sizes.drain(..dropped);
}

/// Predicts the etag of the save just made: both Redis and the embedded store count up by one.
pub(super) async fn next_etag(
    this: &Workflows,
    run: &str,
    etag: Option<&str>,
) -> Result<Option<String>, Error> {
    match etag.map(str::parse::<u64>) {
        None => Ok(Some("1".into())),
        Some(Ok(n)) => Ok(Some((n + 1).to_string())),
        // A store with opaque etags is read back.
        Some(Err(_)) => {
            let entry =
                this.services.sidecar.get(&this.services.settings.statestore, &document_key(run)).await?;
            Ok(entry.map(|e| e.etag))
        }
    }
}
