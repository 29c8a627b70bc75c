//! What becomes of data on its way: defaults, sizes, numbers, line breaks, hashes, reasons.

use super::world::{Stage, Where, World, cases};
use crate::{
    conformance::sdk::python,
    harness::{Reply, root},
};
use serde_json::{Map, Value, json};
use std::process::Stdio;
use tokio::{io::AsyncWriteExt, process::Command};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_arrives_as_it_was_given() {
    let stage = Stage::start(Where::Embedded).await;
    stage
        .play(cases![
            defaults_are_applied_and_recorded_however_a_run_begins,
            a_repeated_start_stays_one_whatever_the_schema_gives_by_now,
            the_input_of_a_rerun_is_taken_as_that_of_a_start,
            a_tools_arguments_have_the_defaults_of_its_schema,
            what_is_large_is_passed_on,
            what_is_too_large_fails_with_its_size,
            any_value_comes_back_as_it_was,
            a_block_text_arrives_with_its_line_breaks,
            the_hash_of_an_approval_can_be_made_by_anybody,
            why_another_model_was_asked_is_told,
        ])
        .await;
}

/// Says in what language; without being told in English.
fn greets(lang: &str) -> Value {
    json!({"name": "greets", "output": {"lang": "{{ input.lang }}", "to": "{{ input.to | default('-') }}"},
        "input": {"type": "object", "required": ["lang"], "properties": {
            "lang": {"type": "string", "default": lang},
            "to": {"type": "object", "default": {}, "properties": {"name": {"default": "all"}}},
            "rows": {"items": {"properties": {"n": {"default": 1}}}}}},
        "nodes": [{"id": "go", "type": "wait", "config": {"for": "0s"}}]})
}

async fn defaults_are_applied_and_recorded_however_a_run_begins(w: World) {
    let definition = greets("en");
    let workflow = w.api.create(&definition).await;
    let full = json!({"lang": "en", "to": {"name": "all"}});
    let by_rest = w.api.start(&workflow, json!({})).await;
    let nothing = w.api.post(&format!("/workflows/{workflow}/start"), json!({})).await;
    let inline = w.api.post("/runs", json!({"definition": definition})).await;
    let id = |began: &Value| began["run_id"].as_str().expect("an id").to_owned();
    w.api.actor("Workflow", "defaults-actor", "start", json!({"workflow_id": workflow})).await;
    let command = json!({"run_id": "defaults-event", "workflow_id": workflow});
    w.api.command("callboard.workflow.start", command).await;
    let runs = [by_rest, id(&nothing), id(&inline), "defaults-actor".into(), "defaults-event".into()];
    for run in runs {
        let seen = w.api.until(&run, "completed").await;
        assert_eq!(seen["input"], full, "{run}");
        assert_eq!(seen["output"], json!({"lang": "en", "to": {"name": "all"}}), "{run}");
        let history = w.recorded(&run).await;
        assert_eq!(history[0]["data"]["input"], full, "{run}");
    }
    let given = json!({"lang": "de", "to": {"name": null, "x": 1}, "rows": [{}, {"n": null}, 5]});
    let run = w.api.start(&workflow, given).await;
    let seen = w.api.until(&run, "completed").await;
    let kept = json!({"lang": "de", "to": {"name": null, "x": 1}, "rows": [{"n": 1}, {"n": null}, 5]});
    assert_eq!(seen["input"], kept);

    let path = format!("/workflows/{workflow}/start");
    let problem = w.api.refused(&path, json!({"input": {"lang": null}}), 422, "invalid_input").await;
    assert_eq!(problem["problems"][0]["path"], "input.lang");
    let problem = w.api.refused(&path, json!({"input": null}), 422, "invalid_input").await;
    assert_eq!(problem["problems"][0]["code"], "wrong_type", "null is an input, and not an absent one");
    let mut wrong = greets("en");
    wrong["input"]["properties"]["lang"]["default"] = json!(7);
    let problem = w.api.refused("/workflows", wrong, 422, "invalid_definition").await;
    let said = &problem["problems"][0];
    assert_eq!(
        (&said["path"], &said["code"]),
        (&json!("input.properties.lang.default"), &json!("invalid_default"))
    );
}

