//! What a run recorded: its definition, its overlay, its steps one by one, its large values.

use super::{reads::entry, *};
use bytes::Bytes;
use callboard_catalog::{Append, NO_HASH, RunProjection};
use callboard_core::{
    Datum, Hash, ValueRef,
    call::Usage,
    id::{OperationId, ProjectId},
    workflow::{
        Pin, Plan, StepKey, What,
        event::{Reserved, RunSettings},
        plan::Surroundings,
    },
};

/// Agents as a run is pinned to them.
const AGENTS: &str = r#"{"agents":{"qa":{"model":"m"}},"tools":{}}"#;

fn large() -> String {
    format!("\"{}\"", "é".repeat(50_000))
}

fn stored() -> ValueRef {
    ValueRef { key: "t.1".into(), hash: Hash::of(large().as_bytes()), size: large().len() as u64 }
}

fn completed(node: &str, iteration: &str, output: Datum) -> What {
    What::StepCompleted {
        step: StepKey::new(1, node, iteration),
        attempt: 1,
        output,
        branch: None,
        usage: Some(Usage {
            calls: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
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

fn started(node: &str, iteration: &str) -> What {
    What::StepStarted {
        step: StepKey::new(1, node, iteration),
        attempt: 1,
        input: Some(Datum::inline(json!([1, 2]))),
        deadline: None,
        reserved: Reserved::default(),
    }
}

/// A run of `each` over two items, whose body asks `in`; then `after`, which a disabled node stands before.
async fn recorded(api: &Api) {
    let agent = |id: &str| json!({"id": id, "type": "agent", "config": {"agent": "qa", "prompt": "p"}});
    let mut off = agent("off");
    off["disabled"] = true.into();
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": {"nodes": [agent("in")]}}});
    let definition = json!({"name": "w", "metadata": {"notes": "mine"}, "nodes": [each, off, agent("after")],
        "edges": [{"source": "each", "target": "off"}, {"source": "off", "target": "after"}]});
    let around = Surroundings { agents: ["qa".to_owned()].into(), ..Surroundings::default() };
    let pin = Pin { agents: Hash::of(AGENTS.as_bytes()), secrets: Default::default() };
    let plan = Plan::compile_value(definition, &around).expect("a plan").with_pin(Some(pin));
    let round = |index| What::IterationStarted { step: StepKey::new(1, "each", ""), index };
    let done = |index, of: &str| What::IterationEnded {
        step: StepKey::new(1, "each", ""),
        index,
        output: None,
        of: Some(StepKey::new(1, "in", of)),
    };
    let whats = vec![
        What::RunCreated {
            op: OperationId::new("op"),
            workflow_id: None,
            version: 0,
            plan: Datum::inline(plan.document().expect("a document")),
            input: Datum::inline(json!({})),
            settings: RunSettings {
                dispatch: 64,
                retention: 0,
                max_tokens: Default::default(),
                otherwise: None,
                prices: Default::default(),
            },
            body: None,
        },
        started("each", ""),
        round(0),
        started("in", "0"),
        round(1),
        started("in", "1"),
        completed("in", "0", Datum::Stored(stored())),
        done(0, "0"),
        completed("in", "1", Datum::inline("small")),
        done(1, "1"),
        completed("each", "", Datum::inline(json!([1]))),
        What::StepSkipped { step: StepKey::new(1, "off", "") },
        started("after", ""),
        completed("after", "", Datum::inline("end")),
        What::RunCompleted { output: Datum::inline("end") },
    ];
    let run: RunId = "r".parse().expect("an id");
    let entries: Vec<_> = (1..).zip(whats).map(|(seq, what)| entry(seq, what)).collect();
    let last = entries.len() as u64;
    let append = Append {
        run: run.clone(),
        first_seq: 1,
        prev_hash: NO_HASH,
        entries,
        values: vec![("t.1".into(), Bytes::from(large()))],
        next_check_at: None,
        row: RunProjection {
            status: "completed".into(),
            summary: "{}".into(),
            ended_at: Some(Timestamp(9)),
            ..RunProjection::default()
        },
    };
    api.catalog.append(append).await.expect("appended");
    assert!(api.catalog.mark_cleaned(&run, last).await.expect("marked"));
}

#[tokio::test]
async fn a_run_shows_the_definition_that_it_runs_and_who_its_agents_were() {
    let api = Api::new().await;
    recorded(&api).await;
    let seen = api.get("/api/v1/runs/r/definition").await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let body = seen.body;
    assert_eq!(
        (&body["run_id"], &body["workflow_id"], &body["version"]),
        (&json!("r"), &Value::Null, &json!(0))
    );
    assert_eq!(body["definition"]["metadata"], json!({"notes": "mine"}), "without what names the agents");
    assert_eq!(body["definition"]["nodes"][1]["disabled"], true);
    let hash = Hash::of(AGENTS.as_bytes());
    assert_eq!((&body["agents"], &body["agents_hash"]), (&Value::Null, &json!(hash)), "not kept any more");
    let (project, agents) = (ProjectId::DEFAULT, Bytes::from_static(AGENTS.as_bytes()));
    api.catalog.keep_pin(&project, hash, agents, Timestamp(1)).await.expect("kept");
    let body = api.get("/api/v1/runs/r/definition").await.body;
    assert_eq!(body["agents"]["agents"]["qa"]["model"], "m");
    is_problem(&api.get("/api/v1/runs/none/definition").await, 404, "unknown_run");
}

#[tokio::test]
async fn an_overlay_is_one_answer_for_all_steps() {
    let api = Api::new().await;
    recorded(&api).await;
    let seen = api.get("/api/v1/runs/r/overlay").await;
    assert_eq!((seen.status, &seen.body["seq"], &seen.body["generation"]), (200, &json!(15), &json!(1)));
    let nodes: Vec<_> = seen.body["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| json!([n["node"], n["status"], n["counts"], n["iterations"], n["usage"]["calls"]]))
        .collect();
    assert_eq!(
        nodes,
        [
            json!(["after", "completed", null, null, 1]),
            json!(["each", "completed", null, {"begun": 2, "ended": 2}, 1]),
            json!(["in", "completed", {"completed": 2}, null, 2]),
            json!(["off", "skipped", null, null, 0]),
        ]
    );
    let edge =
        |source: &str, target: &str| json!({"source": source, "target": target, "branch": null, "taken": 1});
    assert_eq!(seen.body["edges"], json!([edge("each", "off"), edge("off", "after")]));
    assert_eq!(api.get("/api/v1/runs/r/overlay?generation=1").await.body, seen.body);
    for wrong in ["0", "2", "x", "-1"] {
        is_problem(
            &api.get(&format!("/api/v1/runs/r/overlay?generation={wrong}")).await,
            400,
            "invalid_query",
        );
    }
}

#[tokio::test]
async fn steps_are_found_by_node_status_iteration_and_generation() {
    let api = Api::new().await;
    recorded(&api).await;
    let steps = async |query: &str| {
        let page = api.get(&format!("/api/v1/runs/r/steps?{query}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let name = |step: &Value| {
            format!("{}/{}", step["node"].as_str().expect("a node"), step["iteration"].as_str().expect("one"))
        };
        page.body["items"].as_array().expect("items").iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(steps("").await, ["each/", "in/0", "in/1", "off/", "after/"]);
    assert_eq!(steps("node=in").await, ["in/0", "in/1"]);
    assert_eq!(steps("node=in&iteration=1").await, ["in/1"]);
    assert_eq!(steps("iteration=0").await, ["in/0"]);
    assert_eq!(steps("status=skipped").await, ["off/"]);
    assert_eq!(steps("status=completed&node=each&generation=1").await, ["each/"]);
    assert_eq!(steps("generation=2").await, Vec::<String>::new());
    assert_eq!(steps("after=10").await, ["each/", "off/", "after/"]);
    assert_eq!(steps("after=10&node=after").await, ["after/"]);
    let first = api.get("/api/v1/runs/r/steps?node=in&limit=1").await.body;
    assert_eq!((first["items"].as_array().map(Vec::len), first.get("seq")), (Some(1), None));
    let next = first["next"].as_str().expect("more");
    assert_eq!(steps(&format!("node=in&limit=1&cursor={next}")).await, ["in/1"]);
    for wrong in ["status=levitating", "generation=x"] {
        is_problem(&api.get(&format!("/api/v1/runs/r/steps?{wrong}")).await, 400, "invalid_query");
    }
    let off = api.get("/api/v1/runs/r/steps?node=off").await.body;
    assert_eq!((&off["items"][0]["disabled"], &off["items"][0]["status"]), (&json!(true), &json!("skipped")));
}

#[tokio::test]
async fn a_large_value_is_cut_in_lists_and_had_as_a_file() {
    let api = Api::new().await;
    recorded(&api).await;
    let step = api.get("/api/v1/runs/r/steps?node=in").await.body["items"][0]["output"].clone();
    assert_eq!((&step["cut"], &step["bytes"]), (&json!(true), &json!(large().len())));
    assert_eq!(step["preview"].as_str().map(str::len), Some(1024));
    let path = format!("/api/v1/runs/r/values/{}", step["hash"].as_str().expect("a hash"));
    let whole = api.get(&path).await;
    assert_eq!((whole.status, whole.body), (200, json!("é".repeat(50_000))));
    let name = format!("attachment; filename=\"{}.json\"", stored().hash);
    for (header, value) in [
        ("content-type", "application/json"),
        ("content-disposition", name.as_str()),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(whole.headers[header], value, "{header}");
    }
    let part = |range: &str| {
        let mut request = request(Method::GET, &path, None, "");
        request.headers_mut().insert(header::RANGE, range.parse().expect("a value"));
        request
    };
    let cut = api.send(part("bytes=0-2")).await;
    assert_eq!((cut.status, cut.body), (206, json!("\"é")));
    assert_eq!(cut.headers[header::CONTENT_RANGE], format!("bytes 0-2/{}", large().len()));
    assert_eq!(cut.headers[header::CONTENT_LENGTH], "3");
    let beyond = api.send(part("bytes=200000-")).await;
    is_problem(&beyond, 416, "range_not_satisfiable");
    assert_eq!(beyond.headers[header::CONTENT_RANGE], format!("bytes */{}", large().len()));
    for hash in ["0".repeat(32), "x".into(), "..".into()] {
        is_problem(&api.get(&format!("/api/v1/runs/r/values/{hash}")).await, 404, "unknown_value");
    }
    is_problem(&api.get(&path.replace("/r/", "/none/")).await, 404, "unknown_run");
}
