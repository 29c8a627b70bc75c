//! Files that are this user's alone: how they are made, and what a folder must be like to be used as one.
//!
//! Inputs, answers and everything recorded stand in the data folder. Whoever else can write into it can read along, put
//! a history of their own there, or lead one of our files to one of the user's by a link. So it is refused; what only
//! others can read is closed. Nothing here follows a link.

use anyhow::{Context, bail};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// What the names of our files in a data folder begin with.
const OURS: [&str; 7] =
    ["callboard.", "catalog.db", "sidecar.db", "secrets.key", "components", "turns.", "suspects."];

/// Lets this process make files and folders for its user only.
pub fn umask() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Makes the folder, or closes one that is there to others. Refuses one that others may have prepared.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    make(path).with_context(named)?;
    if !std::fs::metadata(path).with_context(named)?.is_dir() {
        bail!("{} is not a folder", path.display());
    }
    own(path)?;
    for entry in std::fs::read_dir(path).with_context(named)? {
        let entry = entry.with_context(named)?;
        if OURS.iter().any(|ours| entry.file_name().to_string_lossy().starts_with(ours)) {
            plain(&entry.path())?;
        }
    }
    Ok(())
}

/// Opens a file to read and write, making it if it is missing. A link in its place is an error.
pub fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = unlinked(&mut options).open(path).with_context(|| path.display().to_string())?;
    plain(path)?;
    Ok(file)
}

/// Writes a file anew: readers see the old text or the new one, and a link in its place is replaced, not followed.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let written = unlinked(&mut options).open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&new, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    renamed
}

