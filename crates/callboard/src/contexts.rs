//! The servers that the user has logged in to, by name, each with its key; and which server a command speaks to.
//!
//! Keys stand in a file of the user's own that nobody else can read. A key goes to the server that it was given for, and to
//! no other: one that is merely named by its URL gets it only if it is the same.

use crate::{client::Address, config::Secret, private, user::User};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

const NAME: &str = "contexts.json";

/// The file of contexts.
#[derive(Debug, Default)]
pub struct Contexts {
    path: PathBuf,
    known: Known,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// The one that is meant where none is named.
    #[serde(default)]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// A server, and who we are there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Context {
    #[serde(with = "as_text")]
    pub server: Address,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub key: Option<Secret>,
}

/// What a command line and its environment say about the server.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--server`.
    pub server: Option<Address>,
    /// `--context`.
    pub context: Option<String>,
    /// `CALLBOARD_SERVER`.
    pub server_here: Option<Address>,
    /// `CALLBOARD_API_KEY`.
    pub key_here: Option<Secret>,
}

/// The server that a command speaks to.
#[derive(Debug, Clone)]
pub struct Target {
    pub server: Address,
    pub key: Option<Secret>,
    /// Its context, where it is one.
    pub context: Option<String>,
}

// === impl Contexts ===

impl Contexts {
    pub fn of(user: &User) -> anyhow::Result<Self> {
        let folder = user.config.as_ref();
        let folder = folder.context("there is no home folder to keep keys in: set XDG_CONFIG_HOME")?;
        let path = folder.join(NAME);
        let known = Self::read(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, known })
    }

    fn read(path: &Path) -> anyhow::Result<Known> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Known::default()),
            Err(error) => return Err(error.into()),
        };
        unshared(path)?;
        serde_json::from_str(&text).context("it is damaged; remove it and log in again")
    }

    pub fn current(&self) -> Option<&str> {
        self.known.current.as_deref()
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &Context)> {
        self.known.contexts.iter().map(|(name, context)| (name.as_str(), context))
    }

    pub fn get(&self, name: &str) -> Option<&Context> {
        self.known.contexts.get(name)
    }

    /// Keeps a context and makes it the current one.
    pub fn add(&mut self, name: &str, context: Context) -> anyhow::Result<()> {
        self.known.contexts.insert(name.to_owned(), context);
        self.known.current = Some(name.to_owned());
        self.keep()
    }

    /// Makes a context the current one; false if there is none of this name.
    pub fn choose(&mut self, name: &str) -> anyhow::Result<bool> {
        if !self.known.contexts.contains_key(name) {
            return Ok(false);
        }
        self.known.current = Some(name.to_owned());
        self.keep().map(|()| true)
    }

    /// Forgets a context with its key; false if there is none of this name.
    pub fn remove(&mut self, name: &str) -> anyhow::Result<bool> {
        if self.known.contexts.remove(name).is_none() {
            return Ok(false);
        }
        if self.current() == Some(name) {
            self.known.current = None;
        }
        self.keep().map(|()| true)
    }

    fn keep(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.known)? + "\n";
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let kept = private::make(parent).and_then(|()| private::write(&self.path, &text));
        kept.with_context(|| self.path.display().to_string())
    }

    /// Decides which server is meant, and with which key.
    pub fn target(&self, wanted: Wanted) -> anyhow::Result<Target> {
        let Wanted { server, context, server_here, key_here } = wanted;
        if let Some(name) = context {
            let Some(context) = self.get(&name) else {
                bail!(
                    "there is no context {name:?}; `callboard contexts` lists them, `callboard login URL` adds one"
                );
            };
            let Context { server, key } = context.clone();
            return Ok(Target { server, key: key.or(key_here), context: Some(name) });
        }
        let current = self.current().and_then(|name| Some((name, self.get(name)?)));
        let server = match (server.or(server_here), current) {
            (Some(named), _) => named,
            (None, Some((_, context))) => context.server.clone(),
            (None, None) => Address::USUAL.parse().expect("it is a URL"),
        };
        // The current one first, since two may be of one server.
        let same = current.into_iter().chain(self.all()).find(|(_, context)| context.server == server);
        let key = key_here.or_else(|| same?.1.key.clone());
        Ok(Target { server, key, context: same.map(|(name, _)| name.to_owned()) })
    }
}

