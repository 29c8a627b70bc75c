//! Component files: what is read, and what is refused by name.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const STATE: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec:
  type: state.sqlite
  version: v1
  metadata:
  - {name: actorStateStore, value: \"true\"}
  - {name: keyPrefix, value: name}
";

#[test]
fn a_folder_is_read_with_all_its_documents() {
    let more = format!(
        "{STATE}---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: pubsub}}\nspec: {{type: \
         pubsub.in-memory, version: v1, metadata: [{{name: queueDepth, value: 7}}]}}\n---\n\
         kind: Configuration\nmetadata: {{name: c}}\n"
    );
    let folder = folder(&[("a.yaml", &more), ("ignored.txt", "{")]);
    let found = Components::load(folder.path(), "app").unwrap();
    assert_eq!(found.actor_store(), Some("statestore"));
    assert_eq!(found.state["statestore"].prefix, Prefix::Name);
    assert_eq!(found.pubsub["pubsub"].depth, 7);
    assert_eq!(found.listed.len(), 2);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_file() {
    let folder = folder(&[
        ("a.yaml", "kind: Component\nmetadata: {name: s}\nspec: {type: state.redis}"),
        ("b.yaml", "kind: Workflow\nmetadata: {name: w}"),
        ("c.yaml", "a: [1"),
    ]);
    let problems = Components::load(folder.path(), "app").unwrap_err();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{text:?}");
    assert!(text[0].contains("a.yaml: s: type state.redis is not offered"), "{text:?}");
    assert!(text[1].contains("b.yaml: w: kind Workflow is not offered"), "{text:?}");
    assert!(text[2].contains("c.yaml: not YAML"), "{text:?}");
}

#[test]
fn a_component_of_another_app_is_not_loaded() {
    let scoped = format!("{STATE}scopes: [other]\n");
    let folder = folder(&[("a.yaml", &scoped)]);
    assert!(Components::load(folder.path(), "app").unwrap().state.is_empty());
    assert!(Components::load(folder.path(), "other").unwrap().state.contains_key("statestore"));
}

#[test]
fn a_second_actor_store_is_refused() {
    let second = STATE.replace("name: statestore", "name: second");
    let folder = folder(&[("a.yaml", STATE), ("b.yaml", &second)]);
    let problems = Components::load(folder.path(), "app").unwrap_err();
    assert!(problems[0].reason.starts_with("detected duplicate actor state store"));
}

#[test]
fn both_subscription_versions_are_read() {
    let text = "
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: one}
spec: {pubsubname: pubsub, topic: a, route: /a, deadLetterTopic: dead}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {name: two}
spec:
  pubsubname: pubsub
  topic: b
  routes:
    rules:
    - {match: 'event.type == \"x\"', path: /x}
    default: /b
";
    let pubsub = "kind: Component\nmetadata: {name: pubsub}\nspec: {type: pubsub.in-memory}";
    let folder = folder(&[("a.yaml", text), ("p.yaml", pubsub)]);
    let found = Components::load(folder.path(), "app").unwrap();
    assert_eq!(found.subscriptions[0].dead_letter.as_deref(), Some("dead"));
    assert_eq!(found.subscriptions[1].rules.len(), 2);
    assert_eq!(found.subscriptions[1].rules[1], Rule { matches: None, path: "/b".into() });
}

#[test]
fn inbound_retries_are_taken_from_resiliency_files() {
    let text = "
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: r}
spec:
  policies:
    retries: {again: {policy: constant, duration: 2s, maxRetries: 3}}
  targets:
    components: {pubsub: {inbound: {retry: again}}}
";
    let folder = folder(&[("a.yaml", text)]);
    let retry = Components::load(folder.path(), "app").unwrap().retries["pubsub"];
    assert_eq!(retry.delay(3), Some(std::time::Duration::from_secs(2)));
    assert_eq!(retry.delay(4), None);
}

#[test]
fn scopes_restrict_topics() {
    let mut settings = Settings { values: BTreeMap::new(), problems: vec![] };
    settings.values.insert("publishingscopes".into(), "a=x,y;b=".into());
    assert_eq!(settings.scoped("publishingScopes", "a").unwrap().len(), 2);
    assert!(settings.scoped("publishingScopes", "b").unwrap().is_empty());
    assert_eq!(settings.scoped("publishingScopes", "c"), None);
}
