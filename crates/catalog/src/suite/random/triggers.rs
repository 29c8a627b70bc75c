//! The same of triggers and their fires.

use super::{Chance, told};
use crate::{
    Course, Fire, Move, NewTrigger, Next, Outcome, Sealed, Trigger, TriggerChange, TriggerKind, Triggers,
};
use bytes::Bytes;
use callboard_core::{
    Hash,
    id::{ProjectId, RunId, TriggerId},
};
use serde_json::json;

/// Makes one call on both, and returns what each answered.
pub async fn pull(chance: &mut Chance, one: &dyn Triggers, other: &dyn Triggers) -> [String; 2] {
    let project = chance.project();
    let id = TriggerId::new(format!("trigger-{}", chance.roll(6)));
    let known = one.trigger(&project, &id).await.unwrap();
    let limit = u32::try_from(chance.roll(6)).unwrap();
    let (now, then) = (chance.instant(), chance.instant());
    let (kind, of, after) = (chance.roll(12), chance.maybe(Chance::workflow), chance.one_in(2));
    let revision = known.as_ref().map_or(1, |known| known.revision) + chance.roll(5) / 4;
    let made = new(chance, &project, &id);
    let changed = change(chance);
    let moves: Vec<Move> = known.iter().map(|known| step(chance, known)).collect();
    let fire = fire(chance, &project, &id);
    let mut answers = [String::new(), String::new()];
    for (triggers, answer) in [one, other].into_iter().zip(&mut answers) {
        let what = match kind {
            0 | 1 => told(triggers.make_trigger(made.clone()).await.map(whole)),
            2 => {
                let changed = triggers.change_trigger(&project, &id, revision, changed.clone()).await;
                told(changed.map(whole))
            }
            3 if limit == 0 => told(triggers.delete_trigger(&project, &id).await),
            3 | 4 => told(triggers.trigger(&project, &id).await.map(|found| found.map(whole))),
            5 => told(triggers.triggers(&project, of.as_ref(), after.then_some(&id), limit).await),
            6 => told(triggers.due_triggers(now, then, 10_000).await.map(|mut due| {
                // Their order is nobody's promise.
                due.sort_by(|a, b| (&a.project, &a.id).cmp(&(&b.project, &b.id)));
                due
            })),
            7 | 8 => told(triggers.move_triggers(moves.clone()).await),
            9 | 10 => told(triggers.record_fire(fire.clone()).await),
            _ => told(triggers.fires(&project, &id, limit).await),
        };
        *answer = format!("triggers {kind} {project} {id} {revision} {now:?} {then:?} {limit}: {what}");
    }
    answers
}

/// With what no log shows.
fn whole(trigger: Trigger) -> (Trigger, Option<Bytes>) {
    let secret = trigger.secret.clone().map(|secret| secret.0);
    (trigger, secret)
}

fn sealed(chance: &mut Chance) -> Option<Sealed> {
    chance.maybe(|chance| Sealed(Bytes::from(vec![u8::try_from(chance.roll(200)).unwrap(); 3])))
}

fn new(chance: &mut Chance, project: &ProjectId, id: &TriggerId) -> NewTrigger {
    NewTrigger {
        project: project.clone(),
        id: id.clone(),
        workflow_id: chance.workflow(),
        kind: chance.pick(&TriggerKind::ALL),
        name: format!("name {}", chance.roll(9)),
        settings: json!({"every": "1h", "n": chance.roll(9)}),
        enabled: chance.one_in(2),
        secret: sealed(chance),
        made_of: chance.maybe(|chance| Hash::of(&[u8::try_from(chance.roll(5)).unwrap()])),
        at: chance.instant(),
        by: "somebody".to_owned(),
        next_at: chance.maybe(Chance::instant),
    }
}

fn change(chance: &mut Chance) -> TriggerChange {
    TriggerChange {
        name: format!("name {}", chance.roll(9)),
        settings: json!({"cron": "* * * * *", "n": chance.roll(9)}),
        enabled: chance.one_in(2),
        since: chance.instant(),
        secret: sealed(chance),
        at: chance.instant(),
        next: match chance.one_in(2) {
            true => Next::Kept,
            false => Next::Anew(chance.maybe(Chance::instant)),
        },
    }
}

fn step(chance: &mut Chance, known: &Trigger) -> Move {
    let from = match chance.one_in(4) {
        true => Course { next_at: chance.maybe(Chance::instant), ..known.course.clone() },
        false => known.course.clone(),
    };
    let fires = (0..chance.roll(3)).map(|_| fire(chance, &known.project, &known.id)).collect();
    Move {
        project: known.project.clone(),
        id: known.id.clone(),
        revision: known.revision + chance.roll(6) / 5,
        from,
        to: Course {
            next_at: chance.maybe(Chance::instant),
            queued: chance.maybe(Chance::instant),
            last_at: chance.maybe(Chance::instant),
            current_run: chance.maybe(|chance| run(chance, &known.project)),
        },
        look_at: chance.maybe(Chance::instant),
        fires,
    }
}

fn run(chance: &mut Chance, project: &ProjectId) -> RunId {
    RunId::new(project, &format!("run-{}", chance.roll(9))).unwrap()
}

fn fire(chance: &mut Chance, project: &ProjectId, id: &TriggerId) -> Fire {
    Fire {
        project: project.clone(),
        trigger: id.clone(),
        occasion: format!("occasion {}", chance.roll(9)),
        at: chance.instant(),
        run: chance.maybe(|chance| run(chance, project)),
        outcome: chance.pick(&Outcome::ALL),
        code: chance.maybe(|_| "overlap".to_owned()),
        detail: chance.maybe(|chance| format!("detail {}", chance.roll(9))),
        missed: u32::try_from(chance.roll(9)).unwrap(),
    }
}
