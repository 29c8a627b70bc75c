//! Keys, projects, the audit. Each case makes a project of its own, so that an old database may be used.

use super::at;
use crate::{
    Access, AuditEntry, Deleted, Error, KeyLimits, NewKey, ProjectRow, Refused, Role, Rotation, SecretHash,
};
use callboard_core::{
    Hash, Timestamp,
    id::{KeyId, ProjectId},
};

async fn project(access: &dyn Access) -> ProjectId {
    let id: ProjectId = format!("p{}", &uuid::Uuid::now_v7().simple().to_string()[..31]).parse().unwrap();
    access.make_project(ProjectRow::new(id.clone(), "P".into(), at(1))).await.unwrap();
    id
}

fn new_key(project: &ProjectId, role: Role) -> NewKey {
    NewKey {
        id: KeyId::new(uuid::Uuid::new_v4().simple().to_string()),
        project: project.clone(),
        role,
        name: "ci".into(),
        hash: SecretHash([1; 32]),
        at: at(2),
        by: "somebody".into(),
        expires_at: Some(at(9)),
        limits: KeyLimits::default(),
    }
}

pub(crate) async fn a_key_reads_as_it_was_made(access: &dyn Access) {
    let project = project(access).await;
    for role in Role::ALL {
        let new = new_key(&project, role);
        let made = access.make_key(new.clone()).await.unwrap();
        assert_eq!(access.key(&new.id).await.unwrap(), Some(made.clone()));
        assert_eq!((&made.project, made.role, made.expires_at), (&project, role, Some(at(9))));
        assert!(!format!("{made:?}").contains("1, 1"), "no log shows a hash");
    }
    assert!(access.has_keys().await.unwrap());
    let nowhere = new_key(&"nowhere".parse().unwrap(), Role::Admin);
    let refused = access.make_key(nowhere.clone()).await;
    assert!(matches!(refused, Err(Error::NotFound { what: "project", .. })), "{refused:?}");
    assert_eq!(access.key(&nowhere.id).await.unwrap(), None);
    let new = new_key(&project, Role::Viewer);
    access.make_key(new.clone()).await.unwrap();
    access.key_used(&new.id, at(7)).await.unwrap();
    access.key_used(&new.id, at(5)).await.unwrap();
    assert_eq!(access.key(&new.id).await.unwrap().unwrap().last_used_at, Some(at(7)));
}

pub(crate) async fn a_renewed_key_has_the_secret_before_until_then(access: &dyn Access) {
    let (project, other) = (project(access).await, project(access).await);
    let key = access.make_key(new_key(&project, Role::Editor)).await.unwrap();
    let rotation = |n| Rotation { hash: SecretHash([n; 32]), previous_until: at(100), at: at(3) };
    assert_eq!(access.renew_key(&other, &key.id, rotation(2)).await.unwrap(), None);
    let renewed = access.renew_key(&project, &key.id, rotation(2)).await.unwrap().unwrap();
    assert_eq!(renewed.hash, SecretHash([2; 32]));
    assert_eq!(renewed.previous, Some((SecretHash([1; 32]), at(100))));
    let renewed = access.renew_key(&project, &key.id, rotation(3)).await.unwrap().unwrap();
    assert_eq!(renewed.previous, Some((SecretHash([2; 32]), at(100))), "two are good, never three");
    assert_eq!(access.key(&key.id).await.unwrap(), Some(renewed));
}

pub(crate) async fn a_revoked_key_stays_revoked(access: &dyn Access) {
    let (project, other) = (project(access).await, project(access).await);
    let key = access.make_key(new_key(&project, Role::Editor)).await.unwrap();
    assert!(!access.revoke_key(&other, &key.id, at(4)).await.unwrap());
    assert_eq!(access.key(&key.id).await.unwrap().unwrap().revoked_at, None);
    assert!(access.revoke_key(&project, &key.id, at(4)).await.unwrap());
    assert!(access.revoke_key(&project, &key.id, at(5)).await.unwrap());
    assert_eq!(access.key(&key.id).await.unwrap().unwrap().revoked_at, Some(at(4)));
    let rotation = Rotation { hash: SecretHash([2; 32]), previous_until: at(100), at: at(6) };
    assert_eq!(access.renew_key(&project, &key.id, rotation).await.unwrap(), None);
}

pub(crate) async fn keys_are_listed_by_cursor_and_of_one_project(access: &dyn Access) {
    let (project, other) = (project(access).await, project(access).await);
    access.make_key(new_key(&other, Role::Viewer)).await.unwrap();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(access.make_key(new_key(&project, Role::Viewer)).await.unwrap().id);
    }
    made.sort();
    let ids = async |after: Option<&KeyId>, limit| {
        let keys = access.keys(&project, after, limit).await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, made[..2]);
    assert_eq!(ids(Some(&made[1]), 2).await, made[2..]);
}

