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

fn agent(id: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "research", "prompt": prompt}})
}

fn edge(source: &str, target: &str) -> Value {
    json!({"source": source, "target": target})
}

/// Makes a job: a part of some kind between two agents.
pub fn job(dice: &mut Dice) -> Job {
    let mut nodes = vec![agent("first", "about {{ input.topic }}")];
    let mut edges = Vec::new();
    let (mut signal, mut approve) = (false, false);
    let width = 2 + dice.roll(4);
    match dice.roll(6) {
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
            edges.push(edge("first", "ask"));
            edges.push(json!({"source": "ask", "target": "mid", "config": {"branch": "approved"}}));
            edges.push(edge("mid", "last"));
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