/// Makes a folder for this user, with those it stands in.
pub fn make(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn unlinked(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let flag = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("an open flag is a small number");
    options.custom_flags(flag).mode(0o600)
}

#[cfg(not(unix))]
fn unlinked(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Refuses a folder that is not ours, or that others could write into; takes their reading away.
#[cfg(unix)]
fn own(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let named = || path.display().to_string();
    let (shown, me) = (path.display(), rustix::process::geteuid().as_raw());
    let found = std::fs::metadata(path).with_context(named)?;
    if found.uid() != me {
        bail!(
            "the data folder {shown} belongs to the user with the id {}, and this is {me}: runs must not be in other hands; \
             choose another with --data, or `chown` it if it is yours",
            found.uid()
        );
    }
    let empty = || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if found.mode() & 0o022 != 0 && !empty() {
        bail!(
            "others can write into the data folder {shown}, so what it holds may be theirs; look through it and \
             `chmod go-w {shown}`, or choose another with --data"
        );
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).with_context(named)?;
    }
    Ok(())
}

/// Refuses a link, or a file of another; takes others' reading away.
#[cfg(unix)]
fn plain(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let named = || path.display().to_string();
    let shown = path.display();
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        // Files of a database come and go.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(named),
    };
    let kind = found.file_type();
    if kind.is_symlink() || (kind.is_file() && found.nlink() > 1) {
        bail!("{shown} is a link to another file; a data folder holds none of them: remove it");
    }
    if !kind.is_file() && !kind.is_dir() {
        bail!("{shown} is neither a file nor a folder: remove it");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        bail!(
            "{shown} belongs to the user with the id {}: remove it, or `chown` it if it is yours",
            found.uid()
        );
    }
    if found.mode() & 0o077 != 0 {
        let mode = if kind.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).with_context(named)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn own(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn plain(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn a_folder_is_made_closed_and_an_open_one_is_closed_with_its_files() {
        let scratch = tempfile::tempdir().expect("a folder");
        let made = scratch.path().join("a/data");
        folder(&made).expect("made");
        assert_eq!(mode(&made), 0o700);
        let file = made.join("catalog.db-wal");
        std::fs::write(&file, "").expect("written");
        std::fs::create_dir(made.join("components")).expect("a folder");
        for (path, open) in [(&made, 0o755), (&file, 0o644), (&made.join("components"), 0o755)] {
            chmod(path, open);
        }
        folder(&made).expect("closed");
        assert_eq!([mode(&made), mode(&file), mode(&made.join("components"))], [0o700, 0o600, 0o700]);
    }

    #[test]
    fn a_folder_that_others_can_write_into_is_refused_unless_it_is_empty() {
        let scratch = tempfile::tempdir().expect("a folder");
        for open in [0o777, 0o1777, 0o775] {
            chmod(scratch.path(), open);
            folder(scratch.path()).expect("empty, and closed now");
            assert_eq!(mode(scratch.path()), 0o700);
            let file = scratch.path().join("x");
            std::fs::write(&file, "").expect("written");
            chmod(scratch.path(), open);
            let error = folder(scratch.path()).expect_err("others can write").to_string();
            assert!(error.contains("chmod go-w") && error.contains("--data"), "{error}");
            std::fs::remove_file(file).expect("removed");
        }
    }

    #[test]
    fn no_link_of_any_kind_is_written_through() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (data, target) = (scratch.path().join("data"), scratch.path().join("authorized_keys"));
        std::fs::write(&target, "precious").expect("written");
        for name in [
            "callboard.lock",
            "catalog.db",
            "catalog.db-wal",
            "sidecar.db-shm",
            "components",
            "turns.0",
            "suspects.0.json",
        ] {
            let link = data.join(name);
            make(&data).expect("a folder");
            symlink(&target, &link).expect("a link");
            assert!(folder(&data).is_err(), "{name}");
            assert!(open(&link).is_err(), "{name}");
            write(&link, "new").expect("the link is replaced");
            assert_eq!(std::fs::read_to_string(&link).expect("a file"), "new");
            std::fs::remove_file(&link).expect("removed");
            std::fs::hard_link(&target, &link).expect("a hard link");
            assert!(folder(&data).is_err() && open(&link).is_err(), "{name}");
            std::fs::remove_file(&link).expect("removed");
        }
        assert_eq!(std::fs::read_to_string(&target).expect("a file"), "precious");
        assert_eq!(std::fs::read_dir(&data).expect("a folder").count(), 0, "nothing is left lying about");
    }

    #[test]
    fn a_link_to_nothing_makes_nothing() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (link, target) = (scratch.path().join("callboard.lock"), scratch.path().join("target"));
        symlink(&target, &link).expect("a link");
        assert!(open(&link).is_err() && !target.exists());
    }

    #[test]
    fn what_is_made_is_closed_from_the_first_moment() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (folder, file) = (scratch.path().join("a/b"), scratch.path().join("file"));
        make(&folder).expect("a folder");
        write(&file, "text").expect("written");
        assert_eq!([mode(&folder), mode(&scratch.path().join("a")), mode(&file)], [0o700, 0o700, 0o600]);
    }

    #[test]
    fn what_is_no_file_and_what_is_anothers_is_refused() {
        let scratch = tempfile::tempdir().expect("a folder");
        let socket = scratch.path().join("callboard.sock");
        let held = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
        assert!(folder(scratch.path()).expect_err("a socket").to_string().contains("neither a file"));
        drop(held);
        std::fs::remove_file(socket).expect("removed");
        let theirs = scratch.path().join("catalog.db");
        std::fs::write(&theirs, "").expect("written");
        folder(scratch.path()).expect("ours");
        // Only root can give a file away.
        if std::os::unix::fs::chown(&theirs, Some(65_534), None).is_ok() {
            let error = folder(scratch.path()).expect_err("another's").to_string();
            assert!(error.contains("belongs to the user"), "{error}");
        }
    }

    #[test]
    fn another_users_folder_is_refused() {
        // Only root can give a folder away; as anybody else `/` is a folder of another.
        let scratch = tempfile::tempdir().expect("a folder");
        let given = std::os::unix::fs::chown(scratch.path(), Some(65_534), None).is_ok();
        let theirs = if given { scratch.path() } else { Path::new("/") };
        let error = folder(theirs).expect_err("another's").to_string();
        assert!(error.contains("belongs to the user") && error.contains("--data"), "{error}");
    }
}
