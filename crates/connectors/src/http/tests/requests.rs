//! What goes out: URLs, headers and bodies in their forms, as a server sees them.

use super::*;
use crate::http::node::{self, Call};
use axum::{extract::Request as Incoming, response::IntoResponse, routing::any};
use base64::{Engine, prelude::BASE64_STANDARD};
use callboard_core::request::{self, Template};
use serde_json::{Value, json};

/// Says what came: the URI, the headers with all their values, and the body in base64.
async fn tell(request: Incoming) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers = serde_json::Map::new();
    for name in parts.headers.keys() {
        let values: Vec<String> = parts.headers.get_all(name).iter().map(text).collect();
        headers.insert(name.to_string(), values.into());
    }
    axum::Json(
        json!({"uri": parts.uri.to_string(), "headers": headers, "body": BASE64_STANDARD.encode(&body)}),
    )
}

struct Site {
    guarded: Guarded,
    url: String,
    seen: Arc<AtomicUsize>,
}

/// What a server saw.
struct Seen(Value);

impl Seen {
    fn header(&self, name: &str) -> Vec<&str> {
        let values = self.0["headers"][name].as_array();
        values.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn body(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(self.0["body"].as_str().unwrap()).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }
}

impl Site {
    async fn start() -> Self {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let app = Router::new().fallback(any(move |request: Incoming| {
            count.fetch_add(1, Ordering::SeqCst);
            tell(request)
        }));
        let server = serve(app).await;
        let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
        Self { guarded, url: format!("http://{server}"), seen }
    }