async fn a_repeated_start_stays_one_whatever_the_schema_gives_by_now(w: World) {
    let workflow = w.api.create(&greets("en")).await;
    let path = format!("/workflows/{workflow}/start");
    let (first, began) = w.api.keyed(&path, "defaults-k", json!({"input": {}})).await;
    assert_eq!(first, 200, "{began:#}");
    let spelled = json!({"input": {"lang": "en", "to": {"name": "all"}}});
    let (_, again) = w.api.keyed(&path, "defaults-k", spelled).await;
    assert_eq!(again["run_id"], began["run_id"], "what stands for the defaults is the same input");
    let mut next = greets("fr");
    next["version"] = json!(1);
    let (status, saved) = w.api.request("PUT", &format!("/workflows/{workflow}"), Some(next)).await;
    assert_eq!((status, &saved["version"]), (200, &json!(2)), "{saved:#}");
    let (status, again) = w.api.keyed(&path, "defaults-k", json!({"input": {}})).await;
    assert_eq!((status, &again["run_id"]), (200, &began["run_id"]), "the run has the defaults of its start");
    let (status, other) = w.api.keyed(&path, "defaults-k", json!({"input": {"lang": "fr"}})).await;
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_key_reused")), "{other:#}");
    let run = began["run_id"].as_str().expect("an id");
    assert_eq!(w.api.until(run, "completed").await["input"]["lang"], "en");
    let fresh = w.api.start(&workflow, json!({})).await;
    assert_eq!(w.api.until(&fresh, "completed").await["input"]["lang"], "fr");
}

async fn the_input_of_a_rerun_is_taken_as_that_of_a_start(w: World) {
    let run = w.api.run(&greets("en"), json!({})).await;
    w.api.until(&run, "completed").await;
    let path = format!("/runs/{run}/rerun");
    let wrong = json!({"from": "go", "input": {"lang": 7}});
    let problem = w.api.refused(&path, wrong, 422, "invalid_input").await;
    assert_eq!(problem["problems"][0]["path"], "input.lang");
    let (status, _) = w.api.keyed(&path, "defaults-r", json!({"from": "go", "input": {"to": {}}})).await;
    assert_eq!(status, 200);
    let seen = w.api.until(&run, "completed").await;
    assert_eq!(
        (&seen["generation"], &seen["input"]),
        (&json!(2), &json!({"to": {"name": "all"}, "lang": "en"}))
    );
    let (status, again) = w.api.keyed(&path, "defaults-r", json!({"from": "go", "input": {"to": {}}})).await;
    assert_eq!((status, &again["generation"]), (200, &json!(2)), "the same rerun is done once");
}

async fn a_tools_arguments_have_the_defaults_of_its_schema(w: World) {
    w.says_in_turn(
        "with-defaults",
        vec![Reply::Tools(vec![("scale".into(), json!({"a": 3}))]), Reply::text("done")],
    );
    let ask = json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent",
        "config": {"agent": "scaler", "prompt": "with-defaults"}}]});
    let run = w.api.run(&ask, json!({})).await;
    w.api.until(&run, "completed").await;
    let asked = w.asked("with-defaults");
    let messages = asked[1].json()["messages"].as_array().cloned().unwrap_or_default();
    let answer = messages.iter().find(|message| message["role"] == "tool").expect("the tool's answer");
    assert_eq!(answer["content"], "30");
    let call = messages.iter().find(|message| message["role"] == "assistant").expect("the call");
    let arguments = call["tool_calls"][0]["function"]["arguments"].as_str().expect("a text");
    assert_eq!(
        serde_json::from_str::<Value>(arguments).expect("JSON"),
        json!({"a": 3}),
        "as the model wrote it"
    );
}

