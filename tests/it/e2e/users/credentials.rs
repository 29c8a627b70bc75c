//! An issuer of tokens with its keys in a file, and tokens that are none.

use crate::harness::root;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const ISSUER: &str = "https://login.example/";

pub struct Issuer {
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    file: PathBuf,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    pub fn new(folder: &Path) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let ed = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        let document = std::fs::read(root().join("tests/fixtures/rsa-test-only.pkcs8")).expect("a key");
        let rsa = RsaKeyPair::from_pkcs8(&document).expect("a key");
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public());
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(ed.public_key().as_ref())},
            {"kty": "RSA", "kid": "rs", "n": encoded(&public.n), "e": encoded(&public.e)},
        ]});
        let file = folder.join("jwks.json");
        std::fs::write(&file, set.to_string()).expect("the set");
        Self { ed, rsa, file }
    }

    pub fn settings(&self) -> String {
        format!(
            "[auth.issuers.corp]\nissuer = \"{ISSUER}\"\naudiences = [\"callboard\"]\njwks = {:?}\n\
             project_claim = \"project\"\n",
            self.file.display().to_string()
        )
    }

    /// A token of a role in a project.
    pub fn token(&self, project: &str, role: &str) -> String {
        self.ed25519("ed", &claims(project, role, "callboard", 600))
    }

    fn ed25519(&self, kid: &str, claims: &Value) -> String {
        let message = message(&json!({"alg": "EdDSA", "kid": kid}), claims);
        let signature = self.ed.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    pub fn by_rsa(&self, project: &str, role: &str) -> String {
        let message =
            message(&json!({"alg": "RS256", "kid": "rs"}), &claims(project, role, "callboard", 600));
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("signed");
        format!("{message}.{}", encoded(signature))
    }

    /// Tokens of an admin that are wrong, by what is wrong.
    pub fn wrong(&self) -> Vec<(&'static str, String)> {
        let good = claims("default", "admin", "callboard", 600);
        let by_public_key = message(&json!({"alg": "HS256", "kid": "rs"}), &good);
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public.n), by_public_key.as_bytes());
        vec![
            ("a malformed token", "a.b.c".into()),
            ("an expired token", self.ed25519("ed", &claims("default", "admin", "callboard", -600))),
            ("a token for others", self.ed25519("ed", &claims("default", "admin", "other", 600))),
            ("alg none", format!("{}.", message(&json!({"alg": "none", "kid": "ed"}), &good))),
            ("HS256 with the RSA key", format!("{by_public_key}.{}", encoded(tag))),
            ("an unknown kid", self.ed25519("none", &good)),
        ]
    }
}

fn claims(project: &str, role: &str, audience: &str, seconds: i64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() as i64;
    json!({"iss": ISSUER, "aud": audience, "sub": "ann", "exp": now + seconds, "project": project, "role": role})
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}