pub(crate) async fn default_is_there_and_a_projects_id_is_given_once(access: &dyn Access) {
    assert!(access.project(&ProjectId::DEFAULT).await.unwrap().is_some());
    let id = project(access).await;
    assert_eq!(access.project(&id).await.unwrap().unwrap().name, "P");
    let row = || ProjectRow::new(id.clone(), "Q".into(), at(2));
    let again = access.make_project(row()).await;
    assert!(matches!(again, Err(Error::Conflict { what: "project", .. })), "{again:?}");
    assert_eq!(access.delete_project(&id, at(3)).await.unwrap(), Deleted::Done);
    assert_eq!(access.delete_project(&id, at(3)).await.unwrap(), Deleted::Unknown);
    assert_eq!(access.project(&id).await.unwrap(), None);
    let again = access.make_project(row()).await;
    assert!(
        matches!(again, Err(Error::Conflict { .. })),
        "what was of the old one must not be the new one's: {again:?}"
    );
    let all = access.all_projects(None, 10_000).await.unwrap();
    assert!(all.iter().any(|row| row.id.is_default()) && all.iter().all(|row| row.id != id));
    assert!(all.is_sorted_by_key(|row| row.id.clone()));
    let after = access.all_projects(Some(&ProjectId::DEFAULT), 10_000).await.unwrap();
    assert!(after.iter().all(|row| row.id > ProjectId::DEFAULT));
}

pub(crate) async fn a_deleted_project_takes_its_keys_along(access: &dyn Access) {
    let project = project(access).await;
    let key = access.make_key(new_key(&project, Role::Admin)).await.unwrap();
    assert_eq!(access.delete_project(&project, at(3)).await.unwrap(), Deleted::Done);
    assert_eq!(access.key(&key.id).await.unwrap(), None);
    assert!(matches!(access.make_key(new_key(&project, Role::Admin)).await, Err(Error::NotFound { .. })));
}

fn entry(project: &ProjectId, n: i64) -> AuditEntry {
    AuditEntry {
        at: at(n),
        project: project.clone(),
        subject: "key:abc".into(),
        via: "key".into(),
        route: "PUT /api/v1/workflows/{id}".into(),
        object: Some("w".into()),
        before: Some(Hash::of(b"before")),
        after: None,
        refused: None,
    }
}

pub(crate) async fn the_audit_is_listed_newest_first_by_cursor(access: &dyn Access) {
    let (project, other) = (project(access).await, project(access).await);
    access.record(vec![entry(&other, 0), entry(&project, 1), entry(&project, 2)]).await.unwrap();
    access.record(vec![entry(&project, 3)]).await.unwrap();
    let first = access.audit(&project, None, 2).await.unwrap();
    assert_eq!(
        first.iter().map(|row| &row.entry).collect::<Vec<_>>(),
        [&entry(&project, 3), &entry(&project, 2)]
    );
    let rest = access.audit(&project, Some(first[1].seq), 2).await.unwrap();
    assert_eq!(rest.iter().map(|row| &row.entry).collect::<Vec<_>>(), [&entry(&project, 1)]);
    assert_eq!(access.forget_audit(at(4)).await.unwrap(), 0, "it is too young");
    let old = AuditEntry { at: Timestamp(1), ..entry(&project, 0) };
    access.record(vec![old]).await.unwrap();
    assert_eq!(access.forget_audit(at(4)).await.unwrap(), 1);
    assert_eq!(access.audit(&project, None, 10).await.unwrap().len(), 3);
}

pub(crate) async fn a_refusal_is_recorded_once_a_minute(access: &dyn Access) {
    let project = project(access).await;
    let source = uuid::Uuid::now_v7().to_string();
    let refused = |code: &str, minute: i64, n: i64| AuditEntry {
        at: Timestamp(minute * 60_000 + 1_800_000_000_000 + n),
        refused: Some(Refused { code: code.into(), source: source.clone() }),
        ..entry(&project, 0)
    };
    access
        .record(vec![
            refused("forbidden", 0, 1),
            refused("forbidden", 0, 59_999),
            refused("invalid_credential", 0, 2),
            refused("forbidden", 1, 0),
        ])
        .await
        .unwrap();
    let rows = access.audit(&project, None, 10).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.entry.refused.as_ref().unwrap().code.as_str(), row.entry.at.0 % 60_000))
        .collect();
    assert_eq!(rows, [("forbidden", 0), ("invalid_credential", 0), ("forbidden", 0)]);
}
