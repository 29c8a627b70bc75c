//! What runs used, by day, workflow, agent and model. It is added up when a run has ended.

use super::{Fields, Operations, Page, Query, Refusal, now, page::page, query::word};
use crate::access::Principal;
use callboard_catalog::{UsageBy, UsageSpan, Used};
use callboard_core::{Problem, id::WorkflowId};
use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Days of one answer.
const DAYS: i32 = 400;
/// Unless it is said: this many days up to today.
const USUAL: i32 = 30;

/// Which days, and what sums are divided by.
#[derive(Debug, Default, JsonSchema)]
pub struct UsageAsked {
    /// The first day, of UTC; 30 days up to `to` unless it is given.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub from: Option<Date>,
    /// The last day, of UTC; today unless it is given. At most 400 days.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub to: Option<Date>,
    /// What sums are divided by; given several times, by all of them. By day unless it is given.
    #[schemars(with = "Vec<Dimension>")]
    pub by: Vec<UsageBy>,
}

/// What sums are divided by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Day,
    Workflow,
    Agent,
    Model,
}

/// Sums, and those of all days and dimensions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsagePage {
    pub items: Vec<UsageLine>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
    /// Of the whole span.
    pub total: UsageSum,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
}

/// A sum. It has what it was divided by.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Null where the definition came along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<Option<WorkflowId>>,
    /// `""` of steps whose agent is not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `""` of workers outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(flatten)]
    pub sum: UsageSum,
}

/// Calls, tokens and money.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct UsageSum {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// In millionths of a unit of the currency that the server's prices are in, as they were when the calls were made; null
    /// where no call's model had one.
    pub cost: Option<u64>,
    /// Calls that are not in the cost.
    pub unpriced_calls: u64,
}

// === impl UsageAsked ===

impl Query for UsageAsked {
    fn read(fields: &mut Fields<'_>) -> Self {
        let dimension = |text: &str| word::<Dimension>(text).map(UsageBy::from);
        Self { from: fields.one("from", date), to: fields.one("to", date), by: fields.all("by", dimension) }
    }
}

impl UsageAsked {
    fn span(self, today: Date) -> Result<UsageSpan, Refusal> {
        let to = self.to.unwrap_or(today);
        let from = self.from.map_or_else(|| to.checked_sub((USUAL - 1).days()), Ok);
        let from = from.map_err(|_| refused("to", "has no day so long before it"))?;
        let days = from.until(to).map(|span| span.get_days()).unwrap_or(i32::MAX);
        if !(0..DAYS).contains(&days) {
            let said = format!("must be before `to`, and at most {DAYS} days");
            return Err(refused("from", &said));
        }
        let mut by = if self.by.is_empty() { vec![UsageBy::Day] } else { self.by };
        by.sort_unstable();
        by.dedup();
        Ok(UsageSpan { from: from.to_string(), to: to.to_string(), by })
    }
}

impl From<Dimension> for UsageBy {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Day => Self::Day,
            Dimension::Workflow => Self::Workflow,
            Dimension::Agent => Self::Agent,
            Dimension::Model => Self::Model,
        }
    }
}

fn date(text: &str) -> Result<Date, String> {
    // What is compared are texts: ten characters, as they are kept.
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.ok_or_else(|| "must be a day like 2027-01-31".to_owned())
}

fn refused(field: &str, message: &str) -> Refusal {
    Refusal::malformed_query(vec![Problem::new(field, "out_of_range", message)])
}

// === impl Operations ===

impl Operations {
    /// Returns sums of what ended runs used, and the sum of all of it.
    pub async fn usage(
        &self,
        principal: &Principal,
        of: &Page,
        asked: UsageAsked,
    ) -> Result<UsagePage, Refusal> {
        let (limit, place, project) = (of.limit()?, of.place()?, &principal.project);
        let skip = u32::try_from(place).map_err(|_| super::page::no_cursor())?;
        // A day stands first in what is written of an instant.
        let today: String = now().to_string().chars().take(10).collect();
        let span = asked.span(today.parse().unwrap_or(Date::ZERO))?;
        let total = self.catalog.usage(project, UsageSpan { by: Vec::new(), ..span.clone() }, 0, 1).await?;
        let sums = self.catalog.usage(project, span.clone(), skip, limit + 1).await?;
        let (sums, next) = page(sums, limit, |_| skip.saturating_add(limit).to_string());
        let items = sums.into_iter().map(|used| UsageLine::of(used, &span.by)).collect();
        let total = total.into_iter().next().map(|used| UsageSum::of(&used)).unwrap_or_default();
        Ok(UsagePage { items, next, total, from: span.from, to: span.to })
    }
}

// === impl UsageLine ===

impl UsageLine {
    fn of(used: Used, by: &[UsageBy]) -> Self {
        let sum = UsageSum::of(&used);
        let given = |dimension, text: String| by.contains(&dimension).then_some(text);
        Self {
            day: given(UsageBy::Day, used.day),
            workflow_id: by.contains(&UsageBy::Workflow).then_some(used.workflow_id),
            agent: given(UsageBy::Agent, used.agent),
            model: given(UsageBy::Model, used.model),
            sum,
        }
    }
}

impl UsageSum {
    fn of(used: &Used) -> Self {
        let usage = used.usage;
        Self {
            calls: usage.calls,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cost: usage.known_cost(),
            unpriced_calls: usage.unpriced(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::query, *};

    fn span(fields: &[(&str, &str)]) -> Result<UsageSpan, Refusal> {
        let fields: Vec<_> =
            fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        query::<UsageAsked>(&fields)?.span(jiff::civil::date(2027, 1, 31))
    }

    #[test]
    fn a_span_is_of_days_and_bounded() {
        let usual = span(&[]).expect("the usual");
        assert_eq!((&*usual.from, &*usual.to, usual.by), ("2027-01-02", "2027-01-31", vec![UsageBy::Day]));
        let asked = span(&[
            ("from", "2026-12-31"),
            ("to", "2027-01-01"),
            ("by", "model"),
            ("by", "day"),
            ("by", "day"),
        ]);
        assert_eq!(asked.map(|span| span.by), Ok(vec![UsageBy::Day, UsageBy::Model]));
        for wrong in [
            ("from", "2027-02-01"),
            ("from", "2025-01-01"),
            ("to", "2027-1-1"),
            ("by", "cost"),
            ("from", "today"),
        ] {
            assert!(span(&[wrong]).is_err(), "{wrong:?}");
        }
    }
}
