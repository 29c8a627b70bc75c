//! Local secret stores: the environment, or a JSON file.
//!
//! Decides what is never given out: the sidecar's own tokens and every `DAPR_` variable.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tonic::Code;

use super::fault::Fault;
use super::runtime::Runtime;
use crate::components::Secrets;

type Secret = BTreeMap<String, String>;

// === impl Runtime ===

impl Runtime {
    pub(super) fn secret(&self, store: &str, key: &str) -> Result<Secret, Fault> {
        match self.secret_store(store)? {
            Secrets::Env { prefix } => {
                let name = format!("{prefix}{key}");
                let value =
                    if allowed(&name) { std::env::var(&name).unwrap_or_default() } else { String::new() };
                Ok(BTreeMap::from([(key.to_owned(), value)]))
            }
            Secrets::File { path, separator, multiple } => read(path, separator, *multiple)?
                .remove(key)
                .ok_or_else(|| failed(&format!("secret {key} not found"))),
        }
    }

    /// Returns every secret of a store.
    pub(super) fn secrets(&self, store: &str) -> Result<BTreeMap<String, Secret>, Fault> {
        match self.secret_store(store)? {
            Secrets::Env { prefix } => Ok(std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| allowed(name))
                .filter_map(|(name, value)| {
                    let key = name.strip_prefix(prefix.as_str())?.to_owned();
                    Some((key.clone(), BTreeMap::from([(key, value)])))
                })
                .collect()),
            Secrets::File { path, separator, multiple } => read(path, separator, *multiple),
        }
    }

    fn secret_store(&self, store: &str) -> Result<&Secrets, Fault> {
        if self.components.secrets.is_empty() {
            return Err(Fault::new(
                "ERR_SECRET_STORES_NOT_CONFIGURED",
                500,
                Code::FailedPrecondition,
                "secret store is not configured",
            ));
        }
        self.components.secrets.get(store).ok_or_else(|| {
            Fault::new(
                "ERR_SECRET_STORE_NOT_FOUND",
                401,
                Code::InvalidArgument,
                format!("failed finding secret store with key {store}"),
            )
        })
    }
}

fn allowed(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !name.is_empty() && name != "APP_API_TOKEN" && !name.starts_with("DAPR_") && !name.contains(['=', '\0'])
}

fn read(path: &Path, separator: &str, multiple: bool) -> Result<BTreeMap<String, Secret>, Fault> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let values: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let mut found = BTreeMap::new();
    for (name, value) in values {
        let mut flat = BTreeMap::new();
        if multiple {
            match value {
                Value::Object(fields) => {
                    for (field, value) in fields {
                        flatten(field, value, separator, &mut flat);
                    }
                }
                other => flatten(name.clone(), other, separator, &mut flat),
            }
            found.insert(name, flat);
        } else {
            flatten(name, value, separator, &mut flat);
            found.extend(flat.into_iter().map(|(key, value)| (key.clone(), BTreeMap::from([(key, value)]))));
        }
    }
    Ok(found)
}

fn flatten(name: String, value: Value, separator: &str, into: &mut Secret) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(format!("{name}{separator}{field}"), value, separator, into);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.into_iter().enumerate() {
                flatten(format!("{name}{separator}{place}"), value, separator, into);
            }
        }
        Value::String(text) => {
            into.insert(name, text);
        }
        other => {
            into.insert(name, other.to_string());
        }
    }
}

fn failed(reason: &dyn std::fmt::Display) -> Fault {
    Fault::new("ERR_SECRET_GET", 500, Code::Internal, format!("failed getting secret: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_secrets_are_flattened_or_kept_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.json");
        std::fs::write(&file, r#"{"a":"1","b":{"c":"2","d":{"e":3}}}"#).unwrap();
        let flat = read(&file, ":", false).unwrap();
        assert_eq!(flat["b:d:e"]["b:d:e"], "3");
        let kept = read(&file, ":", true).unwrap();
        assert_eq!(kept["b"]["d:e"], "3");
        assert_eq!(kept["a"]["a"], "1");
    }

    #[test]
    fn tokens_are_not_given_out() {
        assert!(allowed("OPENAI_API_KEY"));
        assert!(!allowed("DAPR_API_TOKEN"));
        assert!(!allowed("dapr_api_token"));
        assert!(!allowed("APP_API_TOKEN"));
        assert!(!allowed("A=B"));
    }
}
