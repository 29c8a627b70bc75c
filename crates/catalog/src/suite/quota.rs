//! What a project may still begin. Each case makes a project of its own.

use super::{at, batch};
use crate::{
    Access, Catalog, KeyLimits, NewKey, ProjectChange, ProjectLimits, ProjectRow, Role, SecretHash, Standing,
    Used,
};
use callboard_core::{
    call::Usage,
    id::{KeyId, ProjectId, RunId},
};

async fn project(access: &dyn Access) -> ProjectId {
    let id: ProjectId = format!("p{}", &uuid::Uuid::now_v7().simple().to_string()[..31]).parse().unwrap();
    access.make_project(ProjectRow::new(id.clone(), "P".into(), at(1))).await.unwrap();
    id
}

const LIMITS: ProjectLimits = ProjectLimits {
    runs: Some(1),
    tokens_per_day: Some(u64::MAX),
    cost_per_day: None,
    cost_per_month: Some(0),
};

pub(crate) async fn a_project_is_paused_and_bounded_until_it_is_not(access: &dyn Access) {
    let (id, other) = (project(access).await, project(access).await);
    let change = async |change| access.change_project(&id, change).await.unwrap().unwrap();
    let made = access.project(&id).await.unwrap().unwrap();
    assert_eq!((made.paused_at, made.limits), (None, ProjectLimits::default()));
    assert_eq!(change(ProjectChange::Pause(at(2))).await.paused_at, Some(at(2)));
    assert_eq!(change(ProjectChange::Pause(at(3))).await.paused_at, Some(at(2)), "it is paused already");
    let bounded = change(ProjectChange::Limit(LIMITS)).await;
    assert_eq!((bounded.paused_at, bounded.limits), (Some(at(2)), LIMITS));
    assert_eq!(access.project(&id).await.unwrap(), Some(bounded.clone()));
    assert!(access.all_projects(None, 10_000).await.unwrap().contains(&bounded));
    assert_eq!(change(ProjectChange::Resume).await.paused_at, None);
    assert_eq!(change(ProjectChange::Resume).await.limits, LIMITS);
    assert_eq!(change(ProjectChange::Limit(ProjectLimits::default())).await.limits, ProjectLimits::default());
    let untouched = access.project(&other).await.unwrap().unwrap();
    assert_eq!((untouched.paused_at, untouched.limits), (None, ProjectLimits::default()));
    access.delete_project(&id, at(4)).await.unwrap();
    assert_eq!(access.change_project(&id, ProjectChange::Resume).await.unwrap(), None);
}

pub(crate) async fn a_key_keeps_its_limits(access: &dyn Access) {
    let project = project(access).await;
    for limits in [
        KeyLimits::default(),
        KeyLimits { per_second: Some(5), per_hour: None },
        KeyLimits { per_second: Some(u32::MAX), per_hour: Some(10_000) },
    ] {
        let id = KeyId::new(uuid::Uuid::new_v4().simple().to_string());
        let new = NewKey {
            id: id.clone(),
            project: project.clone(),
            role: Role::Viewer,
            name: String::new(),
            hash: SecretHash([1; 32]),
            at: at(2),
            by: "somebody".into(),
            expires_at: None,
            limits,
        };
        assert_eq!(access.make_key(new).await.unwrap().limits, limits);
        assert_eq!(access.key(&id).await.unwrap().map(|key| key.limits), Some(limits));
    }
}

pub(crate) async fn a_standing_has_what_is_open_and_what_was_used<C: Catalog + Access>(both: &C) {
    let (id, other) = (project(both).await, project(both).await);
    let standing = async || both.standing(&id, "2027-02-10", "2027-02-01").await.unwrap();
    let mut runs = Vec::new();
    for (n, status) in
        ["running", "waiting", "paused", "pending", "completed", "failed", "cancelled"].iter().enumerate()
    {
        let run = RunId::new(&id, &format!("r{n}")).unwrap();
        let mut append = batch(&run, 1, 9, "a");
        append.row.status = (*status).to_owned();
        both.append(append).await.unwrap();
        runs.push(run);
    }
    both.append(batch(&RunId::new(&other, "r").unwrap(), 1, 1, "a")).await.unwrap();
    let used = |day: &str, cost| {
        let usage =
            Usage { calls: 1, prompt_tokens: 7, completion_tokens: 5, priced: 1, cost, ..Usage::default() };
        Used { day: day.to_owned(), agent: "a".to_owned(), usage, ..Used::default() }
    };
    let parts = [("2027-01-31", 1), ("2027-02-01", 2), ("2027-02-10", 4), ("2027-02-11", 8)];
    let parts = parts.map(|(day, cost)| used(day, cost)).to_vec();
    assert!(both.count(&runs[4], 0, 9, parts).await.unwrap());
    assert!(both.count(&runs[5], 0, 9, vec![used("2027-02-10", 16)]).await.unwrap());
    assert_eq!(standing().await, Some(Standing::default()), "without limits nothing is counted");
    both.change_project(&id, ProjectChange::Limit(LIMITS)).await.unwrap();
    both.change_project(&id, ProjectChange::Pause(at(1))).await.unwrap();
    let expected = Standing {
        paused: true,
        limits: LIMITS,
        runs: 4,
        tokens_today: 24,
        cost_today: 20,
        cost_this_month: 22,
    };
    assert_eq!(standing().await, Some(expected));
    both.change_project(&id, ProjectChange::Resume).await.unwrap();
    assert_eq!(standing().await, Some(Standing { paused: false, ..expected }));
    let nobody: ProjectId = "nobody-has-this-project".parse().unwrap();
    assert_eq!(both.standing(&nobody, "2027-02-10", "2027-02-01").await.unwrap(), None);
    assert_eq!(
        both.standing(&ProjectId::DEFAULT, "2027-02-10", "2027-02-01").await.unwrap().map(|s| s.paused),
        Some(false)
    );
}
