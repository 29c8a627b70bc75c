//! Tables of the run's machine: a definition, inputs, and what becomes true.

use crate::{
    Datum, Machine, Span, Stop, Timestamp, Values,
    call::{CallError, Usage},
    id::{OperationId, RunId},
    price::Price,
    workflow::{
        Definition, Effect, Event, Input, Op, Outcome, Plan, Run, Status, StepKey, What,
        event::{Reserved, RunSettings},
        plan::Surroundings,
        run::{Ending, StepState},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

mod answers;
mod bounds;
mod disabled;
mod guards;
mod money;
mod repeated;
mod retention;
mod times;
mod tried;
mod workers;

fn run_id() -> RunId {
    "r1".parse().expect("an id")
}

/// A run in a world that answers when the test says so.
struct World {
    run: Run,
    at: Timestamp,
    events: Vec<Event>,
    ops: u32,
}

impl World {
    fn start(definition: Value, input: Value) -> Self {
        Self::try_out(definition, input, None)
    }

    fn try_out(definition: Value, input: Value, trial: Option<crate::workflow::Trial>) -> Self {
        Self::begun(definition, input, trial, BTreeMap::new())
    }

    fn begun(
        definition: Value,
        input: Value,
        trial: Option<crate::workflow::Trial>,
        prices: BTreeMap<String, Price>,
    ) -> Self {
        let parsed: Definition = serde_json::from_value(definition.clone()).expect("a readable definition");
        let around = Surroundings { agents: ["a", "b"].map(String::from).into(), ..Surroundings::default() };
        let plan = Arc::new(Plan::compile(parsed, &around).expect("a valid definition"));
        let mut run = Run::new(&run_id());
        run.attach(plan.clone());
        let mut world = World { run, at: Timestamp(1_000_000), events: Vec::new(), ops: 0 };
        let max_tokens = [("a".to_owned(), 100)].into();
        let mut settings =
            RunSettings { dispatch: 64, retention: 60_000, max_tokens, otherwise: None, prices };
        if let Some(retention) = plan.definition.settings.retention {
            settings.retain(retention);
        }
        world.give(Input::Start {
            op: "start".into(),
            workflow_id: None,
            version: 1,
            plan: Datum::inline(definition),
            input: Datum::inline(input),
            settings,
            trial: trial.map(Box::new),
        });
        world
    }

    /// Gives an input and goes on while a decision was cut. Checks the laws on the way.
    fn give(&mut self, input: Input) -> Vec<Event> {
        let made = self.try_give(&input).expect("not refused");
        let again = self.run.decide(self.at, &input, &Values::default());
        assert!(
            matches!(again.as_deref(), Ok([]) | Err(Stop::Refused(_))),
            "given again it yields nothing: {again:?}"
        );
        made
    }

    fn try_give(&mut self, input: &Input) -> Result<Vec<Event>, String> {
        let mut all = Vec::new();
        let mut next = input.clone();
        loop {
            let events = match self.run.decide(self.at, &next, &Values::default()) {
                Ok(events) => events,
                Err(Stop::Refused(refusal)) => return Err(refusal.code.to_string()),
                Err(Stop::Missing(missing)) => panic!("everything is inline here: {missing:?}"),
            };
            assert!(events.len() <= 64, "a decision is bounded: {}", events.len());
            for event in &events {
                self.run.apply(event);
            }
            self.events.extend(events.clone());
            all.extend(events);
            if !self.run.pending().contains(&Effect::Continue) {
                break;
            }
            next = Input::Tick;
        }
        let mut folded = Run::new(&run_id());
        folded.attach(self.run.plan.clone().expect("a plan"));
        self.events.iter().for_each(|e| folded.apply(e));
        assert_eq!(format!("{folded:?}"), format!("{:?}", self.run), "the fold of the events is the state");
        let mut restored = Run::restore(&run_id(), self.run.head(), self.run.archive.clone());
        restored.attach(self.run.plan.clone().expect("a plan"));
        assert_eq!(format!("{restored:?}"), format!("{:?}", self.run), "a snapshot is the state");
        Ok(all)
    }

    fn op(&mut self) -> Op {
        self.ops += 1;
        OperationId::new(format!("op{}", self.ops)).into()
    }

    fn pending(&self) -> Vec<String> {
        let name = |e: Effect| match e {
            Effect::StartAgent { step, attempt, .. } => format!("agent {}#{attempt}", path(&step)),
            Effect::OfferTask { step, attempt, .. } => format!("offer {}#{attempt}", path(&step)),
            Effect::CallHttp { step, attempt, .. } => format!("http {}#{attempt}", path(&step)),
            Effect::CancelAgent { step, .. } => format!("cancel {}", path(&step)),
            Effect::Continue => "continue".into(),
            Effect::Purge => "purge".into(),
        };
        self.run.pending().into_iter().map(name).collect()
    }

    fn answer(&mut self, node: &str, iteration: &str, output: Value) -> Vec<Event> {
        let step = StepKey::new(self.run.generation(), node, iteration);
        let attempt = self.run.steps.get(&step).map_or(1, |s| s.attempt);
        let usage =
            Usage { calls: 1, prompt_tokens: 10, completion_tokens: 5, estimated: false, ..Usage::default() };
        self.give(Input::Answer { step, attempt, outcome: Outcome::Done(Datum::inline(output)), usage })
    }

    fn fail(&mut self, node: &str, retryable: bool) {
        let step = StepKey::new(self.run.generation(), node, "");
        let attempt = self.run.steps[&step].attempt;
        let error = CallError { retryable, ..CallError::permanent("boom", "it broke") };
        self.give(Input::Answer { step, attempt, outcome: Outcome::Failed(error), usage: Usage::default() });
    }

    fn pass(&mut self, span: Span) {
        self.at = self.at + span;
        self.give(Input::Tick);
    }

    fn output(&self) -> Value {
        match &self.run.ended.as_ref().expect("ended").how {
            Ending::Completed(Datum::Inline(value)) => (**value).clone(),
            other => panic!("not completed: {other:?}"),
        }
    }

    fn error(&self) -> String {
        match &self.run.ended.as_ref().expect("ended").how {
            Ending::Failed(error) => error.code.clone(),
            other => panic!("not failed: {other:?}"),
        }
    }

    fn step(&self, node: &str) -> &StepState {
        &self.run.steps[&StepKey::new(self.run.generation(), node, "")].state
    }
}

fn path(step: &StepKey) -> String {
    if step.iteration.is_empty() {
        step.node.to_string()
    } else {
        format!("{}[{}]", step.node, step.iteration)
    }
}

fn agent(id: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "a", "prompt": prompt}})
}

