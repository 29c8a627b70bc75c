//! Which folders the user trusts: what the files of a trusted working directory say counts as if the user had said it.
//!
//! A folder that was only cloned or unpacked says nothing on the user's behalf. Its files may not send a key
//! elsewhere, open a port, name a secret store, or bring runs along. What they say all the same is an error that names
//! it, never a silent difference.

use crate::{private, user::User};
use anyhow::{Context, bail};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Trusted folders, one a line.
const NAME: &str = "trusted";

/// The list of trusted folders.
#[derive(Debug)]
pub struct Trust(PathBuf);

/// What to do about something in the working directory that needs trust.
pub const REMEDY: &str = "if you have read what is in this folder and mean it, run `callboard trust` here";

// === impl Trust ===

impl Trust {
    pub fn of(user: &User) -> anyhow::Result<Self> {
        let folder = user.config.as_ref();
        let folder =
            folder.context("there is no home folder to keep trusted folders in: set XDG_CONFIG_HOME")?;
        Ok(Self(folder.join(NAME)))
    }

    /// Whether the user trusts this folder itself; one inside a trusted one is another.
    pub fn holds(&self, folder: &Path) -> anyhow::Result<bool> {
        Ok(self.folders()?.contains(&whole(folder)?))
    }

    pub fn folders(&self) -> anyhow::Result<Vec<PathBuf>> {
        let named = || self.0.display().to_string();
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(named),
        };
        self.unshared().with_context(named)?;
        Ok(text.lines().filter(|line| line.starts_with('/')).map(PathBuf::from).collect())
    }

    /// Adds a folder and returns its whole path.
    pub fn add(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let folder = whole(folder)?;
        if !folder.is_dir() {
            bail!("{} is not a folder", folder.display());
        }
        let mut folders = self.folders()?;
        if !folders.contains(&folder) {
            folders.push(folder.clone());
            self.keep(&folders)?;
        }
        Ok(folder)
    }

    /// Takes a folder away; false if it was not trusted. It may be gone from the disk.
    pub fn remove(&self, folder: &Path) -> anyhow::Result<bool> {
        let folder = whole(folder).unwrap_or_else(|_| folder.to_owned());
        let mut folders = self.folders()?;
        let before = folders.len();
        folders.retain(|known| *known != folder);
        self.keep(&folders)?;
        Ok(folders.len() < before)
    }

    fn keep(&self, folders: &[PathBuf]) -> anyhow::Result<()> {
        let lines: Vec<_> = folders.iter().map(|folder| format!("{}\n", folder.display())).collect();
        let parent = self.0.parent().unwrap_or(Path::new("."));
        let kept = private::make(parent).and_then(|()| private::write(&self.0, &lines.concat()));
        kept.with_context(|| self.0.display().to_string())
    }

    /// A list that others can write says nothing about the user.
    #[cfg(unix)]
    fn unshared(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(&self.0)?;
        if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            bail!("it is another user's, or others can write it: `chmod 600` it if what it says is yours");
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn unshared(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Returns the path without links or dots, as it is kept: one line of text.
fn whole(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = std::fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    match path.to_str() {
        Some(text) if !text.contains('\n') => Ok(path),
        _ => bail!("{} has a name that can't be kept in a list: rename it", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_trusted_itself_and_until_it_is_taken_away() {
        let scratch = tempfile::tempdir().expect("a folder");
        let trust = Trust::of(&User::at(scratch.path())).expect("a list");
        let (folder, inside) = (scratch.path().join("a"), scratch.path().join("a/b"));
        std::fs::create_dir_all(&inside).expect("folders");
        assert!(!trust.holds(&folder).expect("nothing is trusted"));
        trust.add(&folder).expect("added");
        assert!(trust.holds(&inside.join("..")).expect("the same folder"));
        assert!(
            !trust.holds(&inside).expect("another folder") && !trust.holds(scratch.path()).expect("another")
        );
        assert!(trust.remove(&folder).expect("removed") && !trust.holds(&folder).expect("no more"));
        assert!(!trust.remove(&folder).expect("it was not there"));
        assert!(trust.add(&scratch.path().join("nothing")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_list_is_the_users_alone_and_one_that_others_can_write_is_refused() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let scratch = tempfile::tempdir().expect("a folder");
        let trust = Trust::of(&User::at(scratch.path())).expect("a list");
        trust.add(scratch.path()).expect("added");
        let mode = std::fs::metadata(&trust.0).expect("a file").mode() & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::set_permissions(&trust.0, PermissionsExt::from_mode(0o666)).expect("chmod");
        let error = format!("{:#}", trust.holds(scratch.path()).expect_err("not the user's"));
        assert!(error.contains("chmod 600"), "{error}");
    }
}
