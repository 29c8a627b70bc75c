//! What starts runs by itself. Each case makes a workflow of its own, so that an old database may be used.

use super::{at, fresh};
use crate::{
    Catalog, Course, Error, FIRES, Fire, Move, NewTrigger, NewWorkflow, Next, Outcome, Provenance, Sealed,
    Trigger, TriggerChange, TriggerKind, Triggers,
};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId, TriggerId, WorkflowId},
};
use futures::future::join_all;
use serde_json::{Map, json};

const OURS: ProjectId = ProjectId::DEFAULT;
/// Long before anything else in the catalog, so that nothing else is due.
const EARLY: Timestamp = Timestamp(1_000_000);

/// Both sides of one database.
pub trait Both: Catalog + Triggers {}
impl<T: Catalog + Triggers> Both for T {}

async fn workflow(catalog: &dyn Both, project: &ProjectId) -> WorkflowId {
    let new = NewWorkflow {
        project: project.clone(),
        id: fresh(),
        name: "nightly".to_owned(),
        description: None,
        definition: json!({"name": "nightly", "nodes": []}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(0),
        from: Provenance::default(),
    };
    catalog.create_workflow(new).await.unwrap().id
}

fn new(project: &ProjectId, workflow: &WorkflowId, next_at: Option<Timestamp>) -> NewTrigger {
    NewTrigger {
        project: project.clone(),
        id: fresh(),
        workflow_id: workflow.clone(),
        kind: TriggerKind::Schedule,
        name: "every night".to_owned(),
        settings: json!({"cron": "0 3 * * *", "nothing": null, "n": 1.0}),
        enabled: true,
        secret: Some(Sealed(Bytes::from_static(&[0, 255, 7]))),
        made_of: Some(Hash::of(b"a request")),
        at: at(5),
        by: "somebody".to_owned(),
        next_at,
    }
}

async fn made(catalog: &dyn Both, next_at: Option<Timestamp>) -> Trigger {
    let workflow = workflow(catalog, &OURS).await;
    catalog.make_trigger(new(&OURS, &workflow, next_at)).await.unwrap()
}

fn change(of: &Trigger, next: Next) -> TriggerChange {
    TriggerChange {
        name: "changed".to_owned(),
        settings: json!({"every": "1h"}),
        enabled: of.enabled,
        since: of.since,
        secret: None,
        at: at(9),
        next,
    }
}

fn fire(of: &Trigger, occasion: &str, n: i64, outcome: Outcome) -> Fire {
    Fire {
        project: of.project.clone(),
        trigger: of.id.clone(),
        occasion: occasion.to_owned(),
        at: at(n),
        run: (outcome == Outcome::Started).then(|| RunId::new(&of.project, &format!("run-{n}")).unwrap()),
        outcome,
        code: (outcome != Outcome::Started).then(|| "overlap".to_owned()),
        detail: Some("why".to_owned()),
        missed: 3,
    }
}

fn step(of: &Trigger, next_at: Option<Timestamp>, fires: Vec<Fire>) -> Move {
    let current_run = fires.iter().find_map(|fire| fire.run.clone());
    let to = Course { next_at, queued: None, last_at: of.course.next_at, current_run };
    Move {
        project: of.project.clone(),
        id: of.id.clone(),
        revision: of.revision,
        from: of.course.clone(),
        to,
        look_at: next_at,
        fires,
    }
}

/// Runs every case.
pub async fn all(catalog: &dyn Both) {
    a_trigger_reads_as_it_was_made(catalog).await;
    a_trigger_has_a_workflow_of_its_project(catalog).await;
    triggers_are_listed_newest_first_by_cursor_and_workflow(catalog).await;
    of_changes_to_one_revision_one_wins(catalog).await;
    a_change_begins_the_schedule_anew_or_leaves_it(catalog).await;
    what_is_due_is_given_out_once_and_again_after_its_lease(catalog).await;
    of_two_who_move_a_schedule_one_does_and_a_change_wins(catalog).await;
    a_fire_is_kept_once_and_a_started_run_stays(catalog).await;
    the_last_fires_are_kept(catalog).await;
    triggers_go_with_their_workflow_and_fires_with_their_trigger(catalog).await;
    nothing_of_a_trigger_crosses_projects(catalog).await;
}

async fn a_trigger_reads_as_it_was_made(catalog: &dyn Both) {
    let workflow = workflow(catalog, &OURS).await;
    for kind in TriggerKind::ALL {
        let new = NewTrigger { kind, ..new(&OURS, &workflow, Some(at(60_000))) };
        let made = catalog.make_trigger(new.clone()).await.unwrap();
        assert_eq!(catalog.trigger(&OURS, &new.id).await.unwrap(), Some(made.clone()));
        assert_eq!((made.revision, made.since, made.created_at), (1, at(5), at(5)));
        assert_eq!((&made.settings, &made.secret), (&new.settings, &new.secret));
        assert_eq!(made.course, Course { next_at: Some(at(60_000)), ..Course::default() });
        assert!(!format!("{made:?}").contains("255"), "no log shows a secret");
    }
    let bare = NewTrigger { secret: None, made_of: None, enabled: false, ..new(&OURS, &workflow, None) };
    let made = catalog.make_trigger(bare).await.unwrap();
    assert_eq!(catalog.trigger(&OURS, &made.id).await.unwrap(), Some(made));
    assert_eq!(catalog.trigger(&OURS, &fresh()).await.unwrap(), None);
}

async fn a_trigger_has_a_workflow_of_its_project(catalog: &dyn Both) {
    let other: ProjectId = format!("t{}", &uuid::Uuid::now_v7().simple().to_string()[..30]).parse().unwrap();
    let (ours, hidden) = (workflow(catalog, &OURS).await, workflow(catalog, &OURS).await);
    catalog.hide_workflow(&OURS, &hidden).await.unwrap();
    for (project, of) in
        [(&OURS, &fresh()), (&other, &ours), (&OURS, &hidden), (&OURS, &"no-uuid".parse().unwrap())]
    {
        let refused = catalog.make_trigger(new(project, of, None)).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "workflow", .. })), "{refused:?}");
    }
    let first = new(&OURS, &ours, None);
    catalog.make_trigger(first.clone()).await.unwrap();
    let again = catalog.make_trigger(NewTrigger { name: "another".to_owned(), ..first.clone() }).await;
    assert!(matches!(again, Err(Error::Conflict { what: "trigger", .. })), "{again:?}");
    assert_eq!(catalog.trigger(&OURS, &first.id).await.unwrap().unwrap().name, "every night");
}

