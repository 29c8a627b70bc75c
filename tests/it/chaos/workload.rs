//! Seeded workflows of five to twelve steps: chains, fans, loops, waits, signals, approvals.

use serde_json::{Value, json};

/// A generator that gives the same sequence for the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns something in `0..below` (SplitMix64).
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// What a run is, and what its client has to do besides starting it.
#[derive(Debug, Clone)]
pub struct Job {
    pub definition: Value,
    pub input: Value,
    /// Name of a signal to send.
    pub signal: bool,
    /// Node to approve.
    pub approve: bool,
}

impl Job {
    fn of(nodes: Vec<Value>, edges: Vec<Value>) -> Self {
        let definition = json!({"name": "chaos", "nodes": nodes, "edges": edges});
        Self { definition, input: json!({}), signal: false, approve: false }
    }
}

fn agent(id: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "research", "prompt": prompt}})
}

fn edge(source: &str, target: &str) -> Value {
    json!({"source": source, "target": target})
}

/// Kinds of jobs that need no more than the agents of `config/agents.yaml`.
const KINDS: u64 = 6;

/// Makes a job of some kind.
pub fn job(dice: &mut Dice) -> Job {
    let kind = dice.roll(KINDS);
    of_kind(kind, dice)
}

/// One job of each kind.
pub fn each_kind() -> Vec<Job> {
    let mut dice = Dice::new(7);
    (0..KINDS).map(|kind| of_kind(kind, &mut dice)).collect()
}

/// A chain of agents with long answers: each is a value of its own. `great`: of more than 64 KiB.
pub fn chain(length: usize, great: bool) -> Job {
    let how = if great { "at great length" } else { "at length" };
    let nodes: Vec<Value> = (0..length).map(|n| agent(&format!("n{n}"), &format!("{how}, {n}"))).collect();
    let edges: Vec<Value> = (1..length).map(|n| edge(&format!("n{}", n - 1), &format!("n{n}"))).collect();
    Job::of(nodes, edges)
}

/// A long history: one agent step for each item.
pub fn long(items: usize) -> Job {
    let body = json!({"nodes": [agent("each", "{{ item }}")]});
    let config = json!({"items": "input.list", "parallel": 8, "body": body});
    let mut job = Job::of(vec![json!({"id": "all", "type": "for_each", "config": config})], Vec::new());
    job.input = json!({"list": (0..items).collect::<Vec<_>>()});
    job
}

/// Two agents, and a wait between them.
pub fn slow() -> Job {
    let wait = json!({"id": "wait", "type": "wait", "config": {"for": "1500ms"}});
    let nodes = vec![agent("first", "before"), wait, agent("last", "after")];
    Job::of(nodes, vec![edge("first", "wait"), edge("wait", "last")])
}

/// An agent that uses a tool (it must be among the agents), then a service.
pub fn tools(service: &str) -> Job {
    let tooler = json!({"id": "tooler", "type": "agent", "config": {"agent": "tooler", "prompt": "add"}});
    let url = format!("http://{service}/service");
    let http = json!({"id": "http", "type": "http", "config": {"method": "POST", "url": url, "body": {}}});
    Job::of(vec![tooler, http], vec![edge("tooler", "http")])
}

/// A part of some kind between two agents.
fn of_kind(kind: u64, dice: &mut Dice) -> Job {
    let mut nodes = vec![agent("first", "about {{ input.topic }}")];
    let mut edges = Vec::new();
    let (mut signal, mut approve) = (false, false);
    let width = 3 + dice.roll(3);
    match kind {
        0 => {
            let length = 3 + dice.roll(8);
            for n in 0..length {
                let before = if n == 0 { "first".to_owned() } else { format!("n{}", n - 1) };
                nodes.push(agent(&format!("n{n}"), &format!("go on: {{{{ steps.{before}.output }}}}")));
                edges.push(edge(&before, &format!("n{n}")));
            }
            edges.push(edge(&format!("n{}", length - 1), "last"));
        }
        1 => {
            for n in 0..width {
                nodes.push(agent(&format!("n{n}"), "{{ steps.first.output }}"));
                edges.extend([edge("first", &format!("n{n}")), edge(&format!("n{n}"), "last")]);
            }
        }
        2 => {
            let body = json!({"nodes": [agent("each", "{{ item }}")]});
            nodes.push(json!({"id": "mid", "type": "for_each",
                "config": {"items": "input.list", "parallel": 3, "body": body}}));
            edges.extend([edge("first", "mid"), edge("mid", "last")]);
        }
        3 => {
            let body = json!({"nodes": [agent("again", "round {{ index }}")]});
            nodes.push(json!({"id": "mid", "type": "loop",
                "config": {"until": format!("index >= {}", width - 1), "max": 10, "body": body}}));
            edges.extend([edge("first", "mid"), edge("mid", "last")]);
        }
        4 => {
            signal = true;
            nodes.push(json!({"id": "pause", "type": "wait", "config": {"for": format!("{}ms", 50 + dice.roll(400))}}));
            nodes.push(json!({"id": "go", "type": "signal", "config": {"name": "go"}}));
            nodes.push(agent("mid", "{{ steps.go.output.n }}"));
            edges.extend([
                edge("first", "pause"),
                edge("pause", "go"),
                edge("go", "mid"),
                edge("mid", "last"),
            ]);
        }
        _ => {
            approve = true;
            nodes.push(json!({"id": "ask", "type": "approval", "config": {"title": "Go on?"}}));
            nodes.push(agent("mid", "approved"));
            nodes.push(agent("more", "{{ steps.mid.output }}"));
            edges.push(edge("first", "ask"));
            edges.push(json!({"source": "ask", "target": "mid", "config": {"branch": "approved"}}));
            edges.extend([edge("mid", "more"), edge("more", "last")]);
        }
    }
    nodes.push(agent("last", "the end after {{ steps.first.output }}"));
    let list: Vec<u64> = (0..width).collect();
    Job {
        definition: json!({"name": "chaos", "nodes": nodes, "edges": edges}),
        input: json!({"topic": format!("topic {}", dice.roll(1000)), "list": list}),
        signal,
        approve,
    }
}
