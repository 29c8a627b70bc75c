//! Which names pass the border (S-31): one check, before any routing, used for decision and dispatch alike.

use super::fault::Fault;

/// daprd's own bound for the names of actors, methods and reminders is looser; this one fits in a file name.
const LONGEST: usize = 256;

/// Refuses a name of an actor type, actor id, method, reminder or timer that could be read as anything else.
pub(super) fn check(what: &str, name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let sane = !name.is_empty() && name.len() <= LONGEST && name != "." && name != "..";
    if sane && name.chars().all(plain) {
        return Ok(());
    }
    Err(Fault::malformed(format!("{what} {name:?} is not allowed")))
}

/// Refuses a state key that could collide with a prefixed one.
pub(super) fn check_key(key: &str) -> Result<(), Fault> {
    if key.contains("||") {
        return Err(Fault::malformed(format!("input key/keyPrefix '{key}' can't contain '||'")));
    }
    if key.is_empty() {
        return Err(Fault::malformed("a state key must not be empty"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_route_elsewhere_are_refused() {
        for name in ["a", "Workflow", "run-1.node_2.1.0", "dapr.internal.x"] {
            assert!(check("actor id", name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", "a%2fb", "a#b", "a?b", "a\0", "é", "a b", "a|b"] {
            assert!(check("actor id", name).is_err(), "{name}");
        }
        assert!(check("actor id", &"x".repeat(257)).is_err());
    }

    #[test]
    fn keys_may_have_braces_but_no_separator() {
        assert!(check_key("{r1}.doc").is_ok());
        assert!(check_key("a||b").is_err());
    }
}