async fn what_is_large_is_passed_on(w: World) {
    let items: Vec<Value> = (0..200).map(|n| json!({"n": n, "text": "x".repeat(9_000)})).collect();
    w.serves("/large", Reply::Json(json!(items)));
    w.says("sum-up-all", Reply::text("short"));
    let body = json!({"nodes": [{"id": "is", "type": "condition", "config": {"if": "item.n >= 0"}}],
        "output": "{{ item.n }}"});
    let definition = json!({"name": "large", "nodes": [
        {"id": "get", "type": "http", "config": {"url": format!("{}/large", w.http_url), "max_body": 16_777_216}},
        {"id": "each", "type": "for_each", "config": {"items": "steps.get.output.body", "parallel": 64, "body": body}},
        {"id": "sum", "type": "agent", "config": {"agent": "quick", "prompt": "sum-up-all\n{{ steps.get.output.body }}\n"}},
        {"id": "put", "type": "http", "config": {"method": "POST", "url": format!("{}/large-back", w.http_url),
            "body": {"all": "{{ steps.get.output.body }}"}, "max_body": 16_777_216}},
    ], "edges": [{"source": "get", "target": "each"}, {"source": "each", "target": "sum"}, {"source": "sum", "target": "put"}],
       "output": {"all": "{{ steps.get.output.body }}", "n": "{{ steps.each.output }}", "said": "{{ steps.sum.output }}"}});
    let run = w.api.run(&definition, json!({})).await;
    let seen = w.ends(&run, "completed").await;
    assert!(seen["output"]["all"] == json!(items), "the output is what was got");
    assert_eq!(seen["output"]["n"], json!((0..200).collect::<Vec<_>>()));
    assert_eq!(seen["output"]["said"], "short");
    let asked = w.asked("sum-up-all");
    let messages = asked[0].json()["messages"].clone();
    let told = messages.as_array().expect("messages").last().expect("the task")["content"].clone();
    assert!(
        told == json!(format!("sum-up-all\n{}\n", json!(items))),
        "the whole prompt, with its last line break"
    );
    let sent = w.served("/large-back");
    assert!(sent[0].json() == json!({"all": items}), "the body is what was got");
}

async fn what_is_too_large_fails_with_its_size(w: World) {
    // As JSON each quote takes two bytes.
    w.serves("/quotes", Reply::Raw("text/plain", "\"".repeat(9 << 20)));
    let definition = json!({"name": "too-large", "nodes": [
        {"id": "get", "type": "http", "config": {"url": format!("{}/quotes", w.http_url), "max_body": 16_777_216}}]});
    let run = w.api.run(&definition, json!({})).await;
    let seen = w.ends(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("value_too_large"), &json!("get")));
    let said = seen["error"]["message"].as_str().expect("a sentence");
    assert!(said.starts_with("output: it has 188") && said.contains("more than 16777216"), "{said}");
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 14] = [
            "",
            "null",
            "1",
            "true",
            "{{ input }}",
            "{% if %}",
            "{# x",
            "\u{0}\u{1f}",
            "e\u{301}",
            "\u{1f600}",
            "\u{fdd0}s",
            "a\r\nb\n",
            "secret://tok",
            "\\\"/",
        ];
        let mut text = TEXTS[self.roll(TEXTS.len() as u64) as usize].to_owned();
        for _ in 0..self.roll(4) {
            text.extend(char::from_u32(self.roll(0x3000) as u32));
        }
        text
    }

    fn value(&mut self, depth: u64) -> Value {
        let numbers = [
            json!(0),
            json!(-0.0),
            json!(1.0),
            json!(1e15),
            json!(1e16),
            json!(1e300),
            json!(5e-324),
            json!(0.1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(9_007_199_254_740_993_u64),
            json!(f64::MAX),
            json!(1e-7),
            json!(123456789.125),
        ];
        match self.roll(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => numbers[self.roll(numbers.len() as u64) as usize].clone(),
            3 => json!(self.0 as i64),
            4 => json!(f64::from_bits(self.0.rotate_left(17) & 0xbfef_ffff_ffff_ffff)),
            5 => json!(self.text()),
            6 => (0..self.roll(5)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object(
                (0..self.roll(5)).map(|_| (self.text(), self.value(depth - 1))).collect::<Map<_, _>>(),
            ),
        }
    }
}

async fn any_value_comes_back_as_it_was(w: World) {
    let mut dice = Dice(20_261_127);
    let values: Vec<Value> = (0..300).map(|_| dice.value(4)).collect();
    let body = json!({
        "nodes": [
            {"id": "shape", "type": "transform", "config": {"input": "[item]", "rules": [
                {"source": ".", "target": "out", "type": "map", "config": {"value": "item"}}]}},
            {"id": "echo", "type": "http", "config": {"method": "POST", "url": format!("{}/any-value", w.http_url),
                "body": {"v": "{{ steps.shape.output.out.0 }}", "made": "{{ [item][0] }}"}}},
        ],
        "edges": [{"source": "shape", "target": "echo"}],
        "output": ["{{ steps.echo.output.body.body.v }}", "{{ steps.echo.output.body.body.made }}"]});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "input.values", "parallel": 32, "body": body}});
    let definition = json!({"name": "any-value", "nodes": [each], "output": "{{ steps.each.output }}"});
    let run = w.api.run(&definition, json!({"values": values})).await;
    let seen = w.ends(&run, "completed").await;
    let came = seen["output"].as_array().expect("a list");
    assert_eq!(came.len(), values.len());
    for (came, value) in came.iter().zip(&values) {
        // As texts, so that 1 and 1.0, and the order of keys, are told apart.
        assert_eq!(came.to_string(), json!([value, value]).to_string());
    }
}

