//! Merges the sources and finds every mistake in them.
//!
//! Deserializing stops at the first mistake, so each one found is recorded, replaced by the default (which is
//! known to be right), and the rest is read again. A key is known if `config/default.toml` has it.

use super::{Config, Ground, foreign};
use crate::{trust::Trust, user::User};
use config::{File, FileFormat, Map, Value, ValueKind};
use std::{collections::HashMap, fmt, path::Path};

/// The reference: every setting with its default.
const DEFAULTS: &str = include_str!("../../../../config/default.toml");
const DEFAULTS_NAME: &str = "the defaults";
/// Settings in the working directory.
const FOLDER: &str = "config";
const PREFIX: &str = "CALLBOARD";
/// Sections whose keys the operator chooses.
pub(super) const OPEN: [&str; 5] =
    ["models.providers", "models.prices", "secrets.hosts", "auth.issuers", "projects"];
/// What an entry of an open section may hold.
const PROVIDER: [&str; 19] = [
    "base_url",
    "api_key",
    "timeout",
    "parallel",
    "key_header",
    "key_query",
    "headers",
    "api_version",
    "proxy",
    "structured",
    "structured_with_tools",
    "token_limit",
    "temperature",
    "stream",
    "stream_usage",
    "instructions",
    "parallel_tool_calls",
    "send_back",
    "models",
];
/// The same of a model's price, of an issuer of tokens, and of a project.
const TARIFF: [&str; 3] = ["input", "output", "cached"];
const ISSUER: [&str; 7] = ["issuer", "audiences", "jwks", "secret", "project_claim", "role_claim", "leeway"];
const PROJECT: [&str; 3] = ["secrets", "providers", "http_allow"];
/// Variables of other programs that say the same as a setting of ours, which wins.
const ALIASES: [(&str, &str); 3] = [
    ("OPENAI_BASE_URL", "models.base_url"),
    ("OPENAI_API_KEY", "models.api_key"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
];

/// Where settings come from. What stands further down wins.
#[derive(Debug, Default)]
pub struct Sources {
    /// Name and text of TOML files that the user wrote or named.
    pub files: Vec<(String, String)>,
    /// The same of the working directory, which may be anybody's.
    pub local: Vec<(String, String)>,
    /// The user trusts the working directory.
    pub trusted: bool,
    pub user: User,
    pub variables: HashMap<String, String>,
    /// Files that are there but can't be read.
    pub(super) unreadable: Vec<Mistake>,
}

/// One thing that is wrong in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// A file or a variable.
    pub origin: String,
    /// `section.key`; empty if a file can't be read at all.
    pub path: String,
    pub message: String,
}

/// Everything that is wrong in the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

// === impl Sources ===

impl Sources {
    /// Reads the user's settings, those of the working directory (or those of `given`, a file or folder), and the
    /// environment.
    pub fn of_process(given: Option<&Path>) -> Self {
        let mut sources = Self { user: User::of_process(), ..Self::default() };
        if let Some(folder) = sources.user.config.clone() {
            sources.files = sources.folder(&folder);
        }
        match given {
            Some(given) if given.is_dir() => {
                let found = sources.folder(given);
                sources.files.extend(found);
            }
            Some(given) => {
                let found = sources.read(given);
                sources.files.extend(found);
            }
            None => sources.local = sources.folder(Path::new(FOLDER)),
        }
        match Trust::of(&sources.user).and_then(|trust| trust.holds(Path::new("."))) {
            Ok(trusted) => sources.trusted = trusted,
            Err(error) => tracing::debug!(error = format!("{error:#}"), "nothing is trusted"),
        }
        // A variable that is not UTF-8 can't be one of ours.
        sources.variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        sources
    }

    /// One file and nothing else.
    pub fn file(name: String, text: String) -> Self {
        Self { files: vec![(name, text)], ..Self::default() }
    }

