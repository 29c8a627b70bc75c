//! Secrets: references in definitions, values only for the moment of a call, and nothing of them afterwards.
//!
//! `secret://name` stands in a definition; it is resolved right before the call (S-07), and whatever the call gives
//! back is scrubbed of the value in its usual encodings (S-08), since an echo server returns your own headers.

mod scrub;

use crate::{CallError, failed};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

pub use scrub::Scrub;

const SCHEME: &str = "secret://";
const LONGEST_NAME: usize = 128;

/// A secret's value. It has neither `Debug` nor `Serialize`, and its memory is overwritten when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Where values come from.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// Returns a value, or nothing if there is no secret of that name.
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError>;
}

/// Values that are there from the start: of the environment, or of a test.
#[async_trait]
impl Secrets for BTreeMap<String, Secret> {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        Ok(self.get(name).cloned())
    }
}

/// The values one call uses.
#[derive(Default)]
pub struct Used(BTreeMap<String, Secret>);

// === impl Secret ===

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Shows the value; what it goes into must not be logged or kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Returns the names of all references in a text.
pub fn references(text: &str) -> BTreeSet<String> {
    pieces(text).filter_map(|piece| piece.ok()).map(str::to_owned).collect()
}

/// Replaces each reference by what `to` makes of its name.
pub fn replace(text: &str, mut to: impl FnMut(&str) -> String) -> String {
    pieces(text).fold(String::with_capacity(text.len()), |mut out, piece| {
        match piece {
            Ok(name) => out.push_str(&to(name)),
            Err(plain) => out.push_str(plain),
        }
        out
    })
}

/// Splits a text into names of references (`Ok`) and what stands between (`Err`).
fn pieces(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (plain, after) = match rest.find(SCHEME) {
            Some(0) => {
                let tail = &rest[SCHEME.len()..];
                let end = tail.find(|c: char| !is_name(c)).unwrap_or(tail.len()).min(LONGEST_NAME);
                // A full stop ends the sentence, not the name.
                let name = tail[..end].trim_end_matches('.');
                if name.is_empty() {
                    (SCHEME, tail)
                } else {
                    rest = &tail[name.len()..];
                    return Some(Ok(name));
                }
            }
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        rest = after;
        Some(Err(plain))
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

// === impl Used ===

impl Used {
    /// Fetches all the named secrets; a missing one fails the call.
    pub async fn fetch(names: BTreeSet<String>, secrets: &dyn Secrets) -> Result<Self, CallError> {
        let mut used = BTreeMap::new();
        for name in names {
            let Some(secret) = secrets.secret(&name).await? else {
                return Err(failed("secret_unknown", format!("there is no secret {name}"), false));
            };
            used.insert(name, secret);
        }
        Ok(Self(used))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the values in for their references; an unknown reference stays as it is.
    pub fn reveal(&self, text: &str) -> Zeroizing<String> {
        Zeroizing::new(replace(text, |name| match self.0.get(name) {
            Some(secret) => secret.expose().to_owned(),
            None => format!("{SCHEME}{name}"),
        }))
    }

    /// Returns what takes these values out of answers.
    pub fn scrub(&self) -> Scrub {
        Scrub::new(self.0.values())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let names = |text| references(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("secret://key"), ["key"]);
        assert_eq!(names("Bearer secret://a.b-c_1, secret://key."), ["a.b-c_1", "key"]);
        assert_eq!(names("secret:// secret:/key SECRET://key"), Vec::<String>::new());
        assert_eq!(names("secret://secret://x"), ["secret"]);
        assert_eq!(names("é secret://käse"), ["k"]);
    }

    #[tokio::test]
    async fn values_take_the_place_of_references() {
        let secrets = BTreeMap::from([("key".to_owned(), Secret::new("s3cr3t"))]);
        let used = Used::fetch(references("Bearer secret://key!"), &secrets).await.unwrap();
        assert_eq!(*used.reveal("Bearer secret://key! secret://other"), "Bearer s3cr3t! secret://other");
        let missing = Used::fetch(references("secret://nope"), &secrets).await.err().unwrap();
        assert_eq!(missing.code, "secret_unknown");
    }
}
