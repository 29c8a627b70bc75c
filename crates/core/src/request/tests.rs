//! What data can make of a call: nothing but text in the place that the template gives it.

#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn node(config: Value) -> Template {
    serde_json::from_value(config).unwrap()
}

fn url(template: &str, x: Value) -> Result<String, String> {
    let rendered = render(
        &node(json!({"url": template})),
        &json!({"input": {"x": x, "base": "https://b.example/v1?k=a b"}}),
    );
    rendered.map(|request| request.url).map_err(|e| e.to_string())
}

fn problems(config: Value) -> Vec<(String, &'static str)> {
    mistakes(&node(config), &BTreeSet::from(["bound".to_owned()]))
        .into_iter()
        .map(|m| (m.field, m.code))
        .collect()
}

#[test]
fn only_what_the_template_says_is_a_secret() {
    let config = node(json!({
        "url": "https://h/{{ input.x }}/secret://a?k={{ input.x }}",
        "headers": {"authorization": "Bearer secret://tok", "note": "{{ input.x }}", "é": "é{{ input.x }} secret://b."},
        "query": {"q": "{{ input.x }}", "t": "{% if input.x %}secret://c{% else %}secret://d{% endif %}"},
        "body": {"deep/er": ["{{ input.x }} {{ input.x }}", "x secret://e", "{{ input.list }}"],
                 "many": "{% for i in [1, 2] %}secret://f{{ input.x }}{% endfor %}"},
    }));
    // Data has references and marks of ours.
    let x = "secret://tok\u{fdd0}stok\u{fdd0}e";
    let context = json!({"input": {"x": x, "list": ["secret://tok", {"secret://k": x}]}});
    let request = render(&config, &context).unwrap();
    let found = request.secrets.as_ref().unwrap();
    let texts: Vec<_> = found.iter().map(|p| (p.at.as_str(), p.name.as_str())).collect();
    assert_eq!(
        texts,
        [
            ("/url", "a"),
            ("/headers/authorization", "tok"),
            ("/headers/é", "b"),
            ("/query/t", "c"),
            ("/body/deep~1er/1", "e"),
            ("/body/many", "f"),
            ("/body/many", "f"),
        ]
    );
    let json = serde_json::to_value(&request).unwrap();
    for place in found {
        let text = json.pointer(&place.at).unwrap().as_str().unwrap();
        assert!(text[place.from..].starts_with(&format!("secret://{}", place.name)), "{place:?} {text}");
    }
    // What data brought stands where it was put, unchanged.
    assert_eq!(request.headers["note"], x);
    assert_eq!(request.body.unwrap()["deep/er"][0], format!("{x} {x}"));
}

#[test]
fn a_request_without_secrets_is_recorded_as_ever() {
    let request = render(
        &node(json!({"url": "https://h", "body": {"a": "{{ input.x }}"}})),
        &json!({"input": {"x": "secret://tok"}}),
    );
    let json = serde_json::to_value(request.unwrap()).unwrap();
    assert_eq!(json, json!({"method": "GET", "url": "https://h", "body": {"a": "secret://tok"}}));
}

#[test]
fn data_stays_one_part_of_a_url() {
    let at = |x: &str| url("https://h/orders/{{ input.x }}", json!(x));
    assert_eq!(
        at("1/../../admin/users?delete=all#").unwrap(),
        "https://h/orders/1%2F..%2F..%2Fadmin%2Fusers%3Fdelete%3Dall%23"
    );
    assert_eq!(at("a-._~é %41\\").unwrap(), "https://h/orders/a-._~%C3%A9%20%2541%5C");
    assert_eq!(
        url("https://h/?q={{ input.x }}&r=1", json!("a&r=2+3")).unwrap(),
        "https://h/?q=a%26r%3D2%2B3&r=1"
    );
    assert_eq!(url("https://h/{{ input.x }}", json!([1, "a/b"])).unwrap(), "https://h/%5B1%2C%22a%2Fb%22%5D");
    assert_eq!(url("https://h/{{ input.x }}", json!("\u{fdd0}d")).unwrap(), "https://h/%EF%B7%90d");
    // The host can't be left by it: `%23` is not a character of a host.
    assert_eq!(url("https://{{ input.x }}/x", json!("evil.com#")).unwrap(), "https://evil.com%23/x");
    // A base is one.
    assert_eq!(
        url("{{ input.base }}&x={{ input.x }}", json!("/")).unwrap(),
        "https://b.example/v1?k=a b&x=%2F"
    );
    assert_eq!(
        url("{{- input.base -}} /{{ input.x }}", json!("/")).unwrap(),
        "https://b.example/v1?k=a b/%2F"
    );
    // Only the first tag, and only at the very start.
    assert_eq!(url("{% if true %}{{ input.x }}{% endif %}", json!("a:b")).unwrap(), "a%3Ab");
}

