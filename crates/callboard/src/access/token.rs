//! Tokens of issuers that the operator has named: who signed, for whom, until when, and which project and role they give.
//!
//! A token is looked at by the settings of the issuer that it names and by nothing else of its own: a key is found by its
//! `kid` in the issuer's set, never by what the token says of keys (`jku`, `x5u`, `jwk`). An issuer has either a set of public
//! keys or a secret, and with a set no token counts that is signed with a secret, whatever it is.

mod crypto;
mod keys;

use super::{Principal, Unknown, Via, cache::Cache};
use callboard_catalog::Role;
use callboard_core::{Hash, Span, Timestamp, id::ProjectId};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};

pub use keys::KeySet;

/// Bytes of a token; all headers of a request together have 16 KiB.
const LARGEST: usize = 12 << 10;
/// Of a subject, in characters: more is cut where it is shown.
const SUBJECT: usize = 200;
/// Kinds of tokens that are meant for a server like this one.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
/// The longest that clocks may differ.
pub const LEEWAY: Span = Span::secs(60);
/// The shortest secret: as long as what it makes.
pub const SECRET: usize = 32;

/// Who may say who somebody is, as the settings have it.
pub struct Issuer {
    /// What it is called in the settings.
    pub name: String,
    /// Its tokens' `iss`.
    pub issuer: String,
    /// A token is for one of these.
    pub audiences: Vec<String>,
    pub keys: IssuerKeys,
    /// The claim that names the project; without it everybody is in `default`.
    pub project_claim: Option<String>,
    /// The claim that names the role, or several.
    pub role_claim: String,
    pub leeway: Span,
}

/// What tokens are signed with.
pub enum IssuerKeys {
    /// Public keys.
    Set(KeySet),
    /// HS256, and nothing else.
    Secret(DecodingKey),
}

/// All of them.
pub(super) struct Issuers {
    all: Vec<Issuer>,
    /// Tokens that were good a moment ago: a signature takes longer to check than all the rest of a request.
    known: Cache<Hash, Principal>,
}

// === impl IssuerKeys ===

impl IssuerKeys {
    pub fn secret(secret: &[u8]) -> Self {
        Self::Secret(DecodingKey::from_secret(secret))
    }
}

// === impl Issuers ===

impl Issuers {
    pub fn new(all: Vec<Issuer>) -> Self {
        crypto::ready();
        Self { all, known: Cache::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns whom a token is of.
    pub async fn by_token(&self, token: &str, now: Timestamp) -> Result<Principal, Unknown> {
        if token.len() > LARGEST || self.all.is_empty() {
            return Err(Unknown::Invalid);
        }
        let hash = Hash::of(token.as_bytes());
        if let Some(known) = self.known.get(&hash)
            && known.expires_at.is_some_and(|at| now < at)
        {
            return Ok(known);
        }
        let principal = self.read(token).await?;
        self.known.put(hash, principal.clone());
        Ok(principal)
    }

    async fn read(&self, token: &str) -> Result<Principal, Unknown> {
        let refused = |why: &str| {
            tracing::debug!(why, "a token is refused");
            Unknown::Invalid
        };
        let header = jsonwebtoken::decode_header(token).map_err(|error| refused(&error.to_string()))?;
        check_header(&header).map_err(refused)?;
        // Only to know whose settings count; nothing else is believed of it yet.
        let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token);
        let claims = claims.map_err(|error| refused(&error.to_string()))?;
        let named = claims.get("iss").and_then(Value::as_str);
        let issuer = self.all.iter().find(|issuer| Some(issuer.issuer.as_str()) == named);
        let issuer = issuer.ok_or_else(|| refused("nobody knows its issuer"))?;
        let key = match &issuer.keys {
            IssuerKeys::Secret(_) if header.alg != Algorithm::HS256 => {
                return Err(refused("its issuer signs by HS256 only"));
            }
            IssuerKeys::Secret(key) => key.clone(),
            IssuerKeys::Set(set) => {
                let kid = header.kid.as_deref().ok_or_else(|| refused("it names no key"))?;
                let found = set.find(kid, header.alg).await?;
                found.ok_or_else(|| refused("its issuer has no such key for this algorithm"))?
            }
        };
        let validation = issuer.validation(header.alg);
        let read = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = read.map_err(|error| refused(&error.to_string()))?.claims;
        issuer.principal(&claims).inspect_err(|_| {
            tracing::debug!(issuer = issuer.name, "a token names no project or no role that there is");
        })
    }
}

fn check_header(header: &Header) -> Result<(), &'static str> {
    if header.crit.is_some() {
        return Err("it has a critical part that is not understood");
    }
    if header.enc.is_some() || header.zip.is_some() {
        return Err("it is encrypted or compressed");
    }
    match &header.typ {
        Some(kind) => {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if TYPES.contains(&kind) { Ok(()) } else { Err("it is of another kind") }
        }
        None => Ok(()),
    }
}

// === impl Issuer ===

impl Issuer {
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audiences);
        validation.validate_nbf = true;
        validation.leeway = self.leeway.0 / 1000;
        validation
    }

    /// Reads the claims of a token that is good.
    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, Unknown> {
        let project = match &self.project_claim {
            None => ProjectId::DEFAULT,
            Some(path) => {
                let named = claim(claims, path).and_then(Value::as_str);
                named.and_then(|text| text.parse().ok()).ok_or(Unknown::NoAccess)?
            }
        };
        let role = claim(claims, &self.role_claim).and_then(role).ok_or(Unknown::NoAccess)?;
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let subject: String = subject.chars().filter(|c| !c.is_control()).take(SUBJECT).collect();
        let seconds = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        // What is beyond any clock never comes.
        let expires_at = Timestamp((seconds * 1000.0) as i64);
        Ok(Principal {
            project,
            subject: format!("{}:{subject}", self.name).into(),
            role,
            via: Via::Token,
            expires_at: Some(expires_at),
            rate: None,
        })
    }
}

/// Finds a claim: one of this name, else along the names between dots.
fn claim<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

/// Returns the role that a claim names; of several the one that may most.
fn role(claim: &Value) -> Option<Role> {
    match claim {
        Value::String(text) => text.split(' ').filter_map(Role::parse).max(),
        Value::Array(items) => items.iter().filter_map(|item| Role::parse(item.as_str()?)).max(),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
