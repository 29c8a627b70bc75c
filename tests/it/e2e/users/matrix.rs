//! Every route with every credential. The routes are those that the server describes, so a new one is in it by itself.

use super::{Guarded, code, id_of};
use callboard::gateway::ROUTES;
use callboard_catalog::{Access, KeyLimits, NewKey, Role, SecretHash};
use callboard_core::{Timestamp, id::ProjectId};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Roles in the order of what they may.
const ROLES: [&str; 4] = ["viewer", "operator", "editor", "admin"];

struct Asked {
    method: String,
    path: String,
    /// What it needs; nothing where it is for everybody.
    permission: Option<String>,
}

impl Asked {
    /// Whether a role of `default`, or of another project, may.
    fn lets_in(&self, role: &str, is_default: bool) -> bool {
        let Some(permission) = &self.permission else { return true };
        let rank = ROLES.iter().position(|known| *known == role).expect("a role");
        match permission.as_str() {
            "read" => true,
            "operate" => rank >= 1,
            "edit" => rank >= 2,
            "administer" => rank >= 3,
            "govern" => rank >= 3 && is_default,
            other => panic!("nobody knows the permission {other}"),
        }
    }

    fn filled(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{n}", "1")
    }
}

fn routes(description: &Value) -> Vec<Asked> {
    let mut found = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let permission = operation["x-callboard-permission"].as_str().map(str::to_owned);
            let is_public = operation["security"] == json!([]);
            assert_eq!(permission.is_none(), is_public, "{method} {path} says what it needs, once");
            found.push(Asked { method: method.to_ascii_uppercase(), path: path.clone(), permission });
        }
    }
    found
}