async fn triggers_are_listed_newest_first_by_cursor_and_workflow(catalog: &dyn Both) {
    let (one, other) = (workflow(catalog, &OURS).await, workflow(catalog, &OURS).await);
    let mut ids = Vec::new();
    for workflow in [&one, &other, &one, &one] {
        ids.push(catalog.make_trigger(new(&OURS, workflow, None)).await.unwrap().id);
    }
    ids.reverse();
    let listed = async |of: Option<&WorkflowId>, after: Option<&TriggerId>, limit| {
        let listed = catalog.triggers(&OURS, of, after, limit).await.unwrap();
        listed.into_iter().map(|trigger| trigger.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None, 4).await, ids);
    assert_eq!(listed(Some(&one), None, 10).await, [&ids[0], &ids[1], &ids[3]].map(Clone::clone));
    assert_eq!(listed(Some(&one), Some(&ids[0]), 1).await, ids[1..2]);
    assert_eq!(listed(Some(&fresh()), None, 10).await, []);
    assert_eq!(listed(Some(&"no-uuid".parse().unwrap()), None, 10).await, []);
}

async fn of_changes_to_one_revision_one_wins(catalog: &dyn Both) {
    let trigger = made(catalog, None).await;
    let changes = (0..4).map(|_| catalog.change_trigger(&OURS, &trigger.id, 1, change(&trigger, Next::Kept)));
    let done: Vec<_> = join_all(changes).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
    for lost in done.iter().filter_map(|done| done.as_ref().err()) {
        assert!(matches!(lost, Error::Conflict { what: "trigger", current: Some(2), .. }), "{lost:?}");
    }
    let changed = catalog.trigger(&OURS, &trigger.id).await.unwrap().unwrap();
    assert_eq!((changed.revision, &*changed.name, changed.updated_at), (2, "changed", at(9)));
    assert_eq!((changed.secret, changed.created_at, changed.made_of), (None, at(5), trigger.made_of));
    let unknown = catalog.change_trigger(&OURS, &fresh(), 1, change(&trigger, Next::Kept)).await;
    assert!(matches!(unknown, Err(Error::NotFound { what: "trigger", .. })), "{unknown:?}");
}