    /// Renders and performs; `url` stands behind the server's own.
    async fn send(&self, config: Value, input: Value) -> Result<Seen, CallError> {
        let mut whole = json!({"method": "POST", "url": format!("{}/", self.url)});
        for (name, value) in config.as_object().unwrap() {
            whole[name] = match (name.as_str(), value) {
                ("url", Value::String(path)) => format!("{}{path}", self.url).into(),
                (_, value) => value.clone(),
            };
        }
        let node: Template = serde_json::from_value(whole).unwrap();
        let request = request::render(&node, &json!({"input": input}))
            .map_err(|e| CallError::permanent("template_error", e.to_string()))?;
        // As it is recorded and read again.
        let request = serde_json::from_value(serde_json::to_value(request).unwrap()).unwrap();
        let call = Call {
            node: &node,
            request: &request,
            secrets: &Default::default(),
            idempotency_key: "run/step/1",
            timeout: None,
        };
        let secrets = BTreeMap::from([("tok".to_owned(), crate::secret::Secret::new("t0p&s3cret"))]);
        let answer = node::perform(&self.guarded, &secrets, call).await?;
        Ok(Seen(answer.output["body"].clone()))
    }
}

#[tokio::test]
async fn a_body_goes_out_in_its_form_with_its_type() {
    let site = Site::start().await;
    let file = json!({"base64": "AAH/", "type": "image/png", "size": 3});
    let input = json!({"x": "a b&c=d/é", "n": 1.0, "list": [1, "two", null, true], "none": null, "file": file, "o": {"k": [1]}});
    for (config, kind, body) in [
        (json!({"body": {"n": "{{ input.n }}"}}), "application/json", "{\"n\":1.0}"),
        (json!({"body": "{{ input.x }}!"}), "text/plain; charset=utf-8", "a b&c=d/é!"),
        (json!({"body": "{{ input.list }}"}), "application/json", "[1,\"two\",null,true]"),
        (json!({"json": "{{ input.x }}"}), "application/json", "\"a b&c=d/é\""),
        (json!({"json": "{{ input.none }}"}), "application/json", "null"),
        (json!({"json": [1.0, "{{ input.n }}"]}), "application/json", "[1.0,1.0]"),
        (json!({"text": "{{ input.x }}"}), "text/plain; charset=utf-8", "a b&c=d/é"),
        (json!({"text": "{{ input.o }}"}), "text/plain; charset=utf-8", "{\"k\":[1]}"),
        (
            json!({"form": {"a b": "{{ input.x }}", "n": "{{ input.n }}", "l": "{{ input.list }}", "no": "{{ input.none }}", "e": "", "o": {"k": 1}}}),
            "application/x-www-form-urlencoded",
            "a+b=a+b%26c%3Dd%2F%C3%A9&n=1.0&l=1&l=two&l=true&e=&o=%7B%22k%22%3A1%7D",
        ),
        (json!({"form": "{{ input.o }}"}), "application/x-www-form-urlencoded", "k=1"),
        (json!({"form": {"t": "secret://tok"}}), "application/x-www-form-urlencoded", "t=***"),
        (json!({"bytes": "aGV sbG8"}), "application/octet-stream", "hello"),
        (json!({"bytes": "aGVsbG8=\n"}), "application/octet-stream", "hello"),
        (json!({"bytes": {"base64": "aGk_", "type": "text/x-q"}}), "text/x-q", "hi?"),
        (json!({"headers": {"Content-Type": "application/xml"}, "text": "<a/>"}), "application/xml", "<a/>"),
        (
            json!({"headers": {"content-type": "application/vnd.x+json"}, "body": {}}),
            "application/vnd.x+json",
            "{}",
        ),
        (json!({"headers": {"content-type": "application/x-q"}, "form": {"a": 1}}), "application/x-q", "a=1"),
    ] {
        let seen = site.send(config.clone(), input.clone()).await.unwrap();
        let is_secret = body.contains("***");
        let found = if is_secret { seen.text().replace("t0p%26s3cret", "***") } else { seen.text() };
        assert_eq!((seen.header("content-type"), found.as_str()), (vec![kind], body), "{config}");
    }
    let seen = site.send(json!({"bytes": "{{ input.file }}"}), input.clone()).await.unwrap();
    assert_eq!((seen.header("content-type"), seen.body()), (vec!["image/png"], vec![0, 1, 255]));
    for nothing in [
        json!({}),
        json!({"body": "{{ input.none }}"}),
        json!({"bytes": "{{ input.none }}"}),
        json!({"text": ""}),
    ] {
        let seen = site.send(nothing.clone(), input.clone()).await.unwrap();
        assert_eq!((seen.header("content-type").len(), seen.body().len()), (0, 0), "{nothing}");
    }
}

#[tokio::test]
async fn a_text_is_written_in_the_charset_that_the_definition_names() {
    let site = Site::start().await;
    let send = async |kind: &str, text: &str| {
        site.send(json!({"headers": {"content-type": kind}, "text": text}), json!({})).await
    };
    assert_eq!(send("text/plain; charset=ISO-8859-1", "café").await.unwrap().body(), b"caf\xe9");
    assert_eq!(send("text/plain; charset=utf-16le", "é").await.unwrap().body(), b"\xe9\0");
    assert_eq!(send("text/xml; charset=\"UTF-8\"", "é").await.unwrap().body(), "é".as_bytes());
    let error = send("text/plain; charset=iso-8859-1", "日").await.err().unwrap();
    assert_eq!(error.code, "http_invalid_request");
    assert!(error.message.contains("'日'"), "{}", error.message);
    assert_eq!(send("text/plain; charset=klingon", "x").await.err().unwrap().code, "http_invalid_request");
}

#[tokio::test]
async fn fields_and_files_go_out_as_parts() {
    let site = Site::start().await;
    let config = json!({"multipart": {
        "title": "{{ input.title }}",
        "tags": ["a", 2, null],
        "meta": {"deep": [1]},
        "photo": "{{ input.photo }}",
        "table": {"text": "x;y\n", "name": "t.csv", "type": "text/csv"},
        "odd\"\r\nname": {"base64": "AP8", "name": "q\"\r\n.bin"},
    }});
    let input =
        json!({"title": "Ünï", "photo": {"base64": "AAH/", "type": "image/png", "size": 3, "name": "é.png"}});
    let seen = site.send(config.clone(), input.clone()).await.unwrap();
    let kind = seen.header("content-type")[0].to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, body: &[u8]| {
        [format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), body, b"\r\n"]
            .concat()
    };
    let expected = [
        part("name=\"title\"", "Ünï".as_bytes()),
        part("name=\"tags\"", b"a"),
        part("name=\"tags\"", b"2"),
        part("name=\"meta\"\r\nContent-Type: application/json", b"{\"deep\":[1]}"),
        part("name=\"photo\"; filename=\"é.png\"\r\nContent-Type: image/png", &[0, 1, 255]),
        part("name=\"table\"; filename=\"t.csv\"\r\nContent-Type: text/csv", b"x;y\n"),
        part(
            "name=\"odd%22%0D%0Aname\"; filename=\"q%22%0D%0A.bin\"\r\nContent-Type: application/octet-stream",
            &[0, 255],
        ),
        format!("--{boundary}--\r\n").into_bytes(),
    ];
    let (found, expected) = (seen.body(), expected.concat());
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(show(&found), show(&expected));
    assert_eq!(found, expected);
    // A repetition is the same call.
    assert_eq!(site.send(config, input).await.unwrap().body(), found);
    let own = json!({"headers": {"Content-Type": "multipart/mixed"}, "multipart": {"a": 1}});
    let seen = site.send(own, json!({})).await.unwrap();
    assert!(seen.header("content-type")[0].starts_with("multipart/mixed; boundary=callboard-"));
}

