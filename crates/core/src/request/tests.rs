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
fn what_a_block_keeps_is_data() {
    let kept = "{% set t %}secret://tok{% endset %}a {{ t }} {{ input.x }}";
    let config = node(json!({"url": "https://h", "headers": {"a": kept, "b": "secret://own"}}));
    assert_eq!(references(&config), BTreeSet::from(["own".to_owned()]));
    let request = render(&config, &json!({"input": {"x": "secret://tok"}})).unwrap();
    assert_eq!(request.headers["a"], "a secret://tok secret://tok");
    let names: Vec<_> = request.secrets.unwrap().into_iter().map(|place| place.name).collect();
    assert_eq!(names, ["own"]);
    let refused = url("https://h/{% set t %}a{% endset %}{{ t }}", json!(1)).unwrap_err();
    assert!(refused.contains("can't stand in a URL"), "{refused}");
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
        // A path without its last part is another path, too.
        ("https://h/users/{{ input.x }}", ""),
        ("https://h/users/{{ input.x }}/meta", ""),
        ("https://h/users/{{ input.x }}?q=1", ""),
        ("https://h/users/{{ input.x | trim }}#f", " "),
        ("https://h/users/{{ input.x }}{{ input.x }}", ""),
        ("https://h\\users\\{{ input.x }}", ""),
        ("{{ input.base | default('https://h', true) }}/{{ input.x }}/a", ""),
    ] {
        let got = render(&node(json!({"url": template})), &json!({"input": {"x": x, "base": ""}}));
        let error = got.map(|r| r.url).unwrap_err().to_string();
        assert!(error.contains("a segment of the path"), "{template} {x}: {error}");
    }
    assert_eq!(url("https://h/a/../{{ input.x }}", json!("...")).unwrap(), "https://h/a/../...");
    assert_eq!(url("https://h/a?p=/{{ input.x }}", json!("..")).unwrap(), "https://h/a?p=/..");
    assert_eq!(url("https://h/v{{ input.x }}", json!("1..2")).unwrap(), "https://h/v1..2");
    // An empty part is fine where it is none by itself, and where the template says so.
    assert_eq!(url("https://h/v{{ input.x }}/", json!("")).unwrap(), "https://h/v/");
    assert_eq!(url("https://h/a?q={{ input.x }}", json!("")).unwrap(), "https://h/a?q=");
    assert_eq!(url("https://h/a/{{ input.x | raw_url }}", json!("")).unwrap(), "https://h/a/");
    assert_eq!(url("https://h//a/{{ input.x }}", json!("b")).unwrap(), "https://h//a/b");
    assert_eq!(
        url("https://h/a/{% if input.x %}{{ input.x }}{% endif %}", json!("")).unwrap(),
        "https://h/a/"
    );
}

#[test]
fn data_at_the_start_is_a_base_unless_the_template_goes_on_with_its_own() {
    for (template, x, expected) in [
        ("{{ input.x }}", "https://b.example/v1?k=a b#f", "https://b.example/v1?k=a b#f"),
        ("{{ input.x }}/{{ input.x }}", "https://b", "https://b/https%3A%2F%2Fb"),
        ("{{ input.x }}?q=1", "https://b", "https://b?q=1"),
        ("{{ input.x }}v1/items", "https://b/", "https://b/v1/items"),
        // Scheme, host, or what stands before a host: no more than that.
        ("{{ input.x }}://h/v1", "https", "https://h/v1"),
        ("{{ input.x }}://h/v1", "https://evil/?", "https%3A%2F%2Fevil%2F%3F://h/v1"),
        ("{{- input.x -}} ://h/v1", "https://evil/?", "https%3A%2F%2Fevil%2F%3F://h/v1"),
        ("{{ input.x }}.example.com/v1", "https://evil/?", "https%3A%2F%2Fevil%2F%3F.example.com/v1"),
        ("{{ input.x }}@h/", "https://evil/?", "https%3A%2F%2Fevil%2F%3F@h/"),
    ] {
        assert_eq!(url(template, json!(x)).unwrap(), expected, "{template}");
    }
}

#[test]
fn a_body_is_rendered_in_its_form() {
    let context = json!({"input": {"x": "a", "o": {"k": [1.0]}, "none": null}});
    for (config, body, form) in [
        (json!({"body": {"a": "{{ input.x }}"}}), json!({"a": "a"}), Form::Usual),
        (json!({"json": "{{ input.x }}"}), json!("a"), Form::Json),
        (json!({"text": "{{ input.x }}!"}), json!("a!"), Form::Text),
        (json!({"form": "{{ input.o }}"}), json!({"k": [1.0]}), Form::Form),
        (json!({"multipart": {"f": "{{ input.o }}"}}), json!({"f": {"k": [1.0]}}), Form::Multipart),
        (json!({"bytes": "{{ input.none }}"}), Value::Null, Form::Bytes),
    ] {
        let mut config = config;
        config["url"] = json!("https://h");
        let request = render(&node(config.clone()), &context).unwrap();
        assert_eq!((request.body.clone(), request.form), (Some(body), form), "{config}");
        // What is recorded says the same.
        let again: Request = serde_json::from_value(serde_json::to_value(&request).unwrap()).unwrap();
        assert_eq!(again.form, form);
    }
    let config =
        json!({"url": "https://h", "form": {"t": "secret://tok"}, "headers": {"x": ["secret://a", "b"]}});
    let places: Vec<String> =
        render(&node(config), &context).unwrap().secrets.unwrap().into_iter().map(|p| p.at).collect();
    assert_eq!(places, ["/headers/x/0", "/body/t"]);
    let large = "x".repeat(expr::OUTPUT_LIMIT);
    let context = json!({"input": {"file": {"base64": large}}});
    let sent = |bytes: &str| {
        let config = json!({"url": "https://h", "multipart": {"a": bytes, "b": [bytes]}});
        render(&node(config), &context).map(|request| crate::value::json_len(&request.body.unwrap()))
    };
    assert!(sent("{{ input.file }}").unwrap() > 2 * expr::OUTPUT_LIMIT, "it is only passed on");
    assert!(sent("{{ input.file.base64 ~ '' }}").is_err());
}

