//! The page over files of a test: which answer is the page, which a file, and which none of both.

use super::*;
use http_body_util::BodyExt;

fn files(path: &str) -> Option<File> {
    let text: &'static str = match path {
        // As a file system reads it.
        "index.html" | "assets/../index.html" => {
            "<meta nonce=\"CSP_NONCE\"><script src=\"/assets/a-1.js\" nonce=\"CSP_NONCE\"></script>"
        }
        "assets/a-1.js" => "plain",
        "assets/a-1.js.br" => "br",
        "assets/a-1.js.gz" => "gz",
        "icon.svg" => "<svg/>",
        _ => return None,
    };
    Some(Cow::Borrowed(text.as_bytes()))
}

const PAGE: Page = Page(Some(files));

fn get(page: Page, path: &str, encodings: &str) -> Option<Response> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(encodings).expect("a value"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
    page.answer(&Method::GET, path, &headers)
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("a text")
}

fn head(response: &Response, name: header::HeaderName) -> &str {
    response.headers().get(&name).map_or("", |value| value.to_str().expect("a text"))
}

#[tokio::test]
async fn every_address_of_the_page_is_the_page_with_a_nonce_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/", "/workflows/0192", "/runs/order-17", "/runs/v1.2", "/index.html", "/settings/"] {
        let response = get(PAGE, path, "br").expect(path);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(head(&response, header::CACHE_CONTROL), "no-store");
        let policy = head(&response, header::CONTENT_SECURITY_POLICY).to_owned();
        let (_, rest) = policy.split_once("style-src 'self' 'nonce-").expect("a nonce");
        let nonce = rest.split('\'').next().expect("a nonce").to_owned();
        assert_eq!(nonce.len(), 24);
        assert!(
            policy.contains("script-src 'self';") && policy.contains("require-trusted-types-for 'script'")
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = text(response).await;
        assert_eq!((text.matches(&nonce).count(), text.contains(PLACEHOLDER)), (2, false), "{text}");
        assert!(seen.insert(nonce), "a nonce twice");
    }
}

#[tokio::test]
async fn files_have_their_type_and_the_smallest_form_that_is_taken() {
    for (encodings, coding, content) in [
        ("gzip, deflate, br, zstd", "br", "br"),
        ("gzip", "gzip", "gz"),
        ("br;q=0, GZIP;q=0.5", "gzip", "gz"),
        ("identity", "", "plain"),
        ("broken", "", "plain"),
    ] {
        let response = get(PAGE, "/assets/a-1.js", encodings).expect("a file");
        assert_eq!(head(&response, header::CONTENT_ENCODING), coding, "{encodings}");
        assert_eq!(head(&response, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(head(&response, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        assert_eq!(head(&response, header::VARY), "accept-encoding");
        assert_eq!(text(response).await, content, "{encodings}");
    }
    let icon = get(PAGE, "/icon.svg", "").expect("a file");
    assert_eq!(head(&icon, header::CONTENT_TYPE), "image/svg+xml");
    assert!(!head(&icon, header::CACHE_CONTROL).contains("immutable"));
}

#[test]
fn what_is_missing_among_the_files_is_not_the_page() {
    for path in ["/assets/gone-2.js", "/assets/", "/other.css", "/assets/../index.html", "/../index.html"] {
        assert!(get(PAGE, path, "br").is_none(), "{path}");
    }
}

#[test]
fn what_programs_ask_for_is_never_the_page() {
    for path in
        ["/api", "/api/v1/nothing", "/ws", "/ws/", "/hooks/x", "/docs", "/health/x", "/ready/x", "/metrics/x"]
    {
        assert!(get(PAGE, path, "br").is_none(), "{path}");
    }
    let mut headers = HeaderMap::new();
    assert!(PAGE.answer(&Method::GET, "/", &headers).is_some());
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    for path in ["/dapr/config", "/API/V1/RUNS", "/.env", "/workflows/0192"] {
        assert!(PAGE.answer(&Method::GET, path, &headers).is_none(), "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert!(PAGE.answer(&method, "/", &headers).is_none(), "{method}");
    }
    assert!(PAGE.answer(&Method::HEAD, "/", &headers).is_some());
}

#[tokio::test]
async fn a_program_without_a_page_says_how_to_have_one() {
    let bare = Page(Some(|_| None));
    let response = get(bare, "/", "br").expect("a word");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let text = text(response).await;
    assert!(text.contains("make run") && text.contains("/api/v1"), "{text}");
    assert!(get(bare, "/workflows/1", "br").is_none());
    assert!(get(Page::none(), "/", "br").is_none());
}