fn chain() -> Value {
    json!({
        "name": "chain",
        "nodes": [agent("one", "about {{ input.topic }}"), agent("two", "then {{ steps.one.output }}")],
        "edges": [{"source": "one", "target": "two"}]
    })
}

#[test]
fn agents_in_sequence_see_each_others_answers() {
    let mut w = World::start(chain(), json!({"topic": "bees"}));
    assert_eq!(w.run.status(), Status::Running);
    assert_eq!(w.pending(), ["agent one#1"]);
    w.answer("one", "", json!("they hum"));
    let Some(Effect::StartAgent { input: Datum::Inline(input), .. }) = w.run.pending().into_iter().next()
    else {
        panic!("two is asked")
    };
    assert_eq!(*input, json!({"agent": "a", "prompt": "then they hum"}));
    w.answer("two", "", json!("the end"));
    assert_eq!((w.run.status(), w.output()), (Status::Completed, json!("the end")));
    assert_eq!(
        w.run.usage,
        Usage { calls: 2, prompt_tokens: 20, completion_tokens: 10, estimated: false, ..Usage::default() }
    );
    assert!(w.pending().is_empty());
}

#[test]
fn an_empty_workflow_completes_at_once() {
    let w = World::start(json!({"name": "empty", "nodes": []}), json!({}));
    assert_eq!((w.run.status(), w.output()), (Status::Completed, Value::Null));
}

