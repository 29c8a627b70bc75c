//! Approvals that cover what another node sends.

use super::*;
use crate::workflow::args_hash;

fn pay() -> Value {
    json!({"id": "pay", "type": "http", "config": {"method": "POST", "url": "http://bank.example/{{ steps.who.output }}",
        "body": {"amount": "{{ input.amount }}"}}})
}

/// Who is paid is found out, a person is asked, it is paid.
fn guarded() -> Value {
    json!({"name": "pay", "nodes": [
        {"id": "who", "type": "agent", "config": {"agent": "a", "prompt": "who"}},
        {"id": "ok", "type": "approval", "config": {"title": "Pay?", "guards": "pay"}},
        pay(),
    ], "edges": [
        {"source": "who", "target": "ok"},
        {"source": "ok", "target": "pay", "config": {"branch": "approved"}},
    ]})
}

fn answer(
    w: &mut World,
    approved: bool,
    hash: Option<String>,
    iteration: Option<&str>,
) -> Result<Vec<Event>, String> {
    let op = w.op();
    let input = Input::Approve {
        op,
        node: "ok".into(),
        generation: None,
        iteration: iteration.map(str::to_owned),
        approved,
        comment: None,
        args_hash: hash,
    };
    w.try_give(&input)
}

fn asked(w: &World, iteration: &str) -> (Value, String) {
    let step = &w.run.steps[&StepKey::new(w.run.generation(), "ok", iteration)];
    let input = step.input.as_ref().expect("an input");
    let Datum::Inline(value) = input else { panic!("inline") };
    ((**value).clone(), args_hash(input))
}

#[test]
fn what_will_be_sent_is_shown_and_approved_by_its_hash_only() {
    let mut w = World::start(guarded(), json!({"amount": 5}));
    w.answer("who", "", json!("bob"));
    let (input, hash) = asked(&w, "");
    let sends = json!({"method": "POST", "url": "http://bank.example/bob", "body": {"amount": 5}});
    assert_eq!(input, json!({"title": "Pay?", "detail": null, "guards": {"node": "pay", "sends": sends}}));
    assert_eq!(answer(&mut w, true, None, None), Err("args_hash_required".into()));
    assert_eq!(answer(&mut w, true, Some("0".repeat(32)), None), Err("arguments_changed".into()));
    assert!(w.pending().is_empty());
    answer(&mut w, true, Some(hash), None).expect("given");
    assert_eq!(w.pending(), ["http pay#1"]);
    let Some(Effect::CallHttp { input: Datum::Inline(sent), .. }) = w.run.pending().into_iter().next() else {
        panic!("a call")
    };
    assert_eq!(*sent, sends, "what is sent is what was shown");
}

#[test]
fn it_is_rejected_without_a_hash_and_expires() {
    let mut w = World::start(guarded(), json!({"amount": 5}));
    w.answer("who", "", json!("bob"));
    answer(&mut w, false, None, None).expect("rejected");
    assert_eq!(*w.step("pay"), StepState::Skipped);
}

#[test]
fn an_approval_is_for_what_it_showed_and_void_for_anything_else() {
    let mut w = World::start(guarded(), json!({"amount": 5}));
    w.answer("who", "", json!("bob"));
    let (_, hash) = asked(&w, "");
    answer(&mut w, true, Some(hash.clone()), None).expect("given");
    w.fail("pay", false);
    assert_eq!(w.run.status(), Status::Failed);
    // The same again is what was approved; another amount is not.
    let op = w.op();
    w.give(Input::Rerun { op, from: "pay".into(), input: None });
    assert_eq!(w.pending(), ["http pay#1"]);
    w.fail("pay", false);
    let op = w.op();
    w.give(Input::Rerun { op, from: "pay".into(), input: Some(Datum::inline(json!({"amount": 5000}))) });
    assert_eq!((w.pending(), w.error()), (Vec::<String>::new(), "approval_void".into()));
    // Asked again, it shows what it is now, and the old hash is not its hash.
    let op = w.op();
    w.give(Input::Rerun { op, from: "ok".into(), input: None });
    assert_eq!(asked(&w, "").0["guards"]["sends"]["body"]["amount"], 5000);
    assert_eq!(answer(&mut w, true, Some(hash), None), Err("arguments_changed".into()));
    let (_, hash) = asked(&w, "");
    answer(&mut w, true, Some(hash), None).expect("given");
    assert_eq!(w.pending(), ["http pay#1"]);
}

#[test]
fn attempts_of_what_was_approved_send_the_same() {
    let mut definition = guarded();
    definition["nodes"][2]["retry"] =
        json!({"max_retries": 2, "backoff": "constant", "initial": "1s", "jitter": false});
    let mut w = World::start(definition, json!({"amount": 5}));
    w.answer("who", "", json!("bob"));
    let (_, hash) = asked(&w, "");
    let op = w.op();
    w.give(Input::Pause { op });
    answer(&mut w, true, Some(hash), None).expect("given while it is paused");
    assert!(w.pending().is_empty());
    let op = w.op();
    w.give(Input::Resume { op });
    w.fail("pay", true);
    w.pass(Span::secs(1));
    assert_eq!(w.pending(), ["http pay#2"]);
    w.answer("pay", "", json!({"status": 200}));
    assert_eq!(w.run.status(), Status::Completed);
}

#[test]
fn each_round_of_a_body_is_approved_for_itself() {
    let definition = json!({"name": "all", "nodes": [{"id": "each", "type": "for_each", "config": {
        "items": "input.all", "body": {
            "nodes": [
                {"id": "ok", "type": "approval", "config": {"title": "Send?", "guards": "send"}},
                {"id": "send", "type": "agent", "config": {"agent": "a", "prompt": "to {{ item }}, number {{ index }}"}},
            ],
            "edges": [{"source": "ok", "target": "send", "config": {"branch": "approved"}}]}}}]});
    let mut w = World::start(definition, json!({"all": ["ann", "bob"]}));
    let (first, second) = (asked(&w, "0"), asked(&w, "1"));
    assert_eq!(second.0["guards"]["sends"], json!({"agent": "a", "prompt": "to bob, number 1"}));
    assert_eq!(answer(&mut w, true, Some(first.1.clone()), Some("1")), Err("arguments_changed".into()));
    answer(&mut w, true, Some(second.1), Some("1")).expect("given");
    assert_eq!(w.pending(), ["agent send[1]#1"]);
    answer(&mut w, true, Some(first.1), Some("0")).expect("given");
    assert_eq!(w.pending().len(), 2);
}

#[test]
fn an_approval_that_can_not_show_what_it_guards_fails_and_nothing_is_sent() {
    let mut w = World::start(guarded(), json!({}));
    w.answer("who", "", json!("bob"));
    assert_eq!((w.pending(), w.error()), (Vec::<String>::new(), "template_error".into()));
}

#[test]
fn an_approval_without_guards_is_as_it_was() {
    let mut definition = guarded();
    definition["nodes"][1]["config"] = json!({"title": "Pay?"});
    let mut w = World::start(definition, json!({"amount": 5}));
    w.answer("who", "", json!("bob"));
    assert_eq!(asked(&w, "").0, json!({"title": "Pay?", "detail": null}));
    answer(&mut w, true, None, None).expect("given");
    assert_eq!(w.pending(), ["http pay#1"]);
}
