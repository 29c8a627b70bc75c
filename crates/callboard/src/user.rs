//! The user's own folders, as XDG has them: what they set and trust, and what this program made here.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Where a user's own files are; nothing where there is no home.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// `~/.config/callboard`: settings (`*.toml`), trusted folders.
    pub config: Option<PathBuf>,
    /// `~/.local/state/callboard`: the data folders that were made here.
    pub state: Option<PathBuf>,
}

// === impl User ===

impl User {
    pub fn of_process() -> Self {
        let home = env::home_dir().filter(|home| home.is_absolute());
        let folder = |variable: &str, usual: &str| {
            let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            Some(named.or_else(|| Some(home.as_ref()?.join(usual)))?.join("callboard"))
        };
        Self { config: folder("XDG_CONFIG_HOME", ".config"), state: folder("XDG_STATE_HOME", ".local/state") }
    }

    /// One whose files are all in a folder.
    pub fn at(folder: &Path) -> Self {
        Self { config: Some(folder.join("config")), state: Some(folder.join("state")) }
    }
}
