//! Answers that are none, and whom else is asked.

use super::*;

fn asking(fallbacks: &[&str], max_tokens: Option<u32>) -> Run {
    let mut run = at_work(task(None));
    let fallback_models = fallbacks.iter().map(|&name| name.to_owned()).collect();
    let spec = Spec { max_tokens, fallback_models, ..profile().spec.clone() };
    run.profile = Some(Arc::new(Profile { spec, ..(*profile()).clone() }));
    run
}

fn replied(run: &mut Run, reply: Result<ModelReply, CallError>) {
    let iteration = run.iterations;
    let events =
        run.decide(Timestamp(1000), &Input::Replied { attempt: 1, iteration, reply }, &Values::default());
    events.expect("nothing is refused").iter().for_each(|event| run.apply(event));
}

fn ended(finish: Finish) -> Result<ModelReply, CallError> {
    replies(Vec::new()).map(|reply| ModelReply {
        text: "The three steps are: first, open the".into(),
        finish,
        ..reply
    })
}

fn failure(run: &Run) -> Option<(&str, &str)> {
    match &run.phase {
        Phase::Done { outcome: Ending::Failed(error) } => Some((&error.code, &error.message)),
        _ => None,
    }
}

#[test]
fn an_answer_that_was_cut_filtered_or_refused_is_no_answer_and_its_use_counts() {
    for (finish, code) in [
        (Finish::Cut, "model_cut"),
        (Finish::Filtered, "model_filtered"),
        (Finish::Refused("I can't".into()), "model_refused"),
    ] {
        let mut run = asking(&[], None);
        replied(&mut run, ended(finish));
        assert_eq!(failure(&run).map(|(code, _)| code), Some(code));
        assert_eq!(
            run.usage,
            Usage { calls: 1, prompt_tokens: 3, completion_tokens: 2, estimated: false, ..Usage::default() }
        );
    }
    let mut run = asking(&[], Some(7));
    run.task.as_mut().expect("a task").output_schema = Some(json!({"type": "object"}));
    replied(&mut run, ended(Finish::Cut));
    let (code, message) = failure(&run).expect("an end, and not another call with the same limit");
    assert!(code == "model_cut" && message.contains("7 tokens"), "{message}");
    let mut run = asking(&[], None);
    let call = call(json!({"agent": "clerk", "task": "find it"}));
    replied(&mut run, replies(vec![call]).map(|reply| ModelReply { finish: Finish::Cut, ..reply }));
    assert_eq!(failure(&run).map(|(code, _)| code), Some("model_cut"), "half of a call is not performed");
}

#[test]
fn another_model_is_asked_where_it_could_do_what_this_one_could_not() {
    for (reply, next) in [
        (Err(CallError::elsewhere("model_quota", "pay")), true),
        (Err(CallError::permanent("model_rejected", "bad")), false),
        (ended(Finish::Filtered), true),
        (ended(Finish::Refused("no".into())), true),
        (ended(Finish::Cut), true),
    ] {
        let mut run = asking(&["m2"], None);
        replied(&mut run, reply.clone());
        let asked = run.pending().contains(&Effect::CallModel {
            iteration: 1,
            model: 1,
            not_before: Timestamp(1000),
        });
        assert_eq!(asked, next, "{reply:?}: {:?}", run.phase);
        if next {
            replied(&mut run, reply);
            assert!(failure(&run).is_some(), "there is no third one");
        }
    }
    let mut run = asking(&["m2"], Some(7));
    replied(&mut run, ended(Finish::Cut));
    assert_eq!(
        failure(&run).map(|(code, _)| code),
        Some("model_cut"),
        "the agent's own limit binds all models"
    );
}

#[test]
fn what_a_model_used_before_another_was_asked_counts_against_the_limits() {
    let mut run = asking(&["m2"], None);
    let mut profile = (**run.profile.as_ref().expect("a profile")).clone();
    profile.spec.limits.calls = Some(1);
    run.profile = Some(Arc::new(profile));
    replied(&mut run, ended(Finish::Filtered));
    assert_eq!(failure(&run).map(|(code, _)| code), Some("agent_limit"));
    assert_eq!(run.usage.calls, 1);
}

#[test]
fn what_a_provider_wants_back_is_kept_with_its_message() {
    let mut run = asking(&[], None);
    let extras = Extras {
        provider: "p".into(),
        message: json!({"reasoning_content": "hm"}).as_object().cloned().unwrap_or_default(),
        calls: Vec::new(),
    };
    let call = call(json!({"agent": "clerk", "task": "find it"}));
    replied(&mut run, replies(vec![call]).map(|reply| ModelReply { extras: Some(extras.clone()), ..reply }));
    let Some(Datum::Inline(told)) = run.messages.first() else { panic!("a message") };
    let told: Message = serde_json::from_value((**told).clone()).expect("a message");
    assert_eq!(told.extras, Some(extras));
    let before: Message =
        serde_json::from_value(json!({"role": "assistant", "content": "x"})).expect("one of before");
    assert_eq!(before.extras, None);
}

