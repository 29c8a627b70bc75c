//! What is a whole beginning, and what more is waited for.

use super::*;

const SETTINGS_FRAME: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";

/// Returns after how many of the bytes it is somebody's turn, and whose, as they come one by one.
fn turn(bytes: &[u8]) -> Option<(usize, Protocol)> {
    let mut head = Head::default();
    (1..=bytes.len()).find_map(|count| {
        head.bytes.push(bytes[count - 1]);
        head.protocol(None).map(|protocol| (count, protocol))
    })
}

#[test]
fn a_head_of_http1_is_whole_with_its_empty_line() {
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (bytes, expected) in [
        (head.to_owned(), Some(head.len())),
        (format!("{head}and a body"), Some(head.len())),
        (format!("\r\n\r\n\r\n{head}"), Some(head.len() + 6)),
        (head.replace("\r\n", "\n"), Some(head.len() - 3)),
        (head.replace("\r\n\r\n", "\r\n\n"), Some(head.len() - 1)),
        (head[..head.len() - 1].to_owned(), None),
        ("\r\n".repeat(100), None),
        ("P".to_owned(), None),
        ("PRI * HTTP/1.1\r\n\r\n".to_owned(), Some(18)),
    ] {
        assert_eq!(turn(bytes.as_bytes()), expected.map(|at| (at, Protocol::Http1)), "{bytes:?}");
        // All at once it is the same.
        let mut whole = Head::after(bytes.as_bytes());
        assert_eq!(whole.protocol(None).is_some(), expected.is_some(), "{bytes:?}");
    }
}

#[test]
fn what_cannot_become_a_head_is_not_waited_for() {
    for bytes in
        [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc"[..], b"GET / HTTP/9.9\r\nHost: x\r\n", b"GET\0/ HTTP/1.1\r\n"]
    {
        assert_eq!(Head::after(bytes).protocol(None), Some(Protocol::Http1), "{bytes:?}");
    }
    let long = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; LONGEST]].concat();
    assert_eq!(turn(&long), Some((LONGEST, Protocol::Http1)));
}

#[test]
fn http2_begins_with_its_settings_and_is_whole_with_the_first_frame_that_asks() {
    let update = b"\0\0\x04\x08\0\0\0\0\0\0\x01\0\0";
    let headers = b"\0\0\x02\x01\x05\0\0\0\x01\x82\x86";
    let begun = [&HTTP2[..], SETTINGS_FRAME, update].concat();
    let whole = [&begun[..], headers].concat();
    assert_eq!(turn(&begun), None);
    assert_eq!(turn(&whole), Some((whole.len(), Protocol::Http2)));
    assert!(Head::after(&begun).protocol(None).is_none());
    // Without settings first it is none, whatever comes.
    let wrong = [&HTTP2[..], headers].concat();
    assert_eq!(turn(&wrong), Some((HTTP2.len() + FRAME, Protocol::Http2)));
    // Nor is much kept that asks for nothing.
    let much = [&HTTP2[..], &SETTINGS_FRAME.repeat(10_000)].concat();
    assert!(turn(&much).is_some_and(|(at, _)| at < FRAMES + 100));
    let large = [&HTTP2[..], &b"\xff\xff\xff\x04\0\0\0\0\0"[..]].concat();
    assert_eq!(turn(&large), Some((large.len(), Protocol::Http2)));
}
