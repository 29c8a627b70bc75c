//! The agent's machine where it passes work on.

mod placed;
mod schemas;
mod unfinished;

use super::*;
use crate::agent::{
    delegate::{self, DEPTH},
    message::{Extras, Finish, Message},
    spec::{Agents, Spec},
    task::Origin,
};
use crate::id::AgentId;
use serde_json::json;
use std::collections::BTreeSet;

fn profile() -> Arc<Profile> {
    let delegate_to = vec!["clerk".to_owned()];
    let spec = Spec { model: "m".into(), allow_delegation: true, delegate_to, ..Spec::default() };
    let peers = [("clerk".to_owned(), "Clerk: finds things".to_owned())].into();
    Arc::new(Profile { spec, peers, ..Profile::default() })
}

fn task(origin: Option<Origin>) -> Task {
    Task {
        agent: "lead".into(),
        input: Datum::inline(json!({"agent": "lead", "prompt": "p"})),
        key: "r/1/a/1".into(),
        attempt: 1,
        output_schema: None,
        at_most_once: false,
        budgeted: false,
        origin,
        secrets: BTreeSet::new(),
        pin: None,
    }
}

fn origin(depth: u32) -> Origin {
    Origin { depth, agent: "r.a.1._".parse().expect("an id"), iteration: 1, call: "c".into() }
}

fn call(arguments: Value) -> ToolCall {
    ToolCall { id: "c1".into(), name: DELEGATE.into(), arguments: arguments.to_string() }
}

/// The same as the first of its round, which is what it is called inside.
fn first(call: &ToolCall) -> ToolCall {
    ToolCall { id: "0".into(), ..call.clone() }
}

/// The conversation as a provider is told it.
fn echoed(run: &Run) -> Vec<Value> {
    let inline = |datum: &Datum| match datum {
        Datum::Inline(value) => serde_json::from_value((**value).clone()).expect("a message"),
        Datum::Stored(_) => panic!("nothing is stored here"),
    };
    let mut messages: Vec<Message> = run.messages.iter().map(inline).collect();
    echo(&mut messages);
    messages.iter().map(|message| json!(message)).collect()
}

fn replies(calls: Vec<ToolCall>) -> Result<ModelReply, CallError> {
    let usage =
        Usage { calls: 1, prompt_tokens: 3, completion_tokens: 2, estimated: false, ..Usage::default() };
    Ok(ModelReply {
        text: String::new(),
        tool_calls: calls,
        usage,
        cached: 0,
        model: "m".into(),
        finish: Finish::Complete,
        extras: None,
    })
}

fn at_work(task: Task) -> Run {
    let mut run = Run { profile: Some(profile()), ..Run::default() };
    give(&mut run, &Input::Task(task));
    run
}

fn give(run: &mut Run, input: &Input) -> usize {
    let events = run.decide(Timestamp(1000), input, &Values::default()).expect("nothing is refused");
    events.iter().for_each(|event| run.apply(event));
    let again = run.decide(Timestamp(1000), input, &Values::default()).expect("nothing is refused");
    assert_eq!(again, [], "given again it yields nothing");
    events.len()
}

fn answered(result: Result<Value, CallError>) -> Input {
    let usage =
        Usage { calls: 2, prompt_tokens: 20, completion_tokens: 5, estimated: false, ..Usage::default() };
    Input::Delegated {
        attempt: 1,
        iteration: 1,
        id: "0".into(),
        from: "child".parse().expect("an id"),
        result,
        usage,
    }
}

#[test]
fn a_delegated_part_comes_back_as_a_tools_answer_and_its_use_is_added() {
    let mut run = at_work(task(None));
    let ask = call(json!({"agent": "clerk", "task": "find it"}));
    give(&mut run, &Input::Replied { attempt: 1, iteration: 1, reply: replies(vec![ask.clone()]) });
    assert_eq!(run.pending(), [Effect::Delegate { iteration: 1, call: first(&ask) }]);
    assert_eq!(run.delegated(), [(1, "0".to_owned())]);
    let request = delegate::check(&profile(), &ask).expect("a request");
    assert_eq!((request.agent.as_str(), request.task.as_str()), ("clerk", "find it"));
    assert_eq!(give(&mut run, &answered(Ok(json!("found")))), 1);
    assert_eq!(
        run.usage,
        Usage { calls: 3, prompt_tokens: 23, completion_tokens: 7, estimated: false, ..Usage::default() }
    );
    assert_eq!(run.children.iter().map(AgentId::as_str).collect::<Vec<_>>(), ["child"]);
    let told = echoed(&run).pop().expect("a message");
    assert_eq!((&told["content"], &told["tool_call_id"]), (&json!("found"), &json!("c1")));
    assert!(matches!(run.phase, Phase::Thinking { .. }));
    assert_eq!(give(&mut run, &answered(Ok(json!("again")))), 0);
}