#[tokio::test]
async fn parameters_stand_behind_those_of_the_url_and_repeat_for_lists() {
    let site = Site::start().await;
    let input = json!({"x": "a b&c=d+e#/?é", "list": ["x", 2, null, true], "none": null});
    for (url, query, expected) in [
        ("/p", json!({"q": "{{ input.x }}"}), "/p?q=a%20b%26c%3Dd%2Be%23%2F%3F%C3%A9"),
        ("/p?a=1", json!({"b": 2}), "/p?a=1&b=2"),
        ("/p?a=1&", json!({"b": 2}), "/p?a=1&b=2"),
        ("/p?", json!({"b": 2}), "/p?b=2"),
        ("/p?a=x%2Fy+z", json!({"a": "again"}), "/p?a=x%2Fy+z&a=again"),
        ("/p#frag", json!({"b": 2}), "/p?b=2"),
        ("/p", json!({"l": "{{ input.list }}", "e": []}), "/p?l=x&l=2&l=true"),
        ("/p", json!({"no": "{{ input.none }}"}), "/p"),
        ("/p", json!({"a b&": "", "o": {"k": "v w"}}), "/p?a%20b%26=&o=%7B%22k%22%3A%22v%20w%22%7D"),
        ("/p?t={{ input.x }}", json!({}), "/p?t=a%20b%26c%3Dd%2Be%23%2F%3F%C3%A9"),
    ] {
        let seen = site.send(json!({"url": url, "query": query}), input.clone()).await.unwrap();
        assert_eq!(seen.0["uri"], expected, "{url} {query}");
    }
}

#[tokio::test]
async fn headers_may_have_several_values_and_none_that_breaks_out() {
    let site = Site::start().await;
    let headers = json!({"X-Many": ["a", 2, true], "x-none": "{{ input.none }}", "x-é": "é"});
    let mut fine = headers.clone();
    fine.as_object_mut().unwrap().remove("x-é");
    fine["x-utf"] = json!("{{ input.word }}");
    let seen = site.send(json!({"headers": fine}), json!({"none": null, "word": "é"})).await.unwrap();
    assert_eq!(seen.header("x-many"), ["a", "2", "true"]);
    assert_eq!((seen.header("x-none").len(), seen.header("x-utf")), (0, vec!["é"]));
    let sent = site.seen.load(Ordering::SeqCst);
    for (headers, input) in [
        (headers, json!({"none": null})),
        (json!({"x": "{{ input.v }}"}), json!({"v": "a\r\nEvil: 1"})),
        (json!({"x": "{{ input.v }}"}), json!({"v": "a\n"})),
        (json!({"x": "{{ input.v }}!"}), json!({"v": "a\u{0}b"})),
        (json!({"x": ["fine", "{{ input.v }}"]}), json!({"v": "\u{7f}"})),
        (json!({"Host": "{{ input.v }}"}), json!({"v": "evil"})),
        (json!({"content-length": "{{ input.v }}"}), json!({"v": 1})),
        (json!({":authority": "{{ input.v }}"}), json!({"v": "evil"})),
        (json!({"a b": "{{ input.v }}"}), json!({"v": "evil"})),
    ] {
        let error = site.send(json!({"headers": headers}), input).await.err().unwrap();
        assert_eq!(error.code, "http_invalid_request", "{headers}: {}", error.message);
    }
    for (body, input) in [
        (json!({"bytes": "{{ input.v }}"}), json!({"v": "not base64!"})),
        (json!({"bytes": "{{ input.v }}"}), json!({"v": {"text": "x"}})),
        (json!({"form": "{{ input.v }}"}), json!({"v": "a=1"})),
        (json!({"multipart": {"f": "{{ input.v }}"}}), json!({"v": {"base64": "%"}})),
        (json!({"multipart": {"f": "{{ input.v }}"}}), json!({"v": {"base64": "", "type": "a\r\nb"}})),
        (json!({"multipart": {}, "headers": {"content-type": "{{ input.v }}"}}), json!({"v": "text/plain"})),
    ] {
        let error = site.send(body.clone(), input).await.err().unwrap();
        assert_eq!(error.code, "http_invalid_request", "{body}: {}", error.message);
    }
    assert_eq!(site.seen.load(Ordering::SeqCst), sent, "nothing was sent");
}

