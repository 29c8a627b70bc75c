//! Whether a delivery comes from who has the secret, and which one it is. What is compared is compared in constant time, and where
//! there is nothing to compare with, with nothing that anybody has.
//!
//! The occasion of a delivery is what its scheme signs for it: an id, else the hash of what is signed. An id that nobody signs is
//! believed of a bearer, who could say anything anyway; without one each delivery is an occasion of its own.

use super::webhook::{Delivery, Scheme};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use callboard_actors::fresh_key;
use callboard_core::{Hash, Span, Timestamp};
use ring::hmac;
use uuid::Uuid;

/// How far a signed time may be from ours, either way.
const TOLERANCE: Span = Span::secs(300);
/// Signatures of one delivery: while its secret is changed, a sender sends two.
const SIGNATURES: usize = 8;
const STANDARD_SECRET: &str = "whsec_";
const BEARER: &str = "bearer ";
/// Where a bearer says which delivery it is.
const UNSIGNED_IDS: [&str; 3] = ["idempotency-key", "webhook-id", "x-github-delivery"];
/// Characters of an id that is one as it is; of others the hash is.
const ID: usize = 120;

/// Returns the occasion of a delivery that is signed with the secret, or has it; nothing if it is not, or too old.
pub fn occasion(scheme: Scheme, secret: &str, delivery: &Delivery, now: Timestamp) -> Option<String> {
    match scheme {
        Scheme::Github => github(secret, delivery),
        Scheme::Standard => standard(secret, delivery, now),
        Scheme::Bearer => bearer(secret, delivery),
    }
}

/// Does the work of a comparison that fails, for who asks for what is not there.
pub fn nothing_to_compare(delivery: &Delivery) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &fresh_key());
    let _ = hmac::verify(&key, &delivery.body, &[0; 32]);
}

fn github(secret: &str, delivery: &Delivery) -> Option<String> {
    let given = delivery.header("x-hub-signature-256")?.strip_prefix("sha256=")?;
    let given = hex(given)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, &delivery.body, &given).ok()?;
    Some(Hash::of(&delivery.body).to_string())
}

fn standard(secret: &str, delivery: &Delivery, now: Timestamp) -> Option<String> {
    let header = |name: &str| {
        delivery.header(&format!("webhook-{name}")).or_else(|| delivery.header(&format!("svix-{name}")))
    };
    let (id, at, given) = (header("id")?, header("timestamp")?, header("signature")?);
    let encoded = secret.strip_prefix(STANDARD_SECRET).unwrap_or(secret);
    let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &delivery.body].concat();
    let signatures = given.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(SIGNATURES);
    let signatures = signatures.filter_map(|one| BASE64_STANDARD.decode(one).ok());
    let is_one = signatures.fold(false, |found, one| hmac::verify(&key, &signed, &one).is_ok() | found);
    let at = Timestamp(at.parse::<i64>().ok()?.checked_mul(1000)?);
    let is_recent = now.since(at) <= TOLERANCE && at.since(now) <= TOLERANCE;
    (is_one && is_recent).then(|| named(id))
}

fn bearer(secret: &str, delivery: &Delivery) -> Option<String> {
    let given = delivery.header("authorization")?;
    let scheme = given.get(..BEARER.len())?;
    let token = scheme.eq_ignore_ascii_case(BEARER).then(|| given[BEARER.len()..].trim())?;
    // Of two hashes under a key that nobody has, nothing can be learned from how long they are alike; nor is there any such time.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &fresh_key());
    hmac::verify(&key, token.as_bytes(), hmac::sign(&key, secret.as_bytes()).as_ref()).ok()?;
    let id = UNSIGNED_IDS.iter().find_map(|name| delivery.header(name)).map(named);
    Some(id.unwrap_or_else(|| Uuid::now_v7().to_string()))
}

/// Returns an id of somebody else's as one of ours: as it is, where it is short and plain.
fn named(id: &str) -> String {
    let is_plain = !id.is_empty() && id.len() <= ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { id.to_owned() } else { Hash::of(id.as_bytes()).to_string() }
}

/// Reads pairs of hexadecimal digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}

// === impl Delivery ===

