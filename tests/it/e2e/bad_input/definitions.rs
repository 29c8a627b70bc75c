//! The corpus of wrong definitions, posted: the server explains each as the core does.

use super::refused;
use crate::e2e::world::{Case, World, cases};
use crate::harness::root;
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        every_wrong_definition_is_explained,
        a_draft_keeps_its_problems_and_does_not_start,
        a_wrong_definition_does_not_start_on_its_own,
    ]
}

/// Each file says in its first lines what is wrong with it: `# expect: code path node`, `-` for nothing, `?` for
/// anything.
async fn every_wrong_definition_is_explained(w: World) {
    let folder = root().join("crates/core/tests/corpus/definitions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 40, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let name = file.display().to_string();
        let expected: Vec<String> =
            text.lines().map_while(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect();
        let request = w.api.client.post(format!("{}/api/v1/workflows", w.api.url));
        let request = request.header("content-type", "application/yaml").body(text);
        let problem = refused(&name, request, &[400, 422]).await;
        if expected.iter().any(|line| line.starts_with("syntax")) {
            assert_eq!(problem["code"], "malformed_yaml", "{name}: {problem:#}");
            continue;
        }
        let problems = problem["problems"].as_array().unwrap_or_else(|| panic!("{name}: {problem:#}"));
        let dash = |value: &Value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let found: Vec<String> = problems
            .iter()
            .map(|p| format!("{} {} {}", dash(&p["code"]), dash(&p["path"]), dash(&p["node"])))
            .collect();
        for line in &expected {
            let (before, after) = line.split_once('?').unwrap_or((line, ""));
            let fits =
                |f: &&String| *f == line || line.contains('?') && f.starts_with(before) && f.ends_with(after);
            assert!(found.iter().any(|f| fits(&f)), "{name}: {line} is not in {found:#?}");
        }
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    }
}

fn wrong() -> Value {
    json!({"name": "draft", "nodes": [{"id": "a", "type": "agent", "config": {"agent": "nobody", "prompt": "{{ steps.b.output }}"}}],
        "edges": [{"source": "a", "target": "c"}]})
}

async fn a_draft_keeps_its_problems_and_does_not_start(w: World) {
    let (status, saved) = w.api.request("POST", "/workflows?draft=true", Some(wrong())).await;
    assert_eq!(status, 201, "{saved:#}");
    assert!(saved["problems"].as_array().is_some_and(|problems| problems.len() >= 3), "{saved:#}");
    let id = saved["id"].as_str().expect("an id");
    let problem =
        w.api.refused(&format!("/workflows/{id}/start"), json!({}), 409, "workflow_has_problems").await;
    assert_eq!(problem["problems"], saved["problems"]);
    let read = w.api.get(&format!("/workflows/{id}")).await;
    assert_eq!((&read["status"], &read["nodes"]), (&json!("draft"), &wrong()["nodes"]));
}

async fn a_wrong_definition_does_not_start_on_its_own(w: World) {
    let problem = w.api.refused("/runs", json!({"definition": wrong()}), 422, "invalid_definition").await;
    assert!(problem["problems"].as_array().is_some_and(|problems| problems.len() >= 3), "{problem:#}");
    let shape = json!({"definition": {"name": "x", "nodes": [{"id": "a", "type": "teleport"}, 7]}});
    let problem = w.api.refused("/runs", shape, 422, "invalid_definition").await;
    assert!(problem["problems"].as_array().is_some_and(|problems| problems.len() >= 2), "{problem:#}");
}
