//! The public keys of an issuer: read from a file or an address that the operator names, and read again when they are old
//! or when a token names one that is not known.

use super::super::Unknown;
use callboard_connectors::http::fetch;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::Instant;

/// After so long they are read again.
const FRESH: Duration = Duration::from_secs(600);
/// Not more often than this, whatever tokens name.
const AGAIN: Duration = Duration::from_secs(30);
/// So long they are good where they can't be read again.
const GOOD: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST: usize = 256 << 10;
const KEYS: usize = 256;

/// The keys of an issuer. Whoever finds none asks for them again, one at a time.
pub struct KeySet {
    place: Place,
    known: RwLock<Option<Arc<Known>>>,
    /// When they were last asked for, whatever came of it.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

enum Place {
    File(PathBuf),
    Url(String),
}

struct Known {
    keys: HashMap<String, Key>,
    read: Instant,
}

#[derive(Clone)]
struct Key {
    decoding: DecodingKey,
    kind: Kind,
    /// The one that the key itself is for.
    only: Option<Algorithm>,
}

/// What a key can sign.
#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

// === impl KeySet ===

impl KeySet {
    /// Keys at a place: a file, or an `https` address; `http` only of this machine.
    pub fn at(place: &str) -> Result<Self, String> {
        let place = match place.parse::<http::Uri>() {
            Ok(uri) if uri.scheme_str() == Some("https") && uri.host().is_some() => Place::Url(place.into()),
            Ok(uri) if uri.scheme_str() == Some("http") => {
                let is_here = uri.host().is_some_and(|host| {
                    let host = host.trim_matches(['[', ']']);
                    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
                });
                if !is_here {
                    return Err("keys are read by https, and by http from this machine only".into());
                }
                Place::Url(place.into())
            }
            _ if place.contains("://") => return Err("keys are in a file or at an https address".into()),
            _ => Place::File(place.into()),
        };
        Ok(Self { place, known: RwLock::default(), asked: tokio::sync::Mutex::default() })
    }

    /// Returns the key of this name, if it may sign by this algorithm.
    pub async fn find(&self, kid: &str, algorithm: Algorithm) -> Result<Option<DecodingKey>, Unknown> {
        if let Some(known) = self.known()
            && known.read.elapsed() < FRESH
            && let Some(key) = known.keys.get(kid)
        {
            return Ok(key.for_algorithm(algorithm));
        }
        self.read_again(kid).await;
        match self.known().filter(|known| known.read.elapsed() < GOOD) {
            Some(known) => Ok(known.keys.get(kid).and_then(|key| key.for_algorithm(algorithm))),
            None => Err(Unknown::Issuer),
        }
    }

    /// Reads them, unless somebody has just done so.
    async fn read_again(&self, kid: &str) {
        let mut asked = self.asked.lock().await;
        let is_there =
            self.known().is_some_and(|known| known.read.elapsed() < FRESH && known.keys.contains_key(kid));
        if is_there || asked.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        *asked = Some(Instant::now());
        match self.read().await {
            Ok(keys) => {
                let known = Arc::new(Known { keys, read: Instant::now() });
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            Err(why) => tracing::warn!(place = self.place(), why, "the keys of an issuer can't be read"),
        }
    }

    async fn read(&self) -> Result<HashMap<String, Key>, String> {
        let text = match &self.place {
            Place::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string())?,
            Place::Url(url) => fetch(url, LARGEST, PATIENCE).await.map_err(|error| error.message)?.into(),
        };
        if text.len() > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        let document: Document = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        // One that is not understood hides no other.
        let keys =
            document.keys.into_iter().take(KEYS).filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: HashMap<_, _> =
            keys.filter_map(|key| Some((key.common.key_id.clone()?, Key::of(&key)?))).collect();
        if keys.is_empty() { Err("it has no key that signs".into()) } else { Ok(keys) }
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Url(url) => url.clone(),
        }
    }
}

// === impl Key ===

impl Key {
    /// Takes a public key that signs. A secret in a set is none: whoever can read the set could sign.
    fn of(key: &Jwk) -> Option<Self> {
        let kind = match &key.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => Kind::P256,
            AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P384 => Kind::P384,
            AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => Kind::Ed25519,
            _ => return None,
        };
        if matches!(key.common.public_key_use, Some(ref used) if *used != PublicKeyUse::Signature) {
            return None;
        }
        let only = match key.common.key_algorithm {
            // One for something else than signatures is none of ours.
            Some(named) => Some(named.to_string().parse().ok()?),
            None => None,
        };
        let decoding = DecodingKey::from_jwk(key).ok()?;
        Some(Self { decoding, kind, only })
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> Option<DecodingKey> {
        let fits = match self.kind {
            Kind::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Kind::P256 => algorithm == Algorithm::ES256,
            Kind::P384 => algorithm == Algorithm::ES384,
            Kind::Ed25519 => algorithm == Algorithm::EdDSA,
        };
        (fits && self.only.is_none_or(|only| only == algorithm)).then(|| self.decoding.clone())
    }
}
