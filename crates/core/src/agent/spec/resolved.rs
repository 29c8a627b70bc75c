//! Of all agents, those that a piece of work may come to: the agents it asks, whoever they may ask, and the tools of all.

use super::{Agents, Spec, Tool};
use std::collections::BTreeMap;

impl Agents {
    /// Returns the agents of these names, those they may delegate to, however often, and the tools of all of them. Names
    /// that no agent has are left out.
    pub fn resolved<'a>(&'a self, names: impl IntoIterator<Item = &'a String>) -> Agents {
        let mut agents: BTreeMap<String, Spec> = BTreeMap::new();
        let mut open: Vec<&String> = names.into_iter().collect();
        while let Some(name) = open.pop() {
            let Some(spec) = self.agents.get(name).filter(|_| !agents.contains_key(name)) else { continue };
            agents.insert(name.clone(), spec.clone());
            if spec.allow_delegation {
                open.extend(&spec.delegate_to);
            }
        }
        let tools = agents.values().flat_map(|spec| &spec.tools);
        let tools: BTreeMap<String, Tool> =
            tools.filter_map(|name| Some((name.clone(), self.tools.get(name)?.clone()))).collect();
        Agents { agents, tools }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all() -> Agents {
        let tool = |url: &str| json!({"description": "d", "type": "http", "config": {"url": url}});
        let agents = json!({
            "agents": {
                "lead": {"model": "m", "allow_delegation": true, "delegate_to": ["clerk", "gone"]},
                "clerk": {"model": "m", "max_tokens": 50, "tools": ["find", "gone"], "allow_delegation": true,
                    "delegate_to": ["lead"]},
                "quiet": {"model": "m", "delegate_to": ["clerk"], "tools": ["add"], "temperature": 0.5},
            },
            "tools": {
                "find": tool("http://find.example/{{ args.q }}"),
                "add": {"description": "d", "type": "expression", "config": {"value": "args.a"}},
            },
        });
        serde_json::from_value(agents).expect("agents")
    }

    fn names(agents: &Agents) -> (Vec<&str>, Vec<&str>) {
        let keys = agents.agents.keys().map(String::as_str).collect();
        (keys, agents.tools.keys().map(String::as_str).collect())
    }

    #[test]
    fn whoever_may_come_to_work_is_there_and_nobody_else() {
        let (all, of) = (all(), |name: &str| [name.to_owned()]);
        assert_eq!(names(&all.resolved(&of("lead"))), (vec!["clerk", "lead"], vec!["find"]));
        assert_eq!(names(&all.resolved(&of("quiet"))), (vec!["quiet"], vec!["add"]));
        assert_eq!(names(&all.resolved(&of("nobody"))), (vec![], vec![]));
    }

    #[test]
    fn they_read_as_they_were_written() {
        let all = all();
        let text = serde_json::to_vec(&all).expect("JSON");
        assert_eq!(serde_json::from_slice::<Agents>(&text).expect("agents"), all);
    }
}
