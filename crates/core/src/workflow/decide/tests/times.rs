//! The time that expressions see, and waits whose length data says.

use super::*;

fn wait(length: &str, input: Value) -> World {
    World::start(
        json!({"name": "w", "nodes": [{"id": "w", "type": "wait", "config": {"for": length}}]}),
        input,
    )
}

#[test]
fn a_wait_is_as_long_as_data_says() {
    for (length, input, seconds) in [
        ("7d", json!({}), 7 * 86_400),
        ("P1W", json!({}), 7 * 86_400),
        ("{{ input.s }}", json!({"s": 90}), 90),
        ("{{ input.s }}", json!({"s": "90m"}), 5_400),
        ("{{ input.s }}\n", json!({"s": "PT90M"}), 5_400),
        ("{{ input.s | default('2d') }}", json!({}), 2 * 86_400),
        ("{{ input.s }}s", json!({"s": 90}), 90),
        ("{{ input.due | since(now) }}", json!({"due": "1970-01-01T00:20:00Z"}), 200),
    ] {
        let w = wait(length, input.clone());
        assert_eq!(w.run.deadline(), Some(w.at + Span::secs(seconds)), "{length} {input}");
    }
    let mut w = wait("{{ input.s }}", json!({"s": 0.25}));
    assert_eq!(w.run.deadline(), Some(w.at + Span(250)));
    w.pass(Span(250));
    assert_eq!(w.output(), json!({"until": "1970-01-01T00:16:40.250Z"}));
}

#[test]
fn a_length_that_is_none_fails_the_step() {
    for (value, part) in [
        (json!("soon"), "\"soon\""),
        (json!("90"), "or a number of seconds"),
        (json!("-1s"), "\"10s\""),
        (json!("1mo"), "\"7d\""),
        (json!(-1), "-1"),
        (json!(1e300), "1e+300"),
        (json!(null), "null"),
        (json!([1]), "[1]"),
        (json!("9000000h"), "9000000h"),
    ] {
        let w = wait("{{ input.s }}", json!({"s": value}));
        let Some(Ending::Failed(error)) = w.run.ended.as_ref().map(|ended| &ended.how) else {
            panic!("{value}: {:?}", w.run.ended)
        };
        assert_eq!(error.code, "invalid_duration", "{value}");
        assert!(error.message.contains(part), "{value}: {}", error.message);
    }
}

#[test]
fn now_is_the_time_of_the_decision_and_is_recorded() {
    let definition = json!({
        "name": "n",
        "nodes": [
            {"id": "first", "type": "transform", "config": {
                "input": "{'at': now, 'l': [1]}", "rules": [{"source": "l", "target": "at", "type": "map", "config": {"value": "data.at"}}]
            }},
            {"id": "pause", "type": "wait", "config": {"for": "{{ '60s' | seconds }}"}},
            {"id": "late", "type": "condition", "config": {"if": "now | since(steps.first.output.at[0]) >= 60"}},
            {"id": "until", "type": "wait", "config": {"until": "{{ now | add(input.s) }}"}}
        ],
        "edges": [
            {"source": "first", "target": "pause"}, {"source": "pause", "target": "late"},
            {"source": "late", "target": "until", "config": {"branch": "true"}}
        ],
        "output": {"first": "{{ steps.first.output.at[0] }}", "end": "{{ now }}"}
    });
    let mut w = World::start(definition, json!({"s": 5}));
    w.pass(Span::secs(60));
    assert_eq!(w.run.deadline(), Some(w.at + Span::secs(5)));
    w.pass(Span::secs(5));
    assert_eq!(w.output(), json!({"first": "1970-01-01T00:16:40.000Z", "end": "1970-01-01T00:17:45.000Z"}),);
}