async fn a_block_text_arrives_with_its_line_breaks(w: World) {
    let text = "name: lines\nnodes:\n  - id: keep\n    type: agent\n    config:\n      agent: quick\n      prompt: |+\n        line-breaks {{ input.x }}\n\n  - id: put\n    type: http\n    config:\n      method: POST\n      url: |\n        HOST/lines\n      body:\n        clip: |\n          a {{ input.x }}\n        strip: |-\n          a {{ input.x }}\n        keep: |+\n          a {{ input.x | upper }}\n\n        fold: >\n          a\n          {{ input.x }}\n        plain: |\n          no tag\n        value: |\n          {{ input.list }}\nedges: [{source: keep, target: put}]\n";
    let text = text.replace("HOST", &w.http_url);
    let unix: Value = serde_json::to_value(
        callboard_core::document::parse(&text, callboard_core::document::Format::Yaml).expect("YAML"),
    )
    .expect("JSON");
    let windows =
        callboard_core::document::parse(&text.replace('\n', "\r\n"), callboard_core::document::Format::Yaml);
    assert_eq!(windows.expect("YAML"), unix, "YAML reads both line ends as one");
    let run = w.api.run(&unix, json!({"x": "tea", "list": [1, 2]})).await;
    w.ends(&run, "completed").await;
    let asked = w.asked("line-breaks");
    let messages = asked[0].json()["messages"].clone();
    let told = messages.as_array().expect("messages").last().expect("the task")["content"].clone();
    assert_eq!(told, "line-breaks tea\n\n");
    let sent = &w.served("/lines")[0];
    let expected = json!({"clip": "a tea\n", "strip": "a tea", "keep": "a TEA\n\n", "fold": "a tea\n", "plain": "no tag\n",
        "value": [1, 2]});
    assert_eq!(sent.json(), expected);
}

