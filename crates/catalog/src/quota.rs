//! What a project may still begin: whether it is paused, what bounds it has, and how near it is to them.

use crate::Error;
use async_trait::async_trait;
use callboard_core::id::ProjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the engine asks before a run begins.
#[async_trait]
pub trait Quotas: Send + Sync + 'static {
    /// Returns where a project stands on a day, of UTC, of the month that began on `month`; nothing where there is no such
    /// project. What is used counts once its run has ended.
    async fn standing(&self, project: &ProjectId, day: &str, month: &str) -> Result<Option<Standing>, Error>;
}

/// The bounds of a project. What is not given is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectLimits {
    /// Runs that have not ended, at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// Tokens of a day of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Money of a day of UTC, in millionths of a unit of the currency that the server's prices are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_day: Option<u64>,
    /// The same of a month of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_month: Option<u64>,
}

/// Where a project stands. Without limits nothing is counted, and all numbers are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub paused: bool,
    pub limits: ProjectLimits,
    /// Runs that have not ended.
    pub runs: u64,
    pub tokens_today: u64,
    pub cost_today: u64,
    pub cost_this_month: u64,
}

/// Asks for it. `$1` is the project, `$2` the day, `$3` the first one of its month. Both databases look no further where
/// there are no limits.
pub(crate) const STANDING: &str = "
    select p.paused_at is not null, p.limits,
        case when p.limits = '{}' then 0 else (
            select count(*) from runs r where r.project = p.id and r.status in ('pending', 'running', 'waiting', 'paused')
        ) end,
        case when p.limits = '{}' then 0 else (
            select cast(coalesce(sum(u.prompt_tokens + u.completion_tokens), 0) as bigint) from usage_by_day u
            where u.project = p.id and u.day = $2
        ) end,
        case when p.limits = '{}' then 0 else (
            select cast(coalesce(sum(u.cost), 0) as bigint) from usage_by_day u where u.project = p.id and u.day = $2
        ) end,
        case when p.limits = '{}' then 0 else (
            select cast(coalesce(sum(u.cost), 0) as bigint) from usage_by_day u
            where u.project = p.id and u.day >= $3 and u.day <= $2
        ) end
    from projects p where p.id = $1 and p.deleted_at is null";

/// A standing as the statement returns it.
pub(crate) type Row = (bool, String, i64, i64, i64, i64);

pub(crate) fn stood((paused, limits, runs, tokens, cost, month): Row) -> Result<Standing, Error> {
    let whole = |n: i64| u64::try_from(n).unwrap_or_default();
    Ok(Standing {
        paused,
        limits: ProjectLimits::read(&limits)?,
        runs: whole(runs),
        tokens_today: whole(tokens),
        cost_today: whole(cost),
        cost_this_month: whole(month),
    })
}

// === impl ProjectLimits ===

impl ProjectLimits {
    /// Reads them as they are stored.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let damaged =
            |error: serde_json::Error| Error::Corrupt { what: "project", message: error.to_string() };
        serde_json::from_str(text).map_err(damaged)
    }

    pub(crate) fn written(&self) -> String {
        // Its keys are texts and its values numbers: it always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }
}
