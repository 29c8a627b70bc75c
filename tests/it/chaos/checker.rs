//! The history checker: a pure function over what clients saw, what was recorded, and what the outside was asked.
//!
//! Names are the invariants of the reliability document. Each rule has a bad history it must reject, and the whole has
//! an odd but legal one it must accept.

use super::{clients::Seen, effects::Log};
use callboard_core::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One run's recorded events, as the API gives them, and its row.
#[derive(Debug, Clone)]
pub struct Dump {
    pub run: Value,
    pub history: Vec<Value>,
}

/// Something was away between two instants, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub from: i64,
    pub to: i64,
}

/// Returns everything that is wrong with one run. `earlier` is a dump of the same run taken before.
pub fn check(seen: &Seen, dump: Option<&Dump>, earlier: Option<&Dump>, effects: &Log) -> Vec<String> {
    let run = &seen.run;
    let Some(dump) = dump else {
        return vec![format!("INV-01 {run}: acknowledged, and there is no such run")];
    };
    let mut wrong = Vec::new();
    let items = &dump.history;
    let kind = |item: &Value| item["type"].as_str().unwrap_or_default().to_owned();
    for operation in &seen.acknowledged {
        let found = match *operation {
            "approval" => items.iter().any(|i| kind(i) == "step.completed" && i["node"] == "ask"),
            name => items.iter().any(|i| kind(i) == name),
        };
        if !found {
            wrong.push(format!("INV-01 {run}: {operation} was acknowledged and is not recorded"));
        }
    }
    for (n, item) in items.iter().enumerate() {
        if item["seq"] != n as u64 + 1 {
            wrong.push(format!("INV-04 {run}: seq {} stands at place {}", item["seq"], n + 1));
        }
    }
    if let Some(earlier) = earlier {
        for (old, new) in earlier.history.iter().zip(items) {
            if old != new {
                wrong.push(format!("INV-03 {run}: seq {} was rewritten", old["seq"]));
            }
        }
        if earlier.history.len() > items.len() {
            wrong.push(format!("INV-03 {run}: the history became shorter"));
        }
    }
    wrong.extend(outcomes(run, items, effects));
    let ends =
        items.iter().filter(|i| matches!(kind(i).as_str(), "run.completed" | "run.failed" | "run.cancelled"));
    match ends.count() {
        1 => {}
        0 => wrong.push(format!("INV-20 {run}: it has not ended: {}", dump.run["status"])),
        n => wrong.push(format!("INV-12 {run}: {n} terminal events")),
    }
    let last = items.last().map(kind).unwrap_or_default();
    if !last.starts_with("run.") {
        wrong.push(format!("INV-12 {run}: {last} stands after the end"));
    }
    if dump.run["status"] != "completed" {
        wrong.push(format!(
            "INV-20 {run}: it is {}, not completed: {}",
            dump.run["status"], dump.run["error"]
        ));
    }
    wrong
}

/// One final outcome for each step, started before it ended, with an answer that was really given for it.
fn outcomes(run: &str, items: &[Value], effects: &Log) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut started: BTreeMap<String, u64> = BTreeMap::new();
    let mut ended: BTreeMap<String, u64> = BTreeMap::new();
    let holds = holds(items);
    for item in items {
        let step = format!("{}/{}/{}", item["generation"], text(&item["node"]), text(&item["iteration"]));
        match text(&item["type"]) {
            "step.started" => {
                *started.entry(step).or_default() += 1;
            }
            "step.completed" => {
                let times = ended.entry(step.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    wrong.push(format!("INV-05 {run}: step {step} has {times} final outcomes"));
                }
                let output = answer(item);
                if !output.starts_with("answer ") || holds.contains(text(&item["node"])) {
                    continue;
                }
                if !started.contains_key(&step) {
                    wrong.push(format!("INV-06 {run}: step {step} ended and never started"));
                }
                let prefix = format!("{run}/{step}/{}/", item["attempt"]);
                let given = effects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                if !given.flat_map(|(_, answers)| answers).any(|answer| answer == output) {
                    wrong.push(format!(
                        "INV-08 {run}: step {step} recorded {output:?}, which nobody answered"
                    ));
                }
            }
            _ => {}
        }
    }
    for key in effects.keys().filter(|key| key.starts_with(&format!("{run}/"))) {
        let Some((step, _)) = key.strip_prefix(&format!("{run}/")).and_then(|k| k.rsplit_once('/')) else {
            continue;
        };
        let Some((step, _)) = step.rsplit_once('/') else { continue };
        if !started.contains_key(step) {
            wrong.push(format!("INV-14 {run}: {key} was performed and never started"));
        }
    }
    wrong
}

