//! Which Dapr components the embedded sidecar loads.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// The components of a checkout.
const USUAL: &str = "components/local";
/// Copies for a binary on its own.
const BUILT_IN: [(&str, &str); 4] = [
    ("statestore.yaml", include_str!("../../../../components/local/statestore.yaml")),
    ("pubsub.yaml", include_str!("../../../../components/local/pubsub.yaml")),
    ("broadcast.yaml", include_str!("../../../../components/local/broadcast.yaml")),
    ("secretstore.yaml", include_str!("../../../../components/local/secretstore.yaml")),
];

/// Returns the folder given, else `components/local` if it exists, else one in the data folder, written anew.
pub fn folder(given: Option<PathBuf>, data: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        anyhow::ensure!(given.is_dir(), "--components {}: there is no such folder", given.display());
        return Ok(given);
    }
    if Path::new(USUAL).is_dir() {
        return Ok(USUAL.into());
    }
    let folder = data.join("components");
    let write = || {
        std::fs::create_dir_all(&folder)?;
        BUILT_IN.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
    };
    write().with_context(|| folder.display().to_string())?;
    Ok(folder)
}
