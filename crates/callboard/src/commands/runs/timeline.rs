//! A run as people read it: what it is, its steps in time, what it waits for, what went wrong.

use crate::{
    client::shapes::{Run, Step, instant},
    terminal::{Cell, Table, Tone, ago, plain, plain_lines, pretty, took, word},
};
use callboard_core::workflow::{Status, view::EventView};
use serde_json::Value;

/// Letters of a value that is shown in a line.
const SHORT: usize = 200;

/// Shows a run with its steps.
pub fn shown(raw: &Value, run: &Run, steps: &[Step], name: Option<&str>, now: i64) -> String {
    let mut out =
        format!("run       {}\nstatus    {}", run.id, Tone::of(&run.status).colour(&plain(&run.status)));
    let began = instant(run.started_at.as_deref()).or(instant(Some(&run.created_at)));
    let ended = instant(run.ended_at.as_deref());
    if run.generation > 1 {
        out.push_str(&format!(", generation {}", run.generation));
    }
    if let (Some(began), Some(ended)) = (began, ended) {
        out.push_str(&format!(" after {}", took(ended - began)));
    }
    let workflow = match (&run.workflow_id, name) {
        (Some(id), Some(name)) => format!("{}, version {} ({id})", plain(name), run.version.unwrap_or(0)),
        (Some(id), None) => format!("{id}, version {}", run.version.unwrap_or(0)),
        (None, _) => "a definition that is not stored".to_owned(),
    };
    out.push_str(&format!("\nworkflow  {workflow}"));
    if let Some(began) = began {
        let at = run.started_at.as_deref().unwrap_or(&run.created_at);
        out.push_str(&format!("\nstarted   {} ({})", plain(at), ago(now - began)));
    }
    if run.usage.calls > 0 {
        let about = if run.usage.estimated { "about " } else { "" };
        let calls = if run.usage.calls == 1 { "call" } else { "calls" };
        out.push_str(&format!(
            "\nused      {about}{} tokens in {} {calls}",
            run.usage.tokens(),
            run.usage.calls
        ));
        if let Some(cost) = run.usage.money() {
            out.push_str(&format!(", cost {cost}"));
        }
    }
    if !steps.is_empty() {
        out.push_str("\n\n");
        out.push_str(&table(steps).text());
    }
    let waits: Vec<String> = steps.iter().filter_map(|step| waits_for(run, step)).collect();
    if !waits.is_empty() && !Status::is_final(&run.status) {
        out.push_str("\n\nIt waits\n");
        out.push_str(&waits.join("\n"));
    }
    if let Some(error) = &run.error {
        let node = error.node.as_deref().map(|node| format!(" in {}", plain(node))).unwrap_or_default();
        out.push_str(&format!("\n\nIt failed{node}: {} [{}]", plain(&error.message), plain(&error.code)));
    }
    if let Some(output) = raw.get("output").filter(|output| !output.is_null()) {
        // A text is told as the text it is.
        let output = match output {
            Value::String(text) => plain_lines(text),
            other => pretty(other),
        };
        out.push_str(&format!("\n\n{output}"));
    }
    out
}

/// Makes a table of steps in the order in which they began.
pub fn table(steps: &[Step]) -> Table {
    let first = steps.iter().filter_map(|step| instant(step.started_at.as_deref())).min();
    let rerun = steps.iter().any(|step| step.generation > 1);
    // Where nothing has a price, nothing is said of any.
    let has_cost = steps.iter().any(|step| step.usage.money().is_some());
    let mut heads = vec!["<STEP", "STATUS", "START", "TOOK", "TRY", "TOKENS", "<NOTE"];
    if has_cost {
        heads.insert(heads.len() - 1, "COST");
    }
    let mut table = Table::of(&heads);
    for step in steps {
        let began = instant(step.started_at.as_deref());
        let ended = instant(step.ended_at.as_deref());
        let name = if rerun { format!("{}: {}", step.generation, step.name()) } else { step.name() };
        let start = began.zip(first).map(|(began, first)| format!("+{}", took(began - first)));
        let mut row: Vec<Cell> = vec![
            name.into(),
            Cell::status(&step.status),
            start.unwrap_or_default().into(),
            began.zip(ended).map(|(began, ended)| took(ended - began)).unwrap_or_default().into(),
            if step.attempt > 1 { step.attempt.to_string() } else { String::new() }.into(),
            match step.usage.tokens() {
                0 => String::new(),
                tokens => tokens.to_string(),
            }
            .into(),
        ];
        if has_cost {
            row.push(step.usage.money().unwrap_or_default().into());
        }
        row.push(note(step).into());
        table.cells(row);
    }
    table
}

