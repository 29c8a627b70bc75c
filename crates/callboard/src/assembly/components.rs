//! Which Dapr components the embedded sidecar loads.

use crate::{private, say::say, trust::REMEDY};
use anyhow::{Context, bail};
use callboard_sidecar::components::{Components, Secrets};
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

/// What the names of secrets meant for definitions begin with.
const MEANT: &str = "CALLBOARD_SECRET_";
/// How the embedded sidecar's one app is called.
pub const APP: &str = "callboard";

/// Returns the folder given, else `components/local` if it exists, else one in the data folder, written anew.
pub fn folder(given: Option<PathBuf>, data: &Path, trusted: bool) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        anyhow::ensure!(given.is_dir(), "--components {}: there is no such folder", given.display());
        return Ok(given);
    }
    let usual = Path::new(USUAL);
    if usual.is_dir() {
        for loose in loosened(usual) {
            if !trusted {
                bail!(
                    "{USUAL}: {loose}, and a file of the working directory may be anybody's; it may only read variables that \
                     begin with {MEANT} (`prefix`); {REMEDY}, or name it: --components {USUAL}"
                );
            }
            say!("callboard: {USUAL}: {loose} (you trust this folder)");
        }
        return Ok(usual.into());
    }
    write(data)
}

/// Returns which secret stores read what was not meant for definitions: any variable or file of the user's.
fn loosened(folder: &Path) -> Vec<String> {
    // What is wrong with the files is told by whoever loads them.
    let Ok(found) = Components::load(folder, APP) else { return Vec::new() };
    let loose = found.secrets.iter().filter_map(|(name, store)| {
        let reads = match store {
            Secrets::Env { prefix } if prefix.starts_with(MEANT) => return None,
            Secrets::Env { prefix } if prefix.is_empty() => "every variable of your environment".to_owned(),
            Secrets::Env { prefix } => format!("your variables {prefix}…"),
            Secrets::File { path, .. } => format!("the file {}", path.display()),
        };
        Some(format!("the secret store {name} reads {reads}"))
    });
    loose.collect()
}

/// Makes the folder of the built-in components anew: nothing that lay there counts, and no link is followed.
fn write(data: &Path) -> anyhow::Result<PathBuf> {
    let (folder, new) = (data.join("components"), data.join("components.new"));
    let write = || {
        clear(&new)?;
        private::make(&new)?;
        BUILT_IN.iter().try_for_each(|(name, text)| private::write(&new.join(name), text))?;
        clear(&folder)?;
        std::fs::rename(&new, &folder)
    };
    write().with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Removes what has this name; of a link the link itself.
fn clear(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(kind: &str, metadata: &str) -> String {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: s}}\nspec: {{type: {kind}, version: v1, metadata: [{metadata}]}}\n"
        )
    }

    #[test]
    fn a_store_of_the_working_directory_reads_only_what_is_meant_for_definitions() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("s.json");
        std::fs::write(&file, "{}").expect("written");
        let (env, of_file) = ("secretstores.local.env", "secretstores.local.file");
        let secrets_file = format!("{{name: secretsFile, value: {}}}", file.display());
        for (text, fine) in [
            (store(env, ""), false),
            (store(env, "{name: prefix, value: ''}"), false),
            (store(env, "{name: prefix, value: AWS_}"), false),
            (store(env, "{name: prefix, value: CALLBOARD_}"), false),
            (store(env, "{name: prefix, value: CALLBOARD_SECRET_}"), true),
            (store(env, "{name: PREFIX, value: CALLBOARD_SECRET_shop_}"), true),
            (store(of_file, &secrets_file), false),
        ] {
            let folder = scratch.path().join("components");
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("a.yaml"), &text).expect("written");
            assert_eq!(loosened(&folder).is_empty(), fine, "{text}");
        }
    }

    #[test]
    fn the_components_of_this_repository_need_no_trust() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../components/local"));
        assert_eq!(loosened(folder), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn built_in_components_are_written_anew_and_through_no_link() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (data, target) = (scratch.path().join("data"), scratch.path().join("target"));
        std::fs::create_dir_all(data.join("components")).expect("a folder");
        std::fs::create_dir(&target).expect("a folder");
        std::fs::write(target.join("statestore.yaml"), "precious").expect("written");
        let link = data.join("components/statestore.yaml");
        std::os::unix::fs::symlink(target.join("statestore.yaml"), link).expect("a link");
        std::fs::write(data.join("components/evil.yaml"), store("secretstores.local.env", ""))
            .expect("written");
        let folder = write(&data).expect("written");
        assert!(!folder.join("evil.yaml").exists());
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), BUILT_IN.len());
        std::fs::remove_dir_all(&folder).expect("removed");
        std::os::unix::fs::symlink(&target, &folder).expect("a link");
        write(&data).expect("written");
        assert_eq!(std::fs::read_to_string(target.join("statestore.yaml")).expect("there"), "precious");
    }
}
