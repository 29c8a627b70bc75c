//! Every port is behind the same door: whatever a web page can make a browser send is closed, on every route there is,
//! and what programs send is open.
//!
//! The routes are read from where they are made, so a new one is walked without being named here; so are the places
//! where a port is opened, so a new port fails until it is walked.

use super::{harness, none, root, sources::code, texts};
use callboard::gateway::{ROUTES, SOCKETS};
use harness::{Callboard, Launch, Process, eventually, free_port, scratch};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{
    codegen::Service,
    transport::{Channel, Endpoint},
};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
/// What the doors say, on the API and on the sidecar's port.
const REFUSALS: [&str; 8] = [
    "unknown_host",
    "missing_host",
    "invalid_host",
    "foreign_origin",
    "cross_site",
    "ERR_HOST_NOT_ALLOWED",
    "ERR_BAD_HOST",
    "ERR_ORIGIN_NOT_ALLOWED",
];
/// Where ports are opened: the API and the callbacks by one function, the sidecar's two by another.
const OPENED: [&str; 2] = ["crates/callboard/src/assembly/listener.rs", "crates/sidecar/src/embedded.rs"];
/// Ways to serve a port past the door.
const PAST: [&str; 5] =
    ["axum::serve", "serve_connection", "transport::Server", ".accept()", "serve_with_incoming"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// Returns paths and methods of a router made of `.route(PATH, get(…).post(…))`; its paths are literals, or constants
/// of another source.
fn routes_with(source: &str, constants: &str) -> Vec<(String, Vec<&'static str>)> {
    let source = code(&read(source));
    let constants = code(&read(constants));
    let found = source.split(".route(").skip(1).map(|call| {
        let call = call.trim_start();
        let path = match call.strip_prefix('"') {
            Some(literal) => literal.split('"').next().expect("a literal").to_owned(),
            None => {
                let name = call.split(',').next().expect("a path").rsplit(':').next().expect("a name");
                let (_, value) = constants.split_once(&format!("const {name}: &str = \"")).expect(name);
                value.split('"').next().expect("a literal").to_owned()
            }
        };
        let call = call.split(".layer(").next().expect("a call");
        let methods = METHODS.into_iter().filter(|method| {
            let name = method.to_ascii_lowercase();
            [format!(" {name}("), format!(".{name}("), format!("::{name}(")]
                .iter()
                .any(|way| call.contains(way))
        });
        (path, methods.collect())
    });
    found.collect()
}

/// Returns the routes of the API, from the table that its router is made of.
pub fn api_routes() -> Vec<(String, Vec<&'static str>)> {
    let paths: BTreeSet<_> = ROUTES.iter().map(|route| route.path).collect();
    let methods =
        |path: &str| ROUTES.iter().filter(|route| route.path == path).map(|route| route.method).collect();
    paths.into_iter().map(|path| (path.to_owned(), methods(path))).collect()
}

/// Fills in the parameters of paths.
fn filled(routes: Vec<(String, Vec<&'static str>)>) -> Vec<(String, Vec<&'static str>)> {
    let fill = |path: &str| -> String {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    routes.into_iter().map(|(path, methods)| (fill(&path), methods)).collect()
}

/// Returns the paths of the sidecar's HTTP API, from the patterns that it matches them with.
fn sidecar_paths() -> Vec<String> {
    let source = code(&read("crates/sidecar/src/embedded/http.rs"));
    let (_, body) = source.split_once("async fn route(").expect("the router");
    let body = body.split("\nfn health").next().expect("its end");
    let patterns =
        body.split('[').filter(|text| text.starts_with("\"v1.0") || text.trim_start().starts_with("\"v1.0"));
    let paths = patterns.map(|text| {
        let pattern = text.split(']').next().expect("a pattern");
        let parts = pattern.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "..");
        let parts = parts.map(|part| match part.split_once('"') {
            Some((_, literal)) => literal.split('"').next().expect("a literal"),
            None => "x",
        });
        format!("/{}", parts.collect::<Vec<_>>().join("/"))
    });
    paths.collect::<BTreeSet<_>>().into_iter().chain(["/".to_owned(), "/nothing/here".to_owned()]).collect()
}

/// Returns the paths of the sidecar's gRPC API, from the list of its methods.
fn grpc_paths() -> Vec<String> {
    let source = code(&read("crates/sidecar/src/embedded/grpc/service.rs"));
    let (_, list) = source.split_once("service! {\n").expect("the list of methods");
    let names = list.lines().filter_map(|line| line.split_once("(")).map(|(name, _)| name.trim());
    let names =
        names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let path = |name: &str| {
        let words = name.split('_').map(|word| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]));
        format!("/dapr.proto.runtime.v1.Dapr/{}", words.collect::<String>())
    };
    names.map(path).collect()
}

