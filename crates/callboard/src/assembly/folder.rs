//! Takes the data folder: only one of this user, and not one that merely lies in the working directory.
//!
//! Runs in a data folder go on when a process starts on it, with the user's keys. One that came with a clone or an
//! archive holds runs that somebody else wrote. So whoever makes a data folder leaves a mark in it, and the user's
//! state folder remembers the mark and its place, which no clone can bring along. A folder that the user names, or in
//! a working directory that the user trusts, needs none.

use super::lock::{Lock, Locked};
use crate::{config::Config, private, trust::REMEDY, user::User};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Holds the mark.
const MARK: &str = "callboard.mark";
/// What holds runs, and what the names of the files beside it begin with.
const DATABASES: [&str; 2] = ["catalog.db", "sidecar.db"];
/// Marks of the data folders that were made here, a file each, with the folder's path and number.
const KNOWN: &str = "folders";

/// Locks the data folder of the settings, making it if it is missing.
pub fn take(config: &Config) -> anyhow::Result<Locked> {
    let folder = Path::new(&config.data.dir);
    private::folder(folder)?;
    let ground = &config.ground;
    let holds_runs = holds_runs(folder)?;
    let vouched = ground.data_named || ground.trusted;
    if !vouched {
        lies_here(folder)?;
        if holds_runs && !is_known(&ground.user, folder)? {
            bail!(
                "the data folder {shown} was not made by you on this machine: it may have come with the files around it, \
                 and its runs would go on with your keys; if it is yours, say so by --data {shown}; {REMEDY}; or move it \
                 away",
                shown = folder.display()
            );
        }
    }
    let locked = Lock::take(folder)?;
    // One that was named is named again the next time, unless it is the user's from its first day.
    let lasts = !holds_runs || ground.trusted || !ground.data_named;
    if let Locked::Ours(_) = &locked
        && lasts
    {
        mark(&ground.user, folder);
    }
    Ok(locked)
}

/// Marks a folder as made by this user, if a later command may come upon it without being told its name.
pub fn mark(user: &User, folder: &Path) {
    if !is_below_here(folder) {
        return;
    }
    if let Err(error) = remember(user, folder) {
        tracing::warn!(
            error = format!("{error:#}"),
            "it can't be remembered that the data folder is yours: name it with --data the next time"
        );
    }
}