#[test]
fn a_late_answer_changes_nothing() {
    let mut w = World::start(chain(), json!({"topic": "bees"}));
    let step = StepKey::new(1, "one", "");
    for (step, attempt) in
        [(step.clone(), 2), (StepKey::new(2, "one", ""), 1), (StepKey::new(1, "two", ""), 1)]
    {
        let outcome = Outcome::Done(Datum::inline("x"));
        assert!(w.give(Input::Answer { step, attempt, outcome, usage: Usage::default() }).is_empty());
    }
    w.answer("one", "", json!("first"));
    let outcome = Outcome::Done(Datum::inline("second"));
    assert!(w.give(Input::Answer { step, attempt: 1, outcome, usage: Usage::default() }).is_empty());
}

#[test]
fn a_condition_takes_one_branch_and_the_join_goes_on() {
    let definition = json!({
        "name": "branch",
        "nodes": [
            {"id": "big", "type": "condition", "config": {"if": "input.n > 3"}},
            agent("yes", "y"), agent("no", "n"), agent("after", "{{ steps.yes.output | default('none') }}")
        ],
        "edges": [
            {"source": "big", "target": "yes", "config": {"branch": "true"}},
            {"source": "big", "target": "no", "config": {"branch": "false"}},
            {"source": "yes", "target": "after"}, {"source": "no", "target": "after"}
        ]
    });
    let mut w = World::start(definition.clone(), json!({"n": 5}));
    assert_eq!(w.pending(), ["agent yes#1"]);
    assert_eq!(*w.step("no"), StepState::Skipped);
    w.answer("yes", "", json!("Y"));
    assert_eq!(w.pending(), ["agent after#1"]);
    let w = World::start(definition, json!({"n": 1}));
    assert_eq!(w.pending(), ["agent no#1"]);
}

fn joined(join: Value) -> World {
    let mut last = agent("last", "x");
    last["join"] = join;
    let definition = json!({
        "name": "join",
        "nodes": [
            agent("p", "p"), agent("q", "q"),
            {"id": "r", "type": "agent", "on_error": "branch", "config": {"agent": "a", "prompt": "r"}}, last
        ],
        "edges": [{"source": "p", "target": "last"}, {"source": "q", "target": "last"}, {"source": "r", "target": "last"}]
    });
    World::start(definition, json!({}))
}

#[test]
fn joins_start_on_all_any_some_or_however_the_parents_ended() {
    let mut w = joined(json!("all"));
    w.answer("p", "", json!(1));
    w.answer("q", "", json!(2));
    assert_eq!(w.pending(), ["agent r#1"]);
    w.fail("r", false);
    assert_eq!(w.pending(), ["agent last#1"]);

    let mut w = joined(json!("any"));
    w.answer("q", "", json!(1));
    assert_eq!(w.pending(), ["agent last#1", "agent p#1", "agent r#1"]);

    let mut w = joined(json!({"n": 2}));
    w.answer("q", "", json!(1));
    assert!(!w.pending().contains(&"agent last#1".to_owned()));
    w.answer("p", "", json!(1));
    assert!(w.pending().contains(&"agent last#1".to_owned()));

    let mut w = joined(json!("settle"));
    w.fail("p", false);
    w.fail("q", false);
    assert_eq!(w.run.status(), Status::Running, "settle takes failures");
    w.fail("r", false);
    assert_eq!(w.pending(), ["agent last#1"]);
}

#[test]
fn an_unhandled_failure_ends_the_run_and_tells_the_other_agents() {
    let definition = json!({"name": "two", "nodes": [agent("p", "p"), agent("q", "q")]});
    let mut w = World::start(definition, json!({}));
    w.fail("p", false);
    assert_eq!((w.run.status(), w.error()), (Status::Failed, "boom".into()));
    assert_eq!(w.pending(), ["cancel q"]);
    assert_eq!(*w.step("q"), StepState::Cancelled);
}

#[test]
fn a_retry_waits_for_its_time_and_counts_its_attempts() {
    let mut node = agent("p", "p");
    node["retry"] = json!({"max_retries": 2, "backoff": "constant", "initial": "10s", "jitter": false});
    let mut w = World::start(json!({"name": "retry", "nodes": [node]}), json!({}));
    w.fail("p", true);
    assert!(w.pending().is_empty());
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(10)));
    w.pass(Span::secs(9));
    assert!(w.pending().is_empty());
    w.pass(Span::secs(1));
    assert_eq!(w.pending(), ["agent p#2"]);
    w.fail("p", true);
    w.pass(Span::secs(10));
    w.fail("p", true);
    assert_eq!(w.error(), "boom");
}

