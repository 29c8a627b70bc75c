//! `callboard projects …`: which projects there are, and what may begin in them.

use super::{Exit, remote::Session};
use crate::{
    cli::projects::{Projects, ProjectsCommand},
    client::shapes,
    terminal::{Cell, Table},
};
use callboard_core::{id::ProjectId, price};
use serde_json::{Value, json};

pub async fn perform(asked: Projects) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let client = &session.client;
    match asked.command {
        ProjectsCommand::List { much } => {
            session.list(client.projects(), Some(&much), async |items| Ok(table(items))).await?;
        }
        ProjectsCommand::Pause(of) => pause(&session, &of.id, true).await?,
        ProjectsCommand::Resume(of) => pause(&session, &of.id, false).await?,
        ProjectsCommand::Limit { of, runs, tokens_per_day, cost_per_day, cost_per_month } => {
            let limits = json!({"runs": runs, "tokens_per_day": tokens_per_day, "cost_per_day": cost_per_day,
                "cost_per_month": cost_per_month});
            let project = client.limit_project(&of.id, &limits).await?;
            session.show(&project, || {
                let limits = shapes::read::<shapes::Project>(&project).map(|project| limits_of(&project));
                format!("{} has {}", of.id, limits.unwrap_or_default())
            })?;
        }
    }
    Ok(Exit::Done)
}

async fn pause(session: &Session, id: &ProjectId, paused: bool) -> anyhow::Result<()> {
    let project = session.client.pause_project(id, paused).await?;
    session.show(&project, || format!("{id} is {}", if paused { "paused" } else { "open" }))
}

fn table(items: &[Value]) -> Table {
    let mut table = Table::new(["ID", "<NAME", "STATUS", "<LIMITS"]);
    for project in items.iter().filter_map(shapes::read::<shapes::Project>) {
        table.row([
            Cell::from(project.id.as_str()),
            Cell::from(project.name.as_str()),
            Cell::from(if project.paused_at.is_some() { "paused" } else { "open" }),
            Cell::from(limits_of(&project).as_str()),
        ]);
    }
    table
}

/// Says what bounds a project has.
fn limits_of(project: &shapes::Project) -> String {
    let limits = &project.limits;
    let money = |micros: u64| price::shown(micros);
    let said = [
        limits.runs.map(|n| format!("{n} runs at once")),
        limits.tokens_per_day.map(|n| format!("{n} tokens a day")),
        limits.cost_per_day.map(|n| format!("{} a day", money(n))),
        limits.cost_per_month.map(|n| format!("{} a month", money(n))),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    if said.is_empty() { "no limits".to_owned() } else { said.join(", ") }
}