#[tokio::test]
async fn what_is_only_passed_on_may_be_large() {
    let site = Site::start().await;
    let content = BASE64_STANDARD.encode(vec![7_u8; 3 << 20]);
    let input = json!({"file": {"base64": content, "type": "image/png", "size": 3 << 20}});
    let count = async |config: Value| {
        let mut config = config;
        config["max_body"] = json!(16 << 20);
        site.send(config, input.clone()).await.map(|seen| seen.body().len())
    };
    assert_eq!(count(json!({"bytes": "{{ input.file }}"})).await, Ok(3 << 20));
    assert!(count(json!({"multipart": {"f": "{{ input.file }}"}})).await.unwrap() > 3 << 20);
    assert_eq!(count(json!({"text": "{{ input.file.base64 }}!"})).await, Ok(content.len() + 1));
    let made = count(json!({"text": "{{ input.file.base64 ~ '!' }}"})).await;
    assert_eq!(made.unwrap_err().code, "template_error");
}

#[tokio::test]
async fn data_stays_in_its_place_as_the_server_sees_it() {
    let site = Site::start().await;
    for (x, path) in [
        ("../admin", "/files/..%2Fadmin/meta"),
        ("a?b#c", "/files/a%3Fb%23c/meta"),
        ("a b/c", "/files/a%20b%2Fc/meta"),
        ("%2e%2e", "/files/%252e%252e/meta"),
        ("..\\admin", "/files/..%5Cadmin/meta"),
        ("a\t\n\rb", "/files/a%09%0A%0Db/meta"),
        ("é/日", "/files/%C3%A9%2F%E6%97%A5/meta"),
        ("..;x=1", "/files/..%3Bx%3D1/meta"),
        ("//evil.com", "/files/%2F%2Fevil.com/meta"),
        ("x@evil.com:80", "/files/x%40evil.com%3A80/meta"),
    ] {
        let config = json!({"method": "GET", "url": "/files/{{ input.x }}/meta"});
        let seen = site.send(config, json!({"x": x})).await.unwrap();
        assert_eq!(seen.0["uri"], path, "{x:?}");
    }
    let sent = site.seen.load(Ordering::SeqCst);
    let hosts =
        ["@evil.com", ":80@evil.com", "/x", "\\x", "#", "?", "%2f", "\u{ff0f}x", "\u{2100}", "a b", "\t/"];
    for x in hosts {
        for url in [
            "http://api.invalid{{ input.x }}/v1",
            "http://{{ input.x }}.api.invalid/v1",
            "http://api.invalid:80{{ input.x }}/v1",
        ] {
            let node: Template = serde_json::from_value(json!({"url": url})).unwrap();
            let request = request::render(&node, &json!({"input": {"x": x}})).unwrap();
            let found = Url::parse(&request.url);
            let stays = found.as_ref().is_ok_and(|url| {
                url.host_str()
                    .is_some_and(|host| host.ends_with("api.invalid") || host.starts_with("api.invalid"))
                    && url.path() == "/v1"
                    && url.username().is_empty()
            });
            assert!(found.is_err() || stays, "{url} {x:?}: {found:?}");
        }
    }
    for x in ["https://evil.com/?", "javascript", "http://evil.com#"] {
        let node: Template =
            serde_json::from_value(json!({"url": "{{ input.x }}://api.invalid/v1"})).unwrap();
        let request = request::render(&node, &json!({"input": {"x": x}})).unwrap();
        let host = Url::parse(&request.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        assert!(host.as_deref().is_none_or(|host| host == "api.invalid"), "{x}: {host:?}");
    }
    assert_eq!(site.seen.load(Ordering::SeqCst), sent);
}
