//! Content codings: all that we ask for, in any case, one over the other; and what no coding may do.

use super::*;
use axum::{body::Body, http::header::CONTENT_ENCODING, routing::get as on_get};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends a body byte by byte, or whole, and returns what was read of it.
async fn fetch(codings: &[&str], body: Vec<u8>, by: usize) -> Result<Bytes, CallError> {
    let codings: Vec<String> = codings.iter().map(|&coding| coding.to_owned()).collect();
    let app = Router::new().route(
        "/",
        on_get(move || async move {
            let pieces: Vec<_> =
                body.chunks(by).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
            let mut response =
                axum::response::Response::new(Body::from_stream(futures::stream::iter(pieces)));
            for coding in codings {
                response.headers_mut().append(CONTENT_ENCODING, coding.parse().unwrap());
            }
            response
        }),
    );
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    guarded.call(get(format!("http://{server}/"))).await.map(|response| response.body)
}

#[tokio::test]
async fn a_coding_comes_off_however_it_is_written() {
    let text = b"hello, hello, hello";
    let both = gzip(&zlib(text));
    for (codings, body) in [
        (&["gzip"][..], gzip(text)),
        (&["GZIP"], gzip(text)),
        (&["X-GZip"], gzip(text)),
        (&["identity"], text.to_vec()),
        (&[""], text.to_vec()),
        (&[" gzip , identity "], gzip(text)),
        (&["deflate"], zlib(text)),
        (&["Deflate"], raw(text)),
        (&["deflate, gzip"], both.clone()),
        (&["deflate", "gzip"], both),
        (&["gzip, gzip"], gzip(&gzip(text))),
        (&["gzip"], [gzip(b"hello, "), gzip(b"hello, hello")].concat()),
    ] {
        for by in [1, 7, 10_000] {
            let found = fetch(codings, body.clone(), by).await;
            assert_eq!(found.as_deref(), Ok(&text[..]), "{codings:?} by {by}");
        }
    }
    for codings in [&["gzip"][..], &["deflate"], &["deflate, gzip"]] {
        assert_eq!(fetch(codings, Vec::new(), 1).await.as_deref(), Ok(&b""[..]), "{codings:?}");
    }
}

#[tokio::test]
async fn what_does_not_come_off_is_an_error() {
    let (zipped, deflated) = (gzip(b"hello, hello"), zlib(b"hello, hello"));
    let mut damaged = deflated.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 3].to_vec();
    for (codings, body, retryable) in [
        (&["gzip"][..], cut(&zipped), true),
        (&["gzip"], b"hello".to_vec(), true),
        (&["deflate"], cut(&deflated), true),
        (&["deflate"], cut(&raw(b"hello, hello")), true),
        (&["deflate"], damaged, true),
        (&["deflate"], b"\xff".to_vec(), true),
        (&["deflate"], [deflated.clone(), b"more".to_vec()].concat(), true),
        (&["deflate, gzip"], gzip(b"no deflate at all"), true),
        (&["br"], b"x".to_vec(), false),
        (&["gzip, zstd"], b"x".to_vec(), false),
        (&["gzip, gzip, gzip, gzip, gzip"], b"x".to_vec(), false),
    ] {
        let error = fetch(codings, body, 1000).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.retryable),
            ("http_invalid_response", retryable),
            "{codings:?}"
        );
    }
    let error = fetch(&["br"], b"x".to_vec(), 1).await.unwrap_err();
    assert!(error.message.contains("`br`"), "{}", error.message);
}

#[tokio::test]
async fn no_bomb_goes_off_under_any_coding() {
    let nothing = vec![0; 900 << 10];
    for (codings, body) in [
        (&["gzip"][..], gzip(&nothing)),
        (&["deflate"], zlib(&nothing)),
        (&["deflate"], raw(&nothing)),
        (&["gzip, gzip"], gzip(&gzip(&nothing))),
        (&["deflate, gzip, deflate"], zlib(&gzip(&zlib(&nothing)))),
        // Larger than the limit, whatever the ratio.
        (&["gzip"], gzip(&vec![0; 2 << 20])),
    ] {
        let error = fetch(codings, body, 10_000).await.unwrap_err();
        assert_eq!(error.code, "http_too_large", "{codings:?}: {}", error.message);
    }
}

#[tokio::test]
async fn what_comes_over_the_line_is_counted_whatever_comes_of_it() {
    // Nothing at all, in a thousand streams: more bytes than may come.
    let nothing = gzip(b"").repeat(900);
    let app = Router::new().route(
        "/",
        on_get(|| async move {
            (
                [(CONTENT_ENCODING, "gzip")],
                Body::from_stream(futures::stream::iter(
                    nothing
                        .chunks(1000)
                        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
                        .collect::<Vec<_>>(),
                )),
            )
        }),
    );
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    let asked = |most: u64| Request { max_body: Some(most), ..get(format!("http://{server}/")) };
    assert_eq!(code(&guarded, asked(10_000)).await, "http_too_large");
    assert_eq!(code(&guarded, asked(100_000)).await, "status 200");
}
