//! The description says what is true of the router, and is the one that is written down.

use super::*;
use std::collections::BTreeSet;

const WRITTEN: &str = include_str!("../../../../../docs/openapi.json");

/// Every reference in a document.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn what_is_written_down_is_what_is_served() {
    let written: Value = serde_json::from_str(WRITTEN).expect("JSON");
    assert!(
        written == document(),
        "docs/openapi.json is not the API's description any more; write it again: \
         cargo run --bin callboard -- openapi > docs/openapi.json"
    );
}

#[test]
fn every_reference_leads_to_a_component_and_every_schema_is_referred_to() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
        assert!(found.contains(format!("#/components/schemas/{name}").as_str()), "{name}");
    }
}

#[test]
fn an_operation_has_a_name_of_its_own() {
    let names: BTreeSet<_> = all().map(|route| route.id).collect();
    assert_eq!(names.len(), all().count());
    for route in all() {
        let listed = |status: &u16| CODES.iter().any(|(known, _)| known == status);
        assert!(route.refusals.iter().chain(&ANYWHERE).all(listed), "{}", route.path);
    }
}

#[test]
fn every_route_that_is_mounted_is_described_and_the_other_way_round() {
    let described: BTreeSet<_> = all().map(|route| (route.method.to_ascii_uppercase(), route.path)).collect();
    let mounted: BTreeSet<_> =
        crate::gateway::ROUTES.iter().map(|route| (route.method.to_owned(), route.path)).collect();
    assert_eq!(described, mounted);
    assert_eq!(mounted.len(), crate::gateway::ROUTES.len(), "none stands there twice");
}