/// A call is made again only because a fault fell into its step: INV-13.
pub fn calls(run: &str, dump: &Dump, effects: &Log, faults: &[Fault]) -> Vec<String> {
    let spans = spans(&dump.history);
    let mut wrong = Vec::new();
    for (key, answers) in effects.range(format!("{run}/")..).take_while(|(k, _)| k.starts_with(run)) {
        let span = key.rsplit_once('/').and_then(|(attempt, _)| spans.get(attempt.strip_prefix(run)?));
        let Some((from, to)) = span else { continue };
        let overlapped = faults.iter().filter(|f| f.from <= to + 1 && f.to + 1 >= *from).count();
        if answers.len() > 1 + overlapped {
            wrong
                .push(format!("INV-13 {key}: {} calls, and {overlapped} faults fell into it", answers.len()));
        }
    }
    wrong
}

/// Returns when the last event was recorded, in milliseconds since the epoch.
pub fn ended(dump: &Dump) -> i64 {
    dump.history.last().map_or(0, at)
}

/// Returns how many steps of agents ended with an answer.
pub fn agent_steps(dump: &Dump) -> usize {
    let holds = holds(&dump.history);
    let ended = |item: &&Value| {
        text(&item["type"]) == "step.completed" && text(&item["data"]["output"]).starts_with("answer ")
    };
    dump.history.iter().filter(ended).filter(|item| !holds.contains(text(&item["node"]))).count()
}

/// Tells whether some agent was at work on a step when the fault began.
pub fn works(dumps: &[Dump], fault: &Fault) -> bool {
    let open = |(from, to): &(i64, i64)| *from <= fault.from && fault.from <= *to;
    dumps.iter().any(|dump| spans(&dump.history).values().any(open))
}

/// From when to when each attempt of an agent was under way, by `/generation/node/iteration/attempt`.
fn spans(items: &[Value]) -> BTreeMap<String, (i64, i64)> {
    let mut spans: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    for item in items {
        let name = format!(
            "/{}/{}/{}/{}",
            item["generation"],
            text(&item["node"]),
            text(&item["iteration"]),
            item["attempt"]
        );
        match text(&item["type"]) {
            "step.started" => drop(spans.insert(name, (at(item), i64::MAX - 1))),
            "step.completed" if answer(item).starts_with("answer ") => {
                if let Some(span) = spans.get_mut(&name) {
                    span.1 = at(item);
                    ended.insert(name);
                }
            }
            _ => {}
        }
    }
    spans.retain(|name, _| ended.contains(name));
    spans
}

/// Returns how often each performed step of the given runs was asked, beyond once.
pub fn repeated_calls(effects: &Log) -> usize {
    effects.values().map(|answers| answers.len() - 1).sum()
}

/// Returns the longest time between two events of a run, in milliseconds, and where that was. What faults fell between
/// them counts from the last one: that is how long the run took to go on.
pub fn longest_stall(run: &str, dump: &Dump, faults: &[Fault]) -> (i64, String) {
    let gaps = dump.history.windows(2).map(|pair| {
        let between = format!(
            "{run}: seq {} {} {} to {} {}",
            pair[0]["seq"],
            text(&pair[0]["type"]),
            text(&pair[0]["node"]),
            text(&pair[1]["type"]),
            text(&pair[1]["node"]),
        );
        let (from, to) = (at(&pair[0]), at(&pair[1]));
        let last = faults.iter().map(|fault| fault.to).filter(|over| *over <= to).max().unwrap_or(from);
        (to - from.max(last), between)
    });
    gaps.max().unwrap_or_default()
}

/// Returns the nodes that hold others. A loop's output is its last body's, which is checked there.
fn holds(items: &[Value]) -> BTreeSet<&str> {
    let began = items.iter().filter(|i| text(&i["type"]) == "step.iteration_started");
    began.map(|i| text(&i["node"])).collect()
}

