//! How long the state of an ended run is kept.

use super::*;

fn kept(retention: Value, end: fn(&mut World)) -> Option<Span> {
    let mut definition = chain();
    definition["settings"] = json!({ "retention": retention });
    let mut w = World::start(definition, json!({"topic": "bees"}));
    end(&mut w);
    Some(w.run.deadline()?.since(w.at))
}

fn complete(w: &mut World) {
    w.answer("one", "", json!("1"));
    w.answer("two", "", json!("2"));
}

fn fail(w: &mut World) {
    w.fail("one", false);
}

fn cancel(w: &mut World) {
    let op = w.op();
    w.give(Input::Cancel { op });
}

#[test]
fn a_run_is_kept_as_long_as_its_end_says() {
    let each = json!({"completed": "1s", "failed": "2s", "cancelled": "3s"});
    let ends: [fn(&mut World); 3] = [complete, fail, cancel];
    assert_eq!(ends.map(|end| kept(each.clone(), end)), [1, 2, 3].map(|n| Some(Span::secs(n))));
    assert_eq!(ends.map(|end| kept(json!("5s"), end)), [5; 3].map(|n| Some(Span::secs(n))));
    let usual = [24, 7 * 24, 24].map(|hours| Some(Span::secs(hours * 3600)));
    assert_eq!(ends.map(|end| kept(json!({}), end)), usual);
}

#[test]
fn a_run_recorded_before_is_kept_as_it_says() {
    let mut w = World::start(chain(), json!({"topic": "bees"}));
    assert_eq!(w.run.created.as_ref().map(|c| c.settings.otherwise), Some(None));
    fail(&mut w);
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(60)));
}
