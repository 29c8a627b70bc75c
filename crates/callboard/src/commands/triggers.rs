//! `callboard triggers …`: what starts runs by itself, on a server.

use super::{
    Exit, Misuse,
    remote::{Session, given},
};
use crate::{
    cli::triggers::{Create, Triggers, TriggersCommand, word},
    client::shapes,
    say::say,
    terminal::{Cell, Table, plain, pretty},
};
use callboard_core::{
    Span,
    id::{TriggerId, WorkflowId},
};
use serde_json::{Map, Value, json};

pub async fn perform(asked: Triggers) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let client = &session.client;
    match asked.command {
        TriggersCommand::List { which, much } => {
            let of = match &which {
                Some(which) => Some(session.workflow(which).await?),
                None => None,
            };
            session.list(client.triggers(of.as_ref()), Some(&much), async |items| Ok(table(items))).await?;
        }
        TriggersCommand::Show(of) => {
            let id = find(&session, &of.which).await?;
            let trigger = client.trigger(&id).await?;
            let fires = client.fires(&id).all().await?;
            session.show(&trigger, || shown(&trigger, &fires))?;
        }
        TriggersCommand::Create(new) => {
            let workflow = session.workflow(&new.which).await?;
            let made = client.create_trigger(&body(&workflow, &new)?).await?;
            session.show(&made, || made_shown(&session, &made))?;
        }
        TriggersCommand::Delete { which } => {
            // All names are right before the first is gone.
            let mut ids = Vec::new();
            for which in &which {
                ids.push(find(&session, which).await?);
            }
            for id in ids {
                client.delete_trigger(&id).await?;
                session.show(&json!({"id": id, "deleted": true}), || format!("deleted {id}"))?;
            }
        }
        TriggersCommand::Enable(of) => enable(&session, &of.which, true).await?,
        TriggersCommand::Disable(of) => enable(&session, &of.which, false).await?,
        TriggersCommand::Fire { of, input } => {
            let input = given("--input", input.as_deref())?;
            let started = client.fire(&find(&session, &of.which).await?, input).await?;
            session.show(&started, || text(&started, "run_id").to_owned())?;
        }
    }
    Ok(Exit::Done)
}

async fn enable(session: &Session, which: &str, enabled: bool) -> anyhow::Result<()> {
    let trigger = session.client.enable_trigger(&find(session, which).await?, enabled).await?;
    session.show(&trigger, || {
        let next = next_fire(&trigger).map(|at| format!(", next at {at}")).unwrap_or_default();
        format!("{} is {}{next}", text(&trigger, "id"), if enabled { "enabled" } else { "disabled" })
    })
}

/// Finds the one trigger that is called so, or has this id.
async fn find(session: &Session, which: &str) -> anyhow::Result<TriggerId> {
    let all = session.client.triggers(None).all().await?;
    let all: Vec<shapes::Trigger> = all.iter().filter_map(shapes::read).collect();
    if let Some(found) = all.iter().find(|trigger| trigger.id.as_str() == which) {
        return Ok(found.id.clone());
    }
    let named: Vec<_> = all.iter().filter(|trigger| trigger.name == which).collect();
    match named[..] {
        [found] => Ok(found.id.clone()),
        [] => anyhow::bail!("there is no trigger {} at {}", plain(which), session.client.address()),
        _ => {
            let ids: Vec<_> = named.iter().map(|trigger| trigger.id.to_string()).collect();
            let (count, which) = (ids.len(), plain(which));
            Err(Misuse(format!(
                "{count} triggers are called {which}; name one by its id: {}",
                ids.join(", ")
            ))
            .into())
        }
    }
}

/// Returns what is sent to make a trigger.
fn body(workflow: &WorkflowId, new: &Create) -> Result<Value, Misuse> {
    let span = |span: Span| span.to_string();
    let said = [
        ("cron", new.cron.clone()),
        ("zone", new.zone.clone()),
        ("every", new.every.map(span)),
        ("missed", new.missed.map(word)),
        ("overlap", new.overlap.map(word)),
        ("scheme", new.webhook.map(word)),
        ("secret", new.secret.clone()),
        ("if", new.condition.clone()),
        ("wait", new.wait.map(span)),
    ];
    let mut settings: Map<String, Value> =
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
    let numbers = [("rate", new.rate), ("version", new.version)];
    settings.extend(numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
    if let Some(input) = given("--input", new.input.as_deref())? {
        settings.insert("input".to_owned(), input);
    }
    let kind = if new.webhook.is_some() { "webhook" } else { "schedule" };
    Ok(
        json!({"workflow_id": workflow, "kind": kind, "name": new.name, "enabled": !new.disabled, "settings": settings}),
    )
}

/// A new trigger: its id, so that a script can keep it; of a webhook what its sender has to know.
fn made_shown(session: &Session, made: &Value) -> String {
    let mut lines = vec![text(made, "id").to_owned()];
    if let Some(address) = made.get("address").and_then(Value::as_str) {
        lines.push(format!("address  {}{address}", session.client.address()));
    }
    if let Some(secret) = made.get("secret").and_then(Value::as_str) {
        lines.push(format!("secret   {secret}"));
        say!("(this secret is shown this once)");
    }
    lines.join("\n")
}

fn table(items: &[Value]) -> Table {
    let mut table = Table::new(["ID", "<NAME", "KIND", "WORKFLOW", "NEXT"]);
    for item in items {
        let Some(trigger) = shapes::read::<shapes::Trigger>(item) else { continue };
        let next = match (trigger.enabled, next_fire(item)) {
            (false, _) => "disabled".to_owned(),
            (true, Some(at)) => at.to_owned(),
            (true, None) => "-".to_owned(),
        };
        table.row([
            Cell::from(trigger.id.as_str()),
            Cell::from(trigger.name.as_str()),
            Cell::from(trigger.kind.as_str()),
            Cell::from(trigger.workflow_id.as_str()),
            Cell::from(next.as_str()),
        ]);
    }
    table
}

fn shown(trigger: &Value, fires: &[Value]) -> String {
    let mut lines = vec![format!("{}  {}", text(trigger, "id"), plain(text(trigger, "name")))];
    let mut line = |name: &str, value: &str| lines.push(format!("{name:<10}{}", plain(value)));
    line("kind", text(trigger, "kind"));
    line("workflow", text(trigger, "workflow_id"));
    let enabled = trigger.get("enabled").and_then(Value::as_bool).unwrap_or_default();
    line("enabled", if enabled { "yes" } else { "no" });
    for name in ["address", "queued", "current_run"] {
        if let Some(value) = trigger.get(name).and_then(Value::as_str) {
            line(name, value);
        }
    }
    for at in
        trigger.get("next_fires").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        line("next", at);
    }
    lines.push("settings".to_owned());
    lines.push(pretty(trigger.get("settings").unwrap_or(&Value::Null)));
    for fire in fires {
        let (run, code, detail) = (text(fire, "run_id"), text(fire, "code"), text(fire, "detail"));
        let why =
            [run, code, detail].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
        lines.push(format!("{}  {:<8}  {}", text(fire, "at"), text(fire, "outcome"), plain(&why)));
    }
    lines.join("\n")
}

fn next_fire(trigger: &Value) -> Option<&str> {
    trigger.get("next_fires")?.get(0)?.as_str()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
