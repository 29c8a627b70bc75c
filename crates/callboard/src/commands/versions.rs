//! `callboard workflows versions`, `publish`, `restore`, `diff`: what was published of a workflow, and what is edited.

use super::{
    Exit,
    files::text,
    remote::{Session, now},
};
use crate::{
    cli::remote::Much,
    client::{Edition, shapes},
    say::{self, say},
    terminal::{Cell, Table, ago, json as line, plain},
};
use serde_json::{Value, json};

/// Digits of a hash that people are shown.
const DIGITS: usize = 12;

pub async fn list(session: &Session, which: &str, much: &Much) -> anyhow::Result<Exit> {
    let id = session.workflow(which).await?;
    session.list(session.client.versions(&id), Some(much), async |items| Ok(table(items))).await?;
    Ok(Exit::Done)
}

/// Writes a version into the draft; over one that is there only by `force`.
pub async fn restore(session: &Session, which: &str, version: u32, force: bool) -> anyhow::Result<Exit> {
    let id = session.workflow(which).await?;
    let over = match force {
        true => {
            let draft = session.client.draft(&id).await?;
            draft.get("etag").and_then(Value::as_str).map(str::to_owned)
        }
        false => None,
    };
    let saved = session.client.restore(&id, version, over.as_deref()).await?;
    session.show(&saved, || format!("version {version} is the draft of {}", plain(which)))?;
    Ok(Exit::Done)
}

/// Shows what differs between two of a workflow's texts.
pub async fn diff(
    session: &Session,
    which: &str,
    (from, to): (Option<Edition>, Option<Edition>),
) -> anyhow::Result<Exit> {
    let id = session.workflow(which).await?;
    let (from, to) = (from.unwrap_or(Edition::Latest), to.unwrap_or(Edition::Draft));
    let (old, new) = (session.client.export(&id, &from).await?, session.client.export(&id, &to).await?);
    if old == new {
        if !session.json {
            say!("({} and {} say the same)", name(from), name(to));
        }
        return Ok(Exit::Done);
    }
    let text = text::between((&name(from), &old), (&name(to), &new));
    let shown = match session.json {
        true => line(&json!({"from": name(from), "to": name(to), "diff": text})),
        false => text::toned(&text),
    };
    say::result(&shown)?;
    Ok(Exit::Failed)
}

fn name(edition: Edition) -> String {
    match edition {
        Edition::Latest => "latest version".to_owned(),
        Edition::Version(version) => format!("version {version}"),
        Edition::Draft => "draft".to_owned(),
    }
}

fn table(items: &[Value]) -> Table {
    let now = now();
    let mut table = Table::new(["VERSION", "PUBLISHED", "<AUTHOR", "OPEN RUNS", "HASH", "<NOTE"]);
    for version in items.iter().filter_map(shapes::read::<shapes::Version>) {
        let published =
            shapes::instant(Some(&version.created_at)).map(|at| ago(now - at)).unwrap_or_default();
        let number = match version.problems.len() {
            0 => version.version.to_string(),
            n => format!("{} ({n} wrong)", version.version),
        };
        let hash: String = version.hash.chars().take(DIGITS).collect();
        table.row([
            Cell::from(number),
            published.into(),
            version.author.unwrap_or_default().into(),
            version.open_runs.to_string().into(),
            hash.into(),
            version.note.unwrap_or_default().into(),
        ]);
    }
    table
}
