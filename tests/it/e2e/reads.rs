//! What an editor and whoever follows a run read, from outside: the definition of a run, its overlay, its steps one by one,
//! its large values; and what the language says of itself.

use super::world::{Stage, Where, World, cases};
use crate::harness::Reply;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_read_in_parts_over_the_embedded_sidecar() {
    let stage = Stage::start(Where::Embedded).await;
    stage
        .play(cases![
            a_disabled_node_is_left_out_and_drawn_so,
            bodies_are_counted_and_followed_from_the_overlay,
            a_large_value_is_had_in_parts,
            a_rerun_is_drawn_by_generation,
            a_renamed_definition_runs_as_before,
            a_run_is_tried_with_outputs_that_are_given,
        ])
        .await;
}

fn agent(id: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "quick", "prompt": prompt}})
}

fn node<'o>(overlay: &'o Value, id: &str) -> &'o Value {
    let nodes = overlay["nodes"].as_array().expect("nodes");
    nodes.iter().find(|node| node["node"] == id).unwrap_or_else(|| panic!("{id} is not in {overlay:#}"))
}

async fn a_disabled_node_is_left_out_and_drawn_so(w: World) {
    let mut off = agent("off", "off-is-never-asked");
    off["disabled"] = true.into();
    let last = agent("last", "last-after {{ steps.off.status }} {{ steps.off.output is none }}");
    let definition = json!({"name": "off", "nodes": [agent("first", "first-before"), off, last],
        "edges": [{"source": "first", "target": "off"}, {"source": "off", "target": "last"}]});
    let run = w.api.run(&definition, json!({})).await;
    let seen = w.ends(&run, "completed").await;
    assert_eq!(seen["output"], "last-after skipped true");
    assert_eq!(w.asked("off-is-never-asked").len(), 0);
    let overlay = w.api.get(&format!("/runs/{run}/overlay")).await;
    assert_eq!(
        (&node(&overlay, "off")["status"], &node(&overlay, "off")["disabled"]),
        (&json!("skipped"), &json!(true))
    );
    assert_eq!(overlay["edges"].as_array().map(Vec::len), Some(2), "{overlay:#}");
    let defined = w.api.get(&format!("/runs/{run}/definition")).await;
    assert_eq!(defined["definition"], definition);
    assert_eq!(defined["agents"]["agents"]["quick"]["model"], "test", "{defined:#}");
    w.recorded(&run).await;
}

async fn bodies_are_counted_and_followed_from_the_overlay(w: World) {
    let wait = json!({"id": "row", "type": "signal", "config": {"name": "go"}});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "[1, 2, 3]", "parallel": 2, "body": {"nodes": [wait]}}});
    let run = w.api.run(&json!({"name": "rows", "nodes": [each]}), json!({})).await;
    w.api.until_step(&run, "row", "waiting").await;
    w.api.operate(&run, "signal", json!({"name": "go", "data": 1})).await;
    let overlay = w.api.get(&format!("/runs/{run}/overlay")).await;
    assert_eq!(node(&overlay, "row")["counts"], json!({"completed": 1, "waiting": 2}));
    assert_eq!(node(&overlay, "each")["iterations"], json!({"begun": 3, "ended": 1}));
    // Whoever follows from there misses nothing, and nothing is told twice.
    let seq = overlay["seq"].as_u64().expect("a seq");
    let later = w.api.get(&format!("/runs/{run}/history?after={seq}")).await;
    assert_eq!(later["items"], json!([]));
    let waiting = w.api.get(&format!("/runs/{run}/steps?node=row&status=waiting")).await;
    assert_eq!(waiting["items"].as_array().map(Vec::len), Some(2), "{waiting:#}");
    let first = w.api.get(&format!("/runs/{run}/steps?iteration=0")).await;
    assert_eq!((&first["items"][0]["node"], &first["items"][1]), (&json!("row"), &Value::Null));
    w.api.operate(&run, "cancel", json!({})).await;
    let overlay = w.api.get(&format!("/runs/{run}/overlay")).await;
    assert_eq!(node(&overlay, "row")["counts"], json!({"cancelled": 2, "completed": 1}));
}