/// Sends a request that can do no harm where it is let in: its object is not there, its body says nothing.
async fn send(server: &Guarded, asked: &Asked, id: &str, headers: &[(&str, String)]) -> (u16, Value, bool) {
    let client = crate::harness::http();
    let method = asked.method.parse().expect("a method");
    let mut request = client.request(method, format!("{}{}", server.server.url, asked.filled(id)));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if matches!(asked.method.as_str(), "POST" | "PUT") {
        request = request.header("content-type", "application/json").body("[]");
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let challenged = response
        .headers()
        .get("www-authenticate")
        .is_some_and(|value| value.as_bytes().starts_with(b"Bearer"));
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), challenged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_in_whom_its_table_says_and_nobody_else() {
    let server = Guarded::start("").await;
    server.project("acme").await;
    let description = server.api(&server.admin).get("/openapi.json").await;
    let routes = routes(&description);
    let served: BTreeSet<_> = routes.iter().map(|asked| (asked.method.clone(), asked.path.clone())).collect();
    let mounted: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(served, mounted, "what is described is what is mounted");
    for (asked, route) in routes.iter().filter_map(|asked| {
        Some((asked, ROUTES.iter().find(|route| route.method == asked.method && route.path == asked.path)?))
    }) {
        assert_eq!(asked.permission.as_deref().unwrap_or("public"), route.asks.as_str(), "{}", asked.path);
    }

    let revoked = server.key("default", "admin").await;
    server.api(&server.admin).request("DELETE", &format!("/keys/{}", id_of(&revoked)), None).await;
    let expired = NewKey {
        id: "expiredkey22".parse().expect("an id"),
        project: ProjectId::DEFAULT,
        role: Role::Admin,
        name: String::new(),
        hash: hash_of(&"x".repeat(43)),
        at: Timestamp(1),
        by: "test".into(),
        expires_at: Some(Timestamp(2)),
        limits: KeyLimits::default(),
    };
    server.catalog.make_key(expired).await.expect("a key");
    let bearer = |text: &str| vec![("authorization", format!("Bearer {text}"))];
    let mut refused: Vec<(&str, Vec<(&str, String)>)> = vec![
        ("a malformed key", vec![("x-api-key", "cb_nonsense".into())]),
        ("another scheme", vec![("authorization", "Basic YWRtaW46YWRtaW4=".into())]),
        ("an unknown key", bearer(&format!("cb_abcdefghijkl_{}", "x".repeat(43)))),
        ("a wrong secret", bearer(&format!("cb_{}_{}", id_of(&server.admin), "x".repeat(43)))),
        ("a revoked key", bearer(&revoked)),
        ("an expired key", bearer(&format!("cb_expiredkey22_{}", "x".repeat(43)))),
        ("two credentials", vec![("x-api-key", server.admin.clone()), ("apikey", server.admin.clone())]),
    ];
    refused.extend(server.issuer.wrong().into_iter().map(|(what, token)| (what, bearer(&token))));

    let mut known = Vec::new();
    for (project, is_default) in [("default", true), ("acme", false)] {
        for role in ROLES {
            known.push((role, is_default, vec![("x-api-key", server.key(project, role).await)]));
            known.push((role, is_default, bearer(&server.issuer.token(project, role))));
        }
    }
    known.push(("admin", true, vec![("apikey", server.admin.clone())]));
    known.push(("editor", true, bearer(&server.issuer.by_rsa("default", "editor"))));

    let mut wrong = Vec::new();
    let mut seen = 0;
    for asked in &routes {
        let name = format!("{} {}", asked.method, asked.path);
        let gateway =
            vec![("x-consumer-username", "admin".to_owned()), ("x-forwarded-user", "admin".to_owned())];
        for (what, headers) in [("nothing", Vec::new()), ("a gateway's word", gateway)] {
            let (status, body, challenged) = send(&server, asked, "nothing-here", &headers).await;
            let expected = asked.permission.is_some();
            if (status == 401 && code(&body) == "credential_missing" && challenged) != expected
                || status >= 500
            {
                wrong.push(format!("{name} with {what}: {status} {body}"));
            }
            seen += 1;
        }
        for (what, headers) in &refused {
            let (status, body, challenged) = send(&server, asked, "nothing-here", headers).await;
            let is_refused = status == 401 && code(&body) == "invalid_credential" && challenged;
            let says_why = ["expired", "revoked", "kid", "audience", "alg"]
                .iter()
                .any(|word| body.to_string().contains(word));
            if is_refused != asked.permission.is_some() || (is_refused && says_why) || status >= 500 {
                wrong.push(format!("{name} with {what}: {status} {body}"));
            }
            seen += 1;
        }
        for (role, is_default, headers) in &known {
            let (status, body, _) = send(&server, asked, "nothing-here", headers).await;
            let is_let_in = !matches!(status, 401 | 403);
            let is_told = status == 403 && code(&body) == "forbidden";
            if is_let_in != asked.lets_in(role, *is_default) || (!is_let_in && !is_told) || status >= 500 {
                let project = if *is_default { "default" } else { "acme" };
                wrong.push(format!("{name} as {role} of {project}: {status} {body}"));
            }
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 1000, "{seen}");

    let refusals = server.api(&server.admin).get("/audit?limit=1000").await;
    let codes: BTreeSet<_> =
        refusals["items"].as_array().expect("rows").iter().filter_map(|row| row["code"].as_str()).collect();
    assert!(
        codes.contains("invalid_credential")
            && codes.contains("credential_missing")
            && codes.contains("forbidden")
    );
    let rows = refusals["items"].as_array().expect("rows").len();
    assert!(rows < 60, "a thousand refusals of a minute are a few rows: {rows}");
}

/// The hash of a secret, without a pepper.
fn hash_of(secret: &str) -> SecretHash {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b""), secret.as_bytes());
    SecretHash(tag.as_ref().try_into().expect("32 bytes"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_project_is_not_there() {
    let server = Guarded::start("").await;
    server.project("acme").await;
    let (ours, theirs) = (server.api(&server.admin), server.api(&server.key("acme", "admin").await));
    let definition = json!({"name": "ours", "nodes": [{"id": "a", "type": "wait", "config": {"for": "0s"}}]});
    let workflow = ours.create(&definition).await;
    let run = ours.start(&workflow, json!({})).await;
    ours.until(&run, "completed").await;
    let key = id_of(&server.admin).to_string();
    let hourly = json!({"workflow_id": workflow, "kind": "schedule", "settings": {"every": "1h"}});
    let trigger = ours.post("/triggers", hourly).await["id"].as_str().expect("an id").to_owned();

    let routes = routes(&ours.get("/openapi.json").await);
    // Agents are those of the server, for all projects.
    let is_of_project = |path: &str| !path.contains("/projects/") && !path.contains("/ai/agents/");
    let with_id = routes.iter().filter(|asked| asked.path.contains("{id}") && is_of_project(&asked.path));
    let mut compared = 0;
    for asked in with_id {
        let id = match asked.path.split('/').nth(3) {
            Some("workflows") => &workflow,
            Some("runs") => &run,
            Some("keys") => &key,
            Some("triggers") => &trigger,
            other => panic!("of what is {other:?}?"),
        };
        let never = if id == &key { "abcdefghijkl" } else { "never-there" };
        let path = |id: &str| asked.filled(id)["/api/v1".len()..].to_owned();
        let body = match asked.path.rsplit('/').next() {
            Some("signal") => Some(json!({"name": "go"})),
            Some("approve") => Some(json!({"node": "a", "approved": true})),
            Some("rerun") => Some(json!({"from": "a"})),
            _ if asked.method == "PUT" && asked.path.contains("/triggers/") => {
                Some(json!({"settings": {"every": "2h"}}))
            }
            _ if asked.method == "PUT" => Some(definition.clone()),
            _ if asked.method == "POST" => Some(json!({})),
            _ => None,
        };
        let (status, foreign) = theirs.request(&asked.method, &path(id), body.clone()).await;
        let (_, unknown) = theirs.request(&asked.method, &path(never), body).await;
        assert_eq!(status, 404, "{} {}: {foreign}", asked.method, asked.path);
        let shown = |answer: &Value, id: &str| answer.to_string().replace(id, "ID");
        assert_eq!(shown(&foreign, id), shown(&unknown, never), "{} {}", asked.method, asked.path);
        compared += 1;
    }
    assert!(compared >= 14, "{compared}");
    for list in ["/workflows", "/runs", "/triggers"] {
        assert_eq!(theirs.get(list).await["items"], json!([]), "{list}");
        assert_eq!(ours.get(list).await["items"].as_array().map(Vec::len), Some(1), "{list}");
    }
    let keys = theirs.get("/keys").await;
    let keys = keys["items"].as_array().expect("keys");
    assert!(keys.len() == 1 && keys[0]["id"] != json!(key) && keys[0]["project"] == "acme", "{keys:?}");
    assert!(!theirs.get("/audit").await.to_string().contains(&workflow));
    let audit = ours.get("/audit?limit=1000").await;
    let rows = audit["items"].as_array().expect("rows");
    let of = |route: &str| {
        rows.iter().find(|row| row["route"] == route).unwrap_or_else(|| panic!("{route}: {audit}"))
    };
    let made = of("POST /api/v1/workflows");
    assert_eq!((&made["object"], &made["subject"]), (&json!(workflow), &json!(format!("key:{key}"))));
    assert!(made["before"].is_null() && made["after"].is_string(), "{made}");
    assert_eq!(of("POST /api/v1/workflows/{id}/start")["object"], json!(run));
}
