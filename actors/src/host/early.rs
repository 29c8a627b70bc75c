//! Messages that came before what they are for: a bus keeps no order, so a signal may overtake its run's start.
//!
//! Such a message is kept in the catalog and acknowledged; it holds no place of the bus's while it waits, and a process that
//! ends loses none. It is tried again, soon and then less often, for a minute. Then it is a dead letter like any other.

use super::{cloud_event::Refused, dead};
use crate::{
    WORKFLOW, events,
    protocol::{self, Message as _, Unanswered, run::Finished},
    services::Services,
    tasks::Tasks,
};
use callboard_catalog::EarlyMessage;
use callboard_core::{Span, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// How long a message waits for what it is for.
pub const PATIENCE: Span = Span::secs(60);
/// How long one is tried that nobody answers: the sidecar is away, or the run can't be saved.
const LONGEST: Span = Span::secs(600);
/// Between two tries: half of how long it has waited, within these.
const SOONEST: Span = Span(200);
const LATEST: Span = Span::secs(5);
/// Messages that wait at once; more are dead letters at once.
pub const MOST: u32 = 10_000;
/// Messages that are taken at once. Whoever took them has so long before others do.
const BATCH: u32 = 200;
const LEASE: Span = Span::secs(30);
/// Runs whose messages are tried at once.
const AT_ONCE: usize = 16;
/// How often a process looks that has kept one lately, and one that has not: another may have ended.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(5);

/// Where early messages wait.
#[derive(Clone)]
pub struct Waiting(Arc<Inner>);

struct Inner {
    services: Services,
    came: Notify,
    /// Until when to look often, by the steady clock.
    busy_until: AtomicI64,
}

/// What became of a message.
enum Tried {
    Taken,
    Refused(Refused),
    /// Not yet; the last reason is told where it is given up.
    Early(Refused),
    Silent(String),
}

// === impl Waiting ===

impl Waiting {
    pub fn new(services: Services) -> Self {
        Self(Arc::new(Inner { services, came: Notify::new(), busy_until: AtomicI64::new(i64::MIN) }))
    }

    /// Keeps a message. False if too many wait already.
    pub async fn keep(&self, message: EarlyMessage) -> Result<bool, callboard_catalog::Error> {
        let services = &self.0.services;
        let due = message.came_at + services.settings.paced(SOONEST);
        tracing::debug!(run = %message.run, method = message.method, "a message came early, and waits");
        let kept = services.catalog.keep_early(message, due, MOST).await?;
        self.0
            .busy_until
            .fetch_max((services.clock.steady() + services.settings.paced(LONGEST)).0, Ordering::AcqRel);
        self.0.came.notify_one();
        Ok(kept)
    }

    /// Tries what waits, until the shutdown.
    pub fn start(&self, tasks: &Tasks) {
        let this = self.clone();
        tasks.spawn_until_stop(async move {
            loop {
                let left = this.round().await;
                let (services, inner) = (&this.0.services, &this.0);
                if left == 0 && services.clock.steady().0 >= inner.busy_until.load(Ordering::Acquire) {
                    let rest = services.settings.pause(SELDOM);
                    let _ = tokio::time::timeout(rest, inner.came.notified()).await;
                }
                tokio::time::sleep(services.settings.pause(OFTEN)).await;
            }
        });
    }

    /// Tries what is due, the messages of a run in the order they came. Returns how many there were.
    async fn round(&self) -> usize {
        let services = &self.0.services;
        let now = services.clock.now();
        let due = match services.catalog.early(now, now + LEASE, BATCH).await {
            Ok(due) => due,
            Err(error) => {
                tracing::debug!(%error, "early messages are tried later");
                return 0;
            }
        };
        let count = due.len();
        let mut runs: BTreeMap<String, Vec<EarlyMessage>> = BTreeMap::new();
        for message in due {
            runs.entry(message.run.to_string()).or_default().push(message);
        }
        let mut tries = JoinSet::new();
        for messages in runs.into_values() {
            if tries.len() >= AT_ONCE {
                tries.join_next().await;
            }
            let services = services.clone();
            tries.spawn(async move {
                for message in messages {
                    again(&services, message, now).await;
                }
            });
        }
        while tries.join_next().await.is_some() {}
        count
    }
}

/// Tries a message once more, and says when next, or makes an end of it.
async fn again(services: &Services, message: EarlyMessage, now: Timestamp) {
    let waited = now.since(message.came_at);
    let paced = |span| services.settings.paced(span);
    let done = match attempt(services, &message).await {
        Tried::Taken => true,
        Tried::Refused(why) => bury(services, &message, why).await,
        Tried::Early(why) if waited >= paced(PATIENCE) => {
            let detail = format!("{}, also after {} s", why.detail, PATIENCE.0 / 1000);
            bury(services, &message, Refused { detail, ..why }).await
        }
        Tried::Silent(why) if waited >= paced(LONGEST) => {
            let detail = format!("it could not be delivered in {} s: {why}", LONGEST.0 / 1000);
            bury(services, &message, Refused { code: "unavailable".into(), detail }).await
        }
        Tried::Early(_) | Tried::Silent(_) => false,
    };
    let told = match done {
        true => services.catalog.forget_early(&message.id).await.map(drop),
        false => {
            let pause = Span(waited.0 / 2).clamp(paced(SOONEST), paced(LATEST));
            services.catalog.early_again(&message.id, now + pause).await
        }
    };
    if let Err(error) = told {
        tracing::debug!(run = %message.run, %error, "an early message is tried again after its lease");
    }
}

async fn attempt(services: &Services, message: &EarlyMessage) -> Tried {
    let EarlyMessage { run, method, message, .. } = message;
    match protocol::hand_over(services, WORKFLOW, run.as_str(), method, message.clone()).await {
        Ok(()) => Tried::Taken,
        Err(Unanswered::Refused(fault)) if fault.early => Tried::Early(fault.into()),
        Err(Unanswered::Refused(fault)) => Tried::Refused(fault.into()),
        Err(Unanswered::Silent(why)) => Tried::Silent(why),
    }
}

/// Makes a dead letter of a message. Returns whether it is one.
async fn bury(services: &Services, message: &EarlyMessage, why: Refused) -> bool {
    let topic = if message.method == Finished::METHOD { events::RESULTS } else { events::COMMANDS };
    tracing::warn!(run = %message.run, method = message.method, code = %why.code, detail = why.detail, "a message that came early is refused");
    let buried = dead::bury(services, topic, &message.event, &why).await;
    if let Err(error) = &buried {
        tracing::debug!(run = %message.run, %error, "its dead letter is published later");
    }
    buried.is_ok()
}
