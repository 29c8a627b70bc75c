//! The same of keys, projects and the audit.

use super::{Chance, told};
use crate::{
    Access, AuditEntry, KeyLimits, NewKey, ProjectChange, ProjectLimits, ProjectRow, Refused, Role, Rotation,
    SecretHash,
};
use callboard_core::{Hash, Timestamp, id::KeyId};

const DAY: i64 = 86_400_000;

/// Makes one call on both, and returns what each answered.
pub async fn ask(chance: &mut Chance, one: &dyn Access, other: &dyn Access) -> [String; 2] {
    let project = chance.project();
    let known = one.keys(&project, None, 100).await.unwrap();
    let id = match known.is_empty() || chance.one_in(6) {
        true => KeyId::new(format!("{:016x}", chance.roll(u64::MAX))),
        false => chance.pick(&known).id,
    };
    let (at, until) = (chance.instant(), chance.instant());
    let limit = u32::try_from(chance.roll(6)).unwrap();
    let (kind, after) = (chance.roll(17), chance.one_in(2));
    let limits = ProjectLimits { runs: chance.maybe(|chance| chance.roll(9)), ..ProjectLimits::default() };
    let change = [ProjectChange::Pause(at), ProjectChange::Resume, ProjectChange::Limit(limits)];
    let change = chance.pick(&change);
    let (made, hash) = (new(chance, &project), SecretHash([u8::try_from(chance.roll(250)).unwrap(); 32]));
    let entries: Vec<AuditEntry> = (0..chance.roll(4)).map(|_| entry(chance)).collect();
    let mut answers = [String::new(), String::new()];
    for (access, answer) in [one, other].into_iter().zip(&mut answers) {
        let what = match kind {
            0 | 1 => told(access.make_key(made.clone()).await),
            2 => {
                let rotation = Rotation { hash: hash.clone(), previous_until: until, at };
                told(access.renew_key(&project, &id, rotation).await)
            }
            3 => told(access.revoke_key(&project, &id, at).await),
            4 => told(access.key_used(&id, at).await),
            5 => told(access.key(&id).await),
            6 => told(access.keys(&project, after.then_some(&id), limit).await),
            7 => told(access.has_keys().await),
            8 => told(access.project(&project).await),
            9 => told(access.all_projects(after.then_some(&project), limit).await.map(|mut rows| {
                // The first one is as old as its database.
                rows.retain(|row| !row.id.is_default());
                rows
            })),
            10 => {
                let row = ProjectRow::new(project.clone(), format!("name {limit}"), at);
                told(access.make_project(row).await)
            }
            16 => told(access.change_project(&project, change).await.map(|row| {
                // The first one is as old as its database.
                row.filter(|row| !row.id.is_default())
            })),
            11 if limit == 0 => told(access.delete_project(&project, at).await),
            11..=13 => told(access.record(entries.clone()).await),
            14 => {
                let first = access.audit(&project, None, limit).await.unwrap();
                let before = first.last().map(|row| row.seq);
                let rest = access.audit(&project, before, limit).await.unwrap();
                // Numbers may have holes.
                let entries: Vec<AuditEntry> = first.into_iter().chain(rest).map(|row| row.entry).collect();
                format!("{entries:?}")
            }
            _ => told(access.forget_audit(Timestamp(at.0 + 400 * DAY)).await),
        };
        *answer = format!("access {kind} {project} {id} {at:?} {limit}: {what}");
    }
    answers
}

fn new(chance: &mut Chance, project: &callboard_core::id::ProjectId) -> NewKey {
    NewKey {
        id: KeyId::new(format!("{:016x}", chance.roll(u64::MAX))),
        project: project.clone(),
        role: chance.pick(&Role::ALL),
        name: format!("name {}", chance.roll(9)),
        hash: SecretHash([1; 32]),
        at: chance.instant(),
        by: "somebody".to_owned(),
        expires_at: chance.maybe(Chance::instant),
        limits: KeyLimits { per_second: chance.maybe(|_| 5), per_hour: chance.maybe(|_| 7) },
    }
}

fn entry(chance: &mut Chance) -> AuditEntry {
    let refused = |chance: &mut Chance| Refused {
        code: chance.pick(&["forbidden", "invalid_credential"]).to_owned(),
        source: format!("source {}", chance.roll(3)),
    };
    AuditEntry {
        at: chance.instant(),
        project: chance.project(),
        subject: format!("key:{}", chance.roll(9)),
        via: "key".to_owned(),
        route: "PUT /api/v1/workflows/{id}".to_owned(),
        object: chance.maybe(|chance| format!("object {}", chance.roll(9))),
        before: chance.maybe(|chance| Hash::of(&[u8::try_from(chance.roll(5)).unwrap()])),
        after: chance.maybe(|chance| Hash::of(&[u8::try_from(chance.roll(5)).unwrap()])),
        refused: chance.one_in(3).then(|| refused(chance)),
    }
}