#[test]
fn a_delegates_failure_is_data_for_the_model_and_no_strike() {
    let mut run = at_work(task(None));
    let ask = call(json!({"agent": "clerk", "task": "find it"}));
    give(&mut run, &Input::Replied { attempt: 1, iteration: 1, reply: replies(vec![ask]) });
    give(&mut run, &answered(Err(CallError::permanent("invalid_arguments", "no"))));
    let Some(Datum::Inline(told)) = run.messages.last() else { panic!("a message") };
    assert!(told["content"].as_str().is_some_and(|text| text.contains("invalid_arguments")));
    assert_eq!((run.strikes, run.works()), (0, true));
}

#[test]
fn an_answer_to_another_attempt_or_round_changes_nothing() {
    let mut run = at_work(task(None));
    let ask = call(json!({"agent": "clerk", "task": "find it"}));
    give(&mut run, &Input::Replied { attempt: 1, iteration: 1, reply: replies(vec![ask]) });
    let Input::Delegated { iteration, id, from, result, usage, .. } = answered(Ok(json!("x"))) else {
        unreachable!()
    };
    let late = Input::Delegated { attempt: 2, iteration, id, from, result, usage };
    assert_eq!(give(&mut run, &late), 0);
}

#[test]
fn what_answers_an_earlier_attempt_changes_nothing_in_the_next() {
    let mut run = at_work(task(None));
    give(&mut run, &Input::Task(Task { attempt: 2, ..task(None) }));
    let (attempt, iteration) = (1, 1);
    assert_eq!(give(&mut run, &Input::Replied { attempt, iteration, reply: replies(Vec::new()) }), 0);
    assert_eq!(give(&mut run, &Input::Refused { attempt }), 0);
    assert_eq!(give(&mut run, &Input::Granted { attempt, iteration, granted: false }), 0);
    let ask = call(json!({"agent": "clerk", "task": "find it"}));
    assert_eq!(give(&mut run, &Input::Replied { attempt: 2, iteration, reply: replies(vec![ask]) }), 1);
    let (id, result) = ("0".to_owned(), Ok(json!("old")));
    assert_eq!(give(&mut run, &Input::ToolAnswered { attempt, iteration, id, result }), 0);
    assert!(run.works());
}

#[test]
fn tasks_are_passed_on_only_so_often_and_never_those_done_at_most_once() {
    let offers = |task: &Task| profile().delegate_tool(task).is_some();
    assert!(offers(&task(None)) && offers(&task(Some(origin(DEPTH - 1)))));
    assert!(!offers(&task(Some(origin(DEPTH)))));
    assert!(!offers(&Task { at_most_once: true, ..task(None) }));
    let mut run = at_work(task(Some(origin(DEPTH))));
    let ask = call(json!({"agent": "clerk", "task": "find it"}));
    give(&mut run, &Input::Replied { attempt: 1, iteration: 1, reply: replies(vec![ask.clone()]) });
    assert_eq!(run.pending(), [Effect::CallTool { iteration: 1, call: first(&ask) }]);
}

#[test]
fn what_is_asked_is_checked() {
    for wrong in [
        json!({"agent": "nobody", "task": "x"}),
        json!({"agent": "clerk", "task": " "}),
        json!({"agent": "clerk"}),
        json!({"agent": "clerk", "task": "x", "more": 1}),
        json!({"agent": "clerk", "task": "x".repeat(70_000)}),
    ] {
        let error = delegate::check(&profile(), &call(wrong.clone())).expect_err("a mistake");
        assert_eq!(error.code, "invalid_arguments", "{wrong}");
    }
}

#[test]
fn a_delegate_of_a_budgeted_run_asks_before_its_first_call() {
    let run = at_work(Task { budgeted: true, ..task(Some(origin(1))) });
    assert_eq!(run.pending(), [Effect::Reserve { iteration: 1 }]);
    let own = at_work(Task { budgeted: true, ..task(None) });
    assert!(matches!(own.pending().as_slice(), [Effect::CallModel { iteration: 1, .. }]));
}

