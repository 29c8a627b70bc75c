//! `callboard apply`, `diff`, `import`, `export`: a folder of definitions, as under version control, and the workflows of
//! a server.
//!
//! A file is the workflow of the same name. Two definitions are the same if they are equal as JSON, so that comments and the
//! order of fields change nothing. Everything is read, checked by the server and compared before anything is changed.

mod folder;
pub mod text;

use super::{
    Exit, Misuse,
    remote::Session,
    workflows::{form, own},
};
use crate::{
    cli::remote::{Apply, Diff, Export, Import},
    client::{Error, shapes},
    private,
    say::{self, say},
    terminal::{json as line, plain},
};
use anyhow::Context;
use callboard_core::{document::write, id::WorkflowId, workflow::content};
use folder::Source;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Requests under way at once.
const AT_ONCE: usize = 4;

/// What the files say, beside what the server has.
struct Plan {
    steps: Vec<Step>,
    /// Workflows of the server that no file defines.
    left: Vec<shapes::Workflow>,
}

/// A file, and what it means to the server.
struct Step {
    source: Source,
    change: Change,
}

enum Change {
    Create,
    Replace { id: WorkflowId, version: u32, was: Value },
    Nothing { id: WorkflowId, version: u32 },
}

pub async fn apply(asked: Apply) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let Some(plan) = Plan::of(&session, &asked.paths).await? else { return Ok(Exit::Usage) };
    if asked.prune && plan.steps.is_empty() {
        // A folder that was mistyped would delete everything.
        return Err(Misuse(
            "there is no definition in these files, and --prune would delete every workflow".into(),
        )
        .into());
    }
    plan.perform(&session, asked.dry_run, asked.prune).await?;
    Ok(Exit::Done)
}

pub async fn import(asked: Import) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let Some(plan) = Plan::of(&session, &asked.files).await? else { return Ok(Exit::Usage) };
    plan.perform(&session, false, false).await?;
    Ok(Exit::Done)
}

pub async fn diff(asked: Diff) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let Some(plan) = Plan::of(&session, &asked.paths).await? else { return Ok(Exit::Usage) };
    let mut differ = false;
    for Step { source, change } in &plan.steps {
        let (was, action) = match change {
            Change::Nothing { .. } => continue,
            Change::Create => (None, "create"),
            Change::Replace { was, .. } => (Some(was), "replace"),
        };
        differ = true;
        let text = text::difference(source, was);
        let shown = match session.json {
            true => {
                line(&json!({"file": source.shown(), "name": source.name, "action": action, "diff": text}))
            }
            false => text::toned(&text),
        };
        if !say::part(&shown)? {
            break;
        }
    }
    Ok(if differ { Exit::Failed } else { Exit::Done })
}

pub async fn export(asked: Export) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    let mut ids = Vec::new();
    for which in &asked.which {
        ids.push(session.workflow(which).await?);
    }
    if asked.which.is_empty() {
        let all = session.client.workflows().all().await?;
        ids = all.iter().filter_map(shapes::read::<shapes::Workflow>).map(|workflow| workflow.id).collect();
    }
    std::fs::create_dir_all(&asked.dir).with_context(|| asked.dir.display().to_string())?;
    let present = folder::definitions(&asked.dir)?;
    let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
    for id in ids {
        let definition = own(session.client.workflow(&id).await?);
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
        let known = present.iter().find(|source| source.name == name && !taken.contains(&source.file));
        let (file, action) = match known {
            Some(source) if source.value == definition => (source.file.clone(), "unchanged"),
            Some(source) => (source.file.clone(), "replaced"),
            None => (folder::free(&asked.dir, name, &id, form(asked.format), &taken), "created"),
        };
        if action != "unchanged" {
            let format = crate::document::language(&file, "");
            let text = write(&content::exported(&definition), format);
            private::write(&file, &text).with_context(|| file.display().to_string())?;
        }
        let told = json!({"file": file.display().to_string(), "name": name, "id": id, "action": action});
        session
            .show(&told, || format!("{action}  {}  {}", plain(&file.display().to_string()), plain(name)))?;
        taken.insert(file);
    }
    Ok(Exit::Done)
}

