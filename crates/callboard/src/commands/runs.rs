//! `callboard runs …`: runs on a server.

mod timeline;

use super::{
    Exit, Misuse,
    follow::{self, Told, to_end, told},
    remote::{Session, given, now},
    verdict,
};
use crate::{
    cli::remote::{OfRun, OfRuns, Runs, RunsCommand},
    client::{Error, shapes},
    document,
    say::{self, say},
    terminal::{Cell, Table, ago, json as line, took},
};
use callboard_core::{
    id::{RunId, WorkflowId},
    workflow::Status,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub async fn perform(asked: Runs) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let client = &session.client;
    match asked.command {
        RunsCommand::List { which, status, much } => {
            let mut query = Vec::new();
            if let Some(which) = which {
                query.push(("workflow_id", session.workflow(&which).await?.to_string()));
            }
            query.extend(status.map(|status| ("status", status.name().to_owned())));
            let table = async |items: &[Value]| Ok(table(items, &names(&session).await?));
            session.list(client.runs(query), Some(&much), table).await?;
        }
        RunsCommand::Start { file, given: asked } => {
            let definition = document::definition(&file).map_err(|error| Misuse(format!("{error:#}")))?;
            let input = given("--input", asked.input.as_deref())?;
            let key = uuid::Uuid::now_v7().to_string();
            let answer = client.start_inline(&definition, input.as_ref(), &key).await?;
            return follow::started(&session, &answer, &asked).await;
        }
        RunsCommand::Show(OfRun { run }) => show(&session, &run).await?,
        RunsCommand::Steps(OfRun { run }) => {
            session.list(client.steps(&run), None, async |items| Ok(timeline::table(&read(items)))).await?;
        }
        RunsCommand::Follow { of, after } => {
            return to_end(&session, &of.run, told(&session, true), after).await;
        }
        RunsCommand::Result { of, wait: true } => return to_end(&session, &of.run, Told::Nothing, 0).await,
        RunsCommand::Result { of, wait: false } => {
            let run = client.run(&of.run).await?;
            if session.json {
                say::result(&line(&run))?;
                return Ok(verdict::exit(&run));
            }
            return verdict::report(&run);
        }
        RunsCommand::History { of, after } => {
            let table = async |items: &[Value]| Ok(timeline::events(items));
            session.list(client.history(&of.run, after), None, table).await?;
        }
        RunsCommand::Cancel(of) => operate(&session, of, "cancel").await?,
        RunsCommand::Pause(of) => operate(&session, of, "pause").await?,
        RunsCommand::Resume(of) => operate(&session, of, "resume").await?,
        RunsCommand::Signal { of, name, data } => {
            let data = given("--data", data.as_deref())?.unwrap_or(Value::Null);
            let run = client.operate(&of.run, "signal", &json!({"name": name, "data": data})).await?;
            tell(&session, &run)?;
        }
        RunsCommand::Rerun { of, from, given: asked } => {
            let input = given("--input", asked.input.as_deref())?;
            let from = match from {
                Some(from) => from,
                None => failed_at(&session, &of.run).await?,
            };
            let mut body = json!({ "from": from });
            if let Some(input) = input {
                body["input"] = input;
            }
            let run = client.operate(&of.run, "rerun", &body).await?;
            if !asked.wait && !asked.follow {
                tell(&session, &run)?;
                return Ok(Exit::Done);
            }
            // What the generations before did is known.
            let after = run.get("seq").and_then(Value::as_u64).unwrap_or(0);
            return to_end(&session, &of.run, told(&session, asked.follow), after).await;
        }
    }
    Ok(Exit::Done)
}

async fn operate(session: &Session, of: OfRuns, verb: &str) -> anyhow::Result<()> {
    for run in &of.runs {
        tell(session, &session.client.operate(run, verb, &json!({})).await?)?;
    }
    Ok(())
}

/// Prints how an operation left a run.
pub fn tell(session: &Session, run: &Value) -> anyhow::Result<()> {
    let text = |name: &str| run.get(name).and_then(Value::as_str).unwrap_or_default();
    session.show(run, || format!("{}  {}", text("id"), text("status")))
}

/// Returns the node where a run failed.
async fn failed_at(session: &Session, run: &RunId) -> anyhow::Result<String> {
    let view = session.client.run(run).await?;
    let node = view.pointer("/error/node").and_then(Value::as_str);
    node.map(str::to_owned).ok_or_else(|| {
        Misuse(format!(
            "run {run} did not fail in a node: name one by --from; `callboard runs show {run}` lists them"
        ))
        .into()
    })
}

/// Shows a run with its steps; as JSON the run alone, whose steps are another question.
async fn show(session: &Session, run: &RunId) -> anyhow::Result<()> {
    let raw = session.client.run(run).await?;
    if session.json {
        return say::result(&line(&raw));
    }
    let Some(view) = shapes::read::<shapes::Run>(&raw) else {
        anyhow::bail!(
            "the server shows run {run} in a way that is not known here; --json prints it as it is"
        );
    };
    let steps = read::<shapes::Step>(&session.client.steps(run).all().await?);
    let name = match &view.workflow_id {
        Some(id) => names(session).await?.remove(id),
        None => None,
    };
    say::result(&timeline::shown(&raw, &view, &steps, name.as_deref(), now()))
}

/// Returns the names of the workflows.
pub async fn names(session: &Session) -> Result<BTreeMap<WorkflowId, String>, Error> {
    let all = session.client.workflows().all().await?;
    let all = read::<shapes::Workflow>(&all).into_iter();
    Ok(all.map(|workflow| (workflow.id, workflow.name)).collect())
}

/// Reads the items that can be read.
pub fn read<T: serde::de::DeserializeOwned>(items: &[Value]) -> Vec<T> {
    let read: Vec<T> = items.iter().filter_map(shapes::read).collect();
    if read.len() < items.len() {
        say!("({} more can't be shown; --json has them)", items.len() - read.len());
    }
    read
}

fn table(items: &[Value], names: &BTreeMap<WorkflowId, String>) -> Table {
    let now = now();
    let mut table = Table::new(["ID", "<WORKFLOW", "STATUS", "STARTED", "TOOK"]);
    for run in read::<shapes::Run>(items) {
        let name = match &run.workflow_id {
            Some(id) => names.get(id).cloned().unwrap_or_else(|| id.to_string()),
            None => "(not stored)".into(),
        };
        let at = |text: Option<&str>| shapes::instant(text);
        let began = at(run.started_at.as_deref()).or(at(Some(&run.created_at)));
        let ended = at(run.ended_at.as_deref()).or((!Status::is_final(&run.status)).then_some(now));
        let long = began.zip(ended).map(|(began, ended)| took(ended - began)).unwrap_or_default();
        let status = if run.unreadable { "unreadable" } else { &run.status };
        table.row([
            run.id.as_str().into(),
            name.into(),
            Cell::status(status),
            began.map(|began| ago(now - began)).unwrap_or_default().into(),
            long.into(),
        ]);
    }
    table
}
