//! A tool call is named by its place in the model's answer: the first, the second. The provider's ids are not used as
//! names, since they come twice, empty, or very long. They are only given back to the provider.

use crate::agent::message::{Message, Role, ToolCall};
use std::collections::BTreeSet;

/// Bytes of the longest provider's id that is given back. A longer one is replaced.
const ID_LIMIT: usize = 16 << 10;

/// Returns the calls of an answer under the names of their places.
pub(super) fn placed(calls: &[ToolCall]) -> Vec<ToolCall> {
    calls.iter().enumerate().map(|(i, call)| ToolCall { id: i.to_string(), ..call.clone() }).collect()
}

/// Returns the calls as the recorded message keeps them. An id that is too long is left out, and replaced by
/// [`echo`].
pub(super) fn kept(calls: &[ToolCall]) -> Vec<ToolCall> {
    let mut calls = calls.to_vec();
    calls.iter_mut().filter(|call| call.id.len() > ID_LIMIT).for_each(|call| call.id.clear());
    calls
}

/// Returns the name of each call, different for each. Calls recorded before they were named by their places have their
/// providers' ids, which stay their names where no call before has the same.
pub(super) fn names(calls: &[ToolCall]) -> Vec<String> {
    let given: BTreeSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    let mut names: Vec<String> = Vec::with_capacity(calls.len());
    for (i, call) in calls.iter().enumerate() {
        let mut name = call.id.clone();
        if calls[..i].iter().any(|before| before.id == name) {
            // The name must not be that of another call, however that is called.
            name = i.to_string();
            while given.contains(name.as_str()) || names.contains(&name) {
                name.push('+');
            }
        }
        names.push(name);
    }
    names
}

/// Gives a conversation ids that a provider accepts. Within one answer each call has an id that no other has: the
/// provider's own, if it gave one. The tools' messages behind the answer get these ids, in the order of the calls.
pub fn echo(messages: &mut [Message]) {
    let mut at = 0;
    while at < messages.len() {
        let round = at;
        at += 1;
        if messages[round].role != Role::Assistant {
            continue;
        }
        let given: BTreeSet<String> = messages[round].tool_calls.iter().map(|call| call.id.clone()).collect();
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for i in 0..messages[round].tool_calls.len() {
            let call = &mut messages[round].tool_calls[i];
            if call.id.is_empty() || ids.contains(&call.id) {
                call.id = format!("call_{round}_{i}");
                while given.contains(&call.id) || ids.contains(&call.id) {
                    call.id.push('_');
                }
            }
            ids.insert(call.id.clone());
            let id = call.id.clone();
            // The messages behind an answer are the tools', in the order of its calls.
            if let Some(answer) = messages.get_mut(at).filter(|message| message.role == Role::Tool) {
                answer.tool_call_id = Some(id);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> ToolCall {
        ToolCall { id: id.into(), name: "t".into(), arguments: "{}".into() }
    }

    fn conversation(ids: &[&str]) -> Vec<Message> {
        let calls = ids.iter().map(|id| call(id)).collect();
        let mut all = vec![
            Message::new(Role::User, "ask"),
            Message { tool_calls: calls, ..Message::new(Role::Assistant, "") },
        ];
        all.extend(ids.iter().map(|_| Message::new(Role::Tool, "answer")));
        all
    }

    fn told(ids: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut all = conversation(ids);
        echo(&mut all);
        let asked = all[1].tool_calls.iter().map(|call| call.id.clone()).collect();
        (asked, all[2..].iter().filter_map(|message| message.tool_call_id.clone()).collect())
    }

    #[test]
    fn an_answer_has_the_id_of_its_call_and_that_is_the_providers_where_it_is_one() {
        for (given, expected) in [
            (vec!["a", "b"], vec!["a", "b"]),
            (vec!["call_0", "call_0"], vec!["call_0", "call_1_1"]),
            (vec!["call_1", ""], vec!["call_1", "call_1_1"]),
            (vec!["call_1_1", ""], vec!["call_1_1", "call_1_1_"]),
            (vec!["", "", ""], vec!["call_1_0", "call_1_1", "call_1_2"]),
            (vec!["x", "x", "call_1_1"], vec!["x", "call_1_1_", "call_1_1"]),
        ] {
            assert_eq!(told(&given).0, expected, "{given:?}");
            assert_eq!(told(&given).1, expected, "{given:?}");
        }
    }

    #[test]
    fn rounds_do_not_mix() {
        let mut all = conversation(&["c", "c"]);
        all.extend(conversation(&["c"]).into_iter().skip(1));
        echo(&mut all);
        let ids: Vec<_> = all.iter().filter_map(|m| m.tool_call_id.as_deref()).collect();
        assert_eq!(ids, ["c", "call_1_1", "c"]);
    }

    #[test]
    fn names_are_different_whatever_the_ids_are() {
        for given in [vec!["", ""], vec!["1", "1"], vec!["1", "1", "1", "2"], vec!["x", "x", "1", "1+"]] {
            let calls: Vec<ToolCall> = given.iter().map(|id| call(id)).collect();
            let names = names(&calls);
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), given.len(), "{given:?}: {names:?}");
            assert_eq!(names[0], given[0], "what was recorded under an id is found under it");
        }
        let long = kept(&[call(&"x".repeat(1 << 20)), call("y")]);
        assert_eq!((long[0].id.as_str(), long[1].id.as_str()), ("", "y"));
    }
}
