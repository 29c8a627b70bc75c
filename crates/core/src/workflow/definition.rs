//! The document a person edits: nodes, edges, settings. One model for YAML and JSON; unknown fields are refused.
//!
//! Reading (`read`) reports every mistake of shape; meaning is checked by `Plan::compile`.

mod retention;

pub use retention::{RETENTION_LIMIT, Retention};

use crate::{Span, request, retry::RetryPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest name of a signal, in bytes.
pub const SIGNAL_NAME_LIMIT: usize = 255;

/// A workflow: a graph of nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema that the run's input must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["schema"]))]
    pub input: Option<Value>,
    #[serde(default)]
    pub nodes: Vec<Node>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// Template of the run's output. Default: the last node's output, or an object by node id if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template"]))]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
    /// Free data of editors; not interpreted.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique across the whole definition, bodies included.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub id: String,
    #[serde(flatten)]
    #[schemars(flatten)]
    pub kind: NodeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// How a failed attempt is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Bound on one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    #[serde(default, skip_serializing_if = "OnError::is_default")]
    pub on_error: OnError,
    #[serde(default, skip_serializing_if = "EffectMode::is_default")]
    pub effect: EffectMode,
    /// When a node with several incoming edges starts.
    #[serde(default, skip_serializing_if = "Join::is_default")]
    pub join: Join,
    /// Left out of runs: it is recorded as skipped, and its edges without a branch go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub x: f64,
    pub y: f64,
}

// What follows from a kind is asked of `kinds`.
/// What a node does, with its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a definition has 1,000 nodes at most, and each is matched everywhere"
)]
pub enum NodeKind {
    /// Asks an agent, or offers a task to a worker outside, and completes with the answer.
    Agent(AgentNode),
    /// Makes a value of what is there already.
    Transform(TransformNode),
    /// Ends by the branch `true` or `false`.
    Condition(ConditionNode),
    /// Runs its body once for each item of a list, several at a time.
    ForEach(ForEachNode),
    /// Runs its body again and again until a condition holds.
    Loop(LoopNode),
    /// Waits for a span of time, or until an instant.
    Wait(WaitNode),
    /// Waits for a signal, and completes with its data.
    Signal(SignalNode),
    /// Asks a person, and ends by the branch `approved` or `rejected`.
    Approval(ApprovalNode),
    /// Calls a server, and completes with its answer.
    Http(request::Template),
}

/// Asks an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentNode {
    #[schemars(extend("x-callboard" = ["agent"]))]
    pub agent: String,
    /// Template of the task's text.
    #[schemars(extend("x-callboard" = ["template"]))]
    pub prompt: String,
    /// JSON Schema of the answer; without one the answer is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["schema"]))]
    pub output_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Worker::is_default")]
    pub worker: Worker,
}

/// Who does an agent's work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Worker {
    /// An agent of the agents' file.
    #[default]
    Internal,
    /// A program outside: the task is offered on `callboard.offers`, the answer comes on `callboard.results`.
    External,
}

/// Changes data by rules; its output is an object of the rules' targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformNode {
    /// Expression of the data the rules read; default: the run's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["expression"]))]
    pub input: Option<String>,
    pub rules: Vec<crate::transform::Rule>,
}

/// Chooses the edge `branch: "true"` or `branch: "false"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionNode {
    /// Expression.
    #[schemars(extend("x-callboard" = ["expression"]))]
    pub r#if: String,
}

/// Runs its body once for each item; its output is the list of the bodies' outputs, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForEachNode {
    /// Expression of a list.
    #[schemars(extend("x-callboard" = ["expression"]))]
    pub items: String,
    /// How many iterations run at once.
    #[serde(default = "ForEachNode::default_parallel")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    pub body: Body,
}

/// Runs its body until the expression holds; its output is the last body's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopNode {
    /// Expression over `last` (the body's output) and `index`.
    #[schemars(extend("x-callboard" = ["expression"]))]
    pub until: String,
    /// How many times at most. Reaching it ends the loop; it is not an error.
    #[schemars(range(min = 1, max = 10000))]
    pub max: u32,
    pub body: Body,
}

/// A graph inside a `for_each` or `loop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    pub nodes: Vec<Node>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// Template of one iteration's output; default as for the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template"]))]
    pub output: Option<Value>,
}

/// A duration, or a template that renders to one.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    Known(Span),
    Rendered(String),
}