#[test]
fn errors_take_the_error_branch_or_become_the_default() {
    let mut node = agent("p", "p");
    node["on_error"] = json!("branch");
    let definition = json!({
        "name": "e",
        "nodes": [node, agent("ok", "ok"), agent("rescue", "{{ steps.p.error.message }}")],
        "edges": [{"source": "p", "target": "ok"}, {"source": "p", "target": "rescue", "config": {"branch": "error"}}]
    });
    let mut w = World::start(definition, json!({}));
    w.fail("p", false);
    assert_eq!(w.pending(), ["agent rescue#1"]);
    assert_eq!(*w.step("ok"), StepState::Skipped);
    w.answer("rescue", "", json!("saved"));
    assert_eq!(w.output(), json!("saved"));

    let mut node = agent("p", "p");
    node["on_error"] = json!({"default": {"fallback": true}});
    let mut w = World::start(json!({"name": "d", "nodes": [node]}), json!({}));
    w.fail("p", false);
    assert_eq!(w.output(), json!({"fallback": true}));
}

#[test]
fn a_timeout_fails_the_attempt() {
    let mut node = agent("p", "p");
    node["timeout"] = json!("30s");
    let mut w = World::start(json!({"name": "t", "nodes": [node]}), json!({}));
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(30)));
    w.pass(Span::secs(30));
    assert_eq!(w.error(), "timeout");
}

#[test]
fn for_each_keeps_order_and_its_limit() {
    let definition = json!({
        "name": "each",
        "nodes": [{"id": "each", "type": "for_each", "config": {"items": "input.list", "parallel": 2, "body": {
            "nodes": [agent("ask", "{{ index }}: {{ item }}")]
        }}}]
    });
    let mut w = World::start(definition.clone(), json!({"list": ["x", "y", "z"]}));
    assert_eq!(w.pending(), ["agent ask[0]#1", "agent ask[1]#1"]);
    w.answer("ask", "1", json!("Y"));
    assert_eq!(w.pending(), ["agent ask[0]#1", "agent ask[2]#1"]);
    w.answer("ask", "2", json!("Z"));
    w.answer("ask", "0", json!("X"));
    assert_eq!(w.output(), json!(["X", "Y", "Z"]));
    let w = World::start(definition, json!({"list": []}));
    assert_eq!(w.output(), json!([]));
}

#[test]
fn a_failure_in_a_body_fails_its_owner_and_drops_the_rest() {
    let definition = json!({
        "name": "each",
        "nodes": [{"id": "each", "type": "for_each", "on_error": {"default": "none"}, "config": {
            "items": "input", "parallel": 2, "body": {"nodes": [agent("ask", "{{ item }}")]}
        }}]
    });
    let mut w = World::start(definition, json!([1, 2, 3]));
    let step = StepKey::new(1, "ask", "0");
    let error = CallError::permanent("boom", "it broke");
    w.give(Input::Answer { step, attempt: 1, outcome: Outcome::Failed(error), usage: Usage::default() });
    assert_eq!(w.output(), json!("none"));
    assert_eq!(w.pending(), ["cancel ask[1]"]);
}

#[test]
fn a_loop_ends_when_its_condition_holds_or_at_its_limit() {
    let definition = |max: u32| {
        json!({
            "name": "again",
            "nodes": [{"id": "again", "type": "loop", "config": {"until": "last.ok", "max": max, "body": {
                "nodes": [agent("try", "{{ index }} {{ last.n | default('first') }}")]
            }}}]
        })
    };
    let mut w = World::start(definition(10), json!({}));
    w.answer("try", "0", json!({"ok": false, "n": 7}));
    let Some(Effect::StartAgent { input: Datum::Inline(input), .. }) = w.run.pending().into_iter().next()
    else {
        panic!("another iteration")
    };
    assert_eq!(input["prompt"], "1 7");
    w.answer("try", "1", json!({"ok": true}));
    assert_eq!(w.output(), json!({"ok": true}));
    let mut w = World::start(definition(1), json!({}));
    w.answer("try", "0", json!({"ok": false}));
    assert_eq!(w.output(), json!({"ok": false}));
}

