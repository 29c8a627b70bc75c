//! `callboard verify`: folds every run of a backup or a data folder, and says what can't be read. Starts nothing, changes nothing.

use super::{
    Exit, Misuse,
    copies::{CATALOG, look_through},
};
use crate::{
    assembly::{
        SIDECAR,
        pair::{judge, of_catalog, of_sidecar},
    },
    cli,
    say::{self, say},
};
use anyhow::Context;
use bytes::Bytes;
use callboard_actors::verify::{Kept, run, without_history};
use callboard_catalog::{Catalog, Journal, RunFilter, SqliteCatalog, Sweep};
use callboard_core::id::RunId;
use callboard_sidecar::embedded::{Database, Key};
use std::{collections::BTreeMap, path::Path};

/// Runs that are read at once.
const PAGE: u32 = 500;
/// What stands between the prefix of a component and a key.
const BETWEEN: &str = "||";

pub async fn perform(asked: cli::Verify) -> anyhow::Result<Exit> {
    let (catalog, sidecar) = (asked.folder.join(CATALOG), asked.folder.join(SIDECAR));
    for file in [&catalog, &sidecar] {
        if !file.try_exists().with_context(|| file.display().to_string())? {
            return Err(Misuse(format!("there is no {}", file.display())).into());
        }
    }
    let mut wrong = look_through(&catalog, &sidecar).await?;
    // The sidecar's file is read before the catalog: what is written meanwhile is no difference between them.
    let state = State::read(&sidecar)?;
    let theirs = of_sidecar(&sidecar)?;
    let opened = SqliteCatalog::open_to_read(&catalog).await;
    let opened = opened.with_context(|| catalog.display().to_string())?;
    let name = format!("the catalog {}", catalog.display());
    let mismatch = judge(&of_catalog(&opened, &opened).await?, &theirs);
    wrong.extend(mismatch.map(|mismatch| mismatch.told(&name, &sidecar)));
    let runs = each(&opened, &state, &mut wrong).await?;
    opened.close().await;
    for line in &wrong {
        say::result(line)?;
    }
    let folder = shown(&asked.folder);
    if wrong.is_empty() {
        say!("{folder}: {runs} runs can be read, and each has its history");
        return Ok(Exit::Done);
    }
    say!("{folder}: {runs} runs, {} things are wrong", wrong.len());
    Ok(Exit::Failed)
}

fn shown(folder: &Path) -> String {
    folder.display().to_string()
}

/// Verifies the runs of the catalog, then those of which only the state store knows. Returns how many there are.
async fn each(catalog: &SqliteCatalog, state: &State, wrong: &mut Vec<String>) -> anyhow::Result<usize> {
    let (mut runs, mut unseen) = (0, state.documents.clone());
    for project in catalog.projects().await? {
        let mut after: Option<RunId> = None;
        loop {
            let page = catalog.runs(&project, RunFilter::default(), after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for row in &page {
                runs += 1;
                unseen.remove(row.id.as_str());
                let stored = |key: &str| state.get(&row.id, key);
                let found = run(&Kept { catalog, stored: &stored }, &row.id).await;
                let found = found.with_context(|| format!("run {}", row.id))?;
                wrong.extend(found.into_iter().map(|what| format!("run {}: {what}", row.id)));
            }
        }
    }
    for (name, key) in unseen {
        runs += 1;
        let document = state.database.get(&key)?.unwrap_or_default();
        wrong.extend(without_history(&document).map(|what| format!("run {name}: {what}")));
    }
    Ok(runs)
}

/// What the state store has of runs.
struct State {
    database: Database,
    /// The documents, by their runs' ids.
    documents: BTreeMap<String, Key>,
    /// Where keys stand, where there are any.
    store: String,
    prefix: String,
}

// === impl State ===

impl State {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let database = Database::open(file)?;
        let (mut documents, mut store, mut prefix) = (BTreeMap::new(), String::new(), String::new());
        for key in database.keys("}.doc", usize::MAX)? {
            let own = key.name.rfind(BETWEEN).map_or(0, |at| at + BETWEEN.len());
            let Some(id) = key.name[own..].strip_prefix('{').and_then(|id| id.strip_suffix("}.doc")) else {
                continue;
            };
            store.clone_from(&key.store);
            key.name[..own].clone_into(&mut prefix);
            documents.insert(id.to_owned(), key);
        }
        Ok(Self { database, documents, store, prefix })
    }

    /// Returns what stands under a key of a run. What can't be read is not there: the catalog may have it.
    fn get(&self, run: &RunId, key: &str) -> Option<Bytes> {
        let key = Key { store: self.store.clone(), name: format!("{}{key}", self.prefix) };
        let found = self.database.get(&key);
        found.inspect_err(|error| tracing::debug!(%run, %error, "a key can't be read")).ok().flatten()
    }
}
