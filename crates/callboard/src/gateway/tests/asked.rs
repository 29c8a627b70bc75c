//! Who asks, as long as nobody is asked, and from the first key on.

use super::*;

#[tokio::test]
async fn without_a_key_everybody_is_admin_of_default_and_the_first_key_ends_that() {
    let api = Api::new().await;
    assert_eq!(api.get("/api/v1/auth").await.body, json!({"ways": ["none"]}));
    let me = api.get("/api/v1/me").await.body;
    assert_eq!(
        me,
        json!({"subject": "anybody", "via": "none", "role": "admin", "project": "default", "projects": ["default"],
            "permissions": ["read", "operate", "edit", "administer", "govern"], "expires_at": null})
    );
    let made = api.post("/api/v1/keys", json!({"role": "viewer", "name": "ci"})).await;
    assert_eq!(
        (made.status, &made.headers[header::CACHE_CONTROL]),
        (201, &"no-store".parse().expect("a value"))
    );
    let secret = made.body["secret"].as_str().expect("a secret").to_owned();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    tokio::time::resume();
    let refused = api.get("/api/v1/me").await;
    is_problem(&refused, 401, "credential_missing");
    assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"callboard\"");
    assert_eq!(api.get("/api/v1/auth").await.body, json!({"ways": ["key"]}));
    let with = async |method: Method, path: &str, key: &str| {
        let request = Request::builder().method(method).uri(path).header("x-api-key", key);
        api.send(request.body(Body::empty()).expect("a request")).await
    };
    let me = with(Method::GET, "/api/v1/me", &secret).await.body;
    assert_eq!(
        (&me["role"], &me["via"], &me["permissions"]),
        (&json!("viewer"), &json!("key"), &json!(["read"]))
    );
    is_problem(&with(Method::DELETE, "/api/v1/workflows/w", &secret).await, 403, "forbidden");
    let wrong = with(Method::GET, "/api/v1/me", "cb_nonsense").await;
    is_problem(&wrong, 401, "invalid_credential");
    assert_eq!(
        wrong.headers[header::WWW_AUTHENTICATE],
        "Bearer realm=\"callboard\", error=\"invalid_token\""
    );
}

#[tokio::test]
async fn a_body_is_bounded_before_anybody_is_asked_who_they_are() {
    let api = Api::new().await;
    api.post("/api/v1/keys", json!({"role": "viewer"})).await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    tokio::time::resume();
    let large =
        request(Method::POST, "/api/v1/workflows", Some("application/json"), &" ".repeat((4 << 20) + 1));
    is_problem(&api.send(large).await, 413, "too_large");
    let form = request(Method::POST, "/api/v1/workflows", Some("text/plain"), "x");
    is_problem(&api.send(form).await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn mistakes_in_keys_and_projects_are_all_told() {
    let api = Api::new().await;
    let wrong =
        api.post("/api/v1/keys", json!({"role": "king", "expires_at": "2001-01-01T00:00:00Z", "x": 1})).await;
    is_problem(&wrong, 422, "invalid_body");
    let paths: Vec<_> =
        wrong.body["problems"].as_array().expect("problems").iter().map(|p| p["path"].clone()).collect();
    assert!(["role", "expires_at", "x"].iter().all(|path| paths.contains(&json!(path))), "{paths:?}");
    is_problem(&api.post("/api/v1/projects", json!({"id": "ACME"})).await, 422, "invalid_body");
    is_problem(
        &api.post("/api/v1/keys", json!({"role": "viewer", "project": "nowhere"})).await,
        404,
        "unknown_project",
    );
    assert_eq!(api.post("/api/v1/projects", json!({"id": "acme", "name": "A"})).await.status, 201);
    is_problem(&api.post("/api/v1/projects", json!({"id": "acme"})).await, 409, "project_exists");
    is_problem(&api.post("/api/v1/projects", json!({"id": "default"})).await, 409, "project_exists");
    let deleted =
        async |id: &str| api.send(request(Method::DELETE, &format!("/api/v1/projects/{id}"), None, "")).await;
    assert_eq!(deleted("acme").await.status, 204);
    is_problem(&deleted("acme").await, 404, "unknown_project");
    is_problem(&deleted("default").await, 409, "project_not_empty");
    is_problem(&api.post("/api/v1/projects", json!({"id": "acme"})).await, 409, "project_exists");
}

#[tokio::test]
async fn changes_are_written_down_with_what_was_before() {
    let api = Api::new().await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
    let path = format!("/api/v1/workflows/{}", made["id"].as_str().expect("an id"));
    let put = request(Method::PUT, &path, Some("application/json"), r#"{"name": "b", "nodes": []}"#);
    assert_eq!(api.send(put).await.status, 200);
    assert_eq!(api.send(request(Method::DELETE, &path, None, "")).await.status, 204);
    is_problem(&api.send(request(Method::DELETE, &path, None, "")).await, 404, "unknown_workflow");
    let rows = api.get("/api/v1/audit").await.body["items"].as_array().expect("rows").clone();
    let routes: Vec<_> = rows.iter().map(|row| row["route"].as_str().expect("a route")).collect();
    assert_eq!(
        routes,
        ["DELETE /api/v1/workflows/{id}", "PUT /api/v1/workflows/{id}", "POST /api/v1/workflows"],
        "what was refused for what it asked is no change"
    );
    assert!(rows.iter().all(|row| row["object"] == made["id"] && row["subject"] == "anybody"), "{rows:?}");
    assert!(rows[2]["before"].is_null() && rows[2]["after"].is_string());
    assert_eq!((&rows[1]["before"], &rows[0]["before"]), (&rows[2]["after"], &rows[1]["after"]));
    let page = api.get("/api/v1/audit?limit=2").await.body;
    let next = page["next"].as_str().expect("a cursor");
    let rest = api.get(&format!("/api/v1/audit?limit=2&cursor={next}")).await.body;
    assert_eq!((&rest["items"][0], &rest["next"]), (&rows[2], &Value::Null));
}
