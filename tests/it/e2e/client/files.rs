//! `callboard apply`, `diff`, `import`, `export`.

use super::{ECHO, WAITS, desk};
use serde_json::{Value, json};

/// The same workflow as `WAITS`, as a person writes it.
const WAITS_YAML: &str = "# Waits.\nnodes:\n  - {type: signal, id: go, config: {name: go}}\nname: waits\n\
    output: {got: '{{ steps.go.output }}'}\n";

fn actions(lines: &[Value]) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines.iter().map(|line| (text(line, "action"), text(line, "name"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(action, name)| ((*action).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_applied_and_the_second_time_changes_nothing() {
    let (_server, desk, api) = desk().await;
    desk.write("flows/deep/waits.yaml", WAITS_YAML);
    desk.write("flows/echo.json", ECHO);
    desk.write("flows/agents.yaml", "agents: {}\n");

    let dry = desk.lines(&["apply", "flows", "--dry-run"]);
    assert_eq!(actions(&dry), pairs(&[("create", "waits"), ("create", "echo")]));
    assert_eq!(api.get("/workflows").await["items"], json!([]));
    let new = desk.run(&["diff", "flows"]);
    assert!(new.code == 1 && new.out.contains("+name: waits"), "{new:#?}");

    let first = desk.run(&["apply", "flows"]);
    assert!(
        first.code == 0 && first.err.contains("2 created") && first.err.contains("agents.yaml"),
        "{first:#?}"
    );
    let second = desk.run(&["apply", "flows"]);
    assert!(
        second.code == 0 && second.err.contains("2 unchanged") && !second.err.contains("created"),
        "{second:#?}"
    );
    let stored = api.get("/workflows").await["items"].as_array().expect("items").clone();
    assert!(stored.len() == 2 && stored.iter().all(|workflow| workflow["version"] == 1), "{stored:#?}");
    let same = desk.run(&["diff", "flows"]);
    assert_eq!((same.code, same.out.as_str()), (0, ""), "{same:#?}");

    // Comments and the order of fields say nothing; a value does.
    desk.write("flows/deep/waits.yaml", &WAITS_YAML.replace("# Waits.", "# Waits for it."));
    assert_eq!(
        actions(&desk.lines(&["apply", "flows"])),
        pairs(&[("unchanged", "waits"), ("unchanged", "echo")])
    );
    desk.write("flows/deep/waits.yaml", &WAITS_YAML.replace("{name: go}", "{name: went}"));
    let diff = desk.run(&["diff", "flows"]);
    let changed: Vec<_> = diff.out.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
    assert!(diff.code == 1 && changed.len() == 2, "{diff:#?}");
    assert!(changed[0].contains("name: go") && changed[1].contains("name: went"), "{diff:#?}");
    let diff = desk.run(&["diff", "flows/deep/waits.yaml", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&diff.out).expect("JSON")["action"], "replace");
    let third = desk.lines(&["apply", "flows"]);
    assert_eq!(actions(&third), pairs(&[("replaced", "waits"), ("unchanged", "echo")]));
    assert_eq!(third[0]["version"], 2);

    // What no file defines stays, unless it is to go.
    std::fs::remove_file(desk.path().join("flows/echo.json")).expect("removed");
    assert_eq!(actions(&desk.lines(&["apply", "flows"])), pairs(&[("unchanged", "waits")]));
    let dry = desk.lines(&["apply", "flows", "--prune", "--dry-run"]);
    assert_eq!(actions(&dry), pairs(&[("unchanged", "waits"), ("delete", "echo")]));
    assert_eq!(desk.lines(&["workflows", "list"]).len(), 2);
    desk.prints(&["apply", "flows", "--prune"]);
    assert_eq!(desk.lines(&["workflows", "list"]).len(), 1);
    desk.write("empty/readme.md", "nothing here");
    let empty = desk.run(&["apply", "empty", "--prune"]);
    assert!(empty.code == 64 && desk.lines(&["workflows", "list"]).len() == 1, "{empty:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_of_all_files_are_told_before_anything_is_changed() {
    let (_server, desk, api) = desk().await;
    desk.write("flows/a-good.json", ECHO);
    desk.write("flows/b-broken.yaml", "name: [\n");
    desk.write(
        "flows/c-agent.yaml",
        "name: c\nnodes:\n  - {id: a, type: agent, config: {agent: nobody, prompt: x}}\n",
    );
    desk.write("flows/d-kind.json", r#"{"nodes": [{"id": "a", "type": "dream"}]}"#);
    desk.write("flows/e-twice.json", ECHO);
    for words in [&["apply", "flows"][..], &["apply", "flows", "--dry-run"], &["diff", "flows"]] {
        let said = desk.run(words);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{said:#?}");
        for part in [
            "b-broken.yaml: line ",
            "c-agent.yaml: node a: nodes[0].config.agent",
            "d-kind.json: node a: nodes[0].type",
            "d-kind.json: name",
            "e-twice.json: flows/a-good.json is the same workflow",
            "nothing was changed",
        ] {
            assert!(said.err.contains(part), "{part}: {said:#?}");
        }
    }
    assert_eq!(api.get("/workflows").await["items"], json!([]));
    let missing = desk.run(&["apply", "nowhere"]);
    assert!(missing.code == 64 && missing.err.contains("nowhere"), "{missing:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_applies_as_unchanged_and_imports_elsewhere() {
    let (_server, desk, api) = desk().await;
    let tricky = json!({"name": "../tricky: yes", "description": "no", "nodes": [{"id": "a", "type": "wait", "config": {"for": "1s"}}],
        "output": {"text": "one\n two \n", "n": 1.0, "on": "on", "t": "{{ 1 }}"}, "metadata": {"x": [null, true, "null", "1e3"]}});
    let id = api.create(&tricky).await;
    api.create(&serde_json::from_str(ECHO).expect("JSON")).await;

    let exported = desk.prints(&["export", "--dir", "out"]);
    assert!(exported.contains("created  out/echo.yaml  echo"), "{exported}");
    assert_eq!(desk.run(&["diff", "out"]).code, 0);
    let applied = desk.run(&["apply", "out"]);
    assert!(applied.err.contains("2 unchanged"), "{applied:#?}");
    // Comments stay where nothing changed, and a file keeps its place.
    let marked = format!("# Mine.\n{}", desk.read("out/echo.yaml"));
    desk.write("out/moved/mine.yaml", &marked);
    std::fs::remove_file(desk.path().join("out/echo.yaml")).expect("removed");
    assert!(actions(&desk.lines(&["export", "--dir", "out"])).contains(&("unchanged".into(), "echo".into())));
    assert_eq!(desk.read("out/moved/mine.yaml"), marked);
    desk.prints(&["export", "--dir", "json", "--format", "json", "echo"]);
    let text: Value = serde_json::from_str(&desk.read("json/echo.json")).expect("JSON");
    assert_eq!(text, serde_json::from_str::<Value>(ECHO).expect("JSON"));

    let other = crate::harness::Callboard::dev([] as [&str; 0]).await;
    let files: Vec<String> = desk
        .lines(&["export", "--dir", "out"])
        .iter()
        .map(|line| line["file"].as_str().expect("a file").to_owned())
        .collect();
    let words: Vec<&str> = ["import"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .chain(["--server", &other.url])
        .collect();
    desk.prints(&words);
    let there = desk.lines(&["workflows", "export", "../tricky: yes", "--server", &other.url]);
    assert_eq!(there, [tricky]);

    // A file that names the workflow it is may give it another name.
    desk.write("renamed.json", &json!({"id": id, "name": "renamed", "nodes": []}).to_string());
    assert_eq!(actions(&desk.lines(&["apply", "renamed.json"])), pairs(&[("replaced", "renamed")]));
    assert_eq!(api.get(&format!("/workflows/{id}")).await["name"], "renamed");
    let piped = desk.run_with(&["apply", "-"], &[], WAITS);
    assert!(piped.code == 0 && piped.err.contains("1 created"), "{piped:#?}");
}