// === impl Plan ===

impl Plan {
    /// Reads the files, has the server check them, and compares. Says everything that is wrong with them and returns
    /// nothing if anything is.
    async fn of(session: &Session, paths: &[PathBuf]) -> anyhow::Result<Option<Self>> {
        let (sources, mut wrong) = folder::read(paths)?;
        let stored = session.client.workflows().all().await?;
        let stored: Vec<shapes::Workflow> = stored.iter().filter_map(shapes::read).collect();
        let checks = sources.iter().map(|source| async {
            let problems = match session.client.check(&source.definition).await {
                Ok(problems) => {
                    problems.iter().map(|problem| plain(&problem.to_string()).into_owned()).collect()
                }
                // It can't be read there at all.
                Err(Error::Refused(refused)) if matches!(refused.status, 400 | 413 | 422) => {
                    vec![refused.to_string()]
                }
                Err(error) => return Err(error),
            };
            Ok(problems.into_iter().map(|problem: String| format!("{}: {problem}", source.shown())).collect())
        });
        let checks: Vec<_> = checks.collect();
        let found: Vec<Vec<String>> = stream::iter(checks).buffered(AT_ONCE).try_collect().await?;
        wrong.extend(found.into_iter().flatten());
        let (matched, ambiguous) = matched(&sources, &stored);
        wrong.extend(ambiguous);
        if !wrong.is_empty() {
            wrong.iter().for_each(|line| say!("{line}"));
            say!("callboard: nothing was changed");
            return Ok(None);
        }
        let changes = sources.iter().zip(&matched).map(|(source, id)| change(session, source, id.clone()));
        let changes: Vec<_> = changes.collect();
        let changes: Vec<Change> = stream::iter(changes).buffered(AT_ONCE).try_collect().await?;
        let steps =
            sources.into_iter().zip(changes).map(|(source, change)| Step { source, change }).collect();
        let ours: BTreeSet<_> = matched.into_iter().flatten().collect();
        let left = stored.into_iter().filter(|workflow| !ours.contains(&workflow.id)).collect();
        Ok(Some(Self { steps, left }))
    }

    /// Makes the server's workflows as the files say, or says what that would be.
    async fn perform(self, session: &Session, dry: bool, prune: bool) -> anyhow::Result<()> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut tell = |action: &'static str, told: Value| {
            *counts.entry(action).or_default() += 1;
            let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (verb, name, place) = (if dry { "would be " } else { "" }, text("name"), text("file"));
            let place = if place.is_empty() { text("id") } else { place };
            session.show(&told, || format!("{verb}{action}  {}  {}", plain(&name), plain(&place)))
        };
        for Step { source, change } in &self.steps {
            let told = |action: &str, saved: &Value| {
                let mut told = json!({"action": action, "file": source.shown(), "name": source.name});
                for field in ["id", "version"] {
                    told[field] = saved.get(field).cloned().unwrap_or_default();
                }
                told
            };
            match change {
                Change::Nothing { id, version } => {
                    tell("unchanged", told("unchanged", &json!({"id": id, "version": version})))?;
                }
                Change::Create if dry => tell("created", told("create", &Value::Null))?,
                Change::Replace { id, version, .. } if dry => {
                    tell("replaced", told("replace", &json!({"id": id, "version": version + 1})))?;
                }
                Change::Create => {
                    let saved = session.client.create(&source.definition, false).await;
                    tell("created", told("created", &saved.with_context(|| source.shown())?))?;
                }
                // Somebody else's version in between is not overwritten.
                Change::Replace { id, version, .. } => {
                    let saved = session.client.replace(id, &source.definition, Some(*version), false).await;
                    tell("replaced", told("replaced", &saved.with_context(|| source.shown())?))?;
                }
            }
        }
        for workflow in self.left.iter().filter(|_| prune) {
            if !dry {
                session.client.delete(&workflow.id).await?;
            }
            let action = if dry { "delete" } else { "deleted" };
            tell("deleted", json!({"action": action, "id": workflow.id, "name": workflow.name}))?;
        }
        let counts: Vec<_> = counts.iter().map(|(action, n)| format!("{n} {action}")).collect();
        say!(
            "{}{}",
            if dry { "would be: " } else { "" },
            if counts.is_empty() { "nothing to do".into() } else { counts.join(", ") }
        );
        Ok(())
    }
}

