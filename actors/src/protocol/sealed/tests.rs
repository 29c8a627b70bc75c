//! Every way to use a signed message for something else.

use super::{run::Grant, *};
use callboard_catalog::{Error, InternalKey, Signing};
use callboard_core::Timestamp;

/// A catalog that has no other keys.
struct Away;

#[async_trait::async_trait]
impl Keys for Away {
    async fn signing(&self) -> Result<Signing, Error> {
        Err(Error::Unavailable("away".into()))
    }
    async fn first_key(&self, _: [u8; 32], _: Timestamp) -> Result<(), Error> {
        Ok(())
    }
    async fn rotate_key(&self, _: [u8; 32], _: Timestamp) -> Result<u32, Error> {
        Ok(1)
    }
    async fn require_signatures(&self) -> Result<bool, Error> {
        Ok(false)
    }
}

fn key(id: u32, secret: u8) -> InternalKey {
    InternalKey { id, secret: [secret; 32] }
}

fn ring(keys: Vec<InternalKey>) -> Keyring {
    Keyring::of(Signing { keys, required: true })
}

const ANSWER: To<'_> = To { actor: WORKFLOW, id: "r1", method: "answer" };
const BODY: &str = r#"{"step":{"generation":1,"node":"a","iteration":""},"attempt":1,"outcome":"Unknown"}"#;

async fn fits(ring: &Keyring, to: To<'_>, body: &[u8]) -> Fit {
    fit(ring, &Away, to, Bytes::copy_from_slice(body)).await.2
}

