//! Which names pass the border (S-31): one check, before any routing, used for decision and dispatch alike.

use super::fault::Fault;

/// daprd's own bound for the names of actors, methods and reminders is looser; this one fits in a file name.
const LONGEST: usize = 256;
/// Brokers and stores have bounds of their own for keys and topics; ours is this.
const LONGEST_KEY: usize = 4 << 10;
const LONGEST_TOPIC: usize = 1 << 10;
/// Data of reminders and timers lies in memory until they fire.
const LONGEST_DATA: usize = 256 << 10;
/// How often a path is decoded at most.
const DECODED: u32 = 8;

/// Refuses a name of an actor type, actor id, method, reminder or timer that could be read as anything else.
pub(super) fn check(what: &str, name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '~');
    let sane = !name.is_empty() && name.len() <= LONGEST && name != "." && name != "..";
    if sane && name.chars().all(plain) {
        return Ok(());
    }
    Err(Fault::malformed(format!("{what} {name:?} is not allowed")))
}

/// Refuses a topic whose name is too long to be one.
pub(super) fn check_topic(name: &str) -> Result<(), Fault> {
    if name.len() > LONGEST_TOPIC {
        return Err(Fault::malformed(format!("a topic's name has at most {LONGEST_TOPIC} bytes")));
    }
    Ok(())
}

/// Refuses data of a reminder or timer that is more than a note.
pub(super) fn check_data(data: &str) -> Result<(), Fault> {
    if data.len() > LONGEST_DATA {
        let message = format!("data of a reminder or timer has at most {LONGEST_DATA} bytes");
        return Err(Fault::malformed(message));
    }
    Ok(())
}

/// Refuses a timer's callback that is too long to be a name.
pub(super) fn check_callback(name: &str) -> Result<(), Fault> {
    if name.len() > LONGEST {
        return Err(Fault::malformed(format!("a callback's name has at most {LONGEST} bytes")));
    }
    Ok(())
}

/// Refuses a state key that could collide with a prefixed one.
pub(super) fn check_key(key: &str) -> Result<(), Fault> {
    if key.contains("||") {
        return Err(Fault::malformed(format!("input key/keyPrefix '{key}' can't contain '||'")));
    }
    if key.is_empty() {
        return Err(Fault::malformed("a state key must not be empty"));
    }
    if key.len() > LONGEST_KEY {
        return Err(Fault::malformed(format!("a state key has at most {LONGEST_KEY} bytes")));
    }
    Ok(())
}

/// Returns the segments of a path as the most generous reader could take it: decoded as long as that changes anything,
/// in small letters, without parameters, empty parts and dots. `None`: encoded so often that nobody means it.
pub(super) fn plain_path(path: &str) -> Option<Vec<String>> {
    let mut text = path.to_owned();
    for round in 0.. {
        match decoded(&text) {
            Some(_) if round == DECODED => return None,
            Some(decoded) => text = decoded,
            None => break,
        }
    }
    let mut plain: Vec<String> = Vec::new();
    for part in text.split(['/', '\\']) {
        let part = part.split([';', '?', '#']).next().unwrap_or_default().trim();
        match part {
            "" | "." => {}
            ".." => {
                plain.pop();
            }
            name => plain.push(name.to_lowercase()),
        }
    }
    Some(plain)
}

/// Decodes percent signs once; `None` where there are none that mean anything.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest, mut changed) = (Vec::with_capacity(text.len()), text.as_bytes(), false);
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = &after[2..];
                changed = true;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    changed.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_route_elsewhere_are_refused() {
        for name in ["a", "Workflow", "run-1.node_2.1.0", "dapr.internal.x", "acme~run-1"] {
            assert!(check("actor id", name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", "a%2fb", "a#b", "a?b", "a\0", "é", "a b", "a|b"] {
            assert!(check("actor id", name).is_err(), "{name}");
        }
        assert!(check("actor id", &"x".repeat(257)).is_err());
    }

    #[test]
    fn a_path_has_one_plain_reading() {
        for path in [
            "/actors/Workflow/1",
            "//actors//Workflow/1/",
            "/./actors/x/../Workflow/1",
            "/%61ctors/Workflow/1",
            "/%2561ctors%252fWorkflow/1",
            "/ACTORS/workflow/1",
            "/actors%2fWorkflow%2F1",
            "/x/%2e%2e/actors/Workflow/1",
            "\\actors\\Workflow\\1",
            "/actors;v=1/Workflow/1",
            "/actors%20/Workflow/1",
            "/..;/actors/Workflow/1",
        ] {
            assert_eq!(plain_path(path).unwrap(), ["actors", "workflow", "1"], "{path}");
        }
        assert_eq!(plain_path("/100%/a%zz%2").unwrap(), ["100%", "a%zz%2"]);
        assert!(plain_path("/").unwrap().is_empty());
        assert_eq!(plain_path(&format!("/%{}61ctors", "25".repeat(20_000))), None);
    }

    #[test]
    fn keys_may_have_braces_but_no_separator() {
        assert!(check_key("{r1}.doc").is_ok());
        assert!(check_key("a||b").is_err());
    }
}
