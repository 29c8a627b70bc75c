//! Triggers: what starts runs by itself. They are made and changed here; `occasions` has what becomes of their occasions.

mod shown;

use super::{
    Fields, Items, Key, Kind, Operations, Page, Query, Refusal, Request, now, once::Changed, page::page,
};
use crate::{
    access::Principal,
    triggers::{Settings, Vault, vault},
};
use callboard_actors::Projects;
use callboard_catalog::{
    self as catalog, NewTrigger, Next, Sealed, Trigger, TriggerChange, TriggerKind, Triggers,
};
use callboard_core::{
    Hash, Problem, Timestamp,
    id::{TriggerId, WorkflowId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

use shown::ahead;
pub use shown::{FireView, TriggerMade, TriggerPreview, TriggerView};

/// Characters of a name.
const NAME: usize = 200;
/// How often a change that meets another one begins again.
const TRIES: usize = 5;
/// The namespace of ids that are made of keys.
const IDS: Uuid = Uuid::from_u128(0x9a4e_53c1_0d6b_4a52_8f17_62b0_9c5d_e3a8);

/// What triggers are made of and answered with.
#[derive(Clone)]
pub struct TriggerParts {
    pub store: Arc<dyn Triggers>,
    /// Seals the secrets that we make.
    pub vault: Vault,
    /// Secrets that a project may name.
    pub projects: Projects,
    pub rates: super::Rates,
}

/// A trigger to be.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewTrigger")]
pub struct CreateTrigger {
    /// Whose runs it starts.
    pub workflow_id: WorkflowId,
    pub kind: TriggerKind,
    /// For people; up to 200 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it fires; true unless it is given.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// By its kind, as in docs/triggers.md.
    pub settings: Map<String, Value>,
}

/// What a trigger becomes. Its kind and its workflow stay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceTrigger {
    /// For people; as it was unless it is given.
    #[serde(default)]
    pub name: Option<String>,
    /// As it was unless it is given.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// By its kind, as in docs/triggers.md.
    pub settings: Map<String, Value>,
}

/// Settings that are not saved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewTrigger {
    pub kind: TriggerKind,
    /// By its kind, as in docs/triggers.md.
    pub settings: Map<String, Value>,
}

/// Which triggers to list.
#[derive(Debug, Default, JsonSchema)]
pub struct TriggersOf {
    /// Those of a workflow.
    pub workflow_id: Option<WorkflowId>,
}

/// A trigger that was made, perhaps before.
pub struct Created {
    pub made: TriggerMade,
    pub replayed: bool,
    pub changed: Changed,
}

/// A trigger that was changed.
pub struct Altered {
    pub made: TriggerMade,
    pub changed: Changed,
}

/// What is asked of a trigger that there is.
enum Change {
    Replace(ReplaceTrigger),
    Enable(bool),
    RenewSecret,
}

impl Request for CreateTrigger {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let kind = body.get("kind").and_then(Value::as_str).and_then(TriggerKind::parse);
        let mut problems = mistakes(kind, body);
        if let Some(Err(error)) =
            body.get("workflow_id").and_then(Value::as_str).map(str::parse::<WorkflowId>)
        {
            problems.push(Problem::new("workflow_id", "invalid_id", error.to_string()));
        }
        problems
    }
}

impl Request for ReplaceTrigger {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        mistakes(None, body)
    }
}

impl Request for PreviewTrigger {}

/// What no schema of a body says is wrong with it. Settings can be read where their kind is known.
fn mistakes(kind: Option<TriggerKind>, body: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = body.get("name").and_then(Value::as_str);
    if name.is_some_and(|name| name.chars().count() > NAME) {
        problems.push(Problem::new("name", "invalid", format!("a name has at most {NAME} characters")));
    }
    if let (Some(kind), Some(Value::Object(settings))) = (kind, body.get("settings")) {
        problems.extend(Settings::read(kind, settings).err().into_iter().flatten().map(of_settings));
    }
    problems
}

/// Says that a mistake is one of the settings.
fn of_settings(problem: Problem) -> Problem {
    let path = match problem.path.as_str() {
        "" => "settings".to_owned(),
        path => format!("settings.{path}"),
    };
    Problem { path, ..problem }
}