    /// Reads the TOML files of a folder, if there is one.
    fn folder(&mut self, folder: &Path) -> Vec<(String, String)> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        let mut files: Vec<_> = paths.iter().filter_map(|path| self.read(path)).collect();
        // The defaults of the repository are those of the binary: a copy must not win over other files.
        files.sort_by_key(|(name, _)| !is_defaults(name));
        files
    }

    fn read(&mut self, path: &Path) -> Option<(String, String)> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Some((name, text)),
            Err(error) => {
                self.unreadable.push(Mistake::new(&name, "", error.to_string()));
                None
            }
        }
    }

    /// Merges the sources and returns the settings, or everything that is wrong.
    pub fn load(self) -> Result<Config, Mistakes> {
        let mut wrong = self.unreadable;
        let defaults = parse(DEFAULTS_NAME, DEFAULTS).map_err(|mistake| Mistakes(vec![mistake]))?;
        let mut merged = defaults.clone();
        let mut granted = Vec::new();
        // For the same reason those of the working directory come before the user's own files.
        let (copies, local): (Vec<_>, Vec<_>) = self.local.iter().partition(|(name, _)| is_defaults(name));
        let own = self.files.iter().map(|file| (file, false));
        let foreign = |files: Vec<_>| files.into_iter().map(|file| (file, true));
        for ((name, text), is_foreign) in foreign(copies).chain(own).chain(foreign(local)) {
            let mut table = match parse(name, text) {
                Ok(table) => table,
                Err(mistake) => {
                    wrong.push(mistake);
                    continue;
                }
            };
            if is_foreign {
                for path in foreign::take(&mut table, &defaults) {
                    match self.trusted {
                        true => granted.push(format!("{name}: {path}")),
                        false => wrong.push(Mistake::new(name, &path, foreign::refusal(&path))),
                    }
                }
            }
            overlay(&mut merged, table);
        }
        for (path, name, value) in variables(&self.variables) {
            set(&mut merged, &path, Value::new(Some(&name), ValueKind::String(value)));
        }
        remove_unknown(&mut merged, &defaults, "", &mut wrong);
        let mut config = read(merged.clone(), &defaults, &mut wrong)?;
        for (path, message) in config.check() {
            wrong.push(Mistake::at(&merged, path, message));
        }
        if wrong.is_empty() {
            let dir = at(&merged, "data.dir").and_then(Value::origin);
            let data_named = dir.is_some_and(|origin| {
                origin != DEFAULTS_NAME && !self.local.iter().any(|(name, _)| name == origin)
            });
            config.ground = Ground { user: self.user, trusted: self.trusted, data_named, granted };
            return Ok(config);
        }
        wrong.sort_by(|a, b| (&a.origin, &a.path).cmp(&(&b.origin, &b.path)));
        Err(Mistakes(wrong))
    }
}

fn is_defaults(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == "default.toml")
}

/// Returns the settings in the environment as (path, variable, value), those that win last.
fn variables(all: &HashMap<String, String>) -> Vec<(String, String, String)> {
    let alias = ALIASES.iter().filter_map(|(name, path)| {
        let value = all.get(*name).filter(|value| !value.trim().is_empty())?;
        Some(((*path).to_owned(), (*name).to_owned(), value.trim().to_owned()))
    });
    let mut own: Vec<_> = all
        .iter()
        .filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.strip_prefix("__")?;
            // Compose files and manifests pass on empty what nobody has set.
            if value.trim().is_empty() {
                return None;
            }
            Some((path.replace("__", ".").to_ascii_lowercase(), name.clone(), value.clone()))
        })
        .collect();
    own.sort();
    alias.chain(own).collect()
}

/// Deserializes, replacing what is wrong by its default until nothing is.
fn read(mut merged: Value, defaults: &Value, wrong: &mut Vec<Mistake>) -> Result<Config, Mistakes> {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(merged.clone()) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = match error.into_inner() {
            config::ConfigError::Type { unexpected, expected, .. } => {
                format!("expected {expected}, found {unexpected}")
            }
            config::ConfigError::Message(message) => message,
            other => other.to_string(),
        };
        wrong.push(Mistake::at(&merged, &path, message));
        // Without a default there is nothing to go on with: an entry of an open section is left out.
        let healed = match at(defaults, &path) {
            Some(value) => set(&mut merged, &path, value.clone()),
            None => OPEN.iter().any(|open| path.starts_with(open) && drop_entry(&mut merged, open, &path)),
        };
        if !healed {
            return Err(Mistakes(std::mem::take(wrong)));
        }
    }
}

