//! `callboard backup`: copies the databases of a data folder, whether a server works on it or not.
//!
//! The sidecar's file comes first: whatever a run's document in it says, the catalog that is copied after it has the history
//! for. Each copy is of one moment and is made in one transaction that reads, so it ends however much is written meanwhile.

use super::{
    Exit, Misuse,
    copies::{CATALOG, Files, NOTE, Note, empty, sync},
    installation,
};
use crate::{
    assembly::{SECRETS_KEY, SIDECAR},
    cli,
    operations::now,
    private, say,
};
use anyhow::Context;
use callboard_catalog::SqliteCatalog;
use callboard_sidecar::embedded::Database;
use std::path::Path;

pub async fn perform(asked: cli::Backup) -> anyhow::Result<Exit> {
    let files = Files::of(&installation::config(&asked.place)?)?;
    for file in [&files.sidecar, &files.catalog] {
        if !file.try_exists().with_context(|| file.display().to_string())? {
            let why = format!("there is no {}: name the data folder by --data", file.display());
            return Err(Misuse(why).into());
        }
    }
    let into = asked.into.as_path();
    private::folder(into)?;
    let mut entries = std::fs::read_dir(into).with_context(|| into.display().to_string())?;
    if entries.next().is_some() {
        return Err(
            Misuse(format!("{} is not empty: a backup is a folder of its own", into.display())).into()
        );
    }
    let copied = copy(&files, into).await;
    if copied.is_err() {
        for name in [SIDECAR, CATALOG, SECRETS_KEY, NOTE] {
            let _ = std::fs::remove_file(into.join(name));
        }
    }
    copied?;
    say::result(&into.display().to_string())?;
    Ok(Exit::Done)
}

async fn copy(files: &Files, into: &Path) -> anyhow::Result<()> {
    let (sidecar, catalog) = (into.join(SIDECAR), into.join(CATALOG));
    empty(&sidecar)?;
    Database::open(&files.sidecar)?.copy(&sidecar)?;
    sync(&sidecar)?;
    empty(&catalog)?;
    let copied = SqliteCatalog::copy(&files.catalog, &catalog).await;
    copied.with_context(|| format!("the catalog {}", files.catalog.display()))?;
    sync(&catalog)?;
    let mut names = vec![SIDECAR, CATALOG];
    if files.key.try_exists().with_context(|| files.key.display().to_string())? {
        let text = std::fs::read_to_string(&files.key).with_context(|| files.key.display().to_string())?;
        let file = into.join(SECRETS_KEY);
        private::write(&file, &text).with_context(|| file.display().to_string())?;
        names.push(SECRETS_KEY);
    }
    let note = serde_json::to_string_pretty(&Note::of(into, now().to_string(), &names)?)?;
    private::write(&into.join(NOTE), &note).with_context(|| into.display().to_string())?;
    sync(into)
}
