//! Agents' files: the requirements' own, and wrong ones.

use super::*;

/// As the requirements print it.
const REQUIRED: &str = "agents:
  research:
    model: gpt-4
    temperature: 0.7
    max_tokens: 2048
    retry_policy:
      max_retries: 3
      backoff: exponential
    
  analysis:
    model: gpt-4
    temperature: 0.3
    max_tokens: 1024
    
  implementation:
    model: gpt-4
    temperature: 0.2
    max_tokens: 4096
    
  qa:
    model: gpt-3.5-turbo
    temperature: 0.1
    max_tokens: 1024
";

#[test]
fn the_file_of_the_requirements_is_read() {
    let agents = Agents::read(REQUIRED).expect("agents");
    assert_eq!(agents.agents.keys().collect::<Vec<_>>(), ["analysis", "implementation", "qa", "research"]);
    let research = &agents.agents["research"];
    assert_eq!((research.temperature, research.max_tokens), (Some(0.7), Some(2048)));
    assert_eq!(research.retry_policy.as_ref().map(|r| r.max_retries), Some(3));
    let again = serde_json::to_value(&agents).expect("json");
    assert_eq!(Agents::from_value(again), Ok(agents));
}

#[test]
fn all_mistakes_come_at_once() {
    let text = "
agents:
  one: {model: '', temperature: 3, tools: [search, search, fetch]}
  two: {modle: gpt-4, max_tokens: 0}
  three: {model: m, limits: {iterations: 0, calls: 0}, output_schema: {type: strin}, retry_policy: {max_retries: 1, initial: soon}}
  four: {model: m, tools: [fetch, nothing], limits: {calls: 0}, output_schema: {type: strin}}
  a b: {model: m}
tools:
  search: {description: d, type: http, config: {url: 'ftp://{{ args.q }}', query: {q: '{{ input.q }}'}}, parameters: {type: 3}}
  fetch: {description: d, type: expression, config: {value: 'args.x +', more: 1}}
  add: {description: d, type: expression, config: {value: 'args.x +'}}
  guess: {description: d, type: python, config: {}}
";
    let problems = Agents::read(text).expect_err("problems");
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.code.as_str())).collect();
    assert_eq!(
        found,
        [
            ("agents.a b", "invalid_id"),
            ("agents.four.limits.calls", "out_of_range"),
            ("agents.four.output_schema.type", "invalid_schema"),
            ("agents.four.tools[1]", "unknown_tool"),
            ("agents.one.temperature", "out_of_range"),
            ("agents.three.limits.iterations", "out_of_range"),
            ("agents.three.retry_policy.initial", "invalid_duration"),
            ("agents.two.max_tokens", "out_of_range"),
            ("agents.two.model", "missing_field"),
            ("agents.two.modle", "unknown_field"),
            ("tools.add.config.value", "invalid_template"),
            ("tools.fetch.config.more", "unknown_field"),
            ("tools.guess.type", "unknown_type"),
            ("tools.search.config.query.q", "unknown_reference"),
            ("tools.search.config.url", "invalid_url"),
            ("tools.search.parameters.type", "invalid_schema"),
        ]
    );
}

#[test]
fn the_system_text_is_the_instructions_or_built() {
    let spec =
        |yaml: &str| Agents::read(&format!("agents: {{a: {yaml}}}")).expect("agents").agents["a"].clone();
    let built = spec("{model: m, role: Researcher, goal: Find facts, backstory: You read a lot.}");
    assert_eq!(
        built.system_text().as_deref(),
        Some("You are Researcher.\n\nYour goal: Find facts\n\nYour background: You read a lot.")
    );
    assert_eq!(spec("{model: m, role: R, instructions: Do it.}").system_text().as_deref(), Some("Do it."));
    assert_eq!(spec("{model: m}").system_text(), None);
}

#[test]
fn whom_an_agent_delegates_to_is_said_by_name() {
    let text = "
agents:
  all: {model: m, allow_delegation: true}
  none: {model: m, allow_delegation: true, delegate_to: []}
  unused: {model: m, delegate_to: [clerk]}
  wrong: {model: m, allow_delegation: true, delegate_to: [wrong, nobody, clerk, clerk, broken]}
  broken: {modle: m}
  clerk: {model: m}
";
    let problems = Agents::read(text).expect_err("problems");
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.code.as_str())).collect();
    assert_eq!(
        found,
        [
            ("agents.all.delegate_to", "missing_field"),
            ("agents.broken.model", "missing_field"),
            ("agents.broken.modle", "unknown_field"),
            ("agents.none.delegate_to", "missing_field"),
            ("agents.unused.delegate_to", "unused_field"),
            ("agents.wrong.delegate_to[0]", "invalid_delegate"),
            ("agents.wrong.delegate_to[1]", "unknown_agent"),
            ("agents.wrong.delegate_to[3]", "duplicate_delegate"),
        ]
    );
    let all = &problems[0].message;
    assert!(all.contains("delegate_to: [NAME, …]") && all.contains("`clerk`"), "{all}");
    let lead = "agents: {lead: {model: m, allow_delegation: true, delegate_to: [clerk]}, clerk: {model: m}}";
    assert_eq!(Agents::read(lead).expect("agents").agents["lead"].delegate_to, ["clerk"]);
}

#[test]
fn the_secrets_of_a_tool_are_checked_as_those_of_a_node() {
    let tool = |url: &str, token: &str| {
        format!(
            "agents: {{}}\ntools: {{t: {{description: d, type: http, config: {{url: '{url}', headers: {{a: '{token}'}}}}}}}}"
        )
    };
    let problems = Agents::read(&tool("https://h/", "secret://{{ args.x }}")).expect_err("a mistake");
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.code.as_str())).collect();
    assert_eq!(found, [("tools.t.config.headers.a", "invalid_secret")]);
    // Where data chooses the host it depends on the settings, which the file does not know.
    let agents = Agents::read(&tool("{{ args.u }}/x", "secret://tok")).expect("agents");
    let found = |bound: &[&str]| {
        let problems = agents.check_hosts(&bound.iter().map(|name| (*name).to_owned()).collect());
        problems.into_iter().map(|p| (p.path, p.code)).collect::<Vec<_>>()
    };
    assert_eq!(found(&["other"]), [("tools.t.config.url".to_owned(), "secret_without_hosts".to_owned())]);
    assert_eq!(found(&["tok"]), []);
}