/// Returns what the outside answered: an agent's text, or the body of a service's answer.
fn answer(item: &Value) -> &str {
    let output = &item["data"]["output"];
    text(if output.is_object() { &output["body"] } else { output })
}

fn at(item: &Value) -> i64 {
    Timestamp::parse(text(&item["at"])).unwrap_or_default().0
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(seq: u64, kind: &str, node: &str, output: &str) -> Value {
        json!({"seq": seq, "type": kind, "generation": 1, "node": node, "iteration": "", "attempt": 1,
               "data": {"output": output}})
    }

    fn good() -> (Seen, Dump, Log) {
        let history = vec![
            item(1, "run.created", "", ""),
            item(2, "step.started", "a", ""),
            item(3, "step.completed", "a", "answer 1"),
            item(4, "run.completed", "", ""),
        ];
        let seen = Seen { run: "r".into(), acknowledged: vec!["run.created"] };
        // Asked twice, because of a crash: odd, and legal.
        let log = Log::from([("r/1/a//1/1".into(), vec!["answer 0".into(), "answer 1".into()])]);
        (seen, Dump { run: json!({"status": "completed"}), history }, log)
    }

    fn rejects(invariant: &str, change: impl FnOnce(&mut Seen, &mut Dump, &mut Log)) {
        let (mut seen, mut dump, mut log) = good();
        let before = dump.clone();
        change(&mut seen, &mut dump, &mut log);
        let wrong = check(&seen, Some(&dump), Some(&before), &log);
        assert!(wrong.iter().any(|w| w.starts_with(invariant)), "{invariant} is not among {wrong:#?}");
    }

    #[test]
    fn an_odd_but_legal_history_is_accepted() {
        let (seen, dump, log) = good();
        assert_eq!(check(&seen, Some(&dump), Some(&dump), &log), Vec::<String>::new());
        assert_eq!(repeated_calls(&log), 1);
    }

    #[test]
    fn a_call_is_repeated_only_because_of_a_fault() {
        let (_, mut dump, log) = good();
        dump.history[1]["at"] = "1970-01-01T00:00:01Z".into();
        dump.history[2]["at"] = "1970-01-01T00:00:02Z".into();
        assert_eq!(calls("r", &dump, &log, &[Fault { from: 1500, to: 1500 }]), Vec::<String>::new());
        assert!(works(std::slice::from_ref(&dump), &Fault { from: 1500, to: 1500 }));
        for elsewhere in [Fault { from: 500, to: 900 }, Fault { from: 2500, to: 2600 }] {
            assert!(calls("r", &dump, &log, &[elsewhere])[0].starts_with("INV-13"));
            assert!(!works(std::slice::from_ref(&dump), &elsewhere));
        }
    }

    #[test]
    fn each_bad_history_is_rejected() {
        let (seen, _, log) = good();
        assert!(check(&seen, None, None, &log)[0].starts_with("INV-01"));
        rejects("INV-01", |seen, _, _| seen.acknowledged.push("run.signal_received"));
        rejects("INV-03", |_, dump, _| dump.history[2]["data"]["output"] = "answer 0".into());
        rejects("INV-03", |_, dump, _| dump.history.truncate(2));
        rejects("INV-04", |_, dump, _| dump.history[3]["seq"] = 7.into());
        rejects("INV-05", |_, dump, _| dump.history.insert(3, item(4, "step.completed", "a", "answer 1")));
        rejects("INV-06", |_, dump, _| drop(dump.history.remove(1)));
        rejects("INV-08", |_, dump, _| dump.history[2]["data"]["output"] = "answer 9".into());
        rejects("INV-12", |_, dump, _| dump.history.push(item(5, "run.failed", "", "")));
        rejects("INV-12", |_, dump, _| dump.history.push(item(5, "step.started", "b", "")));
        rejects("INV-14", |_, _, log| drop(log.insert("r/1/b//1/1".into(), vec!["answer 3".into()])));
        rejects("INV-20", |_, dump, _| drop(dump.history.pop()));
        rejects("INV-20", |_, dump, _| dump.run["status"] = "running".into());
    }
}
