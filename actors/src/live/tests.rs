//! What is kept for listeners elsewhere, and for whom.

use super::{bus::Here as Process, *};
use crate::{Clock, tests::run_id};
use bytes::Bytes;
use callboard_core::Span;
use serde_json::Value;

const NOW: Timestamp = Timestamp(1_000_000);

fn said(text: &str) -> Said {
    Said { node: "a".into(), generation: 1, iteration: "".into(), attempt: 1, text: text.to_owned() }
}

#[test]
fn nothing_is_kept_while_nobody_listens_elsewhere() {
    let live = Live::default();
    let mut here = live.listen(&run_id("r"));
    assert!(live.is_heard(&run_id("r"), NOW));
    live.say(&run_id("r"), said("hello"), NOW);
    live.notify(&run_id("r"), 3, false, NOW);
    assert_eq!(here.try_recv(), Ok(said("hello")));
    let out = live.0.out.lock();
    assert!(out.said.is_empty() && out.recorded.is_empty());
}

#[test]
fn words_of_one_answer_are_one_piece_on_the_bus() {
    let live = Live::default();
    live.heard_elsewhere(&run_id("r"), true, NOW + Span::secs(30), NOW);
    for text in ["one ", "two ", "three"] {
        live.say(&run_id("r"), said(text), NOW);
    }
    live.notify(&run_id("r"), 7, false, NOW);
    live.notify(&run_id("r"), 9, false, NOW);
    let out = std::mem::take(&mut *live.0.out.lock());
    assert_eq!(out.said, [(run_id("r"), said("one two three"))]);
    assert_eq!(out.recorded, BTreeMap::from([(run_id("r"), 9)]));
}

#[test]
fn a_notice_expires_and_one_without_words_wants_none() {
    let live = Live::default();
    live.heard_elsewhere(&run_id("quiet"), false, NOW + Span::secs(30), NOW);
    live.heard_elsewhere(&run_id("heard"), true, NOW + Span::secs(30), NOW);
    assert!(!live.is_heard(&run_id("quiet"), NOW));
    assert!(live.is_heard(&run_id("heard"), NOW));
    assert!(!live.is_heard(&run_id("heard"), NOW + Span::secs(31)));
}

#[test]
fn more_than_can_wait_is_dropped() {
    let live = Live::default();
    live.heard_elsewhere(&run_id("r"), true, NOW + Span::secs(30), NOW);
    for _ in 0..5 {
        live.say(&run_id("r"), said(&"x".repeat(100 << 10)), NOW);
    }
    assert_eq!(live.0.out.lock().bytes, 200 << 10);
}

#[test]
fn a_listener_is_announced_once_then_renewed_and_gone_with_its_guard() {
    let live = Live::default();
    let first = live.announce(&run_id("r"), false);
    assert_eq!(live.take_listening(false), [(run_id("r"), false)]);
    assert_eq!(live.take_listening(false), []);
    let second = live.announce(&run_id("r"), true);
    assert_eq!(live.take_listening(false), [(run_id("r"), true)]);
    assert_eq!(live.take_listening(true), [(run_id("r"), true)]);
    drop(second);
    assert_eq!(live.take_listening(true), [(run_id("r"), false)]);
    drop(first);
    assert_eq!(live.take_listening(true), []);
}

/// One process with what it hears.
struct Place {
    live: Live,
    process: Process,
    clock: Clock,
}

impl Place {
    fn new() -> Self {
        let clock = Clock::system();
        Self { live: Live::default(), process: Process::new(&clock), clock }
    }

    fn hear(&self, messages: &[Bytes]) {
        for message in messages {
            let event: Value = serde_json::from_slice(message).expect("JSON");
            let (kind, time) = (event["type"].as_str().expect("a type"), event["time"].as_str());
            self.process.hear(&self.live, kind, time, event["data"].clone(), self.clock.now());
        }
    }
}

#[test]
fn a_process_that_listens_hears_what_another_says_and_records() {
    let (gateway, agent) = (Place::new(), Place::new());
    let mut words = gateway.live.listen(&run_id("r"));
    let mut growth = gateway.live.subscribe(&run_id("r"));
    let _listening = gateway.live.announce(&run_id("r"), true);
    agent.hear(&gateway.process.listening(&gateway.live, false, &gateway.clock));
    assert!(agent.live.is_heard(&run_id("r"), agent.clock.now()));
    agent.live.say(&run_id("r"), said("hello"), agent.clock.now());
    agent.live.notify(&run_id("r"), 4, false, agent.clock.now());
    let told = agent.process.told(&agent.live, &agent.clock);
    assert_eq!(told.len(), 2);
    agent.hear(&told);
    gateway.hear(&told);
    assert_eq!(
        (words.try_recv(), growth.try_recv()),
        (Ok(said("hello")), Ok(Recorded { seq: 4, ended: None }))
    );
    assert!(words.try_recv().is_err(), "once");
}

#[test]
fn what_is_older_than_the_process_or_has_no_shape_is_nothing_to_it() {
    let (old, new) = (Place::new(), Place::new());
    let _listening = old.live.announce(&run_id("r"), true);
    let mut notice: Value =
        serde_json::from_slice(&old.process.listening(&old.live, false, &old.clock)[0]).expect("JSON");
    notice["time"] = "2020-01-01T00:00:00Z".into();
    new.hear(&[notice.to_string().into()]);
    notice["time"] = new.clock.now().to_string().into();
    notice["data"]["runs"] = "r".into();
    new.hear(&[notice.to_string().into()]);
    assert!(!new.live.is_heard(&run_id("r"), new.clock.now()));
    notice["data"]["runs"] = serde_json::json!({"r": true});
    new.hear(&[notice.to_string().into()]);
    assert!(new.live.is_heard(&run_id("r"), new.clock.now()));
}
