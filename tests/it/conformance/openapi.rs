//! The description of the API is valid OpenAPI: an independent validator says so.

use super::sdk::python;
use crate::harness::root;
use std::process::{Command, Output};

/// Returns what the validator says of a document.
fn validated(document: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document).expect("the document is written");
    let mut command = Command::new(python());
    command.args(["-m", "openapi_spec_validator", "--errors", "all"]).arg(&file);
    command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python starts")
}

#[test]
fn an_independent_validator_accepts_the_description_of_the_api() {
    let document = std::fs::read_to_string(root().join("docs/openapi.json")).expect("docs/openapi.json");
    let said = validated(&document);
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    // It refuses one that is not: the check can fail.
    let broken = document.replacen("\"openapi\": \"3.1", "\"openapi\": 3, \"x-was\": \"3.1", 1);
    assert_ne!(broken, document);
    assert!(!validated(&broken).status.success(), "a version that is a number passes");
    let broken = document.replacen("\"paths\":", "\"ways\":", 1);
    assert!(!validated(&broken).status.success(), "a description without paths passes");
}
