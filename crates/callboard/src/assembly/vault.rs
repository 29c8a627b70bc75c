//! The key that seals secrets: the one of the settings, else one that stands in the data folder.

use crate::{
    config::Config,
    private,
    triggers::{Vault, vault},
};
use anyhow::Context;
use std::{io::Read, path::Path};

/// Its file in a data folder. Whoever copies the catalog alone has no secrets.
pub const FILE: &str = "secrets.key";
/// The file is one line.
const MOST: u64 = 1024;

/// Opens the vault. Without a key in the settings there is one where there is a data folder.
pub fn open(config: &Config, folder: Option<&Path>) -> anyhow::Result<Vault> {
    let said = config.secrets.key.expose();
    let text = match folder {
        _ if !said.is_empty() => said.to_owned(),
        None => return Ok(Vault::default()),
        Some(folder) => kept(&folder.join(FILE))?,
    };
    let key = vault::read(&text).map_err(anyhow::Error::msg).context("secrets.key")?;
    Ok(Vault::new(&key))
}

/// Reads the key of a data folder, or makes it.
fn kept(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file.exists() {
        let read = private::open(file)?.take(MOST).read_to_string(&mut text);
        read.with_context(|| file.display().to_string())?;
    }
    if text.trim().is_empty() {
        text = vault::fresh();
        private::write(file, &text).with_context(|| file.display().to_string())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_key_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        let first = kept(&file).expect("a key");
        assert_eq!(kept(&file).expect("a key"), first);
        assert!(vault::read(&first).is_ok());
        std::fs::write(&file, "").expect("written");
        assert_ne!(kept(&file).expect("a key"), first, "one that was cut is none");
    }
}