fn holds_runs(folder: &Path) -> anyhow::Result<bool> {
    let named = || folder.display().to_string();
    for entry in std::fs::read_dir(folder).with_context(named)? {
        let name = entry.with_context(named)?.file_name();
        if DATABASES.iter().any(|database| name.to_string_lossy().starts_with(database)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A link in the working directory could lead to another project's runs and server.
fn lies_here(folder: &Path) -> anyhow::Result<()> {
    let linked =
        std::fs::symlink_metadata(folder).with_context(|| folder.display().to_string())?.is_symlink();
    if linked {
        bail!(
            "the data folder {shown} is a link; if you mean where it leads, say so by --data {shown}",
            shown = folder.display()
        );
    }
    Ok(())
}

fn is_below_here(folder: &Path) -> bool {
    let here = std::fs::canonicalize(".");
    here.is_ok_and(|here| std::fs::canonicalize(folder).is_ok_and(|folder| folder.starts_with(here)))
}

/// Whether this user made the folder here: its mark is known, and it is where it was, or is the same folder moved.
fn is_known(user: &User, folder: &Path) -> anyhow::Result<bool> {
    let Ok(mark) = std::fs::read_to_string(folder.join(MARK)) else { return Ok(false) };
    // A mark is also the name of a file.
    let (Ok(mark), Some(known)) = (mark.trim().parse::<Uuid>(), known(user)) else { return Ok(false) };
    let Ok(text) = std::fs::read_to_string(known.join(mark.to_string())) else { return Ok(false) };
    let here = Place::of(folder)?;
    let mut lines = text.lines();
    let (path, number) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    Ok(path == here.path || number == here.number)
}

/// Marks the folder, and remembers that. What is remembered of folders that are gone is dropped.
fn remember(user: &User, folder: &Path) -> anyhow::Result<()> {
    let known = known(user).context("there is no home folder: set XDG_STATE_HOME")?;
    private::make(&known).with_context(|| known.display().to_string())?;
    if let Ok(entries) = std::fs::read_dir(&known) {
        for entry in entries.filter_map(Result::ok) {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let path = text.lines().next().unwrap_or_default();
            if Path::new(path).is_absolute() && !Path::new(path).exists() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    let file = folder.join(MARK);
    let marked = std::fs::read_to_string(&file).ok().and_then(|mark| mark.trim().parse::<Uuid>().ok());
    // The mark of another place is not taken over: it may be known to whoever made that one.
    let mark = if is_known(user, folder)? { marked } else { None }.unwrap_or_else(Uuid::new_v4);
    let place = Place::of(folder)?;
    // Remembered before it is marked: whoever sees the mark finds it known.
    private::write(&known.join(mark.to_string()), &format!("{}\n{}\n", place.path, place.number))?;
    private::write(&file, &format!("{mark}\n"))?;
    Ok(())
}

fn known(user: &User) -> Option<PathBuf> {
    Some(user.state.as_ref()?.join(KNOWN))
}

/// Where a folder is, by name and by the file system's number.
struct Place {
    path: String,
    number: String,
}

// === impl Place ===

impl Place {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let named = || folder.display().to_string();
        let path =
            std::fs::canonicalize(folder).with_context(named)?.display().to_string().replace('\n', " ");
        Ok(Self { path, number: number(folder).with_context(named)? })
    }
}

#[cfg(unix)]
fn number(folder: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(folder)?;
    Ok(format!("{}:{}", found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn number(_: &Path) -> std::io::Result<String> {
    Ok("-".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    /// Settings with this data folder, of a user whose own files are beside it.
    fn config(scratch: &Path, folder: &Path) -> Config {
        let mut config = Sources::default().load().expect("the defaults");
        config.data.dir = folder.display().to_string();
        config.ground.user = User::at(&scratch.join("user"));
        config
    }

    fn refusal(config: &Config) -> String {
        take(config).map(|_| ()).expect_err("refused").to_string()
    }

    #[test]
    fn a_folder_with_runs_is_taken_only_if_this_user_made_it_named_it_or_trusts_what_is_around_it() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path().join("data");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("catalog.db-wal"), "somebody's runs").expect("written");
        let mut config = config(scratch.path(), &folder);
        let error = refusal(&config);
        assert!(error.contains("--data") && error.contains("callboard trust"), "{error}");
        // A mark made up by whoever packed the folder.
        std::fs::write(folder.join(MARK), Uuid::new_v4().to_string()).expect("written");
        refusal(&config);
        std::fs::write(folder.join(MARK), "../../../etc").expect("written");
        refusal(&config);
        config.ground.data_named = true;
        take(&config).expect("named");
        config.ground = crate::config::Ground { trusted: true, data_named: false, ..config.ground };
        take(&config).expect("trusted");
    }

    #[test]
    fn a_mark_holds_for_its_folder_also_moved_and_not_for_a_copy() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path().join("data");
        let user = User::at(&scratch.path().join("user"));
        std::fs::create_dir(&folder).expect("a folder");
        remember(&user, &folder).expect("remembered");
        assert!(is_known(&user, &folder).expect("looked up"));
        let moved = scratch.path().join("moved");
        std::fs::rename(&folder, &moved).expect("moved");
        assert!(is_known(&user, &moved).expect("looked up"));
        let copy = scratch.path().join("copy");
        std::fs::create_dir(&copy).expect("a folder");
        std::fs::copy(moved.join(MARK), copy.join(MARK)).expect("copied");
        assert!(!is_known(&user, &copy).expect("looked up"));
        remember(&user, &copy).expect("a mark of its own");
        assert!(is_known(&user, &copy).expect("looked up"));
        let mark = |folder: &Path| std::fs::read_to_string(folder.join(MARK)).expect("a mark");
        assert_ne!(mark(&copy), mark(&moved));
        assert!(!is_known(&User::at(&scratch.path().join("other")), &copy).expect("looked up"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_working_directory_is_not_followed() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (folder, elsewhere) = (scratch.path().join("data"), scratch.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).expect("a folder");
        std::os::unix::fs::symlink(&elsewhere, &folder).expect("a link");
        let mut config = config(scratch.path(), &folder);
        assert!(refusal(&config).contains("is a link"));
        config.ground.data_named = true;
        take(&config).expect("named");
    }
}
