//! Instants and durations.

use super::*;
use serde_json::json;

#[test]
fn instants_and_durations_are_calculated_with() {
    let context = json!({"now": "2027-02-28T23:30:00.000Z", "input": {"due": "2027-03-01T02:00:00+02:00", "s": 90, "n": null}});
    for (source, expected) in [
        ("now | add('45m')", json!("2027-03-01T00:15:00.000Z")),
        ("now | add('-1d')", json!("2027-02-27T23:30:00.000Z")),
        ("now | add('P1W')", json!("2027-03-07T23:30:00.000Z")),
        ("now | add(input.s)", json!("2027-02-28T23:31:30.000Z")),
        ("now | add(-0.5)", json!("2027-02-28T23:29:59.500Z")),
        ("input.due | since(now)", json!(1800)),
        ("now | since(input.due)", json!(-1800)),
        ("now | add('250ms') | since(now)", json!(0.25)),
        ("now | add('2d') | since(now) == '2d' | seconds", json!(true)),
        ("'PT90M' | seconds", json!(5400)),
        ("now | date", json!("2027-02-28")),
        ("now | add('30m') | date('%d.%m.%Y %H:%M %A')", json!("01.03.2027 00:00 Monday")),
        ("input.due | date('%H:%M')", json!("00:00")),
    ] {
        assert_eq!(evaluate(source, &context), Ok(expected), "{source}");
    }
    for (source, part) in [
        ("'tomorrow' | add('1h')", "the text \"tomorrow\" is not an instant such as"),
        ("'2027-01-01' | date", "is not an instant"),
        ("now | add('soon')", "the text \"soon\" is not a duration such as \"10s\""),
        ("now | add('1mo')", "the text \"1mo\" is not a duration"),
        ("now | add('90')", "or a number of seconds"),
        ("now | add(1e300)", "is not a duration"),
        ("now | add(300000000000)", "out of range"),
        ("now | add(input.n)", "null is not a duration"),
        ("now | add(input.nope)", "input.nope is undefined"),
        ("input.nope | since(now)", "input.nope is undefined"),
        ("input.n | date", "null is not an instant"),
        ("now | date('%')", "is not a pattern"),
        ("now | date('%Q' * 200)", "the pattern is longer than"),
    ] {
        let found = evaluate(source, &context);
        assert!(
            matches!(&found, Err(Error::Evaluation(message)) if message.contains(part)),
            "{source}: {found:?}"
        );
    }
    assert!(evaluate("now | date('%255d' * 50) | length", &context).is_ok_and(|n| n.as_u64() < Some(20_000)));
}