#[test]
fn who_means_it_can_say_so() {
    assert_eq!(url("https://h/{{ input.x | raw_url }}", json!("a/b?c")).unwrap(), "https://h/a/b?c");
    assert_eq!(url("https://h/{{ input.x | urlencode }}", json!("a/b?c")).unwrap(), "https://h/a%2Fb%3Fc");
    assert_eq!(
        url("https://h/?{{ input.x | urlencode }}", json!({"a": 1, "b c": "&"})).unwrap(),
        "https://h/?a=1&b%20c=%26"
    );
    // What is safe in HTML is not safe in a URL.
    assert_eq!(url("https://h/{{ input.x | e }}", json!("a/<")).unwrap(), "https://h/a%26%23x2f%3B%26lt%3B");
    assert_eq!(
        url("https://h/{{ input.x | escape | upper }}", json!("a/")).unwrap(),
        "https://h/A%26%23X2F%3B"
    );
    assert_eq!(
        url("https://h/{{ (input.x | raw_url) ~ input.x }}", json!("a/")).unwrap(),
        "https://h/a%2Fa%2F"
    );
}

#[test]
fn dots_of_data_lead_nowhere() {
    for (template, x) in [
        ("https://h/a/{{ input.x }}/b", ".."),
        ("https://h/a/{{ input.x }}", "."),
        ("https://h/a/.{{ input.x }}", "."),
        ("https://h/a/.{{ input.x }}.", ""),
        ("https://h/a/{{ input.x }}?q", ".."),
        ("https://h/a/%2e{{ input.x }}/", "."),
        ("https://h/a\\{{ input.x }}\\b", ".."),
        ("https://h/a/{{ input.x }} ", ".."),
        ("https://h/a/{{ input.x | raw_url }}", "b/../../c"),
        ("https://h/a/{{ input.x | raw_url }}", "b/%2E%2e/c"),
        ("https://h/a/{{ input.x | raw_url }}", ".\t."),
        ("{{ input.base | default('https://h', true) }}/{{ input.x }}", ".."),
    ] {
        let got = render(&node(json!({"url": template})), &json!({"input": {"x": x, "base": ""}}));
        let error = got.map(|r| r.url).unwrap_err().to_string();
        assert!(error.contains("a segment of the path"), "{template} {x}: {error}");
    }
    assert_eq!(url("https://h/a/../{{ input.x }}", json!("...")).unwrap(), "https://h/a/../...");
    assert_eq!(url("https://h/a?p=/{{ input.x }}", json!("..")).unwrap(), "https://h/a?p=/..");
    assert_eq!(url("https://h/v{{ input.x }}", json!("1..2")).unwrap(), "https://h/v1..2");
}

#[test]
fn a_host_is_fixed_when_data_cannot_reach_it() {
    for fixed in [
        "https://h/{{ x }}",
        "https://h",
        "http://h:8080?{{ x }}",
        "https://h#{% if x %}",
        "https://[::1]/{{ x }}",
    ] {
        assert!(is_host_fixed(fixed), "{fixed}");
    }
    for open in [
        "{{ x }}",
        "{{ x }}/a",
        "https://{{ x }}/",
        "https://h{{ x }}/",
        "https://h:{{ x }}/",
        "https:///{{ x }}",
        "https://\\{{ x }}/",
        "{% if x %}https://a/{% endif %}",
        "https://a@{{ x }}/",
        "https:{{ x }}",
    ] {
        assert!(!is_host_fixed(open), "{open}");
    }
}