/// Removes and reports keys that no setting has.
fn remove_unknown(value: &mut Value, known: &Value, path: &str, wrong: &mut Vec<Mistake>) {
    let (ValueKind::Table(table), ValueKind::Table(known)) = (&mut value.kind, &known.kind) else { return };
    let (open, open_section) = (OPEN.contains(&path), path);
    table.retain(|key, value| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match known.get(key) {
            Some(known) => remove_unknown(value, known, &path, wrong),
            None if open => {
                if let ValueKind::Table(provider) = &mut value.kind {
                    let known: &[&str] = match open_section {
                        "auth.issuers" => &ISSUER,
                        "projects" => &PROJECT,
                        "models.prices" => &TARIFF,
                        _ => &PROVIDER,
                    };
                    provider.retain(|key, value| {
                        let fine = known.contains(&key.as_str());
                        if !fine {
                            wrong.push(Mistake::unknown(value, &format!("{path}.{key}")));
                        }
                        fine
                    });
                }
            }
            None => {
                wrong.push(Mistake::unknown(value, &path));
                return false;
            }
        }
        true
    });
}

// === the tree ===

fn parse(name: &str, text: &str) -> Result<Value, Mistake> {
    let parsed = config::Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
    let mut value = parsed.map_err(|error| Mistake::new(name, "", error.to_string()))?.cache;
    stamp(&mut value, &name.to_owned());
    Ok(value)
}

/// Says of every value where it came from.
fn stamp(value: &mut Value, name: &String) {
    let mut kind = std::mem::take(&mut value.kind);
    match &mut kind {
        ValueKind::Table(table) => table.values_mut().for_each(|value| stamp(value, name)),
        ValueKind::Array(list) => list.iter_mut().for_each(|value| stamp(value, name)),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_) => {}
    }
    *value = Value::new(Some(name), kind);
}

fn overlay(base: &mut Value, over: Value) {
    let origin = over.origin().map(str::to_owned);
    match (&mut base.kind, over.kind) {
        (ValueKind::Table(base), ValueKind::Table(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(present) => overlay(present, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (_, kind) => *base = Value::new(origin.as_ref(), kind),
    }
}

fn at<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(root, |value, key| match &value.kind {
        ValueKind::Table(table) => table.get(key),
        _ => None,
    })
}

/// Puts a value at a path, making sections on the way. A list in a variable is separated by commas.
fn set(root: &mut Value, path: &str, value: Value) -> bool {
    let mut place = root;
    for key in path.split('.') {
        if !matches!(place.kind, ValueKind::Table(_)) {
            place.kind = ValueKind::Table(Map::new());
        }
        let ValueKind::Table(table) = &mut place.kind else { return false };
        place = table.entry(key.to_owned()).or_insert_with(|| Value::new(None, ValueKind::Nil));
    }
    let origin = value.origin().map(str::to_owned);
    *place = match (&place.kind, value.kind) {
        (ValueKind::Array(_), ValueKind::String(text)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let items = items.map(|item| Value::new(origin.as_ref(), ValueKind::String(item.to_owned())));
            Value::new(origin.as_ref(), ValueKind::Array(items.collect()))
        }
        (_, kind) => Value::new(origin.as_ref(), kind),
    };
    true
}

fn drop_entry(root: &mut Value, open: &str, path: &str) -> bool {
    let Some(entry) = path.strip_prefix(open).and_then(|rest| rest.strip_prefix('.')) else { return false };
    let entry = entry.split('.').next().unwrap_or(entry).to_owned();
    let mut place = root;
    for key in open.split('.') {
        let ValueKind::Table(table) = &mut place.kind else { return false };
        let Some(next) = table.get_mut(key) else { return false };
        place = next;
    }
    let ValueKind::Table(table) = &mut place.kind else { return false };
    table.remove(&entry).is_some()
}

// === impl Mistake ===

impl Mistake {
    fn new(origin: &str, path: &str, message: String) -> Self {
        Self { origin: origin.to_owned(), path: path.to_owned(), message }
    }

    /// The deepest value on the path that has an origin says where the mistake stands.
    fn at(root: &Value, path: &str, message: String) -> Self {
        let mut origin = None;
        let mut place = Some(root);
        for key in path.split('.') {
            place = place.and_then(|value| match &value.kind {
                ValueKind::Table(table) => table.get(key),
                _ => None,
            });
            origin = place.and_then(Value::origin).or(origin);
        }
        Self::new(origin.unwrap_or("the defaults"), path, message)
    }

    fn unknown(value: &Value, path: &str) -> Self {
        let origin = deepest_origin(value).unwrap_or("the settings");
        Self::new(origin, path, "there is no such setting".into())
    }
}

fn deepest_origin(value: &Value) -> Option<&str> {
    value.origin().or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().find_map(deepest_origin),
        _ => None,
    })
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.message),
            path => write!(f, "{}: {path}: {}", self.origin, self.message),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings have {} mistake(s)", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}