/// Finds for each file the workflow that it is: that of the id in it, where the server has it, else that of its name.
/// Also says which names are not clear.
fn matched(sources: &[Source], stored: &[shapes::Workflow]) -> (Vec<Option<WorkflowId>>, Vec<String>) {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, &Source> = BTreeMap::new();
    for source in sources {
        let by_id = stored.iter().find(|workflow| Some(workflow.id.as_str()) == source.id.as_deref());
        let named: Vec<_> = stored.iter().filter(|workflow| workflow.name == source.name).collect();
        if by_id.is_none() && named.len() > 1 {
            let ids: Vec<_> = named.iter().map(|workflow| workflow.id.to_string()).collect();
            wrong.push(format!(
                "{}: {} workflows are called {}: delete one, or name one by an `id` in the file: {}",
                source.shown(),
                ids.len(),
                plain(&source.name),
                ids.join(", ")
            ));
        }
        let id = by_id.or(named.first().copied()).map(|workflow| workflow.id.clone());
        let key = id.as_ref().map_or_else(|| source.name.clone(), WorkflowId::to_string);
        if let Some(other) = seen.insert(key, source)
            && !source.name.is_empty()
        {
            wrong.push(format!("{}: {} is the same workflow", source.shown(), other.shown()));
        }
        found.push(id);
    }
    (found, wrong)
}

/// Compares a file with the workflow that it is.
async fn change(session: &Session, source: &Source, id: Option<WorkflowId>) -> Result<Change, Error> {
    let Some(id) = id else { return Ok(Change::Create) };
    let stored = session.client.workflow(&id).await?;
    let version =
        stored.get("version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    // One that was never published, or could not be started, is saved again: the file is right by now.
    let could_start = stored.get("problems").and_then(Value::as_array).is_none_or(Vec::is_empty);
    let was = own(stored);
    match was == source.value && could_start && version > 0 {
        true => Ok(Change::Nothing { id, version }),
        false => Ok(Change::Replace { id, version, was }),
    }
}

/// Returns a path as people know it.
fn shown(path: &Path) -> String {
    plain(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_workflow_of_its_id_or_else_of_its_name() {
        let stored: Vec<shapes::Workflow> = [("1", "haiku"), ("2", "mail"), ("3", "mail")]
            .iter()
            .map(|(id, name)| shapes::read(&json!({"id": id, "name": name})).expect("a workflow"))
            .collect();
        let source = |file: &str, value: Value| {
            Source::of(PathBuf::from(file), value.to_string()).expect("a definition")
        };
        let found = |sources: &[Source]| {
            let (found, wrong) = matched(sources, &stored);
            let found: Vec<_> = found.into_iter().map(|id| id.map(|id| id.to_string())).collect();
            (found, wrong)
        };
        let sources = [
            source("a.json", json!({"name": "haiku"})),
            source("b.json", json!({"name": "mail", "id": "3"})),
            source("c.json", json!({"name": "new", "id": "of another server"})),
        ];
        assert_eq!(found(&sources), (vec![Some("1".into()), Some("3".into()), None], vec![]));
        let (_, wrong) =
            found(&[source("b.json", json!({"name": "mail"})), source("d.json", json!({"name": "mail"}))]);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            wrong[0].contains("2 workflows are called mail")
                && wrong[2] == "d.json: b.json is the same workflow"
        );
    }
}
