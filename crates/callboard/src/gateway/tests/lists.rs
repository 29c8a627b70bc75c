//! Lists over all runs, what the server says of itself, and the page that shows the API.

use super::*;
use callboard_catalog::{Append, Asking, Entry, NO_HASH, RunProjection, Used};
use callboard_core::{
    Datum, Hash,
    call::Usage,
    workflow::{
        StepKey,
        view::{Asked, Question},
    },
};

/// A run that began at its number, with a question or without.
async fn run(api: &Api, n: i64, status: &str, asks: Vec<Asking>) -> RunId {
    let run: RunId = format!("run-{n}").parse().expect("an id");
    let append = Append {
        run: run.clone(),
        first_seq: 1,
        prev_hash: NO_HASH,
        entries: vec![Entry { seq: 1, at: Timestamp(n), hash: Hash::of(b"1"), event: "{}".into() }],
        values: vec![("t.1".into(), bytes::Bytes::from_static(br#"{"title":"Large?","detail":null}"#))],
        next_check_at: None,
        row: RunProjection {
            status: status.into(),
            summary: "{}".into(),
            name: format!("word {}", n % 2),
            created_at: Timestamp(n),
            asks,
            ..RunProjection::default()
        },
    };
    api.catalog.append(append).await.expect("appended");
    run
}

fn asking(n: i64, input: Datum) -> Asking {
    let asked = Asked {
        workflow_id: None,
        workflow_name: "flow".into(),
        step: StepKey::new(1, "ask", ""),
        attempt: 1,
        kind: Question::Approval,
        input,
        args_hash: "ab".into(),
        since: Timestamp(n),
        expires_at: None,
        on_approve: vec!["next".into()],
        on_reject: Vec::new(),
    };
    Asking { step: "1.ask.".into(), since: Timestamp(n), asked: serde_json::to_string(&asked).expect("JSON") }
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_search_for_a_status_is_bounded_and_says_where_it_goes_on() {
    let api = Api::new().await;
    for n in 0..2002 {
        run(&api, n, if n == 0 { "failed" } else { "completed" }, Vec::new()).await;
    }
    let page = api.get("/api/v1/runs?text=word&status=failed").await.body;
    assert_eq!((ids(&page), &page["next"]), (Vec::new(), &json!("run-2")), "2,000 were looked through");
    let page = api.get("/api/v1/runs?text=word&status=failed&cursor=run-2").await.body;
    assert_eq!((ids(&page), &page["next"]), (vec!["run-0"], &Value::Null));
    let page = api.get("/api/v1/runs?text=word&status=completed&status=failed&limit=2").await.body;
    assert_eq!((ids(&page), &page["next"]), (vec!["run-2001", "run-2000"], &json!("run-2000")));
    let page = api.get("/api/v1/runs?text=word+1&limit=2").await.body;
    assert_eq!(ids(&page), ["run-2001", "run-1999"]);
    let page = api.get("/api/v1/runs?order=oldest&limit=1&cursor=run-5").await.body;
    assert_eq!(ids(&page), ["run-6"]);
}

#[tokio::test]
async fn a_question_is_shown_with_its_stored_data() {
    let api = Api::new().await;
    run(&api, 1, "waiting", vec![asking(5, Datum::inline(json!({"title": "Small?", "detail": 1})))]).await;
    let stored = callboard_core::ValueRef { key: "t.1".into(), hash: Hash::of(b"v"), size: 2000 };
    run(&api, 2, "waiting", vec![asking(4, Datum::Stored(stored))]).await;
    let broken =
        Asking { step: "1.b.".into(), since: Timestamp(9), asked: r#"{"from": "the future"}"#.into() };
    run(&api, 3, "waiting", vec![broken]).await;
    let page = api.get("/api/v1/approvals").await.body;
    let titles: Vec<_> = page["items"].as_array().expect("items").iter().map(|item| &item["title"]).collect();
    assert_eq!((json!(titles), &page["total"]), (json!(["Large?", "Small?"]), &json!(3)));
    assert_eq!((&page["items"][1]["detail"], &page["items"][0]["detail"]), (&json!(1), &Value::Null));
    let page = api.get("/api/v1/approvals?limit=1").await.body;
    assert_eq!(page["next"], "4.run-2.1.ask.");
    let page = api.get("/api/v1/approvals?limit=1&cursor=4.run-2.1.ask.").await.body;
    assert_eq!(page["items"][0]["title"], "Small?");
    is_problem(&api.get("/api/v1/approvals?cursor=4").await, 400, "invalid_cursor");
}

#[tokio::test]
async fn usage_is_told_by_what_is_asked_for() {
    let api = Api::new().await;
    let run = run(&api, 1, "completed", Vec::new()).await;
    let usage =
        Usage { calls: 2, prompt_tokens: 30, completion_tokens: 4, priced: 1, cost: 500, ..Usage::default() };
    let used =
        Used { day: "2027-01-05".into(), agent: "a".into(), model: "m".into(), usage, ..Used::default() };
    assert!(api.catalog.count(&run, 0, 1, vec![used]).await.expect("counted"));
    let sums = api.get("/api/v1/usage?from=2027-01-01&to=2027-01-31&by=workflow&by=model").await.body;
    assert_eq!(
        sums["items"],
        json!([{"workflow_id": null, "model": "m", "calls": 2, "prompt_tokens": 30, "completion_tokens": 4,
            "cost": 500, "unpriced_calls": 1}])
    );
    assert_eq!(
        sums["total"],
        json!({"calls": 2, "prompt_tokens": 30, "completion_tokens": 4, "cost": 500, "unpriced_calls": 1})
    );
    let none = api.get("/api/v1/usage?from=2027-01-06&to=2027-01-31").await.body;
    assert_eq!((&none["items"], &none["total"]["calls"]), (&json!([]), &json!(0)));
    is_problem(&api.get("/api/v1/usage?by=cost").await, 400, "invalid_query");
}

#[tokio::test]
async fn every_mistake_of_a_query_is_told() {
    let api = Api::new().await;
    for (path, wrong) in [
        ("/api/v1/runs?limit=0&from=yesterday&order=cost", &["limit", "from", "order"][..]),
        ("/api/v1/runs/r/steps?limit=x&status=levitating&generation=-1", &["limit", "status", "generation"]),
        ("/api/v1/usage?by=cost&from=today&limit=1001", &["limit", "from", "by"]),
        ("/api/v1/workflows?limit=0&include=all", &["limit", "include"]),
        ("/api/v1/workflows/w/export?format=xml&version=x&draft=maybe", &["format", "version", "draft"]),
        ("/api/v1/runs/r/history?limit=0&said=perhaps", &["limit", "said"]),
    ] {
        let answer = api.get(path).await;
        is_problem(&answer, 400, "invalid_query");
        let told: Vec<_> = answer.body["problems"].as_array().expect("problems").iter().collect();
        let paths: Vec<_> = told.iter().map(|problem| problem["path"].as_str().expect("a path")).collect();
        assert_eq!(paths, wrong, "{path}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn an_export_is_as_it_is_described() {
    let api = Api::new().await;
    recorded(&*api.catalog, "r").await;
    let file = api.get("/api/v1/runs/r/export").await;
    let history = api.get("/api/v1/runs/r/history").await.body;
    assert_eq!((&file.body["events"], &file.body["run"]["output"]), (&history["items"], &json!("large")));
    assert_eq!(file.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"r.json\"");
}

#[tokio::test]
async fn each_of_several_runs_is_asked_under_the_key() {
    let calls = wire::Calls::default();
    let answer: fn(&str) -> Value =
        |_| json!({"id": "run-1", "status": "cancelled", "output": null, "replayed": true});
    let api = Api::over(wire::sidecar(calls.clone(), answer), Limits::new(8, 8)).await;
    run(&api, 1, "running", Vec::new()).await;
    let body = json!({"ids": ["run-1", "nobody", "no id!"]});
    let mut asked = request(Method::POST, "/api/v1/runs/cancel", Some("application/json"), &body.to_string());
    asked.headers_mut().insert("idempotency-key", "k".parse().expect("a value"));
    let done = api.send(asked).await;
    let codes: Vec<_> = (0..3).map(|n| done.body["items"][n]["error"]["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, json!("unknown_run"), json!("unknown_run")]);
    assert_eq!(done.headers.get("idempotency-replayed"), None, "not all had done it");
    assert_eq!(calls.lock().expect("calls")[0].2["op"], "k");
    let done = api.post("/api/v1/runs/cancel", json!({"status": ["running"]})).await;
    assert_eq!((ids(&done.body), &done.body["left"]), (vec!["run-1"], &json!(0)));
}

#[tokio::test]
async fn what_there_is_is_as_it_is_described() {
    let api = Api::new().await;
    for path in ["about", "secrets", "tools", "ai/models", "ai/agents", "ai/agents/research"] {
        let answer = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    is_problem(&api.get("/api/v1/ai/agents/nobody").await, 404, "unknown_agent");
    let about = api.get("/api/v1/about").await.body;
    assert_ne!(about["health"]["sidecar"], "ok", "there is none");
    // No store answers, so the names are those of the settings.
    assert_eq!(api.get("/api/v1/secrets").await.body, json!({"items": [], "complete": false}));
}

#[tokio::test]
async fn the_page_runs_nothing_but_its_own_file() {
    let api = Api::new().await;
    for path in ["/docs", "/docs/explorer.css", "/docs/explorer.js"] {
        let answer = api.get(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.contains("script-src 'self';") && policy.contains("default-src 'none'"), "{policy}");
        let text = answer.body.as_str().expect("text");
        for way in ["innerHTML", "eval(", "style=", "onclick", "<script>", "http://", "https://"] {
            assert!(!text.contains(way), "{path}: {way}");
        }
    }
}