/// Sends a request as it is written; returns status and the rest of the answer.
async fn raw(at: SocketAddr, line: &str, headers: &str, body: &str) -> (u16, String) {
    let sent = async {
        let mut socket = TcpStream::connect(at).await?;
        let length = body.len();
        let text = format!(
            "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), sent).await.expect("an answer in time");
    let answer = answer.map_err(|error| format!("{line} {headers:?}: {error}")).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}

/// What a page can make a browser send, and what it gets.
fn foreign(at: SocketAddr) -> Vec<(String, u16)> {
    let own = format!("Host: {at}\r\n");
    vec![
        ("Host: evil.example\r\n".into(), 421),
        (format!("Host: {at}.evil.example\r\n"), 400),
        ("Host: localhost.evil.example\r\n".into(), 421),
        (String::new(), 400),
        (format!("{own}{own}"), 400),
        (format!("{own}Host: evil.example\r\n"), 400),
        (format!("{own}Origin: https://evil.example\r\n"), 403),
        (format!("{own}Origin: null\r\nContent-Type: text/plain\r\n"), 403),
        (
            format!("{own}Origin: http://localhost:1\r\nContent-Type: application/x-www-form-urlencoded\r\n"),
            403,
        ),
        (format!("{own}Sec-Fetch-Site: cross-site\r\n"), 403),
        (format!("{own}Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403),
        (format!("{own}Referer: http://evil.example/page\r\n"), 403),
    ]
}

/// Walks paths of a port; returns what is open and should not be, and the other way round.
async fn walk(at: SocketAddr, paths: &[(String, Vec<&'static str>)], programs: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, methods) in paths {
        for method in methods {
            let line = format!("{method} {path}");
            for (headers, expected) in foreign(at) {
                let (status, answer) = raw(at, &line, &headers, "").await;
                if status != expected || !REFUSALS.iter().any(|code| answer.contains(code)) {
                    wrong.push(format!("{line} {headers:?} is answered {answer:?}"));
                }
                let answer = answer.to_ascii_lowercase();
                if !answer.contains("x-content-type-options: nosniff")
                    || !answer.contains("cross-origin-resource-policy: same-origin")
                {
                    wrong.push(format!("{line}: no headers for browsers: {answer:?}"));
                }
            }
            for headers in programs {
                let (status, answer) = raw(at, &line, headers, "").await;
                // The description of the API names the codes and is none of them.
                let is_refused = status >= 400 && REFUSALS.iter().any(|code| answer.contains(code));
                if status == 0 || is_refused {
                    wrong.push(format!("{line} {headers:?} is refused: {answer:?}"));
                }
            }
        }
    }
    wrong
}

/// What curl, SDKs and daprd send.
fn programs_at(at: SocketAddr) -> Vec<String> {
    let port = at.port();
    vec![
        format!("Host: {at}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"),
        format!("Host: localhost:{port}\r\nUser-Agent: dapr-sdk/1.0\r\nAccept-Encoding: gzip\r\n"),
        format!(
            "Host: 127.0.0.1:{port}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Type: application/json\r\n"
        ),
        format!("Host: {at}\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n"),
        format!("Host: {at}\r\nOrigin: http://{at}\r\nSec-Fetch-Site: same-origin\r\n"),
    ]
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}

/// What is posted there has a language, which is said by the content type.
const TAKES_A_DEFINITION: [&str; 3] =
    ["/api/v1/workflows", "/api/v1/workflows/check", "/api/v1/workflows/import"];

#[tokio::test]
async fn no_page_reaches_a_route_of_the_api() {
    let callboard = Callboard::dev([""; 0]).await;
    let at = address(&callboard.url);
    let mut paths = filled(api_routes());
    paths.extend(SOCKETS.map(|path| (path.to_owned(), vec!["GET"])));
    assert!(paths.len() > 15 && paths.iter().all(|(_, methods)| !methods.is_empty()), "{paths:?}");
    let mut wrong = walk(at, &paths, &programs_at(at)).await;
    for (path, methods) in &paths {
        for method in methods.iter().filter(|method| **method != "GET") {
            for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
            {
                let headers = format!("Host: {at}\r\nContent-Type: {kind}\r\n");
                for body in ["", "a=b"] {
                    let (status, answer) = raw(at, &format!("{method} {path}"), &headers, body).await;
                    if status != 415 {
                        wrong.push(format!("{method} {path} {kind} {body:?} is answered {answer:?}"));
                    }
                }
            }
            let (status, answer) = raw(at, &format!("{method} {path}"), &format!("Host: {at}\r\n"), "").await;
            if status == 415 && *method != "PUT" && !TAKES_A_DEFINITION.contains(&&**path) {
                wrong.push(format!("a plain {method} {path} is answered {answer:?}"));
            }
        }
    }
    none(wrong);
}

#[tokio::test]
async fn no_page_reaches_a_route_of_the_sidecar() {
    let callboard = Callboard::dev([""; 0]).await;
    let at = SocketAddr::from(([127, 0, 0, 1], callboard.dapr_http_port));
    let paths: Vec<_> = sidecar_paths().into_iter().map(|path| (path, METHODS.to_vec())).collect();
    assert!(paths.len() > 18, "{paths:?}");
    let mut programs = programs_at(at);
    // What `curl -d` says, and SDKs that send text.
    programs.push(format!("Host: {at}\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    programs.push(format!("Host: {at}\r\nContent-Type: text/plain\r\n"));
    none(walk(at, &paths, &programs).await);
}

#[tokio::test]
async fn no_page_reaches_a_route_of_the_callbacks() {
    let folder = scratch();
    let port = free_port();
    let launch = Launch::new("serve", harness::callboard())
        .args(["serve", "--role", "all", "--listen", "127.0.0.1:0", "--app-port", &port.to_string()])
        .env("CALLBOARD__CATALOG__URL", format!("sqlite:{}", folder.path().join("c.db").display()))
        // Nobody is there.
        .env("DAPR_GRPC_ENDPOINT", "http://127.0.0.1:9")
        .env("DAPR_HTTP_ENDPOINT", "http://127.0.0.1:9")
        .dir(folder.path());
    let _process = Process::start(launch, folder.path());
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    eventually(Duration::from_secs(30), || async { TcpStream::connect(at).await.map(drop) }).await;
    let paths = filled(routes_with("actors/src/host/mod.rs", "actors/src/host/topics.rs"));
    assert!(paths.len() > 9 && paths.iter().all(|(_, methods)| !methods.is_empty()), "{paths:?}");
    let programs = programs_at(at);
    // A call of an actor would wait for the sidecar that is not there; that it passes is seen on the others.
    let (calls, others): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|(path, _)| path.contains("/method/"));
    let mut wrong = walk(at, &calls, &[]).await;
    wrong.extend(walk(at, &others, &programs).await);
    none(wrong);
}

/// Calls a gRPC method with an empty message; returns its status, and what is said with it.
async fn call(channel: &mut Channel, path: &str, headers: &[(&str, &str)]) -> (Option<tonic::Code>, String) {
    let mut request =
        http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = tonic::body::Body::new(axum::body::Body::from(vec![0; 5]));
    let answer = async {
        std::future::poll_fn(|cx| channel.poll_ready(cx)).await.expect("a connection");
        channel.call(request.body(body).expect("a request")).await.expect("an answer")
    };
    // A stream that waits for us is one that is open.
    let Ok(answer) = tokio::time::timeout(Duration::from_secs(5), answer).await else {
        return (None, String::new());
    };
    match tonic::Status::from_header_map(answer.headers()) {
        Some(status) => (Some(status.code()), status.message().to_owned()),
        None => (None, String::new()),
    }
}

#[tokio::test]
async fn no_page_reaches_a_method_of_the_sidecars_grpc() {
    let callboard = Callboard::dev([""; 0]).await;
    let port = callboard.dapr_grpc_port;
    let channel = |origin: String| async move {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
        endpoint.origin(origin.parse().expect("an origin")).connect().await.expect("a connection")
    };
    let mut own = channel(format!("http://localhost:{port}")).await;
    let mut evil = channel("http://evil.example".to_owned()).await;
    let paths = grpc_paths();
    assert!(paths.len() > 80, "{paths:?}");
    let mut wrong = Vec::new();
    for path in &paths {
        let mut refused = vec![call(&mut evil, path, &[]).await];
        for sent in
            [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example")]
        {
            refused.push(call(&mut own, path, &[sent]).await);
        }
        for (code, message) in refused {
            if code != Some(tonic::Code::PermissionDenied) || !message.contains("server.") {
                wrong.push(format!("{path} is answered {code:?} {message}"));
            }
        }
        let (_, message) = call(&mut own, path, &[]).await;
        if message.contains("server.") {
            wrong.push(format!("{path} is refused: {message}"));
        }
    }
    none(wrong);
}

#[test]
fn every_port_is_opened_where_it_is_walked_and_served_behind_the_door() {
    let ours = |path: &str| {
        let product = path.starts_with("crates/") || path.starts_with("actors/");
        let test = path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/examples/");
        product && !test && path.contains("/src/") && path.ends_with(".rs")
    };
    let (mut wrong, mut opened) = (Vec::new(), BTreeSet::new());
    for source in texts(ours) {
        let code = code(&source.text);
        if ["TcpListener::bind", "UnixListener::bind", "TcpSocket::"].iter().any(|way| code.contains(way)) {
            opened.insert(source.path.clone());
        }
        if !source.path.starts_with("crates/listener/") {
            let past = PAST.iter().filter(|way| code.contains(**way));
            wrong.extend(past.map(|way| format!("{} serves past the door: {way}", source.path)));
        }
    }
    none(wrong);
    assert_eq!(opened, OPENED.map(str::to_owned).into(), "a port that no test above walks");
}
