//! Deliveries of webhooks. Whoever can't show that they have the secret learns nothing: not even whether there is such a trigger.

use super::{
    Operations, Refusal, RunItem, Started, Trace, now,
    occasions::{Repeated, skipped_by, within_time},
    text,
};
use crate::triggers::{
    Settings, WebhookSettings, signature, vault,
    webhook::{Delivery, RATE},
};
use callboard_catalog::{Trigger, TriggerKind};
use callboard_core::id::{ProjectId, RunId, TriggerId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// What a delivery came to.
pub enum Delivered {
    /// Its settings say that nothing is started for it.
    Skipped,
    Started {
        started: Started,
        /// How long its sender waits for the end.
        wait: Option<Duration>,
    },
}

/// What a sender is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivered")]
pub struct DeliveredView {
    /// The run that was started.
    pub run_id: Option<RunId>,
    /// That of the run; `skipped` where none was started.
    pub status: String,
    /// The run's, where the sender waited for its end.
    pub output: Option<Value>,
}

// === impl Operations ===

impl Operations {
    /// Takes a delivery. The same one again is the same run.
    pub async fn deliver(
        &self,
        trace: &Trace,
        project: &ProjectId,
        id: &TriggerId,
        delivery: Delivery,
    ) -> Result<Delivered, Refusal> {
        let Some((trigger, webhook)) = self.webhook(project, id).await? else {
            signature::nothing_to_compare(&delivery);
            return Err(unknown());
        };
        let secret = self.secret_of(&trigger, &webhook).await?;
        let occasion =
            secret.and_then(|secret| signature::occasion(webhook.scheme, &secret, &delivery, now()));
        let occasion = occasion.ok_or_else(unknown)?;
        self.triggers.rates.take(project, id, webhook.rate.unwrap_or(RATE))?;
        let body = text::parse(&delivery.body)?;
        let mapping = webhook.clone();
        let input = within_time(move |brake| mapping.input_of(&delivery, body, brake)).await;
        let wait = webhook.wait.map(|wait| Duration::from_millis(wait.0));
        let begun = match input {
            Ok(None) => {
                self.keep(skipped_by(&trigger, &occasion, now())).await;
                return Ok(Delivered::Skipped);
            }
            Ok(input) => {
                let settings = Settings::Webhook(webhook);
                self.begin(trace, &trigger, &settings, &occasion, input, Repeated::IsTheSame).await
            }
            Err(refusal) => Err(refusal),
        };
        self.record(&trigger, &occasion, &begun).await;
        begun.map(|started| Delivered::Started { started, wait })
    }

    /// Returns a webhook that takes deliveries.
    async fn webhook(
        &self,
        project: &ProjectId,
        id: &TriggerId,
    ) -> Result<Option<(Trigger, WebhookSettings)>, Refusal> {
        let found = self.triggers.store.trigger(project, id).await?;
        let Some(trigger) = found.filter(|found| found.enabled && found.kind == TriggerKind::Webhook) else {
            return Ok(None);
        };
        match Settings::of(&trigger)? {
            Settings::Webhook(webhook) => Ok(Some((trigger, webhook))),
            Settings::Schedule(_) => Ok(None),
        }
    }

    /// Returns the secret of a webhook. One that is lost is nobody's: an operator is told, the sender is not.
    async fn secret_of(
        &self,
        trigger: &Trigger,
        webhook: &WebhookSettings,
    ) -> Result<Option<String>, Refusal> {
        let Some(name) = webhook.secret_name() else {
            let owner = vault::owner(&trigger.project, &trigger.id);
            let opened = trigger.secret.as_ref().and_then(|sealed| self.triggers.vault.open(&owner, sealed));
            if opened.is_none() {
                tracing::error!(trigger = %trigger.id, "its secret can't be opened: was secrets.key changed?");
            }
            return Ok(opened);
        };
        let secrets = &self.triggers.projects.of(&trigger.project).secrets;
        let secret = secrets.secret(name).await;
        let secret =
            secret.map_err(|_| Refusal::unavailable("unavailable", "the secret store does not answer", 2))?;
        if secret.is_none() {
            tracing::error!(trigger = %trigger.id, name, "its secret is not there");
        }
        Ok(secret.map(|secret| secret.expose().to_owned()))
    }
}

/// The same for whoever has no secret and for who asks for nothing that there is.
fn unknown() -> Refusal {
    Refusal::not_found("trigger", "of this id")
}

// === impl DeliveredView ===

impl DeliveredView {
    pub fn skipped() -> Self {
        Self { run_id: None, status: "skipped".into(), output: None }
    }

    pub fn begun(started: &Started) -> Self {
        Self { run_id: Some(started.view.run_id.clone()), status: started.view.status.clone(), output: None }
    }

    /// What a sender who has waited sees of the run.
    pub fn waited(run: RunItem) -> Self {
        match run {
            RunItem::Run(run) => Self { run_id: Some(run.id), status: run.status, output: run.output },
            RunItem::Unreadable(run) => Self { run_id: Some(run.id), status: run.status, output: None },
        }
    }
}