/// Refuses settings with all their mistakes.
fn mistaken(problems: Vec<Problem>) -> Refusal {
    Refusal::invalid("invalid_body", "the body", problems.into_iter().map(of_settings).collect())
}

fn refused(problem: Problem) -> Refusal {
    Refusal::invalid("invalid_body", "the body", vec![problem])
}

// === impl TriggersOf ===

impl Query for TriggersOf {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { workflow_id: fields.one("workflow_id", |text| Ok(WorkflowId::new(text))) }
    }
}

// === impl Operations ===

impl Operations {
    pub async fn list_triggers(
        &self,
        principal: &Principal,
        of: &Page,
        which: TriggersOf,
    ) -> Result<Items<TriggerView>, Refusal> {
        let (limit, after) = (of.limit()?, of.after_trigger()?);
        let store = &self.triggers.store;
        let found =
            store.triggers(&principal.project, which.workflow_id.as_ref(), after.as_ref(), limit + 1).await?;
        let (found, next) = page(found, limit, |trigger| trigger.id.to_string());
        let now = now();
        Ok(Items { items: found.into_iter().map(|trigger| TriggerView::of(trigger, now)).collect(), next })
    }

    pub async fn trigger(&self, principal: &Principal, id: &TriggerId) -> Result<TriggerView, Refusal> {
        Ok(TriggerView::of(self.stored_trigger(principal, id).await?, now()))
    }