/// Makes a table of recorded events.
pub fn events(items: &[Value]) -> Table {
    let mut table = Table::new(["SEQ", "AT", "EVENT", "<STEP", "TRY", "<NOTE"]);
    for event in super::read::<EventView>(items) {
        let mut name = event.node.as_deref().unwrap_or_default().to_owned();
        if let Some(iteration) = event.iteration.as_deref().filter(|iteration| !iteration.is_empty()) {
            name.push_str(&format!("[{iteration}]"));
        }
        let failure = |name: &str| event.data.pointer(name).and_then(Value::as_str);
        let note = match (failure("/error/message"), event.data.get("input").or(event.data.get("output"))) {
            (Some(message), _) => format!("{message} [{}]", failure("/error/code").unwrap_or_default()),
            (None, Some(value)) => short(value),
            (None, None) => String::new(),
        };
        table.row([
            event.seq.to_string().into(),
            event.at.as_str().into(),
            (&*event.r#type).into(),
            name.into(),
            event.attempt.filter(|attempt| *attempt > 1).map(|n| n.to_string()).unwrap_or_default().into(),
            note.into(),
        ]);
    }
    table
}

/// Says the most important about a step in a line.
fn note(step: &Step) -> String {
    if let Some(error) = step.error.as_ref().filter(|_| step.status != "completed") {
        return format!("{} [{}]", error.message, error.code);
    }
    match step.status.as_str() {
        "waiting" | "unknown" => awaited(step),
        "completed" => short(&step.output),
        _ => String::new(),
    }
}

/// Says what a step waits for.
fn awaited(step: &Step) -> String {
    let text = |name: &str| step.input.get(name).and_then(Value::as_str);
    match (text("title"), text("until"), text("name")) {
        _ if step.status == "unknown" => "was it performed? nobody knows".to_owned(),
        (Some(title), _, _) => format!("an answer: {title}"),
        (None, Some(until), _) => format!("until {until}"),
        (None, None, Some(name)) => format!("the signal {name}"),
        (None, None, None) => String::new(),
    }
}

/// Says in full what a step waits for, and what a person can do about it.
fn waits_for(run: &Run, step: &Step) -> Option<String> {
    if !matches!(step.status.as_str(), "waiting" | "unknown") {
        return None;
    }
    let (name, id) = (plain(&step.name()).into_owned(), &run.id);
    let mut text = format!("  {name}: {}", plain(&awaited(step)));
    if step.is_asked() {
        let hash = step.args_hash.as_deref().unwrap_or_default();
        text.push_str(&format!("\n    args_hash {}", plain(hash)));
        text.push_str(&format!("\n    callboard approvals approve {id} {}", word(&step.name())));
    } else if let Some(signal) = step.input.get("name").and_then(Value::as_str) {
        text.push_str(&format!("\n    callboard runs signal {id} {} --data '{{}}'", word(signal)));
    }
    Some(text)
}

/// Shows a value in a line; a long one is cut.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::shapes::read;
    use serde_json::json;

    fn run(more: Value) -> Value {
        let mut run = json!({"id": "r1", "workflow_id": "w", "version": 3, "status": "waiting", "generation": 1,
            "created_at": "2027-01-01T00:00:00.000Z", "started_at": "2027-01-01T00:00:00.000Z", "ended_at": null,
            "usage": {"calls": 2, "prompt_tokens": 10, "completion_tokens": 5, "estimated": true}});
        let more = more.as_object().expect("fields").clone();
        run.as_object_mut().expect("fields").extend(more);
        run
    }

    fn text(run: &Value, steps: Value) -> String {
        let steps: Vec<Step> =
            steps.as_array().expect("steps").iter().map(|step| read(step).expect("a step")).collect();
        shown(run, &read(run).expect("a run"), &steps, Some("haiku"), 1_798_761_600_000 + 90_000)
    }

    #[test]
    fn a_waiting_run_says_for_what_it_waits_and_how_to_answer() {
        let steps = json!([
            {"node": "write", "generation": 1, "iteration": "0", "attempt": 2, "status": "completed", "output": "one\n\u{1b}[2Jtwo",
             "started_at": "2027-01-01T00:00:00.000Z", "ended_at": "2027-01-01T00:00:01.500Z",
             "usage": {"calls": 2, "prompt_tokens": 10, "completion_tokens": 5}},
            {"node": "ask", "generation": 1, "iteration": "", "attempt": 1, "status": "waiting", "args_hash": "ab12",
             "input": {"title": "Publish \u{1b}[31m?", "detail": null}, "started_at": "2027-01-01T00:00:01.500Z"},
            {"node": "pay", "generation": 1, "iteration": "", "attempt": 1, "status": "waiting",
             "input": {"name": "payment"}, "started_at": "2027-01-01T00:00:01.500Z"}]);
        let expected = "\
run       r1
status    waiting
workflow  haiku, version 3 (w)
started   2027-01-01T00:00:00.000Z (1m ago)
used      about 15 tokens in 2 calls

STEP      STATUS     START  TOOK  TRY  TOKENS  NOTE
write[0]  completed  +0ms   1.5s  2    15      one\\n\\u{1b}[2Jtwo
ask       waiting    +1.5s                     an answer: Publish \\u{1b}[31m?
pay       waiting    +1.5s                     the signal payment

It waits
  ask: an answer: Publish \\u{1b}[31m?
    args_hash ab12
    callboard approvals approve r1 ask
  pay: the signal payment
    callboard runs signal r1 payment --data '{}'";
        assert_eq!(text(&run(json!({})), steps), expected);
    }

    #[test]
    fn an_ended_run_says_how_it_ended() {
        let failed = run(json!({"status": "failed", "ended_at": "2027-01-01T00:01:01.000Z", "generation": 2,
            "error": {"code": "http_404", "message": "no\nsuch page", "node": "get"}}));
        let shown = text(
            &failed,
            json!([{"node": "get", "generation": 2, "status": "failed",
            "error": {"code": "http_404", "message": "no\nsuch page"}}]),
        );
        assert!(shown.contains("status    failed, generation 2 after 1m 01s"), "{shown}");
        assert!(
            shown.contains("2: get  failed")
                && shown.ends_with("It failed in get: no\\nsuch page [http_404]"),
            "{shown}"
        );
        let done = text(&run(json!({"status": "completed", "output": "two\nlines\u{7}"})), json!([]));
        assert!(done.ends_with("\n\ntwo\nlines\\u{7}"), "{done}");
    }
}
