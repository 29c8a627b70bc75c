//! Steps as folded from events.

use super::{super::super::event::Reserved, *};
use serde_json::json;

fn fold(definition: Value, events: Vec<(i64, What)>) -> Steps {
    window(definition, events, 0, 1000)
}

fn window(definition: Value, events: Vec<(i64, What)>, skip: usize, limit: usize) -> Steps {
    let mut steps = Steps::new(skip, limit);
    steps.of(Shape::of(&definition));
    for (seq, (at, what)) in (1..).zip(events) {
        steps.apply(seq, &Event { at: Timestamp(at), what });
    }
    steps
}

fn started(node: &str, iteration: &str, attempt: u32) -> What {
    What::StepStarted {
        step: StepKey::new(1, node, iteration),
        attempt,
        input: (attempt == 1).then(|| Datum::inline(json!({"for": node}))),
        deadline: None,
        reserved: Reserved::default(),
    }
}

fn completed(node: &str, iteration: &str, attempt: u32, tokens: u64) -> What {
    What::StepCompleted {
        step: StepKey::new(1, node, iteration),
        attempt,
        output: Datum::inline("out"),
        branch: None,
        usage: Some(Usage {
            calls: 1,
            prompt_tokens: tokens,
            completion_tokens: 0,
            estimated: false,
            ..Usage::default()
        }),
        error: None,
        op: None,
        signal: None,
        body: None,
        fallbacks: Vec::new(),
    }
}

fn failed(node: &str, attempt: u32, retry_at: Option<i64>) -> What {
    What::StepFailed {
        step: StepKey::new(1, node, ""),
        attempt,
        error: Failure { code: "model_unavailable".into(), message: "gone".into(), details: None },
        retry_at: retry_at.map(Timestamp),
        usage: Some(Usage {
            calls: 1,
            prompt_tokens: 1,
            completion_tokens: 0,
            estimated: false,
            ..Usage::default()
        }),
        op: None,
        body: None,
        fallbacks: Vec::new(),
    }
}

fn lines(steps: &Steps) -> Vec<StepView> {
    steps.lines().iter().map(|line| steps.show(line, |_| None)).collect()
}

fn statuses(steps: &Steps) -> Value {
    lines(steps).iter().map(|item| serde_json::to_value(item.status).expect("a status")).collect()
}

#[test]
fn a_step_has_one_line_with_its_last_attempt_and_all_usage() {
    let steps = fold(
        json!({}),
        vec![
            (1000, started("a", "", 1)),
            (2000, failed("a", 1, Some(3000))),
            (3000, started("a", "", 2)),
            (4000, completed("a", "", 2, 10)),
        ],
    );
    let items = serde_json::to_value(lines(&steps)).expect("JSON");
    assert_eq!(
        items,
        json!([{"node": "a", "generation": 1, "iteration": "", "attempt": 2, "status": "completed",
            "input": {"for": "a"}, "output": "out", "error": null,
            "usage": {"calls": 2, "prompt_tokens": 11, "completion_tokens": 0, "cost": null, "unpriced_calls": 2},
            "started_at": "1970-01-01T00:00:01.000Z", "ended_at": "1970-01-01T00:00:04.000Z"}])
    );
}

#[test]
fn a_step_between_attempts_is_pending_and_a_waiting_node_waits() {
    let definition = json!({"nodes": [{"id": "w", "type": "approval"}, {"id": "a", "type": "agent"}]});
    let steps = fold(
        definition,
        vec![(1, started("w", "", 1)), (1, started("a", "", 1)), (2, failed("a", 1, Some(9)))],
    );
    assert_eq!(statuses(&steps), json!(["waiting", "pending"]));
}

#[test]
fn the_end_of_a_run_cancels_what_is_open() {
    let steps = fold(
        json!({}),
        vec![
            (1, started("a", "", 1)),
            (2, completed("a", "", 1, 0)),
            (2, started("b", "", 1)),
            (3, What::RunCancelled { op: "o".into(), body: None }),
        ],
    );
    assert_eq!(statuses(&steps), json!(["completed", "cancelled"]));
}