#[test]
fn a_sum_with_an_estimate_in_it_is_one() {
    let told =
        Usage { calls: 1, prompt_tokens: 3, completion_tokens: 2, estimated: false, ..Usage::default() };
    let guessed = Usage { estimated: true, ..told };
    let mut sum = told;
    assert_eq!(json!(sum).get("estimated"), None);
    sum += guessed;
    sum += told;
    assert_eq!(json!(sum)["estimated"], true);
    let before: Usage =
        serde_json::from_value(json!({"calls": 1, "prompt_tokens": 3, "completion_tokens": 2}))
            .expect("what was recorded before");
    assert_eq!(before, told);
}

#[test]
fn a_part_is_passed_on_only_to_whom_the_one_who_passed_it_could_have_asked() {
    let asked =
        delegate::check(&profile(), &call(json!({"agent": "clerk", "task": "find it"}))).expect("a request");
    let input = delegate::input(&asked, &profile());
    assert_eq!(input, json!({"agent": "clerk", "prompt": "find it", "delegate_to": ["clerk"]}));
    let part = Task { input: Datum::inline(input), ..task(Some(origin(1))) };
    assert!(delegate::leaves_open(&part, "clerk") && !delegate::leaves_open(&part, "banker"));
    // A run's own task does not say, nor does one that was under way before it was said.
    assert!(
        delegate::leaves_open(&task(None), "banker")
            && delegate::leaves_open(&task(Some(origin(1))), "banker")
    );
    let nobody =
        Task { input: Datum::inline(json!({"prompt": "p", "delegate_to": []})), ..task(Some(origin(1))) };
    assert!(!delegate::leaves_open(&nobody, "clerk"));
}

#[test]
fn whom_an_agent_may_ask_is_what_its_file_and_its_task_both_say() {
    let mut agents = Agents::read(
        "agents: {lead: {model: m, allow_delegation: true, delegate_to: [clerk, banker]}, clerk: {model: m}, banker: {model: m}}",
    )
    .expect("agents");
    let stored = crate::ValueRef { key: "1.0".into(), hash: Default::default(), size: 5000 };
    let peers = |agents: &Agents, origin, input| {
        let task = Task { agent: "lead".into(), input, ..task(origin) };
        let profile = Profile::of(agents, &task).expect("an agent");
        profile.peers.into_keys().collect::<Vec<_>>()
    };
    let own = Datum::inline(json!({"prompt": "p"}));
    let part = Datum::inline(json!({"prompt": "p", "delegate_to": ["clerk", "somebody"]}));
    assert_eq!(peers(&agents, None, own.clone()), ["banker", "clerk"]);
    assert_eq!(peers(&agents, None, Datum::Stored(stored.clone())), ["banker", "clerk"]);
    assert_eq!(peers(&agents, Some(origin(1)), part), ["clerk"]);
    assert_eq!(peers(&agents, Some(origin(1)), Datum::Stored(stored)), [""; 0], "it can't be looked into");
    // A document that no check of the file has seen.
    let lead = agents.agents.get_mut("lead").expect("an agent");
    lead.delegate_to = vec!["lead".to_owned(), "clerk".to_owned()];
    assert_eq!(peers(&agents, None, own.clone()), ["clerk"], "never itself");
    agents.agents.get_mut("lead").expect("an agent").allow_delegation = false;
    assert_eq!(peers(&agents, None, own), [""; 0]);
}

#[test]
fn a_task_is_written_as_before_where_it_names_no_secrets() {
    let plain = task(None);
    let json = serde_json::to_value(&plain).expect("JSON");
    assert!(json.get("origin").is_none() && json.get("secrets").is_none(), "{json}");
    for (origin, secrets) in
        [(None, vec![]), (None, vec!["a"]), (Some(origin(1)), vec![]), (Some(origin(1)), vec!["a"])]
    {
        let secrets = secrets.into_iter().map(str::to_owned).collect();
        let task = Task { origin, secrets, ..task(None) };
        let json = serde_json::to_value(&task).expect("JSON");
        let read: Task = serde_json::from_value(json).expect("a task");
        assert_eq!(read, task);
    }
}
