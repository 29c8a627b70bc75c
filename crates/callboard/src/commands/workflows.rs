//! `callboard workflows …`: definitions on a server.

use super::{
    Exit, Misuse, follow,
    remote::{Session, given, now},
    versions,
};
use crate::{
    cli::remote::{Form, Workflows, WorkflowsCommand},
    client::{Definition, Edition, shapes},
    document,
    say::say,
    terminal::{Cell, Table, ago, plain, plain_lines},
};
use callboard_core::{
    Problem,
    document::{Format, write},
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What the server adds to a definition.
const ADDED: [&str; 6] = ["id", "version", "status", "problems", "created_at", "updated_at"];

pub async fn perform(asked: Workflows) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let client = &session.client;
    match asked.command {
        WorkflowsCommand::List(much) => {
            session.list(client.workflows(), Some(&much), async |items| Ok(table(items))).await?;
        }
        WorkflowsCommand::Show { which } => {
            let workflow = client.workflow(&session.workflow(&which).await?).await?;
            session.show(&workflow, || shown(&workflow))?;
        }
        WorkflowsCommand::Create { file, draft } => {
            let saved = client.create(&definition(&file)?, draft).await?;
            tell_saved(&session, &saved)?;
        }
        WorkflowsCommand::Replace { which, file, version, draft } => {
            let definition = definition(&file)?;
            let id = session.workflow(&which).await?;
            let saved = client.replace(&id, &definition, version, draft).await?;
            tell_saved(&session, &saved)?;
        }
        WorkflowsCommand::Delete { which } => {
            // All names are right before the first is gone.
            let mut ids = Vec::new();
            for which in &which {
                ids.push(session.workflow(which).await?);
            }
            for id in ids {
                client.delete(&id).await?;
                session.show(&json!({"id": id, "deleted": true}), || format!("deleted {id}"))?;
            }
        }
        WorkflowsCommand::Check { file } => {
            let problems = client.check(&definition(&file)?).await?;
            return checked(&session, &file, &problems);
        }
        WorkflowsCommand::Export { which, format, version } => {
            let id = session.workflow(&which).await?;
            let definition = client.export(&id, &version.unwrap_or(Edition::Latest)).await?;
            let text = write(&definition, form(format));
            // A file gets what was saved, a terminal nothing that acts on it.
            let text = text.trim_end();
            session.show(&definition, || {
                if console::user_attended() { plain_lines(text) } else { text.to_owned() }
            })?;
        }
        WorkflowsCommand::Import { file } => {
            let saved = client.import(&definition(&file)?).await?;
            tell_saved(&session, &saved)?;
        }
        WorkflowsCommand::Versions { which, much } => return versions::list(&session, &which, &much).await,
        WorkflowsCommand::Publish { which, note } => {
            let id = session.workflow(&which).await?;
            tell_saved(&session, &client.publish(&id, note.as_deref()).await?)?;
        }
        WorkflowsCommand::Restore { which, version, force } => {
            return versions::restore(&session, &which, version, force).await;
        }
        WorkflowsCommand::Diff { which, from, to } => {
            return versions::diff(&session, &which, (from, to)).await;
        }
        WorkflowsCommand::Start { which, given: asked } => {
            let input = given("--input", asked.input.as_deref())?;
            let id = session.workflow(&which).await?;
            let answer = client.start(&id, input).await?;
            return follow::started(&session, &answer, &asked).await;
        }
    }
    Ok(Exit::Done)
}

/// Reads a file as the server is to get it.
pub fn definition(file: &Path) -> Result<Definition, Misuse> {
    let text = document::text(file).map_err(|error| Misuse(format!("{error:#}")))?;
    // Some editors begin a file with a mark.
    let text = text.trim_start_matches('\u{feff}').to_owned();
    let format = document::language(file, &text);
    Ok(Definition { text, format })
}

/// Takes away what the server adds to a definition.
pub fn own(workflow: Value) -> Value {
    match workflow {
        Value::Object(mut fields) => {
            fields.retain(|name, _| !ADDED.contains(&name.as_str()));
            Value::Object(fields)
        }
        other => other,
    }
}

pub fn form(form: Form) -> Format {
    match form {
        Form::Yaml => Format::Yaml,
        Form::Json => Format::Json,
    }
}