#[test]
fn the_end_of_an_iteration_cancels_what_is_open_in_it_and_nothing_else() {
    let body = |node: &str| json!({"body": {"nodes": [{"id": node, "type": "agent"}]}});
    let definition = json!({"nodes": [
        {"id": "each", "type": "for_each", "config": body("x")},
        {"id": "other", "type": "for_each", "config": body("y")}]});
    let steps = fold(
        definition,
        vec![
            (1, started("each", "", 1)),
            (1, started("x", "1", 1)),
            (1, started("x", "11", 1)),
            (1, started("y", "1", 1)),
            (
                2,
                What::IterationEnded {
                    step: StepKey::new(1, "each", ""),
                    index: 1,
                    output: Some(Datum::null()),
                    of: None,
                },
            ),
        ],
    );
    let nodes: Vec<_> = lines(&steps).into_iter().map(|item| item.node).collect();
    assert_eq!(nodes, ["each", "x", "x", "y"]);
    assert_eq!(statuses(&steps), json!(["running", "cancelled", "running", "running"]));
    // The body of the other node was not touched, nor the other round of this one.
    let changed: Vec<_> = steps.lines().iter().map(Line::changed).collect();
    assert_eq!(changed, [1, 5, 3, 4]);
}

#[test]
fn pages_follow_each_other_and_end() {
    let page = |skip, limit| {
        let events = (0..5).map(|n| (n, started(&format!("n{n}"), "", 1))).collect();
        let steps = window(json!({}), events, skip, limit);
        (steps.lines().len(), steps.has_more())
    };
    assert_eq!(page(0, 2), (2, true));
    assert_eq!(page(3, 2), (2, false));
    assert_eq!(page(4, 2), (1, false));
    assert_eq!(page(5, 2), (0, false));
    assert_eq!(page(usize::MAX, 2), (0, false));
}

#[test]
fn every_page_shows_what_the_whole_shows_there() {
    let body = json!({"body": {"nodes": [{"id": "x", "type": "agent"}]}});
    let definition = json!({"nodes": [{"id": "each", "type": "for_each", "config": body}]});
    let events = || {
        let mut events = vec![(0, started("each", "", 1))];
        for n in 0..7 {
            events.push((n, started("x", &n.to_string(), 1)));
            events.push((n, started(&format!("n{n}"), "", 1)));
        }
        // Out of order, so that pages are written to late, and with steps that come up again.
        events.extend((0..7).rev().step_by(2).map(|n| (20 + n, completed(&format!("n{n}"), "", 1, 3))));
        events.push((30, completed("each", "", 1, 0)));
        events.push((31, started("n1", "", 2)));
        events
    };
    let whole = lines(&fold(definition.clone(), events()));
    assert_eq!(whole.len(), 15);
    for (skip, limit) in [(0, 1), (0, 4), (3, 4), (7, 7), (8, 7), (14, 1), (0, 15), (0, 14)] {
        let steps = window(definition.clone(), events(), skip, limit);
        assert_eq!(lines(&steps), whole[skip..skip + limit], "{skip} {limit}");
        assert_eq!(steps.has_more(), skip + limit < whole.len());
    }
}

#[test]
fn a_page_is_settled_once_it_is_full_and_all_of_it_has_ended() {
    let mut steps = Steps::new(0, 1);
    let mut apply = |what| {
        steps.apply(1, &Event { at: Timestamp(1), what });
        steps.is_settled()
    };
    assert!(!apply(started("a", "", 1)));
    assert!(!apply(started("b", "", 1)), "a is open");
    assert!(!apply(failed("a", 1, Some(9))), "a comes again");
    assert!(apply(completed("a", "", 2, 1)));
}