#[test]
fn one_body_is_sent_and_it_is_of_its_form() {
    for (config, expected) in [
        (
            json!({"body": 1, "form": {}, "bytes": "YQ=="}),
            &["form conflicting_body", "bytes conflicting_body"][..],
        ),
        (json!({"json": 1, "text": "x"}), &["text conflicting_body"]),
        (json!({"form": [1]}), &["form invalid_body"]),
        (json!({"form": "a=1&b={{ input.x }}"}), &["form invalid_body"]),
        (
            json!({"form": {"f": {"base64": "YQ=="}, "l": ["a", {"base64": "YQ=="}]}}),
            &["form.f invalid_body", "form.l[1] invalid_body"],
        ),
        (json!({"multipart": 5}), &["multipart invalid_body"]),
        (
            json!({"multipart": {"f": {"base64": "a%"}, "g": [{"base64": "abcde"}]}}),
            &["multipart.f.base64 invalid_body", "multipart.g[0].base64 invalid_body"],
        ),
        (json!({"bytes": 5}), &["bytes invalid_body"]),
        (json!({"bytes": {"type": "image/png"}}), &["bytes invalid_body"]),
        (json!({"bytes": "not base64!"}), &["bytes invalid_body"]),
        (json!({"text": {"a": 1}}), &["text invalid_body"]),
        (
            json!({"multipart": {}, "headers": {"Content-Type": "text/plain"}}),
            &["headers.Content-Type invalid_header"],
        ),
        (
            json!({"multipart": {}, "headers": {"content-type": "multipart/form-data; boundary=x"}}),
            &["headers.content-type invalid_header"],
        ),
        (json!({"body": {"form": 1, "bytes": [2]}}), &[]),
        (json!({"form": "{{ input.fields }}"}), &[]),
        (
            json!({"multipart": {"f": "{{ input.file }}", "o": {"a": {"base64": 1}}}, "headers": {"content-type": "multipart/related"}}),
            &[],
        ),
        (json!({"bytes": "aGV\nsbG8"}), &[]),
        (json!({"bytes": {"base64": "{{ input.x }}", "type": "image/png"}}), &[]),
        (json!({"bytes": "secret://blob"}), &[]),
        (json!({"text": "x", "headers": {"content-type": "text/xml"}}), &[]),
    ] {
        let mut whole = config.clone();
        whole["url"] = json!("https://h");
        let found: Vec<String> =
            problems(whole).into_iter().map(|(field, code)| format!("{field} {code}")).collect();
        assert_eq!(found, expected, "{config}");
    }
}

#[test]
fn headers_that_cannot_be_sent_are_told_with_their_places() {
    let headers = json!({
        "a b": "x", ":path": "x", "": "x", "ok": ["a", 1, true], "é": "x",
        "line": "a\r\nb: c", "lines": ["a", "b\n"], "zero": "a\u{0}", "del": "{{ input.x }}\u{7f}",
        "none": null, "deep": [["a"]], "object": {"a": 1}, "block": "{{ input.x }}\n", "tab": "a\tb", "word": "é",
        "Transfer-Encoding": "chunked", "Content-Length": 5, "Connection": "close", "HTTP2-Settings": "x",
    });
    let found: Vec<String> = problems(json!({"url": "https://h", "headers": headers}))
        .into_iter()
        .map(|(field, code)| format!("{field} {code}"))
        .collect();
    let expected = [
        "headers.a b invalid_header",
        "headers.:path invalid_header",
        "headers. invalid_header",
        "headers.é invalid_header",
        "headers.line invalid_header",
        "headers.lines[1] invalid_header",
        "headers.zero invalid_header",
        "headers.del invalid_header",
        "headers.none invalid_header",
        "headers.deep[0] invalid_header",
        "headers.object invalid_header",
        "headers.Transfer-Encoding reserved_header",
        "headers.Content-Length reserved_header",
        "headers.Connection reserved_header",
        "headers.HTTP2-Settings reserved_header",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_is_one_by_its_fields_alone() {
    for (value, is) in [
        (json!({"base64": "YQ=="}), true),
        (json!({"base64": "YQ==", "type": "a/b", "name": "n", "size": 1}), true),
        (json!({"text": "x", "name": "n"}), true),
        (json!({"text": "x"}), false),
        (json!({"base64": "YQ==", "other": 1}), false),
        (json!({"base64": 1}), false),
        (json!({"base64": "", "text": "", "name": ""}), false),
        (json!("YQ=="), false),
    ] {
        assert_eq!(file(&value).is_some(), is, "{value}");
    }
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
