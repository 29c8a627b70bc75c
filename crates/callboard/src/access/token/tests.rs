//! Tokens as issuers make them, and as those make them who are none.

use super::*;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ISSUER: &str = "https://login.example/";

enum Pair {
    Ed(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// An issuer's key.
pub struct Signer {
    kid: String,
    pair: Pair,
    folder: tempfile::TempDir,
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Returns claims that are good, as a test changes them.
fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let now = crate::operations::now().0 / 1000;
    let mut claims = json!({"iss": ISSUER, "aud": ["other", "callboard"], "sub": "ann", "exp": now + 600, "nbf": now - 1,
        "roles": ["viewer", "operator", "chef"], "org": {"project": "default"}});
    change(&mut claims);
    claims
}

impl Signer {
    fn new(kid: &str, pair: Pair) -> Self {
        let signer = Self { kid: kid.into(), pair, folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(signer.file(), json!({"keys": [signer.jwk()]}).to_string()).expect("written");
        signer
    }

    pub fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::new(kid, Pair::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key")))
    }

    fn p256(kid: &str) -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        Self::new(kid, Pair::P256(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key")))
    }

    fn rsa(kid: &str) -> Self {
        let document = include_bytes!("../../../../../tests/fixtures/rsa-test-only.pkcs8");
        Self::new(kid, Pair::Rsa(RsaKeyPair::from_pkcs8(document).expect("a key")))
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("jwks.json")
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ed(_) => "EdDSA",
            Pair::P256(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": encode(pair.public_key().as_ref())})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": self.kid, "alg": "RS256", "n": encode(&public.n), "e": encode(&public.e)})
            }
        }
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = match &self.pair {
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::P256(pair) => {
                pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed").as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
                    .expect("signed");
                signature
            }
        };
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    pub fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.signed(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid}), &claims(change))
    }

    pub fn issuer(&self, name: &str) -> Issuer {
        let keys = KeySet::at(&self.file().display().to_string()).expect("a file");
        issuer(name, IssuerKeys::Set(keys))
    }
}

fn issuer(name: &str, keys: IssuerKeys) -> Issuer {
    Issuer {
        name: name.into(),
        issuer: ISSUER.into(),
        audiences: vec!["callboard".into()],
        keys,
        project_claim: Some("org.project".into()),
        role_claim: "roles".into(),
        leeway: Span::secs(30),
    }
}

async fn read(issuers: &Issuers, token: &str) -> Result<Principal, Unknown> {
    issuers.by_token(token, crate::operations::now()).await
}

