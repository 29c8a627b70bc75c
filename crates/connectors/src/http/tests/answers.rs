//! What becomes of an answer's bytes: all of it, or a failure that says why not and carries what came.

use super::*;
use crate::{
    http::answer,
    secret::{Scrub, Secret},
};
use callboard_core::request::Template;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let one = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let body = Bytes::copy_from_slice(body);
    Response { status, headers: headers.iter().map(one).collect(), body, held: Held::default() }
}

fn node(config: Value) -> Template {
    let mut whole = json!({"url": "https://h"});
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn read(config: Value, status: u16, kind: &str, body: &[u8]) -> Result<Value, CallError> {
    let headers = [("content-type", kind)];
    let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
    answer::output(&node(config), &response(status, headers, body), &Scrub::default())
        .map(|output| output["body"].clone())
}

#[test]
fn a_body_is_what_its_type_says() {
    for (kind, body, expected) in [
        ("text/plain; charset=ISO-8859-1", &b"caf\xe9 \xf1"[..], json!("café ñ")),
        ("Text/Plain;CharSet=\"iso-8859-15\"", b"\xa4", json!("€")),
        ("text/plain", "café".as_bytes(), json!("café")),
        ("text/plain", b"\xff\xfeh\0\xe9\0", json!("hé")),
        ("text/csv; charset=utf-8", b"\xef\xbb\xbfa;b", json!("a;b")),
        ("text/html", b"<meta charset=windows-1251>\xcf", json!("<meta charset=windows-1251>П")),
        (
            "application/xml",
            b"<?xml encoding='latin1'?><a>\xe9</a>",
            json!("<?xml encoding='latin1'?><a>é</a>"),
        ),
        ("application/json;charset=ISO-8859-15", b"{\"name\":\"caf\xe9\"}", json!({"name": "café"})),
        ("application/json", b"\xef\xbb\xbf{\"ok\":true}", json!({"ok": true})),
        ("application/json", b"\xff\xfe[\x001\0]\0", json!([1])),
        ("application/json; charset=utf-16", b"\0[\x001\0]", json!([1])),
        ("application/problem+json", b"{\"title\":\"x\"}", json!({"title": "x"})),
        ("text/json", b"[1.0,18446744073709551615,-0.0]", json!([1.0, u64::MAX, -0.0])),
        ("application/json", b"", Value::Null),
        ("application/json", b" \r\n", Value::Null),
        ("application/json", b"null", Value::Null),
        ("application/json", b"\"caf\\u00e9\"", json!("café")),
        ("application/x-ndjson", b"{}\n{}\n", json!("{}\n{}\n")),
        ("image/svg+xml", b"<svg/>", json!("<svg/>")),
        ("", b"hello", json!("hello")),
        ("", b"{\"a\":1}", json!("{\"a\":1}")),
        ("application/vnd.nobody", b"plain\ttext\n", json!("plain\ttext\n")),
        ("image/png", b"\0\x01\xff", json!({"base64": "AAH/", "type": "image/png", "size": 3})),
        ("application/pdf", b"%PDF", json!({"base64": "JVBERg==", "type": "application/pdf", "size": 4})),
        (
            "application/octet-stream",
            b"a",
            json!({"base64": "YQ==", "type": "application/octet-stream", "size": 1}),
        ),
        ("", b"\xff\xd8", json!({"base64": "/9g=", "type": "application/octet-stream", "size": 2})),
        (
            "application/vnd.nobody",
            b"a\0b",
            json!({"base64": "YQBi", "type": "application/vnd.nobody", "size": 3}),
        ),
        ("image/png", b"", Value::Null),
    ] {
        assert_eq!(read(json!({}), 200, kind, body), Ok(expected), "{kind} {body:?}");
    }
    let all: Vec<u8> = (0..=255).collect();
    let body = read(json!({}), 200, "image/png", &all).unwrap();
    use base64::{Engine, prelude::BASE64_STANDARD};
    assert_eq!(BASE64_STANDARD.decode(body["base64"].as_str().unwrap()).unwrap(), all);
}

#[test]
fn what_a_body_is_not_is_a_failure_that_says_why() {
    for (kind, body, code, told, retryable) in [
        ("text/plain", &b"caf\xe9"[..], "http_undecodable", "not UTF-8: byte 3 (0xE9)", false),
        ("text/plain; charset=utf-8", b"\xc3", "http_undecodable", "not UTF-8: byte 0 (0xC3)", false),
        ("text/plain; charset=utf-16le", b"\0\xd8", "http_undecodable", "UTF-16LE", false),
        ("text/plain; charset=us-ascii", b"\xc3\xa9", "http_undecodable", "US-ASCII: byte 0", false),
        ("text/plain; charset=x-klingon", b"\xc3\xa9", "http_undecodable", "`x-klingon` is not known", false),
        ("application/json", b"{\"a\":\"\xe9\"}", "http_undecodable", "not UTF-8: byte 6", false),
        ("application/json", b"\xef\xbb\xbf{\"a\":\"\xff\"}", "http_undecodable", "byte 9", false),
        ("application/json", b"<html>", "http_invalid_json", "line 1, column 1", false),
        ("application/json", b"NaN", "http_invalid_json", "not JSON", false),
        ("application/json", b"[1e400]", "http_invalid_json", "out of range", false),
        ("application/json", b"OK", "http_invalid_json", "not JSON", false),
        ("application/json", b"{\"a\":1} x", "http_invalid_json", "column 9", false),
        ("application/json", b"\"\\ud83d\"", "http_invalid_json", "not JSON", false),
        ("application/ld+json", b"{'a': 1}", "http_invalid_json", "not JSON", false),
        // The rest may come the next time.
        ("application/json", b"{\"half\": \"of an", "http_invalid_json", "EOF", true),
    ] {
        let error = read(json!({}), 200, kind, body).unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable), "{kind} {body:?}: {error:?}");
        assert!(error.message.contains(told), "{kind} {body:?}: {}", error.message);
        assert_eq!(error.details.unwrap()["status"], 200, "{kind}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    let error = read(json!({}), 200, "application/json", deep.as_bytes()).unwrap_err();
    assert_eq!(error.code, "http_too_large");
    let large = vec![0_u8; 13 << 20];
    assert_eq!(read(json!({}), 200, "image/png", &large).unwrap_err().code, "http_too_large");
}

#[test]
fn a_definition_may_know_better() {
    for (answer, kind, body, expected) in [
        (json!({"as": "text"}), "application/json", &b"<html>"[..], json!("<html>")),
        (json!({"as": "json"}), "text/plain", b"{\"a\":1}", json!({"a": 1})),
        (json!({"as": "text"}), "application/octet-stream", b"hi", json!("hi")),
        (
            json!({"as": "bytes"}),
            "text/plain",
            b"hi",
            json!({"base64": "aGk=", "type": "text/plain", "size": 2}),
        ),
        (json!({"charset": "iso-8859-1"}), "text/plain", b"caf\xe9", json!("café")),
        (json!({"charset": "utf-8"}), "application/json; charset=latin1", "\"é\"".as_bytes(), json!("é")),
    ] {
        assert_eq!(read(json!({"answer": answer}), 200, kind, body), Ok(expected), "{answer} {kind}");
    }
    let error = read(json!({"answer": {"as": "json"}}), 200, "text/plain", b"no").unwrap_err();
    assert_eq!(error.code, "http_invalid_json");
}

#[test]
fn a_failing_status_keeps_its_failure_and_what_came() {
    for (status, kind, body, kept) in [
        (404, "application/json", &b"{\"error\":\"gone\"}"[..], json!({"error": "gone"})),
        (502, "application/json", b"<html>502</html>", json!("<html>502</html>")),
        (500, "text/plain; charset=latin1", b"caf\xe9", json!("café")),
        (500, "", b"", Value::Null),
        (
            500,
            "text/plain",
            b"\xff\xff\xff\x01",
            json!({"base64": "////AQ==", "type": "text/plain", "size": 4}),
        ),
        (400, "image/png", b"\0", json!({"base64": "AA==", "type": "image/png", "size": 1})),
    ] {
        let error = read(json!({}), status, kind, body).unwrap_err();
        assert_eq!(error.code, "http_status", "{status} {kind}");
        let details = error.details.unwrap();
        assert_eq!((&details["status"], &details["body"]), (&json!(status), &kept), "{kind}");
        assert_eq!(details.get("cut"), None);
    }
    // One that is expected is an output, whatever its page is.
    let expects = json!({"expect": [200, 404]});
    assert_eq!(read(expects.clone(), 404, "application/json", b"<html>"), Ok(json!("<html>")));
    assert_eq!(read(expects.clone(), 404, "application/json", b"{}"), Ok(json!({})));
    assert_eq!(read(expects, 200, "application/json", b"<html>").unwrap_err().code, "http_invalid_json");
}

#[test]
fn what_a_failure_carries_is_bounded_and_has_no_secrets() {
    let secret = Secret::new("s3cr3t-value");
    let scrub = Scrub::new([&secret]);
    let long = "h".repeat(5000);
    let mut headers = vec![
        ("content-type", "text/plain"),
        ("X-Request-Id", "r-1"),
        ("set-cookie", "session=abc"),
        ("x-echo", "s3cr3t-value"),
        ("x-long", &long),
    ];
    let names: Vec<String> = (0..100).map(|n| format!("x-{n}")).collect();
    headers.extend(names.iter().map(|name| (name.as_str(), "v")));
    let details = |headers: &[(&str, &str)], body: &[u8]| {
        let error = answer::output(&node(json!({})), &response(500, headers, body), &scrub).unwrap_err();
        *error.details.unwrap()
    };
    let found = details(&headers, b"why: s3cr3t-value");
    assert_eq!(found["body"], "why: ***");
    let kept = found["headers"].as_object().unwrap();
    assert_eq!(
        (&kept["x-request-id"], &kept["x-echo"], kept.get("set-cookie")),
        (&json!("r-1"), &json!("***"), None)
    );
    assert_eq!((kept.len(), kept["x-long"].as_str().unwrap().len()), (64, 1024));
    // The value stands across the end of what is kept.
    let mut body = "é".repeat((answer::KEPT_BODY - 6) / 2).into_bytes();
    body.extend_from_slice(b"s3cr3t-value and more");
    let found = details(&[("content-type", "text/plain")], &body);
    let text = found["body"].as_str().unwrap();
    assert!(!text.contains("s3c") && text.ends_with("*** an"), "{:?}", &text[text.len() - 20..]);
    assert_eq!(found["cut"], true);
    let found = details(&[("content-type", "image/png")], &vec![1; 100_000]);
    assert_eq!((&found["body"]["size"], &found["cut"]), (&json!(100_000), &json!(true)));
    let many = format!("[{}0]", "0,".repeat(10_000));
    let found = details(&[("content-type", "application/json")], many.as_bytes());
    assert_eq!(found["body"], many, "so many values are told as a text");
    let output = response(200, &[("content-type", "text/plain; charset=utf-16le")], b"x\0");
    assert_eq!(answer::output(&node(json!({})), &output, &scrub).unwrap()["body"], "x");
    let wide: Vec<u8> = "a s3cr3t-value b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let output = response(200, &[("content-type", "text/plain; charset=utf-16le")], &wide);
    assert_eq!(answer::output(&node(json!({})), &output, &scrub).unwrap()["body"], "a *** b");
}

#[test]
fn a_secret_is_taken_out_also_where_it_stands_in_another_charset_than_the_rest() {
    let secret = Secret::new("pässwörd-À-1");
    let scrub = Scrub::new([&secret]);
    let read = |kind: &str, body: &[u8]| {
        let response = response(200, &[("content-type", kind)], body);
        answer::output(&node(json!({})), &response, &scrub).unwrap()["body"].clone()
    };
    let latin = b"you sent p\xe4ssw\xf6rd-\xc0-1 to us";
    let utf8 = "you sent pässwörd-À-1 to us".as_bytes();
    for kind in ["text/plain", "text/plain; charset=latin1", "text/plain; charset=utf-8"] {
        assert_eq!(read(kind, latin), "you sent *** to us", "{kind}");
        assert_eq!(read(kind, utf8), "you sent *** to us", "{kind}");
    }
    let quoted = |bytes: &[u8]| [b"\"", bytes, b"\""].concat();
    for kind in ["application/json", "application/json; charset=windows-1252"] {
        assert_eq!(read(kind, &quoted(latin)), "you sent *** to us", "{kind}");
        assert_eq!(read(kind, &quoted(utf8)), "you sent *** to us", "{kind}");
    }
}

#[test]
fn headers_are_texts_without_loss() {
    let mut response = response(200, &[("x-a", "one"), ("x-a", "two")], b"");
    response.headers.insert("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    response.headers.insert("x-utf", HeaderValue::from_bytes("é€".as_bytes()).unwrap());
    response.headers.insert(
        "content-disposition",
        HeaderValue::from_static("attachment; filename*=UTF-8''na%C3%AFve.bin"),
    );
    response.body = Bytes::from_static(b"\0");
    let output = answer::output(&node(json!({})), &response, &Scrub::default()).unwrap();
    let headers = &output["headers"];
    assert_eq!(
        (&headers["x-a"], &headers["x-latin"], &headers["x-utf"]),
        (&json!("one, two"), &json!("café"), &json!("é€"))
    );
    assert_eq!(output["body"]["name"], "naïve.bin");
}
