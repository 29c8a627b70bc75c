//! What a backup is: the sidecar's file, the catalog, the key of secrets, and a note that is written last.

use super::Misuse;
use crate::{
    assembly::{CatalogPlace, SECRETS_KEY, SIDECAR, catalog_place},
    config::Config,
    private,
};
use anyhow::{Context, bail};
use callboard_catalog::{Catalog, SqliteCatalog};
use callboard_sidecar::embedded::Database;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

pub const CATALOG: &str = "catalog.db";
/// The note. A folder without it is no backup, or one that was not finished.
pub const NOTE: &str = "backup.json";
/// The form of backups that this release makes, and the last that it reads.
const FORM: u32 = 1;

/// What the note says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    pub form: u32,
    /// The release that made it.
    pub version: String,
    pub at: String,
    pub files: Vec<Copied>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct Copied {
    pub name: String,
    pub bytes: u64,
}

/// The databases of an installation that has both in files.
pub struct Files {
    pub sidecar: PathBuf,
    pub catalog: PathBuf,
    pub key: PathBuf,
}

// === impl Files ===

impl Files {
    /// Returns where they are, or would be.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let folder = Path::new(&config.data.dir);
        let CatalogPlace::File(catalog) = catalog_place(config, Some(folder))? else {
            let why = "the catalog is a Postgres database: copy the state store first, then the database with pg_dump \
                       (docs/operations.md)";
            return Err(Misuse(why.to_owned()).into());
        };
        Ok(Self { sidecar: folder.join(SIDECAR), catalog, key: folder.join(SECRETS_KEY) })
    }
}

// === impl Note ===

impl Note {
    pub fn of(folder: &Path, at: String, names: &[&str]) -> anyhow::Result<Self> {
        let copied = |name: &&str| {
            let file = folder.join(name);
            let bytes = std::fs::metadata(&file).with_context(|| file.display().to_string())?.len();
            Ok(Copied { name: (*name).to_owned(), bytes })
        };
        let files = names.iter().map(copied).collect::<anyhow::Result<_>>()?;
        Ok(Self { form: FORM, version: env!("CARGO_PKG_VERSION").to_owned(), at, files })
    }

    /// Reads the note of a backup, and refuses one that is not whole.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(NOTE);
        let Ok(text) = std::fs::read_to_string(&file) else {
            let why =
                format!("{} is no backup, or one that was not finished: it has no {NOTE}", folder.display());
            return Err(Misuse(why).into());
        };
        let note: Self = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        if note.form > FORM {
            bail!(
                "{} was made by {}, a newer release: use that one, or a later one",
                folder.display(),
                note.version
            );
        }
        for copied in &note.files {
            let file = folder.join(&copied.name);
            let bytes = std::fs::metadata(&file).with_context(|| file.display().to_string())?.len();
            anyhow::ensure!(
                bytes == copied.bytes,
                "{} has {bytes} bytes, and had {} when it was made",
                file.display(),
                copied.bytes
            );
        }
        Ok(note)
    }
}

/// Has what was written to a file, or a folder, on disk before anything relies on it.
pub fn sync(path: &Path) -> anyhow::Result<()> {
    File::open(path).and_then(|file| file.sync_all()).with_context(|| path.display().to_string())
}

/// Makes an empty file for this user only, where there is none.
pub fn empty(path: &Path) -> anyhow::Result<()> {
    let file = private::open(path)?;
    let bytes = file.metadata().with_context(|| path.display().to_string())?.len();
    anyhow::ensure!(bytes == 0, "{} is there already", path.display());
    Ok(())
}

/// Looks through the pages of both files, and says what is wrong with them.
pub async fn look_through(catalog: &Path, sidecar: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let opened = SqliteCatalog::open_to_read(catalog).await.with_context(|| catalog.display().to_string())?;
    let said = opened.check().await.with_context(|| catalog.display().to_string())?;
    wrong.extend(said.into_iter().map(|line| format!("{}: {line}", catalog.display())));
    opened.close().await;
    let said = Database::open(sidecar)?.check()?;
    wrong.extend(said.into_iter().map(|line| format!("{}: {line}", sidecar.display())));
    Ok(wrong)
}
