//! Tool calls by their places, whatever their providers call them.

use super::*;

fn tool(id: &str, city: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "weather".into(), arguments: json!({"city": city}).to_string() }
}

fn asked(run: &Run) -> Vec<(String, String)> {
    let name = |effect: Effect| match effect {
        Effect::CallTool { call, .. } | Effect::Delegate { call, .. } => (call.id, call.arguments),
        other => panic!("a call was expected, not {other:?}"),
    };
    run.pending().into_iter().map(name).collect()
}

/// Performs what is pending, the last first, until nothing is; each answer says which call it answers.
fn perform(run: &mut Run) {
    for _ in 0..200 {
        let Phase::Acting { .. } = run.phase else { return };
        let (id, arguments) = asked(run).pop().expect("whoever acts has something to do");
        let iteration = run.iterations;
        let input = Input::ToolAnswered { attempt: 1, iteration, id, result: Ok(json!(arguments)) };
        assert_eq!(give(run, &input), 1);
    }
    panic!("it does not come to an end: {run:?}");
}

/// Checks that every call is answered by its own answer, under an id of its own.
fn is_consistent(messages: &[Value]) {
    let mut at = messages.iter();
    while let Some(message) = at.next() {
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let mut seen = std::collections::BTreeSet::new();
        for call in &calls {
            let answer = at.next().expect("an answer to each call");
            assert_eq!(
                (&answer["role"], &answer["tool_call_id"]),
                (&json!("tool"), &call["id"]),
                "{messages:#?}"
            );
            assert_eq!(answer["content"], call["arguments"], "{messages:#?}");
            assert!(call["id"] != "" && seen.insert(call["id"].to_string()), "{messages:#?}");
        }
    }
}

#[test]
fn every_call_is_performed_and_answered_whatever_ids_it_has() {
    let long = "x".repeat(1 << 20);
    for ids in [
        vec!["call_0", "call_0"],
        vec!["call_1", "call_1"],
        vec!["call_1", ""],
        vec!["", "call_1"],
        vec!["", ""],
        vec!["0", "0", "1"],
        vec!["1", "0"],
        vec!["same", "same", "same", "other", "same"],
        vec!["\u{0}", "a b", "a\n", "tool 1 0"],
        vec![long.as_str(), long.as_str()],
    ] {
        let mut run = at_work(task(None));
        let calls: Vec<ToolCall> =
            ids.iter().enumerate().map(|(i, id)| tool(id, &format!("city {i}"))).collect();
        for round in 1..=3 {
            let reply =
                replies(calls.iter().map(|c| tool(&c.id, &format!("{} {round}", c.arguments))).collect());
            give(&mut run, &Input::Replied { attempt: 1, iteration: round, reply });
            assert_eq!(asked(&run).len(), ids.len(), "{ids:?}");
            perform(&mut run);
            assert!(matches!(run.phase, Phase::Thinking { .. }) && run.iterations == round + 1);
        }
        let told = echoed(&run);
        is_consistent(&told);
        if ids == ["1", "0"] {
            assert_eq!(told[1]["tool_call_id"], "1", "what is unique is given back as it came");
        }
        assert!(
            json!(run).to_string().len() < 64 << 10,
            "what a provider sends as an id is not kept whatever its size"
        );
    }
}

#[test]
fn calls_of_one_name_are_told_apart_where_they_are_delegated_too() {
    let mut run = at_work(task(None));
    let ask =
        |id: &str, what: &str| ToolCall { id: id.into(), ..call(json!({"agent": "clerk", "task": what})) };
    let reply = replies(vec![ask("x", "one"), ask("x", "two"), ask("", "three")]);
    give(&mut run, &Input::Replied { attempt: 1, iteration: 1, reply });
    let delegated = run.delegated();
    assert_eq!(delegated, [(1, "0".to_owned()), (1, "1".to_owned()), (1, "2".to_owned())]);
    for (iteration, id) in delegated {
        let (from, result) = (format!("child-of-{id}").parse().expect("an id"), Ok(json!("found")));
        give(
            &mut run,
            &Input::Delegated { attempt: 1, iteration, id, from, result, usage: Usage::default() },
        );
    }
    assert_eq!((run.children.len(), run.iterations), (3, 2));
}

/// An agent as the version before wrote it, in the middle of a round: results under the providers' ids.
fn recorded(ids: &[&str], answered: &[&str]) -> Run {
    let mut run = at_work(task(None));
    let calls: Vec<ToolCall> = ids.iter().enumerate().map(|(i, id)| tool(id, &format!("city {i}"))).collect();
    let message =
        Message { tool_calls: calls.clone(), ..Message::new(crate::agent::message::Role::Assistant, "") };
    run.apply(&Event::ModelReplied {
        message: Datum::inline(json!(message)),
        calls,
        usage: Usage::default(),
    });
    for id in answered {
        let at = ids.iter().position(|other| other == id).expect("a call");
        let content = json!({"city": format!("city {at}")}).to_string();
        let message = json!({"role": "tool", "content": content, "tool_call_id": id});
        run.apply(&Event::ToolAnswered {
            id: (*id).to_owned(),
            message: Datum::inline(message),
            strike: false,
        });
    }
    run
}

#[test]
fn what_was_recorded_under_providers_ids_goes_on() {
    for (ids, answered, left) in [
        (vec!["a", "b"], vec![], vec!["a", "b"]),
        (vec!["a", "b"], vec!["b"], vec!["a"]),
        (vec!["1", "0"], vec!["1"], vec!["0"]),
        // Here it stood for ever: the second call was taken for the first.
        (vec!["call_0", "call_0"], vec!["call_0"], vec!["1"]),
        (vec!["call_0", "call_0"], vec![], vec!["call_0", "1"]),
        (vec!["1", "1", "x"], vec!["1", "x"], vec!["1+"]),
        (vec!["", ""], vec![""], vec!["1"]),
    ] {
        let mut run = recorded(&ids, &answered);
        let names: Vec<String> = asked(&run).into_iter().map(|(id, _)| id).collect();
        assert_eq!(names, left, "{ids:?} {answered:?}");
        perform(&mut run);
        assert!(matches!(run.phase, Phase::Thinking { .. }));
        is_consistent(&echoed(&run));
    }
    let done = recorded(&["a", "b"], &["b", "a"]);
    assert!(matches!(done.phase, Phase::Thinking { .. }), "and what was answered is");
    is_consistent(&echoed(&done));
}

#[test]
fn a_cancel_ends_the_attempt_it_names() {
    let mut run = at_work(task(None));
    assert_eq!(give(&mut run, &Input::Cancel { attempt: 2 }), 0);
    assert_eq!(give(&mut run, &Input::Cancel { attempt: 1 }), 1);
    assert_eq!(run.phase, Phase::Done { outcome: Ending::Cancelled });
    assert_eq!(run.pending(), [Effect::Deliver { attempt: 1 }], "whoever asked is told");
}
