//! Output schemas that can't be used, and answers that are too much.

use super::*;

fn asked(schema: Value) -> Run {
    at_work(Task { output_schema: Some(schema), ..task(None) })
}

fn says(run: &mut Run, iteration: u32, text: &str) {
    let Ok(reply) = replies(Vec::new()) else { panic!("a reply") };
    let reply = Ok(ModelReply { text: text.to_owned(), ..reply });
    give(run, &Input::Replied { attempt: 1, iteration, reply });
}

fn failure(run: &Run) -> &str {
    match &run.phase {
        Phase::Done { outcome: Ending::Failed(error) } => &error.code,
        _ => "none",
    }
}

#[test]
fn a_recorded_schema_that_takes_too_much_work_ends_the_task_at_the_first_answer() {
    let mut defs: serde_json::Map<String, Value> = (0..28)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
            (format!("a{i}"), json!({"allOf": [next, next]}))
        })
        .collect();
    defs.insert("a28".into(), json!({"type": "integer"}));
    let mut run = asked(json!({"$defs": defs, "$ref": "#/$defs/a0"}));
    says(&mut run, 1, "{}");
    assert_eq!(failure(&run), "schema_too_costly");
    let mut run = asked(json!({"type": "strin"}));
    says(&mut run, 1, "{}");
    assert_eq!(failure(&run), "invalid_schema");
}

#[test]
fn an_answer_of_too_many_values_is_complained_about() {
    let mut run = asked(json!({"type": "object"}));
    says(&mut run, 1, &format!("[{}[]]", "[],".repeat(300_000)));
    assert_eq!((failure(&run), run.strikes), ("none", 1));
    says(&mut run, 2, "{\"a\":1}");
    assert!(matches!(run.phase, Phase::Done { outcome: Ending::Completed(_) }));
}
