//! What runs used, by day, workflow, agent and model. It is added up when a run has ended.

use super::{Operations, Page, Refusal, now, page::page};
use crate::access::Principal;
use callboard_catalog::{UsageBy, UsageSpan, Used};
use callboard_core::id::WorkflowId;
use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::Serialize;

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
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "it is described, not made")]
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

impl UsageAsked {
    /// Reads it off the fields of a query. Fields nobody knows are not looked at.
    pub fn read(fields: &[(String, String)]) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for (name, text) in fields {
            match name.as_str() {
                "from" if asked.from.is_none() => asked.from = Some(date(name, text)?),
                "to" if asked.to.is_none() => asked.to = Some(date(name, text)?),
                "from" | "to" => return Err(refused(format!("{name} is given twice"))),
                "by" => asked.by.push(dimension(text)?),
                _ => {}
            }
        }
        Ok(asked)
    }

    fn span(self, today: Date) -> Result<UsageSpan, Refusal> {
        let to = self.to.unwrap_or(today);
        let from = self.from.map_or_else(|| to.checked_sub((USUAL - 1).days()), Ok);
        let from = from.map_err(|_| refused("there is no such day".to_owned()))?;
        let days = from.until(to).map(|span| span.get_days()).unwrap_or(i32::MAX);
        if !(0..DAYS).contains(&days) {
            return Err(refused(format!("from is before to, and at most {DAYS} days")));
        }
        let mut by = if self.by.is_empty() { vec![UsageBy::Day] } else { self.by };
        by.sort_unstable();
        by.dedup();
        Ok(UsageSpan { from: from.to_string(), to: to.to_string(), by })
    }
}

fn date(name: &str, text: &str) -> Result<Date, Refusal> {
    // What is compared are texts: ten characters, as they are kept.
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.ok_or_else(|| refused(format!("{name} is a day like 2027-01-31")))
}

fn dimension(text: &str) -> Result<UsageBy, Refusal> {
    match text {
        "day" => Ok(UsageBy::Day),
        "workflow" => Ok(UsageBy::Workflow),
        "agent" => Ok(UsageBy::Agent),
        "model" => Ok(UsageBy::Model),
        _ => Err(refused("by is day, workflow, agent or model".to_owned())),
    }
}

fn refused(detail: String) -> Refusal {
    Refusal::malformed("invalid_query", detail)
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
    use super::*;

    fn span(fields: &[(&str, &str)]) -> Result<UsageSpan, String> {
        let fields: Vec<_> =
            fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let asked = UsageAsked::read(&fields).map_err(|refusal| refusal.detail)?;
        asked.span(jiff::civil::date(2027, 1, 31)).map_err(|refusal| refusal.detail)
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
