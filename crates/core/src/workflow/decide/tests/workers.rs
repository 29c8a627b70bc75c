//! Tasks that workers outside perform.

use super::*;

fn outside(more: Value) -> Value {
    let mut node = json!({"id": "out", "type": "agent",
        "config": {"agent": "nobody-here", "prompt": "do {{ input.what }}", "worker": "external"}});
    for (name, value) in more.as_object().expect("fields") {
        node[name] = value.clone();
    }
    json!({"name": "outside", "nodes": [node]})
}

fn grant(w: &mut World, activation: &str) {
    let step = StepKey::new(1, "out", "");
    w.give(Input::Grant { step, attempt: 1, activation: activation.to_owned() });
}

#[test]
fn a_task_is_offered_until_it_is_answered() {
    let mut w = World::start(outside(json!({})), json!({"what": "it"}));
    assert_eq!((w.pending(), w.run.status()), (vec!["offer out#1".to_owned()], Status::Running));
    let Some(Effect::OfferTask { agent, input: Datum::Inline(input), .. }) =
        w.run.pending().into_iter().next()
    else {
        panic!("an offer")
    };
    assert_eq!((agent.as_str(), &input["prompt"]), ("nobody-here", &json!("do it")));
    w.answer("out", "", json!({"done": true}));
    assert_eq!((w.output(), w.run.usage.calls), (json!({"done": true}), 1));
}

#[test]
fn an_offer_that_is_not_answered_in_time_is_made_again_where_the_definition_says_so() {
    let retry = json!({"max_retries": 1, "backoff": "constant", "initial": "1s", "jitter": false});
    let mut w = World::start(outside(json!({"timeout": "60s", "retry": retry})), json!({"what": "it"}));
    w.pass(Span::secs(60));
    assert_eq!(w.pending(), Vec::<String>::new());
    w.pass(Span::secs(1));
    assert_eq!(w.pending(), ["offer out#2"]);
    let late = Input::Answer {
        step: StepKey::new(1, "out", ""),
        attempt: 1,
        outcome: Outcome::Done(Datum::inline(json!("late"))),
        usage: Usage::default(),
    };
    assert_eq!(w.give(late), []);
    w.answer("out", "", json!("in time"));
    assert_eq!(w.output(), json!("in time"));
}

#[test]
fn an_offer_made_at_most_once_is_out_of_our_hands_and_unknown_after_its_timeout() {
    let once = outside(json!({"timeout": "60s", "effect": "at_most_once"}));
    let mut w = World::start(once, json!({"what": "it"}));
    assert_eq!(w.pending(), ["offer out#1"]);
    grant(&mut w, "first");
    assert_eq!((w.pending(), w.run.status()), (vec![], Status::Running));
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(60)));
    w.pass(Span::secs(60));
    assert_eq!((w.step("out"), w.run.status()), (&StepState::Unknown, Status::Waiting));
    w.answer("out", "", json!("at last"));
    assert_eq!(w.output(), json!("at last"));
}

#[test]
fn nobody_outside_is_told_of_a_cancel() {
    let mut w = World::start(outside(json!({})), json!({"what": "it"}));
    let op = w.op();
    w.give(Input::Cancel { op });
    assert_eq!((w.run.status(), w.pending()), (Status::Cancelled, vec![]));
}