/// What the script makes of the steps as the API shows them.
async fn hashes(w: &World, run: &str) -> Value {
    let steps = w.api.get(&format!("/runs/{run}/steps")).await;
    let mut child = Command::new(python())
        .arg(root().join("tests/it/e2e/args_hash.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(steps.to_string().as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "the script failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn the_hash_of_an_approval_can_be_made_by_anybody(w: World) {
    let pay = json!({"id": "pay", "type": "http", "config": {"method": "POST", "url": format!("{}/hash-pay/{{{{ input.to }}}}", w.http_url),
        "body": {"amount": "{{ input.amount }}", "note": "{{ input.note }}"}}});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "input.rows", "body": {"nodes": [
        {"id": "row", "type": "approval", "config": {"title": "Row {{ index }}: {{ item }}", "detail": {"row": "{{ item }}"}}}]}}});
    let definition = json!({"name": "hashes", "nodes": [
        {"id": "sure", "type": "approval", "config": {"title": "Pay {{ input.to }}?\n", "detail": "{{ input.note }}", "guards": "pay"}},
        pay, each,
        {"id": "soon", "type": "approval", "config": {"title": "{{ input.amount }}", "timeout": "300ms"}},
    ], "edges": [{"source": "sure", "target": "pay", "config": {"branch": "approved"}}]});
    let note = format!("é\u{1f600}\u{7f}\u{0}\u{1f}\"\\/\t\n\r\u{8}\u{c}\u{2028} {}", "long ".repeat(500));
    let rows =
        json!([18446744073709551615_u64, -1.5e-7, 1e300, {"b": 1.0, "a": [null, i64::MIN]}, "\u{301}"]);
    let input = json!({"to": "bob", "amount": 1e16, "note": note, "rows": rows});
    let run = w.api.run(&definition, input).await;
    w.api.until_step(&run, "sure", "waiting").await;
    w.api.until_step(&run, "soon", "completed").await;
    w.api.until_step(&run, "row", "waiting").await;
    let made = hashes(&w, &run).await;
    let steps = w.api.steps(&run).await;
    let asked: Vec<&Value> = steps.iter().filter(|step| step.get("args_hash").is_some()).collect();
    assert_eq!(asked.len(), 7, "{steps:#?}");
    let history = w.api.history(&run).await;
    for step in asked {
        let name = format!("{}/{}", step["node"].as_str().unwrap(), step["iteration"].as_str().unwrap());
        assert_eq!(step["args_hash"], made[&name], "{name}");
        let event = history.iter().find(|event| {
            event["type"] == "step.started"
                && event["node"] == step["node"]
                && event["iteration"] == step["iteration"]
        });
        assert_eq!(event.expect("its event")["data"]["args_hash"], step["args_hash"], "{name}");
    }
    let path = format!("/runs/{run}/approve");
    let row = |n: u32| json!({"node": "row", "approved": true, "iteration": n.to_string(), "args_hash": made[format!("row/{}", n % 5)]});
    let mut of_another = row(0);
    of_another["args_hash"] = made["row/1"].clone();
    w.api.refused(&path, of_another, 409, "arguments_changed").await;
    let expired = json!({"node": "soon", "approved": true, "args_hash": made["soon/"]});
    w.api.refused(&path, expired, 409, "not_waiting").await;
    for n in 0..5 {
        w.api.post(&path, row(n)).await;
    }
    w.api.post(&path, json!({"node": "sure", "approved": true, "args_hash": made["sure/"]})).await;
    w.ends(&run, "completed").await;
    // What was shown before is another question after a rerun with another input.
    let other = json!({"to": "bob", "amount": 10_000_000_000_000_001_u64, "note": note, "rows": []});
    w.api.operate(&run, "rerun", json!({"from": "sure", "input": other})).await;
    w.api.until_step(&run, "sure", "waiting").await;
    let stale = json!({"node": "sure", "approved": true, "args_hash": made["sure/"]});
    w.api.refused(&path, stale, 409, "arguments_changed").await;
    w.api.operate(&run, "cancel", json!({})).await;
}

async fn why_another_model_was_asked_is_told(w: World) {
    w.says_in_turn(
        "reasons-of-a-fallback",
        vec![
            Reply::Refused(
                429,
                json!({"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}),
            ),
            Reply::text("from the spare"),
        ],
    );
    let ask = json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent",
        "config": {"agent": "backed", "prompt": "reasons-of-a-fallback"}}]});
    let run = w.api.run(&ask, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "from the spare");
    let fallbacks = steps[0]["fallbacks"].as_array().expect("what was tried").clone();
    assert_eq!(fallbacks.len(), 1);
    let said = |name: &str| fallbacks[0][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (said("model"), said("code"), said("next")),
        ("test".into(), "model_quota".into(), "spare".into())
    );
    assert!(said("message").contains("exceeded"), "{fallbacks:#?}");
    let history = w.recorded(&run).await;
    let ended = history.iter().find(|event| event["type"] == "step.completed").expect("its end");
    assert_eq!(ended["data"]["fallbacks"], json!(fallbacks));
    w.says("no-fallback-needed", Reply::text("at once"));
    let plain = json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent",
        "config": {"agent": "backed", "prompt": "no-fallback-needed"}}]});
    let run = w.api.run(&plain, json!({})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(steps[0].get("fallbacks"), None);
}