async fn a_change_begins_the_schedule_anew_or_leaves_it(catalog: &dyn Both) {
    let trigger = made(catalog, Some(at(100))).await;
    let queued = Move {
        to: Course { next_at: Some(at(200)), queued: Some(at(100)), last_at: None, current_run: None },
        ..step(&trigger, None, Vec::new())
    };
    assert_eq!(catalog.move_triggers(vec![queued]).await.unwrap(), [true]);
    let kept = catalog.change_trigger(&OURS, &trigger.id, 1, change(&trigger, Next::Kept)).await.unwrap();
    assert_eq!((kept.course.next_at, kept.course.queued), (Some(at(200)), Some(at(100))));
    let anew = change(&trigger, Next::Anew(Some(at(300))));
    let anew = catalog.change_trigger(&OURS, &trigger.id, 2, anew).await.unwrap();
    assert_eq!((anew.course.next_at, anew.course.queued), (Some(at(300)), None));
    let off = TriggerChange { enabled: false, ..change(&trigger, Next::Anew(None)) };
    let off = catalog.change_trigger(&OURS, &trigger.id, 3, off).await.unwrap();
    assert_eq!((off.course.next_at, off.enabled), (None, false));
}

/// Those of ours that are due: others may have been left by other cases.
async fn due(catalog: &dyn Both, now: Timestamp, then: Timestamp, ours: &[&Trigger]) -> Vec<TriggerId> {
    let due = catalog.due_triggers(now, then, 10_000).await.unwrap();
    ours.iter().map(|trigger| &trigger.id).filter(|id| due.iter().any(|t| t.id == **id)).cloned().collect()
}

async fn what_is_due_is_given_out_once_and_again_after_its_lease(catalog: &dyn Both) {
    let early = |n: i64| Timestamp(EARLY.0 + n);
    let (first, second) = (made(catalog, Some(early(1))).await, made(catalog, Some(early(2))).await);
    let off = NewTrigger { enabled: false, ..new(&OURS, &first.workflow_id, None) };
    let off = catalog.make_trigger(off).await.unwrap();
    let ours = [&first, &second, &off];
    assert_eq!(due(catalog, early(0), early(50), &ours).await, []);
    assert_eq!(due(catalog, early(1), early(50), &ours).await, std::slice::from_ref(&first.id));
    assert_eq!(
        due(catalog, early(2), early(60), &ours).await,
        std::slice::from_ref(&second.id),
        "the other is leased"
    );
    assert_eq!(due(catalog, early(50), early(70), &ours).await, std::slice::from_ref(&first.id));
    let rounds = (0..4).map(|_| catalog.due_triggers(early(80), early(500), 1));
    let given: Vec<Trigger> = join_all(rounds).await.into_iter().flat_map(Result::unwrap).collect();
    let mut ids: Vec<_> = given.iter().map(|trigger| trigger.id.clone()).collect();
    ids.sort();
    assert_eq!(ids, [first.id.clone(), second.id.clone()], "each is somebody's, whoever asks at once");
    assert_eq!(
        given[0].course.next_at,
        catalog.trigger(&OURS, &given[0].id).await.unwrap().unwrap().course.next_at
    );
    for trigger in [first, second] {
        catalog.delete_trigger(&OURS, &trigger.id).await.unwrap();
    }
}

async fn of_two_who_move_a_schedule_one_does_and_a_change_wins(catalog: &dyn Both) {
    let trigger = made(catalog, Some(at(100))).await;
    let move_to = |n| step(&trigger, Some(at(n)), vec![fire(&trigger, "100", 101, Outcome::Started)]);
    assert_eq!(catalog.move_triggers(vec![move_to(200), move_to(300)]).await.unwrap(), [true, false]);
    let moved = catalog.trigger(&OURS, &trigger.id).await.unwrap().unwrap();
    let run = RunId::new(&OURS, "run-101").unwrap();
    let expected =
        Course { next_at: Some(at(200)), queued: None, last_at: Some(at(100)), current_run: Some(run) };
    assert_eq!((&moved.course, moved.revision), (&expected, 1));
    assert_eq!(catalog.fires(&OURS, &trigger.id, 10).await.unwrap().len(), 1);

    catalog.change_trigger(&OURS, &trigger.id, 1, change(&moved, Next::Kept)).await.unwrap();
    let skipped = step(&moved, Some(at(300)), vec![fire(&moved, "200", 201, Outcome::Skipped)]);
    let started = step(&moved, Some(at(300)), vec![fire(&moved, "201", 202, Outcome::Started)]);
    assert_eq!(catalog.move_triggers(vec![skipped, started]).await.unwrap(), [false, false]);
    let fires = catalog.fires(&OURS, &trigger.id, 10).await.unwrap();
    let occasions: Vec<&str> = fires.iter().map(|fire| &*fire.occasion).collect();
    assert_eq!(occasions, ["201", "100"], "what was started stays, what was only decided does not");
    assert_eq!(catalog.trigger(&OURS, &trigger.id).await.unwrap().unwrap().course, expected);
    assert!(catalog.move_triggers(Vec::new()).await.unwrap().is_empty());
}

