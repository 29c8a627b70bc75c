//! Keys over a real catalog: who is let in, who is not any more, and what the asking costs.

use super::{
    key::{Secret, fresh_id},
    token::tests::Signer,
    *,
};
use callboard_catalog::{Access, ApiKey, KeyLimits, NewKey, ProjectRow, Role, Rotation, SqliteCatalog};
use std::time::Duration;

struct Place {
    gatekeeper: Gatekeeper,
    store: Arc<SqliteCatalog>,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new(issuers: Vec<Issuer>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(SqliteCatalog::open(folder.path().join("c.db")).await.expect("a catalog"));
        Self { gatekeeper: Gatekeeper::new(store.clone(), b"pepper", issuers), store, folder }
    }

    async fn key(&self, project: &str, role: Role, expires_at: Option<Timestamp>) -> (ApiKey, String) {
        let (id, secret) = (fresh_id(), Secret::fresh());
        let text = secret.with(&id);
        let new = NewKey {
            hash: self.gatekeeper.pepper().hash_of(&text),
            project: project.parse().expect("a project"),
            id,
            role,
            name: String::new(),
            at: Timestamp(1),
            by: "test".into(),
            expires_at,
            limits: KeyLimits::default(),
        };
        (self.store.make_key(new).await.expect("a key"), text)
    }

    async fn project(&self, id: &str) {
        let row = ProjectRow::new(id.parse().expect("a project"), String::new(), Timestamp(1));
        self.store.make_project(row).await.expect("a project");
    }

    async fn who(&self, text: &str, now: i64) -> Result<(String, Role), Unknown> {
        let who = self.gatekeeper.who(Given::One(text), Timestamp(now)).await;
        who.map(|principal| (principal.project.to_string(), principal.role))
    }
}

fn is(project: &str, role: Role) -> Result<(String, Role), Unknown> {
    Ok((project.to_owned(), role))
}

#[tokio::test]
async fn nobody_is_asked_until_there_is_a_key_and_from_then_on_everybody() {
    let place = Place::new(Vec::new()).await;
    for given in [Given::Nothing, Given::Rubbish, Given::One("cb_nonsense")] {
        let anybody = place.gatekeeper.who(given, Timestamp(1)).await;
        assert_eq!(anybody, Ok(Principal::anybody()));
    }
    let (key, text) = place.key("default", Role::Viewer, None).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    let who = async |given| place.gatekeeper.who(given, Timestamp(2)).await.map(|who| who.role);
    assert_eq!(who(Given::Nothing).await, Err(Unknown::Missing));
    assert_eq!(who(Given::Rubbish).await, Err(Unknown::Invalid));
    assert_eq!(who(Given::One(&text)).await, Ok(Role::Viewer));
    assert!(place.store.revoke_key(&key.project, &key.id, Timestamp(3)).await.expect("revoked"));
    let again = Gatekeeper::new(place.store.clone(), b"pepper", Vec::new());
    let gone = again.who(Given::Nothing, Timestamp(4)).await;
    assert_eq!(gone, Err(Unknown::Missing), "a revoked key does not open the door again");
}

#[tokio::test]
async fn a_key_is_good_in_its_project_with_its_role_and_until_it_ends() {
    let place = Place::new(Vec::new()).await;
    place.project("acme").await;
    let (key, text) = place.key("acme", Role::Editor, Some(Timestamp(1000))).await;
    assert_eq!(place.who(&text, 999).await, is("acme", Role::Editor));
    assert_eq!(place.who(&text, 1000).await, Err(Unknown::Invalid), "it has ended");
    let other = Secret::fresh();
    for wrong in [other.with(&key.id), other.with(&fresh_id()), text[..text.len() - 1].to_owned(), "x".into()]
    {
        assert_eq!(place.who(&wrong, 5).await, Err(Unknown::Invalid), "{wrong}");
    }
    let peppered = Gatekeeper::new(place.store.clone(), b"another", Vec::new());
    let who = peppered.who(Given::One(&text), Timestamp(5)).await;
    assert_eq!(who, Err(Unknown::Invalid), "who writes to the catalog makes no key of it");
    place.store.delete_project(&key.project, Timestamp(6)).await.expect("deleted");
    place.gatekeeper.forget_project(&key.project);
    assert_eq!(place.who(&text, 7).await, Err(Unknown::Invalid));
}

