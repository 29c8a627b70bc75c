//! Drafts, published versions, texts that leave and come back: over the embedded default, as a client sees them.

use super::{api::Api, client::Desk};
use crate::harness::Callboard;
use serde_json::{Value, json};

/// YAML as a person writes it: comments, quotes, an end without a line.
const YAML: &str = "# Waits a moment.\r\nname: 'mail'   # what people call it\nnodes:\n  - {id: a, type: wait, config: {for: 0s}}\n\
    \n  # the second\n  - id: b\n    type: wait\n    config: {\"for\": 0s}\nedges: [{source: a, target: b}]\noutput: one # said";

/// An answer: its status, `ETag`, content type and text.
struct Answer {
    status: u16,
    tag: String,
    kind: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    fn into_problem(self, status: u16, code: &str) -> Value {
        let problem = self.is(status).json();
        assert_eq!(problem["code"], code, "{problem:#}");
        problem
    }
}

async fn started() -> (Callboard, Api) {
    let server = Callboard::dev([] as [&str; 0]).await;
    let api = Api::new(&server.url, &server.dapr_http());
    (server, api)
}

async fn send(api: &Api, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method = method.parse().expect("a method");
    let mut request = api.client.request(method, format!("{}/api/v1{path}", api.url)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (status, tag, kind) = (response.status().as_u16(), header("etag"), header("content-type"));
    Answer { status, tag, kind, text: response.text().await.expect("a body") }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const AS_YAML: (&str, &str) = ("content-type", "application/yaml");

/// A definition that answers a word.
fn says(name: &str, word: &str) -> Value {
    json!({"name": name, "nodes": [{"id": "a", "type": "wait", "config": {"for": "0s"}, "position": {"x": 1.5, "y": 2}}],
        "output": {"word": word}})
}

async fn edit(api: &Api, id: &str, tag: &str, definition: &Value) -> Answer {
    let headers = [JSON, ("if-match", tag)];
    send(api, "PUT", &format!("/workflows/{id}/draft"), &headers, &definition.to_string()).await
}

async fn word(api: &Api, run: &str) -> Value {
    api.until(run, "completed").await["output"]["word"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_deleted_and_imported_says_the_same_in_the_same_text() {
    let (_server, api) = started().await;
    let definition = json!({"output": {"b": "{{ input.b }}", "a": 1.0}, "metadata": {"notes": [{"z": 1, "a": null}]},
        "edges": [{"target": "each", "source": "first"}],
        "nodes": [
            {"position": {"x": 10, "y": -20.5}, "type": "wait", "config": {"for": "0s"}, "id": "first"},
            {"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": {"nodes": [
                {"config": {"for": "0s"}, "id": "inner", "position": {"x": 0, "y": 0}, "type": "wait"}]}}}],
        "name": "whole"});
    let id = api.create(&definition).await;
    let hash = |version: &Value| version["hash"].as_str().expect("a hash").to_owned();
    let before = hash(&api.get(&format!("/workflows/{id}/versions/1")).await);
    for (query, kind) in [("", "application/yaml"), ("?format=json", "application/json")] {
        let export = send(&api, "GET", &format!("/workflows/{id}/export{query}"), &[], "").await.is(200);
        assert_eq!(export.kind, kind);
        let positions = export.text.find("positions").expect("a part of its own");
        assert!(!export.text[..positions].contains("position"), "{}", export.text);
        assert!(positions > export.text.find("metadata").expect("the rest"), "{}", export.text);

        let made = send(&api, "POST", "/workflows/import", &[("content-type", kind)], &export.text)
            .await
            .is(201)
            .json();
        let other = made["id"].as_str().expect("an id");
        let there = api.get(&format!("/workflows/{other}/versions/1")).await;
        assert_eq!((hash(&there), &there["definition"]), (before.clone(), &definition), "{kind}");
        let again = send(&api, "GET", &format!("/workflows/{other}/export{query}"), &[], "").await;
        assert_eq!(again.text, export.text);
        // As any other definition it may be saved, checked and run, too.
        let checked =
            send(&api, "POST", "/workflows/check", &[("content-type", kind)], &export.text).await.json();
        assert_eq!(checked["problems"], json!([]));
        assert_eq!(api.request("DELETE", &format!("/workflows/{other}"), None).await.0, 204);
    }
    // Moving a node changes nothing that is said.
    let mut moved = definition.clone();
    moved["nodes"][0]["position"] = json!({"x": 11, "y": 0});
    api.request("PUT", &format!("/workflows/{id}"), Some(moved)).await;
    let versions = api.get(&format!("/workflows/{id}/versions")).await;
    assert_eq!((hash(&versions["items"][0]), hash(&versions["items"][1])), (before.clone(), before));
    let accepted =
        send(&api, "GET", &format!("/workflows/{id}/export"), &[("accept", "application/json")], "").await;
    assert_eq!(accepted.kind, "application/json");
    let ghost = json!({"name": "g", "nodes": [], "positions": {"ghost": {"x": 1, "y": 1}}});
    let refused = send(&api, "POST", "/workflows/import", &[JSON], &ghost.to_string()).await;
    assert_eq!(refused.into_problem(422, "invalid_definition")["problems"][0]["path"], "positions");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_edit_one_draft_the_second_is_told_what_has_changed() {
    let (_server, api) = started().await;
    let id = api.create(&says("shared", "one")).await;
    let path = format!("/workflows/{id}/draft");
    let [ada, bob] = [send(&api, "GET", &path, &[], "").await, send(&api, "GET", &path, &[], "").await];
    assert_eq!((ada.tag.as_str(), bob.tag.as_str()), ("\"v1\"", "\"v1\""));
    let hers = edit(&api, &id, &ada.tag, &says("shared", "hers")).await.is(200);
    assert_eq!((hers.tag.as_str(), &hers.json()["draft"]), ("\"d1\"", &json!("d1")));

    let late = edit(&api, &id, &bob.tag, &says("shared", "his")).await.into_problem(412, "draft_changed");
    let now = &late["current"];
    assert_eq!(
        (&now["etag"], &now["definition"]["output"]["word"]),
        (&json!("d1"), &json!("hers")),
        "{late:#}"
    );
    assert_eq!((&now["author"], &now["base"]), (&json!("anybody"), &json!(1)));
    let his = edit(&api, &id, "\"d1\"", &says("shared", "both")).await.is(200);
    assert_eq!(his.tag, "\"d2\"");
    edit(&api, &id, &hers.tag, &says("shared", "hers again")).await.into_problem(412, "draft_changed");

    let blind = send(&api, "PUT", &path, &[JSON], &says("shared", "blind").to_string()).await;
    blind.into_problem(428, "precondition_required");
    send(&api, "DELETE", &path, &[], "").await.into_problem(428, "precondition_required");
    let none = send(&api, "PUT", &path, &[JSON, ("if-none-match", "*")], &says("x", "y").to_string()).await;
    assert_eq!(none.into_problem(412, "draft_changed")["current"]["definition"]["output"]["word"], "both");
    send(&api, "PUT", &path, &[JSON, ("if-match", "\"x1\"")], "{}")
        .await
        .into_problem(400, "invalid_if_match");
    send(&api, "DELETE", &path, &[("if-match", "\"d1\"")], "").await.into_problem(412, "draft_changed");

    // The audit has what was published, not each autosave.
    send(&api, "DELETE", &path, &[("if-match", "\"d2\"")], "").await.is(204);
    assert_eq!(send(&api, "GET", &path, &[], "").await.tag, "\"v1\"");
    let audit = api.get("/audit").await;
    let routes: Vec<&Value> =
        audit["items"].as_array().expect("rows").iter().map(|row| &row["route"]).collect();
    assert_eq!(routes, ["DELETE /api/v1/workflows/{id}/draft", "POST /api/v1/workflows"]);
    // No tag comes twice: who still edits the draft that is gone does not edit the next one.
    assert_eq!(edit(&api, &id, "\"v1\"", &says("shared", "new")).await.tag, "\"d3\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_in_yaml_comes_back_byte_for_byte() {
    let (_server, api) = started().await;
    let made = send(&api, "POST", "/workflows?draft=true", &[AS_YAML], YAML).await.is(201);
    assert_eq!(made.tag, "\"d1\"");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/workflows/{id}/draft");
    let as_yaml = [("accept", "application/yaml, application/json;q=0.5")];
    let read = async |tag: &str| {
        let read = send(&api, "GET", &path, &as_yaml, "").await.is(200);
        assert_eq!((read.tag.as_str(), read.kind.as_str()), (tag, "application/yaml"));
        read.text
    };
    assert_eq!(read("\"d1\"").await, YAML);
    let shown = api.get(&path).await;
    assert_eq!(
        (&shown["media_type"], &shown["definition"]["name"]),
        (&json!("application/yaml"), &json!("mail"))
    );

    let more = format!("{YAML}\n# and more: [not done\n");
    let saved = send(&api, "PUT", &path, &[AS_YAML, ("if-match", "\"d1\"")], &more).await.is(200);
    assert_eq!(read(&saved.tag).await, more);
    // A version has the text that it came as, and a draft that is begun from it.
    send(&api, "POST", &format!("/workflows/{id}/publish"), &[JSON], "{}").await.is(200);
    assert_eq!(read("\"v1\"").await, more);
    // JSON has no such text.
    let json = send(&api, "PUT", &path, &[JSON, ("if-match", "\"v1\"")], &says("mail", "x").to_string())
        .await
        .is(200);
    assert!(read(&json.tag).await.starts_with("name: mail\n"));
    assert_eq!(api.get(&path).await["media_type"], "application/json");
    send(&api, "POST", &format!("/workflows/{id}/versions/1/restore"), &[JSON, ("if-match", &json.tag)], "")
        .await
        .is(200);
    assert_eq!(read("\"d4\"").await, more);
    // Broken text is told with its place, and kept by nobody.
    let broken = send(&api, "PUT", &path, &[AS_YAML, ("if-match", "\"d4\"")], "name: [").await;
    broken.into_problem(400, "malformed_yaml");
    assert_eq!(read("\"d4\"").await, more);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_stays_and_comes_back_into_the_draft() {
    let (_server, api) = started().await;
    let made = send(&api, "POST", "/workflows?draft=true", &[JSON], &says("flow", "one").to_string())
        .await
        .is(201)
        .json();
    let id = made["id"].as_str().expect("an id");
    assert_eq!((&made["version"], &made["problems"], &made["draft"]), (&json!(0), &json!([]), &json!("d1")));
    let at = |rest: &str| format!("/workflows/{id}{rest}");
    let read = api.get(&at("")).await;
    assert_eq!((&read["version"], &read["output"]["word"]), (&json!(0), &json!("one")));
    let refused = api.refused(&at("/start"), json!({}), 409, "workflow_has_problems").await;
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("never published")), "{refused}");
    assert_eq!(api.get(&at("/versions")).await["items"], json!([]));
    send(&api, "DELETE", &at("/draft"), &[("if-match", "\"d1\"")], "")
        .await
        .into_problem(409, "not_published");

    let published = api.post(&at("/publish"), json!({"note": "the first"})).await;
    assert_eq!((&published["version"], published.get("draft")), (&json!(1), None));
    api.refused(&at("/publish"), json!({}), 409, "no_draft").await;
    edit(&api, id, "\"v1\"", &says("flow", "two")).await.is(200);
    assert_eq!(api.get(&at("")).await["output"]["word"], "one", "what is edited is not what is run");
    assert_eq!(word(&api, &api.start(id, json!({})).await).await, "one");
    let stale = send(&api, "POST", &at("/publish"), &[JSON, ("if-match", "\"d1\"")], "{}").await;
    assert_eq!(stale.into_problem(412, "draft_changed")["current"]["etag"], "d2");
    api.refused(&at("/publish"), json!({"version": 7}), 409, "version_conflict").await;
    api.post(&at("/publish"), json!({"version": 1})).await;
    assert_eq!(word(&api, &api.start(id, json!({})).await).await, "two");

    // A draft with mistakes is no version, and not in the way of one.
    let wrong = json!({"name": "flow", "nodes": [{"id": "a", "type": "dream"}], "more": [1, {"a": null}]});
    let saved = edit(&api, id, "\"v2\"", &wrong).await.is(200).json();
    assert_eq!(
        (&saved["version"], &saved["problems"][0]["code"], &saved["problems"][1]["code"]),
        (&json!(2), &json!("unknown_field"), &json!("unknown_type")),
        "{saved:#}"
    );
    assert_eq!(api.get(&at("/draft")).await["definition"], wrong);
    let refused = api.refused(&at("/publish"), json!({}), 422, "invalid_definition").await;
    assert_eq!(refused["problems"], saved["problems"]);
    api.refused(&at("/start"), json!({"draft": true}), 409, "workflow_has_problems").await;

    // Restoring writes over a draft only if it is named.
    api.refused(&at("/versions/1/restore"), json!({}), 428, "precondition_required").await;
    api.refused(&at("/versions/9/restore"), json!({}), 428, "precondition_required").await;
    let restored =
        send(&api, "POST", &at("/versions/1/restore"), &[JSON, ("if-match", "\"d3\"")], "").await.is(200);
    assert_eq!((restored.tag.as_str(), &restored.json()["version"]), ("\"d4\"", &json!(2)));
    assert_eq!(api.get(&at("/draft")).await["definition"], says("flow", "one"));
    api.post(&at("/publish"), json!({"note": "as it was"})).await;
    assert_eq!(word(&api, &api.start(id, json!({})).await).await, "one");
    api.refused(&at("/versions/9/restore"), json!({}), 404, "unknown_version").await;

    let versions = api.get(&at("/versions")).await["items"].clone();
    let told: Vec<_> =
        versions.as_array().expect("versions").iter().map(|v| (&v["version"], &v["note"])).collect();
    assert_eq!(
        told,
        [(&json!(3), &json!("as it was")), (&json!(2), &json!(null)), (&json!(1), &json!("the first"))]
    );
    assert!(
        versions[0]["hash"] == versions[2]["hash"] && versions[0]["hash"] != versions[1]["hash"],
        "{versions:#}"
    );
    assert_eq!(versions[0]["author"], "anybody");
    let (status, noted) = api.request("PATCH", &at("/versions/2"), Some(json!({"note": "a try"}))).await;
    assert_eq!(
        (status, &noted["note"], &noted["definition"]["output"]["word"]),
        (200, &json!("a try"), &json!("two"))
    );
    assert_eq!(api.request("PATCH", &at("/versions/9"), Some(json!({"note": null}))).await.0, 404);
    assert_eq!(api.request("GET", &at("/versions/0"), None).await.1["code"], "unknown_version");
    let page = api.get(&at("/versions?limit=1")).await;
    let next = page["next"].as_str().expect("a cursor");
    assert_eq!(api.get(&at(&format!("/versions?limit=1&cursor={next}"))).await["items"][0]["note"], "a try");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_keeps_its_version_and_is_counted_by_it() {
    let (_server, api) = started().await;
    let waits = |word: &str| json!({"name": "waits", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}], "output": {"word": word}});
    let id = api.create(&waits("one")).await;
    let (first, second) = (api.start(&id, json!({})).await, api.start(&id, json!({})).await);
    api.until(&first, "waiting").await;
    api.until(&second, "waiting").await;
    edit(&api, &id, "\"v1\"", &waits("two")).await.is(200);
    let draft = api.post(&format!("/workflows/{id}/start"), json!({"draft": true})).await;
    let draft = draft["run_id"].as_str().expect("a run");
    assert_eq!(api.until(draft, "waiting").await["version"], 0, "a draft is no version");
    edit(&api, &id, "\"d1\"", &waits("three")).await.is(200);
    api.post(&format!("/workflows/{id}/publish"), json!({})).await;
    let third = api.start(&id, json!({})).await;
    api.until(&third, "waiting").await;

    let versions = api.get(&format!("/workflows/{id}/versions")).await;
    let open: Vec<_> =
        versions["items"].as_array().expect("versions").iter().map(|v| &v["open_runs"]).collect();
    assert_eq!(open, [&json!(1), &json!(2)]);
    assert_eq!(api.request("DELETE", &format!("/workflows/{id}"), None).await.0, 204);
    for (run, expected) in
        [(first.as_str(), "one"), (second.as_str(), "one"), (draft, "two"), (third.as_str(), "three")]
    {
        api.operate(run, "signal", json!({"name": "go"})).await;
        assert_eq!(word(&api, run).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_called_something_else_copied_found_and_summed_up() {
    let (_server, api) = started().await;
    let id = api.create(&says("first name", "one")).await;
    let run = api.start(&id, json!({})).await;
    api.until(&run, "completed").await;
    let at = format!("/workflows/{id}");
    let (status, renamed) =
        api.request("PATCH", &at, Some(json!({"name": "Übersicht", "description": "of mails"}))).await;
    assert_eq!((status, &renamed["name"], &renamed["version"]), (200, &json!("Übersicht"), &json!(1)));
    assert_eq!(api.get(&format!("{at}/versions/1")).await["definition"], says("first name", "one"));
    assert_eq!(api.request("PATCH", &at, Some(json!({"name": ""}))).await.1["code"], "invalid_body");
    edit(&api, &id, "\"v1\"", &json!({"name": "first name", "nodes": [{"id": "x", "type": "dream"}]}))
        .await
        .is(200);

    let copy = api.post(&format!("{at}/duplicate"), json!({})).await;
    assert_eq!((&copy["name"], &copy["version"]), (&json!("copy of Übersicht"), &json!(1)));
    let list = async |query: &str| -> Vec<Value> {
        api.get(&format!("/workflows{query}")).await["items"].as_array().expect("items").clone()
    };
    let named = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(named(&list("?search=%C3%BCBER").await), ["copy of Übersicht", "Übersicht"]);
    assert_eq!(named(&list("?search=copy%20%C3%BC").await), ["copy of Übersicht"]);
    assert_eq!(named(&list("?search=sicht").await), Vec::<String>::new(), "words by their beginnings");
    assert_eq!(named(&list(&format!("?search={id}")).await), ["Übersicht"]);
    assert_eq!(named(&list("?search=mails&status=completed").await), ["Übersicht"]);
    assert_eq!(named(&list("?status=draft").await), ["copy of Übersicht"]);
    let first = api.get("/workflows?search=%C3%BC&limit=1").await;
    let next = first["next"].as_str().expect("a cursor");
    assert_eq!(named(&list(&format!("?search=%C3%BC&limit=1&cursor={next}")).await), ["Übersicht"]);

    let summed = list("?include=summary").await;
    assert_eq!((&summed[0]["last_runs"], summed[0].get("draft")), (&json!([]), None));
    let last = &summed[1]["last_runs"][0];
    assert_eq!((&last["id"], &last["status"]), (&json!(run), &json!("completed")));
    assert!(last["ms"].is_u64() && last["started_at"].is_string(), "{last}");
    let draft = &summed[1]["draft"];
    assert_eq!((&draft["etag"], &draft["problems"][0]["code"]), (&json!("d1"), &json!("unknown_type")));
    assert!(list("").await[1].get("last_runs").is_none());
    assert_eq!(api.request("GET", "/workflows?include=all", None).await.1["code"], "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_publishes_restores_compares_and_carries_over() {
    let (server, api) = started().await;
    let desk = Desk::at(&server.url);
    desk.write("flow.json", &says("flow", "one").to_string());
    let id = desk.prints(&["workflows", "create", "flow.json", "--draft"]);
    assert!(desk.prints(&["workflows", "list"]).contains("draft"));
    desk.prints(&["workflows", "publish", "flow", "--note", "the first"]);
    assert_eq!(desk.run(&["workflows", "publish", "flow"]).code, 1, "there is no draft");
    desk.write("flow.json", &says("flow", "two").to_string());
    desk.prints(&["workflows", "replace", "flow", "flow.json", "--draft"]);
    let diff = desk.run(&["workflows", "diff", "flow"]);
    assert!(
        diff.code == 1 && diff.out.contains("-  word: one") && diff.out.contains("+  word: two"),
        "{diff:#?}"
    );
    desk.prints(&["workflows", "publish", "flow"]);
    let listed = desk.prints(&["workflows", "versions", "flow"]);
    assert!(
        listed.starts_with("VERSION ") && listed.contains("the first") && listed.contains("anybody"),
        "{listed}"
    );
    assert_eq!(desk.lines(&["workflows", "versions", "flow"])[1]["note"], "the first");

    desk.prints(&["workflows", "restore", "flow", "1"]);
    let over = desk.run(&["workflows", "restore", "flow", "2"]);
    assert!(over.code == 1 && over.err.contains("[precondition_required]"), "{over:#?}");
    assert_eq!(desk.run(&["workflows", "diff", "flow", "1", "draft"]).code, 0);
    desk.prints(&["workflows", "restore", "flow", "2", "--force"]);
    assert_eq!(desk.run(&["workflows", "diff", "flow", "1"]).code, 1);

    let export = desk.prints(&["workflows", "export", "flow", "--version", "1"]);
    assert!(export.contains("positions:\n") && export.contains("word: one"), "{export}");
    desk.write("export.yaml", &export);
    desk.prints(&["workflows", "delete", "flow"]);
    let other = desk.prints(&["workflows", "import", "export.yaml"]);
    assert_ne!(id, other);
    assert_eq!(desk.prints(&["workflows", "export", "flow"]), export);
    // What was exported into a folder is what the server has.
    desk.prints(&["export", "--dir", "flows"]);
    assert!(desk.read("flows/flow.yaml").contains("positions:\n"));
    let applied = desk.lines(&["apply", "flows"]);
    assert_eq!((applied.len(), &applied[0]["action"]), (1, &json!("unchanged")), "{applied:#?}");
    assert_eq!(api.get(&format!("/workflows/{other}")).await["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_starts_what_is_published_and_no_draft() {
    let (_server, api) = started().await;
    let id = api.create(&says("flow", "one")).await;
    edit(&api, &id, "\"v1\"", &says("flow", "two")).await.is(200);
    let admin = api.post("/keys", json!({"role": "admin"})).await;
    let admin = admin["secret"].as_str().expect("a secret").to_owned();
    let role = json!({"role": "operator"}).to_string();
    let made = send(&api, "POST", "/keys", &[JSON, ("x-api-key", &admin)], &role).await.is(201).json();
    let operator = made["secret"].as_str().expect("a secret");
    let start = async |key: &str, body: &str| {
        send(&api, "POST", &format!("/workflows/{id}/start"), &[JSON, ("x-api-key", key)], body).await
    };
    start(operator, r#"{"draft": true}"#).await.into_problem(403, "forbidden");
    start(operator, "{}").await.is(200);
    start(&admin, r#"{"draft": true}"#).await.is(200);
}
