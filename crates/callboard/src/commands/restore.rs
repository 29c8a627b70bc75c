//! `callboard restore`: puts a backup into a data folder on which no server works.
//!
//! All of it is copied beside what is there before anything is replaced, and the sidecar's file comes last: whenever this ends
//! in the middle, what is there is a catalog without one, from which every run goes on.

use super::{
    Exit, Misuse,
    copies::{CATALOG, Files, Note, empty, look_through, sync},
    installation,
};
use crate::{
    assembly::{Locked, SECRETS_KEY, SIDECAR, take},
    cli, private,
    say::say,
};
use anyhow::{Context, bail};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What SQLite keeps beside a file. Of another file it would be applied to this one.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

pub async fn perform(asked: cli::Restore) -> anyhow::Result<Exit> {
    let from = asked.from.as_path();
    let note = Note::read(from)?;
    let wrong = look_through(&from.join(CATALOG), &from.join(SIDECAR)).await?;
    if !wrong.is_empty() {
        bail!("{} is damaged:\n  {}", from.display(), wrong.join("\n  "));
    }
    let config = installation::config(&asked.place)?;
    let files = Files::of(&config)?;
    let data = Path::new(&config.data.dir);
    let _lock = match take(&config)? {
        Locked::Ours(lock) => lock,
        Locked::Theirs(url) => {
            let at = url.map(|url| format!(" at {url}")).unwrap_or_default();
            bail!("a callboard{at} uses the data folder {}: stop it first", data.display());
        }
    };
    let there: Vec<String> = [&files.sidecar, &files.catalog]
        .into_iter()
        .filter(|file| std::fs::symlink_metadata(file).is_ok())
        .map(|file| file.display().to_string())
        .collect();
    if !there.is_empty() && !asked.force {
        let why = format!(
            "{} would be overwritten: move it away, or say --force, and what it has is lost",
            there.join(" and ")
        );
        return Err(Misuse(why).into());
    }
    replace(from, &files)?;
    say!(
        "{} has the backup of {}, made by {}: the next start goes on from there",
        data.display(),
        note.at,
        note.version
    );
    Ok(Exit::Done)
}

fn replace(from: &Path, files: &Files) -> anyhow::Result<()> {
    let catalog = beside(&from.join(CATALOG), &files.catalog)?;
    let sidecar = beside(&from.join(SIDECAR), &files.sidecar)?;
    let key = from.join(SECRETS_KEY);
    let key = key.exists().then(|| beside(&key, &files.key)).transpose()?;
    remove(&files.sidecar)?;
    for end in BESIDE {
        remove(&with(&files.sidecar, end))?;
        remove(&with(&files.catalog, end))?;
    }
    put(&catalog, &files.catalog)?;
    if let Some(key) = key {
        put(&key, &files.key)?;
    }
    put(&sidecar, &files.sidecar)
}

/// Copies a file to where it is renamed from.
fn beside(from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let new = with(to, ".new");
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private::make(folder).with_context(|| folder.display().to_string())?;
    }
    remove(&new)?;
    empty(&new)?;
    std::fs::copy(from, &new).with_context(|| new.display().to_string())?;
    // A copy has the rights of what it is a copy of.
    private::open(&new)?;
    sync(&new)?;
    Ok(new)
}

fn put(new: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(new, to).with_context(|| to.display().to_string())?;
    to.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(Ok(()), sync)
}

fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| file.display().to_string())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