/// Returns a token that is signed with a secret.
fn by_secret(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn a_token_says_who_in_which_project_with_which_role() {
    for signer in [Signer::ed25519("e"), Signer::p256("p"), Signer::rsa("r")] {
        let issuers = Issuers::new(vec![signer.issuer("corp")]);
        let ann = read(&issuers, &signer.token(|_| {})).await.expect("known");
        assert_eq!(
            (&*ann.subject, ann.role, &ann.project),
            ("corp:ann", Role::Operator, &ProjectId::DEFAULT)
        );
        assert!(ann.via == Via::Token && ann.expires_at.is_some());
        let acme = signer.token(|claims| {
            claims["org"]["project"] = "acme".into();
            claims["roles"] = "admin".into();
            claims["aud"] = "callboard".into();
        });
        let acme = read(&issuers, &acme).await.expect("known");
        assert_eq!((acme.project.as_str(), acme.role), ("acme", Role::Admin));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_found() {
    let (signer, stranger) = (Signer::ed25519("one"), Signer::ed25519("one"));
    let issuers = Issuers::new(vec![signer.issuer("corp")]);
    let now = crate::operations::now().0 / 1000;
    let good = signer.token(|_| {});
    let part = |n: usize| good.split('.').nth(n).expect("a part").to_owned();
    let header = |change: fn(&mut Value)| {
        let mut header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"});
        change(&mut header);
        signer.signed(&header, &claims(|_| {}))
    };
    let none = |alg: &str| format!("{}.{}.", encoded(&json!({"alg": alg, "kid": "one"})), part(1));
    let wrong: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no token", "a.b.c".into()),
        ("two parts", format!("{}.{}", part(0), part(1))),
        ("four parts", format!("{good}.x")),
        ("another signature", format!("{}.{}.{}", part(0), part(1), BASE64_URL_SAFE_NO_PAD.encode([0; 64]))),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        (
            "other claims",
            format!(
                "{}.{}.{}",
                part(0),
                encoded(&claims(|claims| claims["roles"] = "admin".into())),
                part(2)
            ),
        ),
        ("a stranger's key of the same name", stranger.token(|_| {})),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("no alg", format!("{}.{}.", encoded(&json!({"kid": "one"})), part(1))),
        ("no kid", header(|header| drop(header.as_object_mut().map(|header| header.remove("kid"))))),
        ("an unknown kid", header(|header| header["kid"] = "two".into())),
        ("another kind", header(|header| header["typ"] = "dpop+jwt".into())),
        ("a critical part", header(|header| header["crit"] = json!(["b64"]))),
        ("a key of its own", {
            let header =
                json!({"alg": "EdDSA", "kid": "two", "jwk": stranger.jwk(), "jku": "http://127.0.0.1:9/"});
            stranger.signed(&header, &claims(|_| {}))
        }),
        ("expired", signer.token(|claims| claims["exp"] = (now - 31).into())),
        ("no end", signer.token(|claims| drop(claims.as_object_mut().map(|claims| claims.remove("exp"))))),
        ("an end that is a text", signer.token(|claims| claims["exp"] = "2099-01-01".into())),
        ("not yet", signer.token(|claims| claims["nbf"] = (now + 31).into())),
        ("a beginning that is a text", signer.token(|claims| claims["nbf"] = "soon".into())),
        ("another audience", signer.token(|claims| claims["aud"] = "other".into())),
        (
            "no audience",
            signer.token(|claims| drop(claims.as_object_mut().map(|claims| claims.remove("aud")))),
        ),
        ("another issuer", signer.token(|claims| claims["iss"] = "https://login.example".into())),
        ("no issuer", signer.token(|claims| drop(claims.as_object_mut().map(|claims| claims.remove("iss"))))),
        ("several issuers", signer.token(|claims| claims["iss"] = json!([ISSUER, "https://else.example/"]))),
        ("too long", signer.token(|claims| claims["x"] = "x".repeat(LARGEST).into())),
    ];
    for (what, token) in wrong {
        assert_eq!(read(&issuers, &token).await.map(|_| what), Err(Unknown::Invalid), "{what}");
    }
    assert!(
        read(&issuers, &signer.token(|claims| claims["exp"] = (now - 20).into())).await.is_ok(),
        "within the leeway"
    );
    for (what, token) in [
        ("no role", signer.token(|claims| claims["roles"] = json!(["chef"]))),
        ("roles that are none", signer.token(|claims| claims["roles"] = json!({"admin": true}))),
        ("no project", signer.token(|claims| claims["org"] = json!({}))),
        ("a project that none can be", signer.token(|claims| claims["org"]["project"] = "ACME".into())),
    ] {
        assert_eq!(read(&issuers, &token).await.map(|_| what), Err(Unknown::NoAccess), "{what}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_a_secret_no_public_key() {
    let rsa = Signer::rsa("r");
    let issuers = Issuers::new(vec![rsa.issuer("corp")]);
    let set = std::fs::read(rsa.file()).expect("the set");
    let Pair::Rsa(pair) = &rsa.pair else { panic!("an RSA key") };
    // What a library that trusts `alg` would take for the secret.
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    for public in [&components.n[..], pair.public_key().as_ref(), &set] {
        let token = by_secret(public, &json!({"alg": "HS256", "kid": "r"}), &claims(|_| {}));
        assert_eq!(read(&issuers, &token).await.map(drop), Err(Unknown::Invalid));
    }
    let p256 = rsa.signed(&json!({"alg": "RS384", "kid": "r"}), &claims(|_| {}));
    assert_eq!(read(&issuers, &p256).await.map(drop), Err(Unknown::Invalid), "its key is for RS256 only");

    let secret = [9; 32];
    let issuers = Issuers::new(vec![issuer("own", IssuerKeys::secret(&secret))]);
    let hs256 = json!({"alg": "HS256"});
    assert!(read(&issuers, &by_secret(&secret, &hs256, &claims(|_| {}))).await.is_ok());
    assert_eq!(
        read(&issuers, &by_secret(&[8; 32], &hs256, &claims(|_| {}))).await.map(drop),
        Err(Unknown::Invalid)
    );
    for alg in ["HS384", "none", "RS256"] {
        let token = by_secret(&secret, &json!({"alg": alg}), &claims(|_| {}));
        assert_eq!(read(&issuers, &token).await.map(drop), Err(Unknown::Invalid), "{alg}");
    }
    assert_eq!(read(&issuers, &rsa.token(|_| {})).await.map(drop), Err(Unknown::Invalid));
}

#[tokio::test]
async fn a_secret_in_a_set_signs_nothing() {
    let secret = [9; 32];
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::ed25519("e");
    let oct = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode(secret)});
    let encrypts = json!({"kty": "OKP", "crv": "Ed25519", "kid": "x", "use": "enc", "x": signer.jwk()["x"]});
    let file = folder.path().join("set.json");
    std::fs::write(&file, json!({"keys": [oct, encrypts, {"kty": "new"}, signer.jwk()]}).to_string())
        .expect("written");
    let set = KeySet::at(&file.display().to_string()).expect("a file");
    let issuers = Issuers::new(vec![issuer("corp", IssuerKeys::Set(set))]);
    assert!(read(&issuers, &signer.token(|_| {})).await.is_ok(), "what is not understood hides nothing else");
    let token = by_secret(&secret, &json!({"alg": "HS256", "kid": "s"}), &claims(|_| {}));
    assert_eq!(read(&issuers, &token).await.map(drop), Err(Unknown::Invalid));
    let token = signer.signed(&json!({"alg": "EdDSA", "kid": "x"}), &claims(|_| {}));
    assert_eq!(read(&issuers, &token).await.map(drop), Err(Unknown::Invalid), "a key that encrypts");
}

#[tokio::test]
async fn keys_are_read_again_for_a_new_one_and_not_for_each_made_up_one() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let (counted, jwks) =
        (asked.clone(), [json!({"keys": [old.jwk()]}), json!({"keys": [old.jwk(), new.jwk()]})]);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let _ = socket.read(&mut head).await;
            let body = jwks[counted.fetch_add(1, Ordering::SeqCst).min(1)].to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let issuers = Issuers::new(vec![issuer("corp", IssuerKeys::Set(KeySet::at(&url).expect("an address")))]);
    assert!(read(&issuers, &old.token(|_| {})).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for _ in 0..5 {
        assert_eq!(
            read(&issuers, &new.token(|claims| claims["jti"] = uuid::Uuid::now_v7().to_string().into()))
                .await
                .map(drop),
            Err(Unknown::Invalid)
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the set was read a moment ago");
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    tokio::time::resume();
    assert!(read(&issuers, &new.token(|_| {})).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_any_keys_it_is_not_the_caller_who_is_wrong() {
    let signer = Signer::ed25519("e");
    let set = KeySet::at("/nowhere/keys.json").expect("a file");
    let issuers = Issuers::new(vec![issuer("corp", IssuerKeys::Set(set))]);
    assert_eq!(read(&issuers, &signer.token(|_| {})).await.map(drop), Err(Unknown::Issuer));
}

#[test]
fn keys_are_in_a_file_or_behind_https() {
    for fine in [
        "keys.json",
        "/etc/keys.json",
        "https://login.example/keys",
        "http://127.0.0.1:9/k",
        "http://[::1]:9/k",
        "http://localhost/k",
    ] {
        assert!(KeySet::at(fine).is_ok(), "{fine}");
    }
    for wrong in ["http://login.example/keys", "ftp://login.example/keys", "http://127.0.0.1.example/keys"] {
        assert!(KeySet::at(wrong).is_err(), "{wrong}");
    }
}