async fn a_large_value_is_had_in_parts(w: World) {
    let body = json!({"rows": ["x".repeat(100_000)], "page": "<script>alert(1)</script>"});
    w.serves("/large-value", Reply::Json(body.clone()));
    let get = json!({"id": "get", "type": "http", "config": {"url": format!("{}/large-value", w.http_url)}});
    let run = w.api.run(&json!({"name": "large", "nodes": [get], "output": "done"}), json!({})).await;
    w.ends(&run, "completed").await;
    let cut = w.api.step(&run, "get").await["output"].clone();
    assert_eq!(cut["cut"], true, "{cut:#}");
    let url = format!("{}/api/v1/runs/{run}/values/{}", w.api.url, cut["hash"].as_str().expect("a hash"));
    let whole = w.api.client.get(&url).send().await.expect("an answer");
    assert_eq!(
        (whole.status(), &whole.headers()["content-type"]),
        (reqwest::StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert!(whole.headers()["content-disposition"].to_str().unwrap().starts_with("attachment;"));
    let text = whole.text().await.expect("a body");
    assert_eq!(cut["bytes"], json!(text.len()));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["body"], body);
    let part = w.api.client.get(&url).header("range", "bytes=10-19").send().await.expect("an answer");
    assert_eq!(part.status(), reqwest::StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.text().await.expect("a part"), text[10..20]);
}

async fn a_rerun_is_drawn_by_generation(w: World) {
    let definition = json!({"name": "again", "nodes": [agent("one", "again-one"), agent("two", "again-two")],
        "edges": [{"source": "one", "target": "two"}]});
    let run = w.api.run(&definition, json!({})).await;
    w.ends(&run, "completed").await;
    w.api.operate(&run, "rerun", json!({"from": "two"})).await;
    w.ends(&run, "completed").await;
    let latest = w.api.get(&format!("/runs/{run}/overlay")).await;
    assert_eq!(
        (&latest["generation"], &node(&latest, "one")["generation"], &node(&latest, "two")["generation"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let first = w.api.get(&format!("/runs/{run}/overlay?generation=1")).await;
    assert_eq!((&first["generation"], &node(&first, "two")["generation"]), (&json!(1), &json!(1)));
    let steps = w.api.get(&format!("/runs/{run}/steps?generation=2")).await;
    assert_eq!(steps["items"].as_array().map(Vec::len), Some(1), "{steps:#}");
}

async fn a_renamed_definition_runs_as_before(w: World) {
    let definition = json!({"name": "named", "nodes": [agent("one", "named-one"), agent("two", "named: {{ steps.one.output }}")],
        "edges": [{"source": "one", "target": "two"}], "output": {"first": "{{ steps.one.output }}"}});
    let scope = w.api.post("/definitions/scope", json!({"definition": definition, "node": "two"})).await;
    let output = &scope["places"]["config"]["steps"]["properties"]["one"]["properties"]["output"];
    assert_eq!(output, &json!({"type": "string"}), "{scope:#}");
    let renamed = w
        .api
        .post("/definitions/rename", json!({"definition": definition, "from": "one", "to": "the-first"}))
        .await;
    let run = w.api.run(&renamed["definition"], json!({})).await;
    let seen = w.ends(&run, "completed").await;
    assert_eq!(seen["output"], json!({"first": "named-one"}), "{renamed:#}");
    assert_eq!(w.asked("named: named-one").len(), 1);
}

async fn a_run_is_tried_with_outputs_that_are_given(w: World) {
    let definition = json!({"name": "tried", "nodes": [agent("ask", "tried-ask {{ input.n }}"), agent("sum", "tried-sum {{ steps.ask.output }}"),
        agent("send", "tried-send {{ steps.sum.output }}")],
        "edges": [{"source": "ask", "target": "sum"}, {"source": "sum", "target": "send"}]});
    let start = async |body: Value| {
        let began = w.api.post("/runs", body).await;
        began["run_id"].as_str().expect("a run").to_owned()
    };
    let first = start(json!({"definition": definition, "input": {"n": 1}})).await;
    w.ends(&first, "completed").await;
    // Run from here: what lies before is taken from the run that was.
    let pins = json!({"ask": {"run": first}});
    let tried =
        start(json!({"definition": definition, "input": {"n": 2}, "pins": pins, "until": "sum"})).await;
    let seen = w.ends(&tried, "completed").await;
    assert_eq!(seen["output"], "tried-sum tried-ask 1");
    assert_eq!(seen["trial"], json!({"until": "sum", "pinned": ["ask"]}));
    assert_eq!(w.asked("tried-ask 2").len(), 0);
    let steps = w.api.steps(&tried).await;
    let told: Vec<_> =
        steps.iter().map(|s| (s["node"].clone(), s["status"].clone(), s["pinned"] == true)).collect();
    assert_eq!(
        told,
        [
            (json!("ask"), json!("completed"), true),
            (json!("sum"), json!("completed"), false),
            (json!("send"), json!("skipped"), false),
        ]
    );
    let history = w.recorded(&tried).await;
    assert_eq!(
        (&history[1]["type"], &history[1]["data"]["trial"]["outputs"]),
        (&json!("run.tried"), &json!({"ask": "tried-ask 1"}))
    );
    // Test this node.
    let only =
        start(json!({"definition": definition, "pins": {"sum": {"value": "given"}}, "only": "send"})).await;
    assert_eq!(w.ends(&only, "completed").await["output"], "tried-send given");
    // The same start under its key, and another one.
    let keyed = async |pins: Value| {
        let body = json!({"definition": definition, "pins": pins, "only": "send"});
        w.api.keyed("/runs", "tried-key", body).await
    };
    let (status, once) = keyed(json!({"sum": {"value": "k"}})).await;
    assert_eq!(status, 200, "{once:#}");
    assert_eq!(keyed(json!({"sum": {"value": "k"}})).await.1["run_id"], once["run_id"]);
    let (status, other) = keyed(json!({"sum": {"value": "l"}})).await;
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_key_reused")));
    // What can't be used is told at once.
    let body = json!({"definition": definition, "pins": {"ghost": {"value": 1}, "ask": {"value": 2}}, "until": "nowhere"});
    let wrong = w.api.refused("/runs", body, 422, "invalid_pins").await;
    let mut paths: Vec<_> =
        wrong["problems"].as_array().expect("problems").iter().map(|p| p["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["pins.ghost", "until"]);
    let body = json!({"definition": definition, "pins": {"ask": {"run": "none"}, "sum": {"run": only}}});
    let wrong = w.api.refused("/runs", body, 422, "invalid_pins").await;
    assert_eq!(wrong["problems"][0]["code"], "no_output", "{wrong:#}");
    let id = w.api.create(&definition).await;
    w.api
        .refused(
            &format!("/workflows/{id}/start"),
            json!({"pins": {"ask": {"value": 1}}}),
            422,
            "invalid_body",
        )
        .await;
    // What is only a draft can be tried as it stands.
    let draft = w.api.post("/workflows?draft=true", definition).await;
    let body = json!({"draft": true, "pins": {"sum": {"value": "drawn"}}, "only": "send"});
    let path = format!("/workflows/{}/start", draft["id"].as_str().expect("an id"));
    let began = w.api.post(&path, body).await;
    let seen = w.ends(began["run_id"].as_str().expect("a run"), "completed").await;
    assert_eq!((&seen["output"], &seen["version"]), (&json!("tried-send drawn"), &json!(0)));
}