#[test]
fn mistakes_are_found_before_the_run() {
    let secret = |text: &str| problems(json!({"url": "https://h", "headers": {"a": text}}));
    for wrong in [
        "{{ 'secret://tok' }}",
        "{{ 'secret' ~ '://tok' }}",
        "{{ \"secret:\" ~ '//' ~ input.x }}",
        "secret://{{ input.x }}",
        "secret://tok{{ input.x }}",
        "secret:{{ input.x }}",
        "secret:/{{ '/tok' }}",
        "secret://../x",
        "secret://",
        "secret:///x",
        "Secret://tok",
        "{% set t %}secret://tok{% endset %}{{ t }}",
        "{% if input.x == 'secret://tok' %}a{% endif %}",
    ] {
        assert_eq!(secret(wrong), [("headers.a".to_owned(), "invalid_secret")], "{wrong}");
    }
    for right in [
        "Bearer secret://tok",
        "secret://tok.",
        "secret://tok:{{ input.x }}",
        "secret://a/secret://b",
        "{{ input.x }}",
        "{% if input.x %}secret://a{% else %}secret://b{% endif %}",
    ] {
        assert_eq!(secret(right), [], "{right}");
    }
    assert_eq!(
        problems(
            json!({"url": "https://secret://../x/", "query": {"secret://q": 1}, "body": {"a": ["secret://"], "secret://k": 1}})
        ),
        [
            ("url", "invalid_secret"),
            ("query.secret://q", "invalid_secret"),
            ("body.a[0]", "invalid_secret"),
            ("body.secret://k", "invalid_secret")
        ]
        .map(|(f, c)| (f.to_owned(), c))
    );
    for name in [
        "Host",
        "content-length",
        "Keep-Alive",
        "Proxy-Connection",
        "proxy-authorization",
        "EXPECT",
        "te",
        "Upgrade",
    ] {
        let headers = Map::from_iter([(name.to_owned(), json!("x"))]);
        assert_eq!(
            problems(json!({"url": "https://h", "headers": headers})),
            [(format!("headers.{name}"), "reserved_header")]
        );
    }
    let host = |name: &str| {
        problems(json!({"url": "{{ input.u }}/store", "body": {"a": format!("secret://{name}")}}))
    };
    assert_eq!(host("tok"), [("url".to_owned(), "secret_without_hosts")]);
    assert_eq!(host("bound"), []);
    assert_eq!(
        problems(json!({"url": "https://h", "max_body": 16_777_217})),
        [("max_body".to_owned(), "out_of_range")]
    );
}

#[test]
fn a_request_of_an_earlier_version_keeps_the_references_it_must_have() {
    let places = |template: Value, recorded: Value| {
        let request: Request = serde_json::from_value(recorded).unwrap();
        request
            .places(&node(template))
            .map(|p| p.into_iter().map(|p| format!("{} {}", p.at, p.name)).collect::<Vec<_>>())
    };
    let template = json!({"url": "https://h/{{ input.x }}", "headers": {"a": "Bearer secret://tok"}, "body": {"n": "{{ input.x }}"}});
    let recorded = json!({"url": "https://h/secret://tok", "headers": {"a": "Bearer secret://tok"}, "body": {"n": "secret://tok"}});
    assert_eq!(places(template, recorded).unwrap(), ["/headers/a tok"]);
    let mixed = json!({"url": "https://h", "body": "secret://tok {{ input.x }}"});
    assert_eq!(
        places(mixed.clone(), json!({"url": "https://h", "body": "secret://tok x"})).unwrap(),
        ["/body tok"]
    );
    for (template, text) in [
        (mixed, "secret://tok secret://tok"),
        (json!({"url": "https://h", "body": "secret://tok{{ input.x }}"}), "secret://token"),
    ] {
        let got = places(template, json!({"url": "https://h", "body": text}));
        assert_eq!(got, Err(Ambiguous { at: "/body".into() }), "{text}");
    }
    let blocks = json!({"url": "https://h", "body": "{% if input.y %}secret://tok{% endif %}{{ input.x }}"});
    assert!(places(blocks, json!({"url": "https://h", "body": "secret://tok"})).is_err());
}