    /// Makes a trigger. Under a key its id is made of that, so that it is made once, for as long as it is there.
    pub async fn create_trigger(
        &self,
        principal: &Principal,
        key: Option<Key>,
        new: CreateTrigger,
    ) -> Result<Created, Refusal> {
        let project = &principal.project;
        let settings = Settings::read(new.kind, &new.settings).map_err(mistaken)?;
        let made_of = Hash::of(serde_json::to_string(&new).unwrap_or_default().as_bytes());
        let id = TriggerId::new(match &key {
            Some(key) => Uuid::new_v5(&IDS, format!("{project} {}", key.as_str()).as_bytes()).to_string(),
            None => Uuid::now_v7().to_string(),
        });
        if key.is_some()
            && let Some(known) = self.triggers.store.trigger(project, &id).await?
        {
            return repeated(known, made_of);
        }
        self.has_version(principal, &new.workflow_id, &settings).await?;
        let (secret, sealed) = self.secret_for(principal, &id, &settings)?.unzip();
        let (at, enabled) = (now(), new.enabled.unwrap_or(true));
        let next_at = if enabled { settings.next(at, at).map_err(mistaken)? } else { None };
        let trigger = NewTrigger {
            project: project.clone(),
            id: id.clone(),
            workflow_id: new.workflow_id,
            kind: new.kind,
            name: new.name.unwrap_or_default(),
            settings: Value::Object(new.settings),
            enabled,
            secret: sealed,
            made_of: key.is_some().then_some(made_of),
            at,
            by: principal.subject.to_string(),
            next_at,
        };
        match self.triggers.store.make_trigger(trigger).await {
            Ok(made) => {
                let after = Some(content(&made));
                let changed = Changed { object: Some(made.id.to_string()), before: None, after };
                let made = TriggerMade { trigger: TriggerView::of(made, at), secret };
                Ok(Created { made, replayed: false, changed })
            }
            // Somebody has made it under the same key in between.
            Err(catalog::Error::Conflict { .. }) if key.is_some() => {
                let known = self.triggers.store.trigger(project, &id).await?;
                repeated(known.ok_or_else(Refusal::internal)?, made_of)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces name and settings; without `expected` whatever they are by now.
    pub async fn replace_trigger(
        &self,
        principal: &Principal,
        id: &TriggerId,
        expected: Option<u64>,
        new: ReplaceTrigger,
    ) -> Result<Altered, Refusal> {
        self.altered(principal, id, expected, Change::Replace(new)).await
    }

    /// Lets a trigger fire, or no more. What it missed while it did not is none of its occasions.
    pub async fn enable_trigger(
        &self,
        principal: &Principal,
        id: &TriggerId,
        enabled: bool,
    ) -> Result<Altered, Refusal> {
        self.altered(principal, id, None, Change::Enable(enabled)).await
    }

    /// Gives a webhook another secret. The one before ends at once.
    pub async fn renew_trigger_secret(
        &self,
        principal: &Principal,
        id: &TriggerId,
    ) -> Result<Altered, Refusal> {
        self.altered(principal, id, None, Change::RenewSecret).await
    }

    /// Deletes a trigger; what it started goes on.
    pub async fn delete_trigger(&self, principal: &Principal, id: &TriggerId) -> Result<Changed, Refusal> {
        let before = self.stored_trigger(principal, id).await?;
        if !self.triggers.store.delete_trigger(&principal.project, id).await? {
            return Err(Refusal::not_found("trigger", id));
        }
        Ok(Changed { object: Some(id.to_string()), before: Some(content(&before)), after: None })
    }

    /// Says what settings would do; saves nothing.
    pub fn preview_trigger(&self, asked: PreviewTrigger) -> TriggerPreview {
        let now = now();
        let read = Settings::read(asked.kind, &asked.settings);
        match read.and_then(|settings| settings.next(now, now).map(|_| ahead(&settings, now, now))) {
            Ok(next_fires) => TriggerPreview { next_fires, problems: Vec::new() },
            Err(problems) => {
                let problems = problems.into_iter().map(of_settings).collect();
                TriggerPreview { next_fires: Vec::new(), problems }
            }
        }
    }

    /// Returns what came of the last occasions, newest first.
    pub async fn trigger_fires(
        &self,
        principal: &Principal,
        id: &TriggerId,
    ) -> Result<Items<FireView>, Refusal> {
        self.stored_trigger(principal, id).await?;
        let fires = self.triggers.store.fires(&principal.project, id, catalog::FIRES).await?;
        Ok(Items { items: fires.into_iter().map(FireView::from).collect(), next: None })
    }

    pub(super) async fn stored_trigger(
        &self,
        principal: &Principal,
        id: &TriggerId,
    ) -> Result<Trigger, Refusal> {
        let found = self.triggers.store.trigger(&principal.project, id).await?;
        found.ok_or_else(|| Refusal::not_found("trigger", id))
    }

    /// Reads a trigger, and saves what becomes of it; begins again where somebody else was faster, unless a revision is expected.
    async fn altered(
        &self,
        principal: &Principal,
        id: &TriggerId,
        expected: Option<u64>,
        wanted: Change,
    ) -> Result<Altered, Refusal> {
        let mut tries = 0;
        loop {
            let before = self.stored_trigger(principal, id).await?;
            let (change, secret) = match &wanted {
                Change::Replace(new) => self.replacing(principal, &before, new).await?,
                Change::Enable(enabled) => (enabling(&before, *enabled)?, None),
                Change::RenewSecret => self.renewing(principal, &before)?,
            };
            let revision = expected.unwrap_or(before.revision);
            match self.triggers.store.change_trigger(&principal.project, id, revision, change).await {
                Ok(after) => {
                    let changed = Changed {
                        object: Some(id.to_string()),
                        before: Some(content(&before)),
                        after: Some(content(&after)),
                    };
                    let made = TriggerMade { trigger: TriggerView::of(after, now()), secret };
                    return Ok(Altered { made, changed });
                }
                Err(catalog::Error::Conflict { .. }) if expected.is_none() && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where the settings are the same, a schedule goes on as it is.
    async fn replacing(
        &self,
        principal: &Principal,
        before: &Trigger,
        new: &ReplaceTrigger,
    ) -> Result<(TriggerChange, Option<String>), Refusal> {
        let settings = Settings::read(before.kind, &new.settings).map_err(mistaken)?;
        self.has_version(principal, &before.workflow_id, &settings).await?;
        let (secret, sealed) = match settings.makes_secret() && before.secret.is_some() {
            true => (None, before.secret.clone()),
            false => self.secret_for(principal, &before.id, &settings)?.unzip(),
        };
        let (at, enabled) = (now(), new.enabled.unwrap_or(before.enabled));
        let said = Value::Object(new.settings.clone());
        let (since, next) = match before.settings == said && enabled == before.enabled {
            true => (before.since, Next::Kept),
            false => (at, Next::Anew(if enabled { settings.next(at, at).map_err(mistaken)? } else { None })),
        };
        let name = new.name.clone().unwrap_or_else(|| before.name.clone());
        let change = TriggerChange { name, settings: said, enabled, since, secret: sealed, at, next };
        Ok((change, secret))
    }

    fn renewing(
        &self,
        principal: &Principal,
        before: &Trigger,
    ) -> Result<(TriggerChange, Option<String>), Refusal> {
        let Some((secret, sealed)) = self.secret_for(principal, &before.id, &Settings::of(before)?)? else {
            let detail = format!("trigger {} has no secret that was made here", before.id);
            return Err(Refusal::new(Kind::Conflict, "no_secret", detail));
        };
        Ok((TriggerChange { secret: Some(sealed), ..unchanged(before, now()) }, Some(secret)))
    }

    /// Refuses a version that the workflow does not have, and a workflow that is not there.
    async fn has_version(
        &self,
        principal: &Principal,
        of: &WorkflowId,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        if self.catalog.workflow(&principal.project, of, None).await?.is_none() {
            return Err(Refusal::not_found("workflow", of));
        }
        let Some(version) = settings.version() else { return Ok(()) };
        match self.catalog.workflow(&principal.project, of, Some(version)).await? {
            Some(_) => Ok(()),
            None => {
                let message = format!("workflow {of} has no version {version}");
                Err(refused(Problem::new("settings.version", "invalid", message)))
            }
        }
    }

    /// Makes a secret, if the settings leave that to us: as it is shown, and sealed.
    fn secret_for(
        &self,
        principal: &Principal,
        id: &TriggerId,
        settings: &Settings,
    ) -> Result<Option<(String, Sealed)>, Refusal> {
        if !settings.makes_secret() {
            return Ok(None);
        }
        let secret = settings.fresh_secret();
        match self.triggers.vault.seal(&vault::owner(&principal.project, id), &secret) {
            Some(sealed) => Ok(Some((secret, sealed))),
            None => {
                let message =
                    "this server keeps no secrets, as it has no secrets.key: name one, secret://NAME";
                Err(refused(Problem::new("settings.secret", "missing_field", message)))
            }
        }
    }
}

/// Answers a creation that comes again under its key. The secret is not shown again.
fn repeated(known: Trigger, made_of: Hash) -> Result<Created, Refusal> {
    if known.made_of != Some(made_of) {
        let detail =
            "this Idempotency-Key came with another trigger before: use another one for another trigger";
        return Err(Refusal::new(Kind::Invalid, "idempotency_key_reused", detail));
    }
    let changed = Changed { object: Some(known.id.to_string()), ..Changed::default() };
    let made = TriggerMade { trigger: TriggerView::of(known, now()), secret: None };
    Ok(Created { made, replayed: true, changed })
}

fn enabling(before: &Trigger, enabled: bool) -> Result<TriggerChange, Refusal> {
    let at = now();
    let (since, next) = match (before.enabled == enabled, enabled) {
        (true, _) => (before.since, Next::Kept),
        (false, true) => (at, Next::Anew(Settings::of(before)?.next(at, at).map_err(mistaken)?)),
        (false, false) => (at, Next::Anew(None)),
    };
    Ok(TriggerChange { enabled, since, next, ..unchanged(before, at) })
}

/// A change that changes nothing yet.
fn unchanged(before: &Trigger, at: Timestamp) -> TriggerChange {
    TriggerChange {
        name: before.name.clone(),
        settings: before.settings.clone(),
        enabled: before.enabled,
        since: before.since,
        secret: before.secret.clone(),
        at,
        next: Next::Kept,
    }
}

/// Returns the hash of what people said of a trigger, as the audit has it.
fn content(trigger: &Trigger) -> Hash {
    let enabled: &[u8] = if trigger.enabled { b"enabled" } else { b"disabled" };
    let settings = trigger.settings.to_string();
    Hash::chain(&[trigger.name.as_bytes(), trigger.kind.as_str().as_bytes(), enabled, settings.as_bytes()])
}