/// Refuses a file that others can read or write, or that is another's.
#[cfg(unix)]
fn unshared(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        bail!(
            "it is another user's, or others can read it: `chmod 600` it if it is yours, and change the keys in it"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn unshared(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

fn exposed<S: Serializer>(key: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(Secret::expose).serialize(serializer)
}

mod as_text {
    use super::Address;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(server: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(server)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str, key: Option<&str>) -> Context {
        let key = key.map(Secret::new);
        Context { server: server.parse().expect("an address"), key }
    }

    fn scratch() -> (tempfile::TempDir, Contexts) {
        let folder = tempfile::tempdir().expect("a folder");
        let contexts = Contexts::of(&User::at(folder.path())).expect("none yet");
        (folder, contexts)
    }

    #[test]
    fn what_is_kept_is_found_again_and_nobody_else_can_read_it() {
        let (folder, mut contexts) = scratch();
        contexts.add("prod", context("https://a.example/", Some("cbk_1"))).expect("kept");
        contexts.add("home", context("http://127.0.0.1:1", None)).expect("kept");
        assert!(contexts.choose("prod").expect("kept") && !contexts.choose("nobody").expect("nothing to do"));
        let again = Contexts::of(&User::at(folder.path())).expect("read");
        let shown: Vec<_> =
            again.all().map(|(name, at)| (name, at.server.to_string(), at.key.is_some())).collect();
        assert_eq!(
            shown,
            [("home", "http://127.0.0.1:1".into(), false), ("prod", "https://a.example".into(), true)]
        );
        assert_eq!(again.current(), Some("prod"));
        assert!(!format!("{again:?}").contains("cbk_1"));
        assert!(contexts.remove("prod").expect("kept") && !contexts.remove("prod").expect("nothing to do"));
        assert_eq!(contexts.current(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, mut contexts) = scratch();
        contexts.add("prod", context("https://a.example", Some("cbk_1"))).expect("kept");
        let mode = std::fs::metadata(&contexts.path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::set_permissions(&contexts.path, PermissionsExt::from_mode(0o640)).expect("chmod");
        let error = Contexts::of(&User::at(folder.path())).expect_err("refused");
        assert!(format!("{error:#}").contains("chmod 600"), "{error:#}");
    }

    #[test]
    fn a_key_goes_to_the_server_it_was_given_for() {
        let (_folder, mut contexts) = scratch();
        let secret = |key: &str| Some(Secret::new(key));
        contexts.add("other", context("https://b.example", Some("b"))).expect("kept");
        let target = |contexts: &Contexts, wanted: Wanted| {
            let target = contexts.target(wanted).expect("a target");
            (target.server.to_string(), target.key.map(|key| key.expose().to_owned()), target.context)
        };
        contexts.add("mine", context("https://a.example", Some("a"))).expect("kept");
        let at = |server: &str| server.parse().ok();
        for (wanted, server, key, name) in [
            (Wanted::default(), "https://a.example", Some("a"), Some("mine")),
            (
                Wanted { key_here: secret("k"), ..Wanted::default() },
                "https://a.example",
                Some("k"),
                Some("mine"),
            ),
            (
                Wanted { server: at("https://c.example"), ..Wanted::default() },
                "https://c.example",
                None,
                None,
            ),
            (
                Wanted { server: at("https://b.example/"), ..Wanted::default() },
                "https://b.example",
                Some("b"),
                Some("other"),
            ),
            (
                Wanted { server_here: at("https://c.example"), key_here: secret("k"), ..Wanted::default() },
                "https://c.example",
                Some("k"),
                None,
            ),
            (
                Wanted {
                    server: at("https://b.example"),
                    server_here: at("https://c.example"),
                    ..Wanted::default()
                },
                "https://b.example",
                Some("b"),
                Some("other"),
            ),
            (
                Wanted { context: Some("other".into()), key_here: secret("k"), ..Wanted::default() },
                "https://b.example",
                Some("b"),
                Some("other"),
            ),
        ] {
            let said = format!("{wanted:?}");
            let expected = (server.to_owned(), key.map(str::to_owned), name.map(str::to_owned));
            assert_eq!(target(&contexts, wanted), expected, "{said}");
        }
        contexts.remove("mine").expect("kept");
        assert_eq!(target(&contexts, Wanted::default()), (Address::USUAL.into(), None, None));
        assert!(contexts.target(Wanted { context: Some("mine".into()), ..Wanted::default() }).is_err());
    }
}
