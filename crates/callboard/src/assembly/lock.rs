//! One process owns a data folder: a locked file, with the address of its owner in it.
//!
//! The lock is the operating system's, so it is gone with its process, however that ends.

use crate::private;
use anyhow::Context;
use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

const NAME: &str = "callboard.lock";

/// The right to use a data folder; given back when it is dropped.
#[derive(Debug)]
pub struct Lock(File);

/// What became of an attempt to lock a folder.
#[derive(Debug)]
pub enum Locked {
    Ours(Lock),
    /// Another process has it; its address, once it serves one.
    Theirs(Option<String>),
}

// === impl Lock ===

impl Lock {
    /// Locks the folder, making it if it is missing.
    pub fn take(folder: &Path) -> anyhow::Result<Locked> {
        private::folder(folder)?;
        let path = folder.join(NAME);
        let mut file = private::open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).with_context(|| path.display().to_string())?;
                Ok(Locked::Ours(Self(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut url = String::new();
                file.read_to_string(&mut url).with_context(|| path.display().to_string())?;
                let url = url.trim();
                Ok(Locked::Theirs((!url.is_empty()).then(|| url.to_owned())))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Tells others where the owner serves.
    pub fn announce(&mut self, url: &str) -> anyhow::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(format!("{url}\n").as_bytes())?;
        self.0.flush().context("the lock file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_where_the_first_serves() {
        let folder = tempfile::tempdir().expect("a folder");
        let Locked::Ours(mut lock) = Lock::take(folder.path()).expect("a lock") else { panic!("not ours") };
        assert!(matches!(Lock::take(folder.path()), Ok(Locked::Theirs(None))));
        lock.announce("http://127.0.0.1:1").expect("written");
        let Ok(Locked::Theirs(url)) = Lock::take(folder.path()) else { panic!("not theirs") };
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:1"));
        drop(lock);
        assert!(matches!(Lock::take(folder.path()), Ok(Locked::Ours(_))));
    }
}