async fn a_fire_is_kept_once_and_a_started_run_stays(catalog: &dyn Both) {
    let trigger = made(catalog, None).await;
    let last = async || catalog.fires(&OURS, &trigger.id, 10).await.unwrap();
    let refused = fire(&trigger, "m-1", 1, Outcome::Refused);
    catalog.record_fire(refused.clone()).await.unwrap();
    assert_eq!(last().await, [refused]);
    let started = fire(&trigger, "m-1", 2, Outcome::Started);
    catalog.record_fire(started.clone()).await.unwrap();
    assert_eq!(last().await, std::slice::from_ref(&started), "another try of the same occasion");
    catalog.record_fire(fire(&trigger, "m-1", 3, Outcome::Refused)).await.unwrap();
    assert_eq!(last().await, [started]);
}

async fn the_last_fires_are_kept(catalog: &dyn Both) {
    let trigger = made(catalog, None).await;
    let most = i64::from(FIRES);
    for n in 0..most + 3 {
        catalog.record_fire(fire(&trigger, &format!("m-{n}"), n, Outcome::Started)).await.unwrap();
    }
    let fires = catalog.fires(&OURS, &trigger.id, 10_000).await.unwrap();
    assert_eq!(fires.len(), FIRES as usize);
    assert_eq!((fires[0].at, fires[fires.len() - 1].at), (at(most + 2), at(3)));
    assert_eq!(catalog.fires(&OURS, &trigger.id, 2).await.unwrap(), fires[..2]);
}

async fn triggers_go_with_their_workflow_and_fires_with_their_trigger(catalog: &dyn Both) {
    let trigger = made(catalog, Some(at(100))).await;
    let other = catalog.make_trigger(new(&OURS, &trigger.workflow_id, None)).await.unwrap();
    let stays = made(catalog, None).await;
    catalog.record_fire(fire(&other, "m-1", 1, Outcome::Started)).await.unwrap();
    assert!(catalog.delete_trigger(&OURS, &other.id).await.unwrap());
    assert!(!catalog.delete_trigger(&OURS, &other.id).await.unwrap());
    assert_eq!(catalog.fires(&OURS, &other.id, 10).await.unwrap(), []);
    catalog.record_fire(fire(&other, "m-2", 2, Outcome::Started)).await.unwrap();
    assert_eq!(catalog.fires(&OURS, &other.id, 10).await.unwrap(), [], "it came too late");
    assert!(catalog.hide_workflow(&OURS, &trigger.workflow_id).await.unwrap());
    assert_eq!(catalog.trigger(&OURS, &trigger.id).await.unwrap(), None);
    let gone = step(&trigger, Some(at(200)), vec![fire(&trigger, "100", 1, Outcome::Started)]);
    assert_eq!(catalog.move_triggers(vec![gone]).await.unwrap(), [false]);
    assert!(catalog.trigger(&OURS, &stays.id).await.unwrap().is_some());
}

async fn nothing_of_a_trigger_crosses_projects(catalog: &dyn Both) {
    let trigger = made(catalog, None).await;
    let other: ProjectId = format!("t{}", &uuid::Uuid::now_v7().simple().to_string()[..30]).parse().unwrap();
    catalog.record_fire(fire(&trigger, "m-1", 1, Outcome::Started)).await.unwrap();
    assert_eq!(catalog.trigger(&other, &trigger.id).await.unwrap(), None);
    assert_eq!(catalog.triggers(&other, None, None, 10).await.unwrap(), []);
    assert_eq!(catalog.fires(&other, &trigger.id, 10).await.unwrap(), []);
    assert!(!catalog.delete_trigger(&other, &trigger.id).await.unwrap());
    let foreign = catalog.change_trigger(&other, &trigger.id, 1, change(&trigger, Next::Kept)).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })), "{foreign:?}");
    // The same id in another project is another trigger.
    let theirs = NewTrigger { id: trigger.id.clone(), ..new(&other, &workflow(catalog, &other).await, None) };
    let theirs = catalog.make_trigger(theirs).await.unwrap();
    assert_eq!(catalog.fires(&other, &theirs.id, 10).await.unwrap(), []);
    assert_eq!(catalog.trigger(&OURS, &trigger.id).await.unwrap(), Some(trigger));
}