#[test]
fn bodies_in_bodies_have_paths() {
    let definition = json!({
        "name": "nested",
        "nodes": [{"id": "outer", "type": "for_each", "config": {"items": "input", "body": {
            "nodes": [
                agent("before", "{{ item | length }}"),
                {"id": "inner", "type": "for_each", "config": {"items": "item", "body": {
                    "nodes": [agent("ask", "{{ item }} {{ steps.before.output }}")]
                }}}
            ],
            "edges": [{"source": "before", "target": "inner"}]
        }}}]
    });
    let mut w = World::start(definition, json!([["a", "b"], ["c"]]));
    w.answer("before", "1", json!("B1"));
    assert_eq!(w.pending(), ["agent ask[1.0]#1", "agent before[0]#1"]);
    w.answer("ask", "1.0", json!("C"));
    w.answer("before", "0", json!("B0"));
    w.answer("ask", "0.1", json!("Bb"));
    w.answer("ask", "0.0", json!("Aa"));
    assert_eq!(w.output(), json!([["Aa", "Bb"], ["C"]]));
}

#[test]
fn waits_signals_and_approvals_wait() {
    let definition = json!({
        "name": "waits",
        "nodes": [
            {"id": "pause", "type": "wait", "config": {"for": "10s"}},
            {"id": "go", "type": "signal", "config": {"name": "go", "timeout": "1h"}},
            {"id": "ok", "type": "approval", "config": {"title": "Publish?", "timeout": "24h"}},
            agent("yes", "y"), agent("no", "n")
        ],
        "edges": [
            {"source": "pause", "target": "go"}, {"source": "go", "target": "ok"},
            {"source": "ok", "target": "yes", "config": {"branch": "approved"}},
            {"source": "ok", "target": "no", "config": {"branch": "rejected"}}
        ]
    });
    let mut w = World::start(definition.clone(), json!({}));
    assert_eq!((w.run.status(), w.run.deadline()), (Status::Waiting, Some(w.at + Span::secs(10))));
    // A signal that comes early is kept.
    let op = w.op();
    w.give(Input::Signal { op, name: "go".into(), data: Datum::inline(json!({"who": "me"})) });
    w.pass(Span::secs(10));
    assert!(matches!(w.step("go"), StepState::Completed { .. }));
    assert!(w.run.signals.is_empty());
    let approve = |op: Op, approved, hash: Option<&str>| Input::Approve {
        op,
        node: "ok".into(),
        generation: None,
        iteration: None,
        approved,
        comment: None,
        args_hash: hash.map(str::to_owned),
    };
    let op = w.op();
    assert_eq!(w.try_give(&approve(op, true, Some("other"))), Err("arguments_changed".into()));
    let op = w.op();
    w.give(approve(op, true, None));
    assert_eq!(w.pending(), ["agent yes#1"]);
    let op = w.op();
    assert_eq!(w.try_give(&approve(op, true, None)), Err("not_waiting".into()));

    let mut w = World::start(definition.clone(), json!({}));
    w.pass(Span::secs(10));
    w.pass(Span::secs(3600));
    assert_eq!(w.error(), "signal_timeout");

    let mut w = World::start(definition, json!({}));
    w.pass(Span::secs(10));
    let op = w.op();
    w.give(Input::Signal { op, name: "go".into(), data: Datum::null() });
    w.pass(Span::secs(24 * 3600));
    assert_eq!(w.pending(), ["agent no#1"], "expiry rejects");
}

#[test]
fn pausing_lets_running_steps_finish_and_starts_nothing() {
    let mut w = World::start(chain(), json!({"topic": "x"}));
    let op = w.op();
    w.give(Input::Pause { op });
    w.answer("one", "", json!("done"));
    assert_eq!((w.run.status(), w.pending().len()), (Status::Paused, 0));
    let op = w.op();
    w.give(Input::Resume { op });
    assert_eq!(w.pending(), ["agent two#1"]);
}

