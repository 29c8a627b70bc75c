//! What is an id and what is not, and every text that is made of one: those of `default` are what they were.

use super::*;
use serde_json::json;

fn run(text: &str) -> RunId {
    text.parse().expect("a run's id")
}

#[test]
fn a_runs_text_is_its_name_in_default_and_says_its_project_elsewhere() {
    let acme: ProjectId = "acme".parse().expect("a project");
    let table = [
        (ProjectId::DEFAULT, "order-17", "order-17", "{order-17}.doc", "{order-17}.v.t1.0"),
        (acme, "order-17", "acme~order-17", "{acme~order-17}.doc", "{acme~order-17}.v.t1.0"),
    ];
    for (project, name, text, document, value) in table {
        let id = RunId::new(&project, name).expect("a run");
        assert_eq!((id.to_string(), id.as_str()), (text.to_owned(), text));
        assert_eq!((id.project(), id.name()), (&project, name));
        assert_eq!((id.document_key(), id.value_key("t1.0")), (document.to_owned(), value.to_owned()));
        assert_eq!(run(text), id, "and is read back");
        assert_eq!(serde_json::to_value(&id).expect("JSON"), json!(text));
        assert_eq!(serde_json::from_value::<RunId>(json!(text)).expect("a run"), id);
    }
    assert_ne!(run("a"), run("acme~a"));
}

#[test]
fn one_run_has_one_text() {
    let long = "n".repeat(65);
    for wrong in ["", "~", "~a", "acme~", "default~a", "Acme~a", "a~b~c", "a.b", "a/b", "../x", "ä", &long] {
        assert_eq!(wrong.parse::<RunId>().ok(), None, "{wrong}");
        assert!(serde_json::from_value::<RunId>(json!(wrong)).is_err(), "{wrong}");
    }
    assert_eq!(run(&"n".repeat(64)).name().len(), 64);
}

#[test]
fn an_id_says_its_project() {
    for (text, project) in [("r-1", "default"), ("acme~r-1", "acme")] {
        assert_eq!(text.parse::<RunId>().expect("a run").project().as_str(), project);
        let agent: AgentId = format!("{text}.ask.1._").parse().expect("an agent");
        assert_eq!(agent.home().project().as_str(), project);
    }
    let refused = "a.b".parse::<RunId>().expect_err("a refusal");
    assert_eq!(refused.to_string(), "a run's id is 1 to 64 of A-Z a-z 0-9 _ -");
}

#[test]
fn a_keys_id_is_small_letters_and_digits() {
    for right in ["abcdefgh", "a2b3c4d5e6f7", &"a".repeat(32)] {
        assert_eq!(right.parse::<KeyId>().expect("a key").as_str(), right);
    }
    for wrong in ["", "abcdefg", "abcdefgH", "abcd_fgh", "abcd~fgh", &"a".repeat(33)] {
        assert_eq!(wrong.parse::<KeyId>().ok(), None, "{wrong}");
    }
}

#[test]
fn a_project_is_small_letters() {
    let long = format!("a{}", "b".repeat(31));
    for right in ["default", "a", "acme-2", &long] {
        let id: ProjectId = right.parse().expect("a project");
        assert_eq!((id.as_str(), id.is_default()), (right, right == "default"));
    }
    for wrong in ["", "2a", "-a", "A", "a_b", "a~b", "ä", &format!("{long}c")] {
        assert_eq!(wrong.parse::<ProjectId>().ok(), None, "{wrong}");
    }
}

#[test]
fn an_agents_id_begins_with_its_run() {
    let table = [
        ("order-17", "", "order-17.ask.2._", "{order-17}.a.ask.2._"),
        ("order-17", "3.17", "order-17.ask.2.3.17", "{order-17}.a.ask.2.3.17"),
        ("acme~order-17", "3.17", "acme~order-17.ask.2.3.17", "{acme~order-17}.a.ask.2.3.17"),
    ];
    for (of, iteration, text, key) in table {
        let id = AgentId::of_step(&run(of), "ask", 2, iteration);
        assert_eq!((id.as_str(), id.document_key()), (text, key.to_owned()));
        assert_eq!(id.home(), &run(of));
        assert_eq!(text.parse::<AgentId>().as_ref(), Ok(&id), "and is read back");
        assert_eq!(serde_json::from_value::<AgentId>(json!(text)).expect("an agent").home(), &run(of));
    }
    let outside: AgentId = "me".parse().expect("an agent");
    assert_eq!((outside.document_key(), outside.home()), ("{me}.a".to_owned(), &run("me")));
    for wrong in ["", ".", "a.", "a..b", "a.b~c", "A~b", "a.b/c"] {
        assert_eq!(wrong.parse::<AgentId>().ok(), None, "{wrong}");
    }
    assert_eq!(format!("a.{}", "b".repeat(255)).parse::<AgentId>().ok(), None);
}

#[test]
fn an_agents_id_has_an_end_whatever_the_path_and_the_depth() {
    let longest = format!("{}~{}", "p".repeat(32), "n".repeat(64));
    for depth in 0..40 {
        let path = vec!["9999"; depth].join(".");
        let of = |path: &str| AgentId::of_step(&run(&longest), &"s".repeat(64), u32::MAX, path);
        let id = of(&path);
        let part = id.delegate(1, 2, "call_0").delegate(1, 2, "call_1");
        for id in [&id, &part] {
            assert!(id.as_str().len() <= 256, "{depth}: {id}");
            assert_eq!(id.as_str().parse::<AgentId>().as_ref(), Ok(id));
        }
        assert_ne!(of(&format!("{path}.1")), id, "{depth}");
    }
}

#[test]
fn a_delegates_id_is_the_calls_and_does_not_grow() {
    let agent = |text: &str| text.parse::<AgentId>().expect("an agent");
    let first = agent("run.ask.1._").delegate(1, 2, "call_0");
    assert_eq!(first, agent("run.ask.1._").delegate(1, 2, "call_0"));
    assert_ne!(first, agent("run.ask.1._").delegate(2, 2, "call_0"));
    assert!(first.as_str().starts_with("run.ask.1._.sub."));
    let second = first.delegate(1, 1, "call_0");
    assert!(second.as_str().starts_with("run.ask.1._.sub.") && second != first);
    assert_eq!(second.as_str().len(), first.as_str().len());
    assert!(agent("outside").delegate(1, 1, "x").as_str().starts_with("outside.sub."));
}

#[test]
fn what_was_recorded_of_a_workflow_is_read_as_it_is() {
    let recorded: WorkflowId = serde_json::from_value(json!("any text")).expect("an id");
    assert_eq!(serde_json::to_value(&recorded).expect("JSON"), json!("any text"));
    assert!("w-1".parse::<WorkflowId>().is_ok());
    assert_eq!("any text".parse::<WorkflowId>().ok(), None);
}

#[test]
fn an_id_in_a_schema_is_a_text() {
    for schema in [schemars::schema_for!(RunId), schemars::schema_for!(WorkflowId)] {
        assert_eq!(schema.get("type"), Some(&json!("string")));
    }
}
