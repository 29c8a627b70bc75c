//! The `wake` reminder: one per actor, fixed name, always periodic, because a failed one-shot can be gone for good.

use crate::services::Services;
use bytes::Bytes;
use callboard_core::Span;
use callboard_sidecar::client::{Error, Reminder};
use std::time::Duration;

pub const NAME: &str = "wake";
/// While an effect is outstanding.
pub const OFTEN: Duration = Duration::from_secs(30);
/// While nothing but time or people is waited for.
pub const SELDOM: Duration = Duration::from_secs(600);

/// How long a run that began has none.
pub const FIRST: Duration = Duration::from_secs(1);

/// A deadline's reminder comes so long after it: where the run is known, its in-process timer was first.
const BEHIND: Duration = Duration::from_millis(500);

/// How long a turn waits for it: a scheduler that hangs must hold up no run.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a failure it is left alone for a while: the sweeper is the second way.
pub const COOL: Span = Span::secs(10);

/// Why the reminder is not as it should be; it may be all the same.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    #[error("the sidecar does not answer in time")]
    Late,
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Registers the reminder, or changes it.
pub async fn arm(
    services: &Services,
    actor_type: &str,
    id: &str,
    due: Duration,
    period: Duration,
) -> Result<(), NotNow> {
    // The period is spread, so that many runs do not wake at once; when it begins is an instant somebody waits for.
    let jitter = Duration::from_millis(services.clock.spread(period.as_millis() as u64 / 8));
    let reminder = Reminder {
        actor_type: actor_type.to_owned(),
        actor_id: id.to_owned(),
        name: NAME.to_owned(),
        due: Some(due + BEHIND.min(period / 8)),
        period: Some(period + jitter),
        data: Bytes::new(),
    };
    in_time(services.sidecar.register_reminder(reminder)).await
}

pub async fn disarm(services: &Services, actor_type: &str, id: &str) -> Result<(), NotNow> {
    in_time(services.sidecar.unregister_reminder(actor_type, id, NAME)).await
}

async fn in_time(call: impl Future<Output = Result<(), Error>>) -> Result<(), NotNow> {
    Ok(tokio::time::timeout(PATIENCE, call).await.map_err(|_| NotNow::Late)??)
}
