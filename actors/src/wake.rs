//! The `wake` reminder: one per actor, fixed name, always periodic, because a failed one-shot can be gone for good.

use crate::services::Services;
use bytes::Bytes;
use callboard_sidecar::client::{Error, Reminder};
use std::time::Duration;

pub const NAME: &str = "wake";
/// While an effect is outstanding.
pub const OFTEN: Duration = Duration::from_secs(30);
/// While nothing but time or people is waited for.
pub const SELDOM: Duration = Duration::from_secs(600);

/// Registers the reminder, or changes it.
pub async fn arm(
    services: &Services,
    actor_type: &str,
    id: &str,
    due: Duration,
    period: Duration,
) -> Result<(), Error> {
    // Spread, so that many runs do not wake at once.
    let jitter = Duration::from_millis(services.clock.spread(period.as_millis() as u64 / 8));
    let reminder = Reminder {
        actor_type: actor_type.to_owned(),
        actor_id: id.to_owned(),
        name: NAME.to_owned(),
        due: Some(due + jitter),
        period: Some(period),
        data: Bytes::new(),
    };
    services.sidecar.register_reminder(reminder).await
}

pub async fn disarm(services: &Services, actor_type: &str, id: &str) -> Result<(), Error> {
    services.sidecar.unregister_reminder(actor_type, id, NAME).await
}
