//! The HTTP API's own parts.

use super::*;

#[test]
fn paths_are_cleaned_and_decoded_once() {
    let read = |path| segments(path).unwrap();
    assert_eq!(read("//v1.0/state//s/%7Br1%7D.doc/"), ["v1.0", "state", "s", "{r1}.doc"]);
    assert_eq!(read("/a%252Fb"), ["a%2Fb"]);
    for path in ["/a/../b", "/a/%2e%2E/b", "/a%zz", "/a%2", "/%ff"] {
        assert!(segments(path).is_err(), "{path}");
    }
}

#[test]
fn queries_are_decoded() {
    let found = query("metadata.ttlInSeconds=5&a+b=c%26d&flag");
    assert_eq!(found["metadata.ttlInSeconds"], "5");
    assert_eq!(found["a b"], "c&d");
    assert_eq!(found["flag"], "");
}

#[test]
fn the_method_path_of_an_invocation_keeps_its_encoding() {
    assert_eq!(invoke::rest_of("/v1.0/invoke/app/method/a%2Fb/c"), "/a%2Fb/c");
    assert_eq!(invoke::rest_of("/v1.0/invoke/app/method/"), "/");
}