fn checked(session: &Session, file: &Path, problems: &[Problem]) -> anyhow::Result<Exit> {
    if session.json {
        session.show(&json!({ "problems": problems }), String::new)?;
    } else if problems.is_empty() {
        say!("{}: ok", file.display());
    }
    if !session.json {
        problems.iter().for_each(|problem| say!("{}: {}", file.display(), plain(&problem.to_string())));
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn tell_saved(session: &Session, saved: &Value) -> anyhow::Result<()> {
    let text = |name: &str| saved.get(name).and_then(Value::as_str).unwrap_or_default();
    session.show(saved, || text("id").to_owned())?;
    if !session.json {
        let version = saved.get("version").and_then(Value::as_u64).unwrap_or(0);
        match saved.get("draft") {
            None => say!("({} is version {version})", plain(text("name"))),
            Some(_) => say!("({} has a draft; published is version {version})", plain(text("name"))),
        }
        let problems = saved.get("problems").and_then(Value::as_array).into_iter().flatten();
        for problem in problems.filter_map(shapes::read::<Problem>) {
            say!("  {}", plain(&problem.to_string()));
        }
    }
    Ok(())
}

fn table(items: &[Value]) -> Table {
    let now = now();
    let mut table = Table::new(["ID", "<NAME", "VERSION", "STATUS", "CHANGED"]);
    for workflow in items.iter().filter_map(shapes::read::<shapes::Workflow>) {
        let changed = shapes::instant(Some(&workflow.updated_at)).map(|at| ago(now - at)).unwrap_or_default();
        let number = match workflow.version {
            0 => "draft".to_owned(),
            version => version.to_string(),
        };
        let version = match workflow.problems.len() {
            0 => number,
            n => format!("{number} ({n} wrong)"),
        };
        table.row([
            workflow.id.as_str().into(),
            workflow.name.into(),
            version.into(),
            Cell::status(&workflow.status),
            changed.into(),
        ]);
    }
    table
}

/// Shows a workflow: what it is, then its nodes in their order, those of bodies indented.
fn shown(workflow: &Value) -> String {
    let text = |name: &str| workflow.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = format!("{}  {}\n", plain(text("name")), text("id"));
    if !text("description").is_empty() {
        out.push_str(&format!("{}\n", plain(text("description"))));
    }
    let version = workflow.get("version").and_then(Value::as_u64).unwrap_or(0);
    let changed = shapes::instant(Some(text("updated_at"))).map(|at| ago(now() - at)).unwrap_or_default();
    let version = match version {
        0 => "draft, never published".to_owned(),
        version => format!("version {version}"),
    };
    out.push_str(&format!("{version}, {changed}; latest run: {}\n\n", plain(text("status"))));
    let mut table = Table::new(["NODE", "TYPE", "<DOES", "<THEN"]);
    rows(&mut table, workflow, 0);
    out.push_str(&table.text());
    let problems = workflow.get("problems").and_then(Value::as_array).into_iter().flatten();
    for (n, problem) in problems.filter_map(shapes::read::<Problem>).enumerate() {
        out.push_str(if n == 0 { "\n\nIt can't be started:" } else { "" });
        out.push_str(&format!("\n  {}", plain(&problem.to_string())));
    }
    out
}

/// Levels of bodies that are shown.
const DEPTH: usize = 16;

fn rows(table: &mut Table, graph: &Value, depth: usize) {
    let list = |name: &str| graph.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for node in list("nodes") {
        let text = |name: &str| node.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut then = Vec::new();
        for edge in list("edges").iter().filter(|edge| edge.get("source") == node.get("id")) {
            let target = edge.get("target").and_then(Value::as_str).unwrap_or_default();
            then.push(match edge.pointer("/config/branch").and_then(Value::as_str) {
                Some(branch) => format!("{branch}: {target}"),
                None => target.to_owned(),
            });
        }
        let config = node.get("config").and_then(Value::as_object);
        table.row([
            format!("{}{}", "  ".repeat(depth), text("id")).into(),
            text("type").into(),
            config.map(does).unwrap_or_default().into(),
            then.join(", ").into(),
        ]);
        if let Some(body) = config.and_then(|config| config.get("body")).filter(|_| depth < DEPTH) {
            rows(table, body, depth + 1);
        }
    }
}

/// Says in a line what a node does: the one field of its configuration that tells most.
fn does(config: &Map<String, Value>) -> String {
    let told = ["agent", "url", "if", "items", "until", "for", "title", "name"];
    let found =
        told.iter().find_map(|name| Some((*name, config.get(*name).filter(|value| !value.is_null())?)));
    match found {
        Some(("agent", agent)) => {
            let prompt = config.get("prompt").and_then(Value::as_str).unwrap_or_default();
            format!("{}: {prompt}", agent.as_str().unwrap_or_default())
        }
        Some((_, Value::String(text))) => text.clone(),
        Some((_, value)) => value.to_string(),
        None => String::new(),
    }
}