/// Waits for a span or until an instant; exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitNode {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#for: Option<Delay>,
    /// RFC 3339, or a template that renders to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template"]))]
    pub until: Option<String>,
}

/// Waits for an event from outside; its output is the event's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalNode {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Asks a person; takes the edge `branch: "approved"` or `branch: "rejected"`. Expiry rejects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalNode {
    #[schemars(extend("x-callboard" = ["template"]))]
    pub title: String,
    /// Template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template"]))]
    pub detail: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The node that comes to be by this approval: what it will send is shown with the question, and covered by the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["node"]))]
    pub guards: Option<String>,
}

/// Leads from one node to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// Free id of editors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub source: String,
    pub target: String,
    #[serde(default, skip_serializing_if = "EdgeConfig::is_default")]
    pub config: EdgeConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    /// `"true"`/`"false"` of a condition, `"approved"`/`"rejected"` of an approval, `"error"` of any node with `on_error: branch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// What a step's final failure means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails, unless a `join: settle` node follows.
    #[default]
    Fail,
    /// The edge with `branch: error` is taken.
    Branch,
    /// The step completes with this output instead.
    Default(Value),
}

/// Whether a call may be made again when its outcome is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectMode {
    #[default]
    Retry,
    /// An unknown outcome parks the step as `unknown` for a person.
    AtMostOnce,
}

/// When a node with several incoming edges starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Every parent ended and at least one edge is taken.
    #[default]
    All,
    /// The first taken edge.
    Any,
    /// The n-th taken edge.
    N(u32),
    /// Every parent ended, however.
    Settle,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Steps of one run that are dispatched at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: Option<u32>,
    /// How long an ended run stays in the state store; what is not said is the server's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// Bounds on what a run may use; reserved before a call, settled after it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub calls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens: Option<u64>,
    /// Money, in millionths of a unit of the currency that the server's prices are in: 2500000 is 2.50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cost: Option<u64>,
    /// Wall time; it stands still while the run is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub seconds: Option<u64>,
    #[serde(default)]
    pub on_breach: OnBreach,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBreach {
    /// The run fails with `budget_exceeded`.
    #[default]
    Stop,
    /// Nothing new starts; the run completes with what is there.
    WrapUp,
}

// === impl Definition ===

impl Definition {
    /// Returns every node, those in bodies included, each with the node whose body it stands in.
    pub fn all_nodes(&self) -> Vec<(&Node, Option<&Node>)> {
        let mut all: Vec<(&Node, Option<&Node>)> = self.nodes.iter().map(|node| (node, None)).collect();
        // `all` grows while it is walked, level by level: no recursion, however deep the bodies are.
        let mut next = 0;
        while let Some(&(owner, _)) = all.get(next) {
            next += 1;
            let inside = owner.kind.body().map(|body| body.nodes.as_slice()).unwrap_or_default();
            all.extend(inside.iter().map(|node| (node, Some(owner))));
        }
        all
    }

    /// Returns the names of all agents that it asks.
    pub fn agents(&self) -> BTreeSet<String> {
        let nodes = self.all_nodes().into_iter();
        nodes.filter_map(|(node, _)| node.kind.agent()).map(|agent| agent.agent.clone()).collect()
    }
}

// === impl Delay ===

impl Serialize for Delay {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(span) => span.serialize(s),
            Self::Rendered(template) => template.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        if ["{{", "{%"].iter().any(|open| text.contains(open)) {
            return Ok(Self::Rendered(text));
        }
        Span::deserialize(serde::de::value::StringDeserializer::new(text)).map(Self::Known)
    }
}

impl JsonSchema for Delay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Delay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration such as \"10s\", \"7d\" or \"PT5M\", or a template of one or of a number of seconds.",
            "examples": ["10s", "{{ input.seconds }}"],
            "x-callboard": ["duration", "template"]
        })
    }
}

// === impl defaults ===

impl ForEachNode {
    fn default_parallel() -> u32 {
        8
    }
}

impl Settings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl EdgeConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl OnError {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl EffectMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Worker {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Join {
    /// Whether a node has started, or may, once nothing more can be taken: of its edges `taken` were taken, and `entered` of
    /// its parents were not skipped.
    pub fn is_met(self, parents: usize, taken: usize, entered: usize) -> bool {
        parents == 0
            || match self {
                Join::Settle => entered > 0,
                Join::All | Join::Any => taken > 0,
                Join::N(n) => taken >= n as usize,
            }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