#[tokio::test]
async fn two_secrets_are_good_after_a_rotation_and_one_when_the_first_has_ended() {
    let place = Place::new(Vec::new()).await;
    let (key, first) = place.key("default", Role::Admin, None).await;
    let second = Secret::fresh().with(&key.id);
    let hash = place.gatekeeper.pepper().hash_of(&second);
    let rotation = Rotation { hash, previous_until: Timestamp(500), at: Timestamp(2) };
    place.store.renew_key(&key.project, &key.id, rotation).await.expect("renewed").expect("a key");
    for (text, now, good) in
        [(&first, 499, true), (&second, 499, true), (&first, 500, false), (&second, 500, true)]
    {
        assert_eq!(place.who(text, now).await.is_ok(), good, "at {now}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_here_at_once_and_everywhere_within_five_seconds() {
    let place = Place::new(Vec::new()).await;
    let elsewhere = Gatekeeper::new(place.store.clone(), b"pepper", Vec::new());
    let (key, text) = place.key("default", Role::Admin, None).await;
    let there = async || elsewhere.who(Given::One(&text), Timestamp(5)).await.map(|who| who.role);
    assert_eq!(place.who(&text, 5).await, is("default", Role::Admin));
    assert_eq!(there().await, Ok(Role::Admin));
    assert!(place.store.revoke_key(&key.project, &key.id, Timestamp(6)).await.expect("revoked"));
    place.gatekeeper.forget(&key.id);
    assert_eq!(place.who(&text, 7).await, Err(Unknown::Invalid));
    assert_eq!(there().await, Ok(Role::Admin), "it has read the key a moment ago");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    assert_eq!(there().await, Err(Unknown::Invalid));
}

#[tokio::test]
async fn a_keys_last_use_is_written_to_the_minute() {
    let place = Place::new(Vec::new()).await;
    let (key, text) = place.key("default", Role::Viewer, None).await;
    for now in [1000, 2000, 59_000] {
        assert!(place.who(&text, now).await.is_ok());
    }
    place.gatekeeper.trail().flushed().await;
    let used = async || place.store.key(&key.id).await.expect("read").expect("a key").last_used_at;
    assert_eq!(used().await, Some(Timestamp(1000)));
    assert!(place.who(&text, 61_000).await.is_ok());
    place.gatekeeper.trail().flushed().await;
    assert_eq!(used().await, Some(Timestamp(61_000)));
}

#[tokio::test]
async fn a_process_that_asks_itself_is_known_by_what_nobody_else_has() {
    let place = Place::new(Vec::new()).await;
    place.key("default", Role::Viewer, None).await;
    let (gatekeeper, own) = Gatekeeper::new(place.store.clone(), b"", Vec::new()).with_own();
    let who = async |text: &str| gatekeeper.who(Given::One(text), Timestamp(5)).await.map(|who| who.via);
    assert_eq!(who(&own).await, Ok(Via::Own));
    assert_eq!(who(&own[1..]).await, Err(Unknown::Invalid));
}

#[tokio::test]
async fn a_token_is_good_in_a_project_that_there_is() {
    let signer = Signer::ed25519("one");
    let place = Place::new(vec![signer.issuer("corp")]).await;
    let now = crate::operations::now();
    let token = |project: &str| signer.token(|claims| claims["org"]["project"] = project.into());
    assert_eq!(place.who(&token("acme"), now.0).await, Err(Unknown::NoAccess));
    place.project("acme").await;
    place.gatekeeper.forget_project(&"acme".parse().expect("a project"));
    assert_eq!(place.who(&token("acme"), now.0).await, is("acme", Role::Operator));
    assert_eq!(place.who("", now.0).await, Err(Unknown::Invalid));
    let nobody = place.gatekeeper.who(Given::Nothing, now).await;
    assert_eq!(nobody, Err(Unknown::Missing), "with an issuer nobody is let in without a credential");
    drop(place.folder);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_ends_with_its_token() {
    let place = Place::new(vec![Signer::ed25519("one").issuer("corp")]).await;
    let now = crate::operations::now();
    let of = |expires_at| Principal { via: Via::Token, expires_at, ..Principal::anybody() };
    place.gatekeeper.ended(&of(Some(now))).await;
    let later = of(Some(now + callboard_core::Span::secs(3600)));
    let goes_on = tokio::time::timeout(Duration::from_secs(60), place.gatekeeper.ended(&later)).await;
    assert!(goes_on.is_err(), "it is good for an hour");
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_rows() {
    let place = Place::new(Vec::new()).await;
    let today = crate::operations::now().0 / 60_000;
    let refused = |source: String, minute: i64| catalog::AuditEntry {
        at: Timestamp((today + minute) * 60_000),
        project: ProjectId::DEFAULT,
        subject: "unknown".into(),
        via: "none".into(),
        route: "GET /".into(),
        object: None,
        before: None,
        after: None,
        refused: Some(catalog::Refused { code: "invalid_credential".into(), source }),
    };
    for n in 0..100_000 {
        place.gatekeeper.trail().record(refused(format!("source {}", n % 10), 1));
    }
    for n in 0..5000 {
        place.gatekeeper.trail().record(refused(format!("source {n}"), 2));
    }
    place.gatekeeper.trail().flushed().await;
    let rows = place.store.audit(&ProjectId::DEFAULT, None, 10_000).await.expect("the audit");
    let in_minute =
        |minute: i64| rows.iter().filter(|row| row.entry.at == Timestamp((today + minute) * 60_000)).count();
    assert_eq!((in_minute(1), in_minute(2)), (10, 1024));
}

/// Printed for the page of figures; on two cores that others use, the best of some rounds.
#[tokio::test]
async fn asking_who_somebody_is_takes_less_than_a_tenth_of_a_millisecond() {
    const ROUND: u32 = 200;
    let signer = Signer::ed25519("one");
    let place = Place::new(vec![signer.issuer("corp")]).await;
    let (_, key) = place.key("default", Role::Viewer, None).await;
    let token = signer.token(|_| {});
    let now = crate::operations::now();
    for (what, text) in [("a key", &key), ("a token", &token)] {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let began = std::time::Instant::now();
            for _ in 0..ROUND {
                let who = place.gatekeeper.who(Given::One(text), now).await.expect("known");
                assert!(who.may(Permission::Read));
            }
            best = best.min(began.elapsed() / ROUND);
        }
        println!("{what}: {best:?}");
        assert!(best < Duration::from_micros(100), "{what} takes {best:?}");
    }
}