#[tokio::test]
async fn a_signed_call_counts_for_its_receiver_its_method_and_its_body_alone() {
    let ours = ring(vec![key(1, 1)]);
    let (sealed, _) = seal(&ours, ANSWER, Bytes::from(BODY));
    let text = String::from_utf8(sealed.to_vec()).expect("text");
    let (body, mac, fit) = fit(&ours, &Away, ANSWER, sealed.clone()).await;
    assert_eq!((&body[..], fit, mac.is_some()), (BODY.as_bytes(), Fit::Fits, true));

    let other = |actor, id, method| To { actor, id, method };
    let elsewhere = [
        ("another run", other(WORKFLOW, "r2", "answer")),
        ("another method", other(WORKFLOW, "r1", "grant")),
        ("another type", other(AGENT, "r1", "answer")),
        ("parts that read the same together", other(WORKFLOW, "r1a", "nswer")),
    ];
    for (what, to) in elsewhere {
        assert_eq!(fits(&ours, to, &sealed).await, Fit::Wrong, "{what}");
    }
    let changed = [
        ("another attempt", text.replace(r#""attempt":1"#, r#""attempt":2"#)),
        ("another step", text.replace(r#""node":"a""#, r#""node":"b""#)),
        ("another iteration", text.replace(r#""iteration":"""#, r#""iteration":"0""#)),
        ("another generation", text.replace(r#""generation":1"#, r#""generation":2"#)),
        ("another outcome", text.replace("Unknown", "Cancelled")),
        ("a field more", text.replacen('{', r#"{"x":1,"#, 1)),
        ("a space", text.replacen(':', ": ", 1)),
        ("another key's number", text.replace(r#""mac":"1."#, r#""mac":"2."#)),
        ("a shorter MAC", format!("{}\"}}", &text[..text.len() - 6])),
        ("an empty MAC", format!("{},\"mac\":\"\"}}", &BODY[..BODY.len() - 1])),
    ];
    for (what, changed) in changed {
        assert_ne!(changed, text, "INVALID: {what}");
        assert_ne!(fits(&ours, ANSWER, changed.as_bytes()).await, Fit::Fits, "{what}");
    }
    assert_eq!(fits(&ours, ANSWER, BODY.as_bytes()).await, Fit::Missing);
    assert_eq!(fits(&ours, ANSWER, b"").await, Fit::Missing);
}

#[tokio::test]
async fn no_bit_of_a_signed_call_can_be_changed() {
    let ours = ring(vec![key(1, 1)]);
    let (sealed, _) = seal(&ours, ANSWER, Bytes::from(BODY));
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(fits(&ours, ANSWER, &changed).await, Fit::Fits, "bit {bit}");
    }
}

#[tokio::test]
async fn only_valid_keys_count() {
    let (old, new, late) =
        (ring(vec![key(1, 1)]), ring(vec![key(2, 2), key(1, 1)]), ring(vec![key(3, 3), key(2, 2)]));
    let sealed = |ring: &Keyring| seal(ring, ANSWER, Bytes::from(BODY)).0;
    for (what, by, at, expected) in [
        ("the same", &old, &old, Fit::Fits),
        ("the old key after a rotation", &old, &new, Fit::Fits),
        ("the new key", &new, &new, Fit::Fits),
        ("the old key after two", &old, &late, Fit::Wrong),
        ("the new key where nobody has heard of it", &new, &old, Fit::Wrong),
        ("a stranger's key of the same number", &ring(vec![key(1, 9)]), &old, Fit::Wrong),
    ] {
        assert_eq!(fits(at, ANSWER, &sealed(by)).await, expected, "{what}");
    }
    assert_ne!(sealed(&old), sealed(&new));
}

#[tokio::test]
async fn an_answer_is_that_of_its_call() {
    let ours = ring(vec![key(1, 1)]);
    let grant = To { method: "grant", ..ANSWER };
    let (_, first) = seal(&ours, grant, Bytes::from(r#"{"attempt":1}"#));
    let (_, second) = seal(&ours, grant, Bytes::from(r#"{"attempt":2}"#));
    let (first, second) = (first.expect("a MAC"), second.expect("a MAC"));
    let answer = seal_answer(&ours, grant, &first, Bytes::from(r#"{"granted":true}"#));
    let check = async |to: To<'_>, mac: &Mac, answer: &[u8]| {
        let (answer, own) = without(Bytes::copy_from_slice(answer));
        ours.check(&Away, own.as_deref(), to.answer(mac, &answer)).await
    };
    assert_eq!(check(grant, &first, &answer).await, Fit::Fits);
    assert_eq!(check(grant, &second, &answer).await, Fit::Wrong);
    assert_eq!(check(To { id: "r2", ..grant }, &first, &answer).await, Fit::Wrong);
    assert_eq!(check(grant, &first, br#"{"granted":true}"#).await, Fit::Missing);
    // A call is no answer, and an answer is no call.
    assert_eq!(fits(&ours, grant, &answer).await, Fit::Wrong);
    let empty = seal_answer(&ours, grant, &first, Bytes::from("{}"));
    assert!(empty.starts_with(br#"{"mac":"1."#), "{empty:?}");
    assert_eq!(check(grant, &first, &empty).await, Fit::Fits);
}

fn agent(text: &str) -> AgentId {
    text.parse().expect("an agent's id")
}

#[test]
fn a_task_is_what_it_says_however_it_is_written() {
    let ours = ring(vec![key(1, 1)]);
    let task = |text: &str| seal_task(&ours, &agent("r.a.1._"), &serde_json::from_str(text).expect("JSON"));
    let one = task(r#"{"run":"r","task":{"input":{"V":{"n":1.50,"<&>":[1,2,null,true]}},"attempt":1}}"#);
    // As another program writes it: keys in order, no spaces kept, what HTML means escaped.
    let same =
        r#"{ "task":{"attempt":1,"input":{"V":{"\u003c\u0026\u003e":[1,2,null,true],"n":1.50}}},"run":"r"}"#;
    assert_eq!(task(same), one);
    for (what, other) in [
        ("another attempt", same.replace(r#""attempt":1"#, r#""attempt":2"#)),
        ("another run", same.replace(r#""run":"r""#, r#""run":"s""#)),
        ("a list in another order", same.replace("[1,2", "[2,1")),
        ("a list that ends sooner", same.replace(",null,true]", ",null],\"x\":true")),
        ("a text for a number", same.replace("1.50", "\"1.50\"")),
        ("a text for null", same.replace("null", "\"null\"")),
        ("nothing for null", same.replace("null,", "")),
        ("another number", same.replace("1.50", "1.51")),
    ] {
        assert_ne!(other, same, "INVALID: {what}");
        assert_ne!(task(&other), one, "{what}");
    }
    assert_ne!(
        seal_task(&ours, &agent("r.b.1._"), &serde_json::from_str(same).expect("JSON")),
        one,
        "another agent"
    );
}

#[test]
fn what_only_our_own_processes_call_is_signed_and_nothing_else() {
    for (actor, id, method, internal) in [
        (WORKFLOW, "r", "start", false),
        (WORKFLOW, "r", "status", false),
        (WORKFLOW, "r", "cancel", false),
        (WORKFLOW, "r", "answer", true),
        (WORKFLOW, "r", "grant", true),
        (WORKFLOW, "r", "reserve", true),
        (WORKFLOW, "r", "wanted", true),
        (WORKFLOW, "r", "sweep", true),
        (WORKFLOW, "r", "finished", true),
        (AGENT, "own", "execute", false),
        (AGENT, "own", "status", false),
        (AGENT, "own", "messages", false),
        (AGENT, "own", "cancel", false),
        (AGENT, "own", "task", true),
        (AGENT, "own", "delegated", true),
        (AGENT, "own", "outcome", true),
        (AGENT, "own", "awaits", true),
        (AGENT, "r.a.1._", "status", true),
        (AGENT, "r.a.1._", "messages", true),
        (AGENT, "r.a.1._", "cancel", true),
        (AGENT, "own.sub.1", "status", true),
    ] {
        let to = To { actor, id, method };
        assert_eq!(to.is_internal(), internal, "{to:?}");
        let (body, mac) = seal(&ring(vec![key(1, 1)]), to, Bytes::from("{}"));
        assert_eq!((mac.is_some(), body.len() > 2), (internal, internal), "{to:?}");
    }
}

#[test]
fn the_release_before_reads_what_we_sign_and_gets_what_it_can_read() {
    let before = Keyring::of(Signing { keys: vec![key(1, 1)], required: false });
    let (signed, _) = seal(
        &before,
        To { method: "grant", ..ANSWER },
        Bytes::from(r#"{"step":{"generation":1,"node":"a","iteration":""},"attempt":1,"activation":"x"}"#),
    );
    let grant: Grant =
        serde_json::from_slice(&signed).expect("a field that it does not know is nothing to it");
    assert_eq!((grant.attempt, grant.activation.as_str()), (1, "x"));
    // A worker's result is the one message whose unknown fields are refused.
    let finished = To { method: "finished", ..ANSWER };
    let body = Bytes::from(r#"{"step":{"generation":1,"node":"a","iteration":""},"attempt":1,"output":1}"#);
    assert_eq!(seal(&before, finished, body.clone()).0, body);
    assert_ne!(seal(&ring(vec![key(1, 1)]), finished, body.clone()).0, body);
}