impl Delivery {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

// === impl Scheme ===

impl Scheme {
    /// Returns a secret as its sender is told.
    pub fn fresh_secret(self) -> String {
        match self {
            Self::Standard => format!("{STANDARD_SECRET}{}", BASE64_STANDARD.encode(fresh_key())),
            Self::Github | Self::Bearer => BASE64_URL_SAFE_NO_PAD.encode(fresh_key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn delivery(headers: &[(&str, &str)], body: &'static str) -> Delivery {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Delivery { headers: headers.collect::<BTreeMap<_, _>>(), body: body.into() }
    }

    #[test]
    fn github_signs_the_body() {
        // The example of GitHub's own documentation.
        let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        let of = |signature: &str, body: &'static str, secret: &str| {
            occasion(
                Scheme::Github,
                secret,
                &delivery(&[("x-hub-signature-256", signature)], body),
                Timestamp(0),
            )
        };
        let hash = Hash::of(b"Hello, World!").to_string();
        assert_eq!(of(signed, "Hello, World!", secret), Some(hash));
        assert_eq!(of(signed, "Hello, World?", secret), None);
        assert_eq!(of(signed, "Hello, World!", "another"), None);
        for wrong in [
            "",
            "sha256=",
            &signed[..70],
            &signed.replace("757107", "757106"),
            &signed[7..],
            "sha256=zz",
            "sha1=00",
        ] {
            assert_eq!(of(wrong, "Hello, World!", secret), None, "{wrong}");
        }
        assert_eq!(occasion(Scheme::Github, secret, &delivery(&[], "Hello, World!"), Timestamp(0)), None);
    }

    #[test]
    fn standard_webhooks_sign_id_time_and_body() {
        // The example of the specification.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let body = "{\"test\": 2432232314}";
        let now = Timestamp(1_614_265_330_000);
        let of = |id: &str, at: &str, signature: &str, body: &'static str, now: Timestamp| {
            let headers = [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)];
            occasion(Scheme::Standard, secret, &delivery(&headers, body), now)
        };
        assert_eq!(of(id, at, signature, body, now).as_deref(), Some(id));
        let rotated = format!("v1,{} {signature} v1a,x", BASE64_STANDARD.encode([0; 32]));
        assert_eq!(of(id, at, &rotated, body, now).as_deref(), Some(id), "one of several");
        for (late, good) in [(300, true), (301, false), (-300, true), (-301, false)] {
            assert_eq!(
                of(id, at, signature, body, Timestamp(now.0 + late * 1000)).is_some(),
                good,
                "{late} s"
            );
        }
        assert_eq!(of("msg_other", at, signature, body, now), None);
        assert_eq!(of(id, "1614265331", signature, body, now), None, "another time");
        assert_eq!(of(id, at, signature, "{}", now), None);
        for wrong in [
            "",
            "v1,",
            "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ] {
            assert_eq!(of(id, at, wrong, body, now), None, "{wrong}");
        }
        let fresh = Scheme::Standard.fresh_secret();
        assert!(
            fresh.starts_with(STANDARD_SECRET)
                && BASE64_STANDARD.decode(&fresh[6..]).is_ok_and(|key| key.len() == 32)
        );
    }

    #[test]
    fn a_bearer_has_the_secret_and_may_say_which_delivery_it_is() {
        let of = |headers: &[(&str, &str)]| {
            occasion(Scheme::Bearer, "hush", &delivery(headers, "{}"), Timestamp(0))
        };
        let good = ("authorization", "Bearer hush");
        assert!(of(&[good]).is_some() && of(&[("authorization", "bearer  hush ")]).is_some());
        assert_ne!(of(&[good]), of(&[good]), "each is one of its own");
        assert_eq!(of(&[good, ("x-github-delivery", "d-1")]).as_deref(), Some("d-1"));
        let long = "x".repeat(300);
        assert_eq!(of(&[good, ("idempotency-key", &long)]), Some(Hash::of(long.as_bytes()).to_string()));
        for wrong in ["", "hush", "Basic hush", "Bearer", "Bearer ", "Bearer hus", "Bearer hushh"] {
            assert_eq!(of(&[("authorization", wrong)]), None, "{wrong}");
        }
        assert_eq!(of(&[]), None);
    }
}