#[test]
fn deadlines_that_pass_while_paused_fire_on_resume() {
    let definition =
        json!({"name": "w", "nodes": [{"id": "pause", "type": "wait", "config": {"for": "10s"}}]});
    let mut w = World::start(definition, json!({}));
    let op = w.op();
    w.give(Input::Pause { op });
    assert_eq!(w.run.deadline(), None);
    w.pass(Span::secs(60));
    assert_eq!(w.run.status(), Status::Paused);
    let op = w.op();
    w.give(Input::Resume { op });
    assert_eq!(w.run.status(), Status::Completed);
}

#[test]
fn cancel_wins_and_ends_everything() {
    let mut w = World::start(chain(), json!({"topic": "x"}));
    let op = w.op();
    w.give(Input::Cancel { op });
    assert_eq!(w.run.status(), Status::Cancelled);
    assert_eq!(w.pending(), ["cancel one"]);
    assert!(w.answer("one", "", json!("late")).is_empty());
    let op = w.op();
    assert_eq!(w.try_give(&Input::Cancel { op }), Err("run_ended".into()));
}

#[test]
fn a_rerun_keeps_what_lies_before_its_start() {
    let mut w = World::start(chain(), json!({"topic": "x"}));
    w.answer("one", "", json!("kept"));
    w.fail("two", false);
    assert_eq!(w.run.status(), Status::Failed);
    let op = w.op();
    w.give(Input::Rerun { op, from: "two".into(), input: None });
    assert_eq!((w.run.generation(), w.pending()), (2, vec!["agent two#1".to_owned()]));
    w.answer("two", "", json!("fine"));
    assert_eq!(w.output(), json!("fine"));
    let op = w.op();
    w.give(Input::Rerun { op, from: "one".into(), input: Some(Datum::inline(json!({"topic": "other"}))) });
    let Some(Effect::StartAgent { step, input: Datum::Inline(input), .. }) =
        w.run.pending().into_iter().next()
    else {
        panic!("one is asked again")
    };
    assert_eq!((step.generation, &input["prompt"]), (3, &json!("about other")));
    let op = w.op();
    assert_eq!(
        w.try_give(&Input::Rerun { op, from: "two".into(), input: None }),
        Err("run_not_ended".into())
    );
}

#[test]
fn an_operation_given_again_is_decided_once() {
    let mut w = World::start(chain(), json!({"topic": "x"}));
    w.give(Input::Pause { op: "p".into() });
    w.give(Input::Resume { op: "q".into() });
    assert!(w.give(Input::Pause { op: "p".into() }).is_empty());
    assert_eq!(w.run.status(), Status::Running);
}

#[test]
fn a_budget_stops_the_run_or_lets_it_wrap_up() {
    let definition = |on_breach: &str| {
        let mut d = chain();
        d["settings"] = json!({"budget": {"calls": 1, "on_breach": on_breach}});
        d
    };
    let mut w = World::start(definition("stop"), json!({"topic": "x"}));
    assert_eq!(w.run.reserved, Reserved { calls: 1, tokens: 0, cost: 0 });
    w.answer("one", "", json!("1"));
    assert_eq!(w.error(), "budget_exceeded");
    let mut w = World::start(definition("wrap_up"), json!({"topic": "x"}));
    w.answer("one", "", json!("as far as it got"));
    assert_eq!((w.run.status(), w.output()), (Status::Completed, json!("as far as it got")));
}

#[test]
fn reservations_never_pass_the_budget_under_fan_out() {
    let nodes: Vec<Value> = (0..10).map(|n| agent(&format!("n{n}"), "x")).collect();
    let definition = json!({
        "name": "fan", "nodes": nodes,
        "settings": {"budget": {"tokens": 350, "on_breach": "wrap_up"}}
    });
    let mut w = World::start(definition, json!({}));
    assert!(w.run.reserved.tokens <= 350, "{:?}", w.run.reserved);
    assert_eq!(w.pending().len(), 3);
    for n in 0..3 {
        w.answer(&format!("n{n}"), "", json!(n));
    }
    assert_eq!(w.run.status(), Status::Completed);
}

