//! `callboard usage`: what runs used.

use super::{
    Exit,
    remote::Session,
    runs::{names, read},
};
use crate::{
    cli::remote::{Dimension, Usage},
    client::shapes::Sum,
    terminal::{Cell, Table},
};
use serde_json::Value;

pub async fn perform(asked: Usage) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let by = if asked.by.is_empty() { vec![Dimension::Day] } else { asked.by };
    let mut query: Vec<(&'static str, String)> = by.iter().map(|by| ("by", by.name().to_owned())).collect();
    query.extend(asked.from.map(|day| ("from", day)));
    query.extend(asked.to.map(|day| ("to", day)));
    let table = async |items: &[Value]| {
        let names =
            if by.contains(&Dimension::Workflow) { names(&session).await? } else { Default::default() };
        let mut heads: Vec<&str> = by.iter().map(|by| by.head()).collect();
        heads.extend(["CALLS", "PROMPT", "COMPLETION", "COST"]);
        let mut table = Table::of(&heads);
        for sum in read::<Sum>(items) {
            let mut row: Vec<Cell> = by
                .iter()
                .map(|by| match by {
                    Dimension::Day => sum.day.clone().unwrap_or_default().into(),
                    Dimension::Workflow => {
                        let name = sum
                            .workflow_id
                            .as_ref()
                            .map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_string()));
                        name.unwrap_or_else(|| "(inline)".to_owned()).into()
                    }
                    Dimension::Agent => sum.agent.clone().unwrap_or_default().into(),
                    Dimension::Model => sum.model.clone().unwrap_or_default().into(),
                })
                .collect();
            let used = sum.used;
            row.extend(
                [used.calls, used.prompt_tokens, used.completion_tokens].map(|n| Cell::from(n.to_string())),
            );
            row.push(used.money().unwrap_or_else(|| "unknown".to_owned()).into());
            table.cells(row);
        }
        Ok(table)
    };
    session.list(session.client.usage(query), None, table).await?;
    Ok(Exit::Done)
}