#[test]
fn why_another_model_was_asked_is_kept_until_the_task_is_done() {
    let mut run = asking(&["spare", "last"], None);
    replied(&mut run, Err(CallError::elsewhere("model_quota", "the account is used up")));
    replied(&mut run, ended(Finish::Refused("no".into())));
    let answer = replies(Vec::new()).map(|reply| ModelReply { text: "yes".into(), ..reply });
    replied(&mut run, answer);
    assert!(matches!(&run.phase, Phase::Done { outcome: Ending::Completed(_) }));
    let said: Vec<(&str, &str, &str)> =
        run.fallbacks.iter().map(|f| (&*f.model, &*f.code, &*f.next)).collect();
    assert_eq!(said, [("m", "model_quota", "spare"), ("spare", "model_refused", "last")]);
    assert_eq!(run.fallbacks[1].message, "the model refuses to answer: no");
    give(&mut run, &Input::Task(Task { attempt: 2, ..task(None) }));
    assert_eq!(run.fallbacks, [], "an attempt begins with none");
}

#[test]
fn another_try_at_the_same_model_is_no_fallback_and_a_long_reason_is_cut() {
    let mut run = asking(&["spare"], None);
    replied(&mut run, Err(CallError::transient("model_rate_limited", "slow down")));
    assert_eq!((run.fallbacks.len(), run.model), (0, 0));
    let mut run = asking(&["spare"], None);
    replied(&mut run, Err(CallError::elsewhere("model_unknown", "é".repeat(1000))));
    assert_eq!(run.fallbacks[0].message, format!("{}…", "é".repeat(300)));
}

#[test]
fn a_reply_that_only_thinks_is_no_answer_and_asked_for_again() {
    let mut run = asking(&[], None);
    replied(&mut run, ended(Finish::Thought));
    assert!(matches!(run.phase, Phase::Thinking { .. }), "{:?}", run.phase);
    assert_eq!((run.usage.calls, run.failures), (1, 1), "it is paid for");
    let policy = crate::retry::RetryPolicy::usual(0);
    let mut run = asking(&[], None);
    let spec = Spec { retry_policy: Some(policy), ..run.profile.as_ref().expect("a profile").spec.clone() };
    run.profile = Some(Arc::new(Profile { spec, ..(*profile()).clone() }));
    replied(&mut run, ended(Finish::Thought));
    assert_eq!(failure(&run).map(|(code, _)| code), Some("model_no_answer"));
}

#[test]
fn a_rejected_answer_is_a_round_as_a_round_of_tools_is() {
    let limited = |iterations: u32| {
        let mut run = asking(&[], None);
        let old = run.profile.as_ref().expect("a profile").spec.clone();
        let limits = crate::agent::spec::Limits { iterations, ..old.limits.clone() };
        run.profile = Some(Arc::new(Profile { spec: Spec { limits, ..old }, ..(*profile()).clone() }));
        run.task.as_mut().expect("a task").output_schema = Some(json!({"type": "object"}));
        run
    };
    let said = |text: &str| replies(Vec::new()).map(|reply| ModelReply { text: text.into(), ..reply });
    // After the one round there is one more answer, whatever the round was.
    let mut run = limited(1);
    replied(&mut run, said("no JSON"));
    assert!(matches!(run.phase, Phase::Thinking { .. }), "{:?}", run.phase);
    replied(&mut run, said("{}"));
    assert!(matches!(&run.phase, Phase::Done { outcome: Ending::Completed(_) }), "{:?}", run.phase);

    let mut run = limited(1);
    replied(&mut run, replies(vec![call(json!({"agent": "clerk", "task": "t"}))]));
    let usage = Usage::default();
    let from = "r.a.1._.d.1.0".parse().expect("an id");
    give(
        &mut run,
        &Input::Delegated { attempt: 1, iteration: 1, id: "0".into(), from, result: Ok(json!(1)), usage },
    );
    replied(&mut run, said("{}"));
    assert!(matches!(&run.phase, Phase::Done { outcome: Ending::Completed(_) }), "{:?}", run.phase);

    // The second one is too many, whatever it is.
    for second in [said("no JSON"), replies(vec![call(json!({"agent": "clerk", "task": "u"}))])] {
        let mut run = limited(1);
        replied(&mut run, said("no JSON"));
        replied(&mut run, second);
        let (code, message) = failure(&run).expect("the end");
        assert_eq!(
            (code, message),
            ("agent_limit", "the agent's limit is 1 rounds of tool calls and rejected answers")
        );
    }
}
