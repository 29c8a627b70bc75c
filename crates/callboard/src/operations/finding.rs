//! Lists of runs: which are asked for, and from where on. What no index answers is refused, not looked through.

use super::{
    Fields, Items, Operations, Page, Query, Refusal, RunItem,
    page::page,
    runs::{line, row_name},
};
use crate::access::Principal;
use callboard_catalog::{RunFilter, RunRow, Search, Words};
use callboard_core::{
    Timestamp,
    id::{RunId, WorkflowId},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Statuses that a list may be restricted to.
const STATUSES: usize = 16;
/// Runs with the words that are looked through for a status, at most, for one page.
const LOOKED: u32 = 2000;
const AT_ONCE: u32 = 500;

/// Which runs to list.
#[derive(Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct Filter {
    /// Those of a stored workflow.
    pub workflow_id: Option<WorkflowId>,
    /// Those of a status; given several times, those of any of them.
    #[schemars(with = "Vec<String>")]
    pub status: BTreeSet<String>,
    /// Created then or later: an instant.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// Created before then: an instant.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
    /// Where the list begins: with the first that was created then or before; of the oldest first, then or later.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at: Option<Timestamp>,
    /// Those with these words, or words that begin so, in their id, the name of what they run, or their error; or a workflow's id.
    #[schemars(with = "Option<String>")]
    pub text: Option<Words>,
    /// `newest` first, unless it is `oldest`.
    #[schemars(with = "Order")]
    pub order: Order,
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
}

// === impl Filter ===

impl Query for Filter {
    fn read(fields: &mut Fields<'_>) -> Self {
        let filter = Self {
            workflow_id: fields.one("workflow_id", |text| Ok(WorkflowId::new(text))),
            status: fields.all("status", |text| Ok(text.to_owned())).into_iter().collect(),
            from: fields.one("from", instant),
            to: fields.one("to", instant),
            at: fields.one("at", instant),
            text: fields.one("text", words),
            order: fields.word("order").unwrap_or_default(),
        };
        if filter.status.len() > STATUSES {
            fields.wrong("status", format!("must be at most {STATUSES} statuses"));
        }
        if filter.text.is_some() && filter.order == Order::Oldest {
            fields.wrong("order", "must be newest with text: what is found comes so");
        }
        filter
    }
}

impl Filter {
    /// The span of time, with the place where the list begins.
    fn span(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let Some(at) = self.at else { return (self.from, self.to) };
        match self.order {
            Order::Newest => {
                let end = Timestamp(at.0.saturating_add(1));
                (self.from, Some(self.to.map_or(end, |to| to.min(end))))
            }
            Order::Oldest => (Some(self.from.map_or(at, |from| from.max(at))), self.to),
        }
    }

    fn of_rows(&self) -> RunFilter {
        let (from, to) = self.span();
        RunFilter {
            workflow_id: self.workflow_id.clone(),
            statuses: self.status.clone(),
            from,
            to,
            oldest_first: self.order == Order::Oldest,
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "must be an instant like 2027-01-01T00:00:00Z".to_owned())
}

fn words(text: &str) -> Result<Words, String> {
    Words::parse(text).ok_or_else(|| "must be one to eight words".to_owned())
}

// === impl Operations ===

impl Operations {
    /// Returns a page of runs as the catalog has them. A list shows no data: it may be large, and it is one request away.
    pub async fn list_runs(
        &self,
        principal: &Principal,
        of: &Page,
        filter: Filter,
    ) -> Result<Items<RunItem>, Refusal> {
        let (limit, project) = (of.limit()?, &principal.project);
        let after = of.after_run(project)?;
        let (rows, next) = match filter.text.clone() {
            Some(words) => self.search(principal, &filter, words, after, limit).await?,
            None => {
                let rows = self.catalog.runs(project, filter.of_rows(), after.as_ref(), limit + 1).await?;
                page(rows, limit, row_name)
            }
        };
        Ok(Items { items: rows.iter().map(line).collect(), next })
    }

    /// Words are found by an index that knows no status: what they find is looked through for it, a bounded number. So a page may
    /// hold fewer than there is room for, or none, and still have a next one.
    async fn search(
        &self,
        principal: &Principal,
        filter: &Filter,
        words: Words,
        mut after: Option<RunId>,
        limit: u32,
    ) -> Result<(Vec<RunRow>, Option<String>), Refusal> {
        let (project, (from, to)) = (&principal.project, filter.span());
        let search = Search { words, workflow_id: filter.workflow_id.clone(), from, to };
        if filter.status.is_empty() {
            let rows = self.catalog.search_runs(project, search, after.as_ref(), limit + 1).await?;
            return Ok(page(rows, limit, row_name));
        }
        let mut found = Vec::new();
        for _ in 0..LOOKED / AT_ONCE {
            let rows = self.catalog.search_runs(project, search.clone(), after.as_ref(), AT_ONCE).await?;
            let all = rows.len() < AT_ONCE as usize;
            after = rows.last().map(|row| row.id.clone());
            found.extend(rows.into_iter().filter(|row| filter.status.contains(&row.status)));
            if found.len() > limit as usize {
                return Ok(page(found, limit, row_name));
            }
            if all {
                return Ok((found, None));
            }
        }
        Ok((found, after.map(|run| run.name().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::query, *};
    use callboard_core::Problem;

    fn read(fields: &[(&str, &str)]) -> Result<Filter, Vec<Problem>> {
        let fields: Vec<_> =
            fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        query(&fields).map_err(|refusal| refusal.problems.unwrap_or_default())
    }

    #[test]
    fn a_status_may_be_given_several_times_and_nothing_else() {
        let filter = read(&[("status", "failed"), ("status", "waiting"), ("proxy", "1"), ("proxy", "2")])
            .expect("a filter");
        assert_eq!(filter.status, ["failed".to_owned(), "waiting".to_owned()].into());
        assert!(read(&[("text", "a"), ("text", "b")]).is_err_and(|all| all[0].message.contains("twice")));
        for wrong in [("from", "yesterday"), ("text", "--"), ("order", "cost"), ("at", "1")] {
            assert!(read(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(read(&[("text", "a"), ("order", "oldest")]).is_err());
    }

    #[test]
    fn a_jump_narrows_the_span() {
        let at = ("at", "1970-01-01T00:00:00.005Z");
        let span = |fields: &[(&str, &str)]| read(fields).expect("a filter").span();
        assert_eq!(span(&[at]), (None, Some(Timestamp(6))));
        assert_eq!(span(&[at, ("to", "1970-01-01T00:00:00.003Z")]), (None, Some(Timestamp(3))));
        assert_eq!(span(&[at, ("order", "oldest")]), (Some(Timestamp(5)), None));
    }
}