#[test]
fn a_run_out_of_time_fails_and_pauses_do_not_count() {
    let mut d = chain();
    d["settings"] = json!({"budget": {"seconds": 60}});
    let mut w = World::start(d, json!({"topic": "x"}));
    w.at = w.at + Span::secs(30);
    w.give(Input::Pause { op: "p".into() });
    w.at = w.at + Span::secs(100);
    w.give(Input::Resume { op: "q".into() });
    assert_eq!(w.run.status(), Status::Running);
    w.pass(Span::secs(30));
    assert_eq!(w.error(), "budget_exceeded");
}

#[test]
fn an_at_most_once_step_is_granted_once_and_then_unknown() {
    let mut node = agent("p", "p");
    node["effect"] = json!("at_most_once");
    let mut w = World::start(json!({"name": "once", "nodes": [node]}), json!({}));
    let step = StepKey::new(1, "p", "");
    let grant = |who: &str| Input::Grant { step: step.clone(), attempt: 1, activation: who.into() };
    w.give(grant("first"));
    assert_eq!(*w.step("p"), StepState::Started { granted: Some("first".into()) });
    assert!(w.give(grant("first")).is_empty());
    w.give(grant("second"));
    assert_eq!((w.step("p"), w.run.status()), (&StepState::Unknown, Status::Waiting));
    assert!(w.pending().is_empty());
    let op = w.op();
    w.give(Input::Approve {
        op,
        node: "p".into(),
        generation: None,
        iteration: None,
        approved: true,
        comment: Some("seen in the ledger".into()),
        args_hash: None,
    });
    assert_eq!(w.run.status(), Status::Completed);
}

#[test]
fn a_wide_graph_is_dispatched_in_bounds_and_completes() {
    let mut nodes = vec![agent("from", "x")];
    let mut edges = Vec::new();
    for n in 0..998 {
        nodes.push(agent(&format!("n{n}"), "x"));
        edges.push(json!({"source": "from", "target": format!("n{n}")}));
        edges.push(json!({"source": format!("n{n}"), "target": "to"}));
    }
    nodes.push(agent("to", "{{ steps.n7.output }}"));
    let mut w = World::start(json!({"name": "wide", "nodes": nodes, "edges": edges}), json!({}));
    w.events.reserve(4000);
    let mut calls = 0;
    while w.run.ended.is_none() {
        let pending = w.run.pending();
        assert!(!pending.is_empty() && pending.len() <= 64, "{}", pending.len());
        let Some(Effect::StartAgent { step, .. }) = pending.into_iter().next() else { panic!("an agent") };
        let (outcome, usage) = (Outcome::Done(Datum::inline(calls)), Usage::default());
        // The laws are checked by the smaller cases; this one is about size.
        let mut input = Input::Answer { step, attempt: 1, outcome, usage };
        loop {
            let events = w.run.decide(w.at, &input, &Values::default()).expect("decided");
            assert!(events.len() <= 64);
            events.iter().for_each(|e| w.run.apply(e));
            if !w.run.pending().contains(&Effect::Continue) {
                break;
            }
            input = Input::Tick;
        }
        calls += 1;
    }
    assert_eq!((calls, w.run.status()), (1000, Status::Completed));
}

#[test]
fn bad_data_fails_the_step_with_its_own_code() {
    let transform = json!({"id": "t", "type": "transform", "config": {"rules": [
        {"source": "list", "target": "n", "type": "map", "config": {"value": "item"}}
    ]}});
    let w = World::start(json!({"name": "t", "nodes": [transform]}), json!({"list": 7}));
    assert_eq!(w.error(), "transform_error");
    let w = World::start(json!({"name": "p", "nodes": [agent("p", "{{ input.nothing }}")]}), json!({}));
    assert_eq!(w.error(), "template_error");
    let each = json!({"id": "e", "type": "for_each", "config": {"items": "input", "body": {"nodes": []}}});
    let w = World::start(json!({"name": "e", "nodes": [each]}), json!("text"));
    assert_eq!(w.error(), "items_not_a_list");
}

#[test]
fn retention_purges_an_ended_run() {
    let mut w = World::start(json!({"name": "empty", "nodes": []}), json!({}));
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(60)));
    w.pass(Span::secs(59));
    assert!(!w.run.purging);
    w.pass(Span::secs(1));
    assert_eq!(w.pending(), ["purge"]);
    assert!(matches!(w.events.last().map(|e| &e.what), Some(What::RunPurging {})));
}
