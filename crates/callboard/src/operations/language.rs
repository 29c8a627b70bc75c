//! What can be asked about the language of definitions: its kinds of nodes, and what an expression gives. Nothing is
//! saved.

use super::{
    Items, Kind, Operations, Refusal, Request, Turn, data::Data, now, off_the_reactor, request::given,
};
use crate::access::Principal;
use callboard_core::{
    Datum, Problem, Stop, Values,
    expr::{self, Brake, Meter, Reads},
    id::RunId,
    workflow::{
        Place, Plan, Run, What,
        kinds::{self, Family, Work},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// After this no evaluation begins, and those under way end at their next look.
const TIME: Duration = Duration::from_secs(2);
/// Entries of a history read at once.
const ENTRIES: u32 = 1000;

/// What becomes of a node that is started.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKindWork {
    /// It ends at once.
    Decided,
    /// It is open until time or people end it.
    Waits,
    /// It is open while the iterations of its body are.
    Holds,
    /// It is open until an agent, a worker or a server answers.
    Outside,
}

/// A kind of node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeKindView {
    /// As `type` writes it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What becomes of a node that is started.
    pub work: NodeKindWork,
    /// The branches by which it can end when it completes; beside them `error`, with `on_error: branch`.
    pub branches: Vec<&'static str>,
    /// What it has in common with other kinds.
    pub family: Family,
    /// The name of what stands for it, among Tabler's icons.
    pub icon: &'static str,
    /// JSON Schema of its `config`, with the defaults. `x-callboard` of a field lists what it holds: `template`, `expression`,
    /// `duration`, `agent`, `node`, `schema`, and `secret` where `secret://` names one.
    pub config: Value,
    /// JSON Schema of its output, as far as the kind says it: `{}` where the configuration does.
    pub output_schema: Value,
}

/// An expression or a template, and what it sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// An expression, as in `if`; either this or `template`.
    pub expression: Option<String>,
    /// Any JSON; each text in it is a template.
    #[serde(default, deserialize_with = "given")]
    pub template: Option<Value>,
    /// What is undefined is false, and the answer `true` or `false`: an expression as a condition reads it.
    #[serde(default)]
    pub condition: bool,
    /// What it sees, such as `{"input": {"n": 1}}`; or nothing, or a `run`.
    pub data: Option<Map<String, Value>>,
    /// The run whose data it sees, as a node of its own would see them now.
    pub run: Option<RunCalled>,
    /// The node that would see them; the workflow's output unless it is given.
    pub node: Option<String>,
    /// The iteration, of a node in a body: `"2"`, or `"2.0"` in a body within a body.
    pub iteration: Option<String>,
}

/// A run as its caller calls it: its name, or the whole id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunCalled(String);

/// What an expression or a template gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evaluated {
    pub value: Value,
    /// `null`, `boolean`, `number`, `string`, `array` or `object`.
    pub r#type: &'static str,
    /// Of the value as JSON.
    pub bytes: u64,
}

impl Request for Evaluate {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let has = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        let mut found = Vec::new();
        let mut wrong = |path: &str, message: &str| found.push(Problem::new(path, "invalid", message));
        if has("expression") == body.contains_key("template") {
            wrong("expression", "either `expression` or `template` is given");
        }
        if has("condition") && body.contains_key("template") {
            wrong("condition", "a template is no condition");
        }
        if has("data") && has("run") {
            wrong("data", "either `data` or `run` is given");
        }
        for name in ["node", "iteration"] {
            if has(name) && !has("run") {
                wrong(name, "it is one of a `run`");
            }
        }
        found
    }
}

impl From<Work<'_>> for NodeKindWork {
    fn from(work: Work<'_>) -> Self {
        match work {
            Work::Decided => Self::Decided,
            Work::Waits(_) => Self::Waits,
            Work::Holds(_) => Self::Holds,
            Work::Outside(_) => Self::Outside,
        }
    }
}

/// What is evaluated.
enum Source {
    Expression(String),
    Condition(String),
    Template(Value),
}

// === impl Operations ===

impl Operations {
    /// Returns every kind of node, in the order in which they are documented.
    pub fn node_kinds(&self) -> Items<NodeKindView> {
        let view = |kind: &kinds::Described| {
            let example = kind.example.as_ref()?;
            Some(NodeKindView {
                name: kind.name.clone(),
                description: kind.description.clone(),
                work: example.work().into(),
                branches: example.branches().iter().map(|branch| branch.name()).collect(),
                family: example.family(),
                icon: example.icon(),
                config: kind.config.clone(),
                output_schema: example.output(),
            })
        };
        Items { items: kinds::all().iter().filter_map(view).collect(), next: None }
    }

    /// Evaluates an expression or a template, within the bounds that it has in a run.
    pub async fn evaluate(&self, principal: &Principal, asked: Evaluate) -> Result<Evaluated, Refusal> {
        let Evaluate { expression, template, condition, data, run, node, iteration } = asked;
        let source = match (expression, template) {
            (Some(text), _) if condition => Source::Condition(text),
            (Some(text), _) => Source::Expression(text),
            (None, template) => Source::Template(template.unwrap_or_default()),
        };
        // Also of what is given: a mistake in the text is told whatever the data are.
        let reads = source.reads()?;
        let turn = self.heavy.check(0).await?;
        let Some(run) = run else {
            let data = Value::Object(data.unwrap_or_default());
            return within_time(turn, move |meter| source.over(meter, &data)).await;
        };
        let RunCalled(called) = run;
        let run = RunId::called(&principal.project, &called);
        let run = run.ok_or_else(|| Refusal::not_found("run", &called))?;
        let state = Arc::new(self.folded(&run).await?);
        let mut values = Values::default();
        loop {
            let place = (node.clone(), iteration.clone().unwrap_or_default());
            let (state, reads, kept) = (state.clone(), reads.clone(), std::mem::take(&mut values));
            let seen = off_the_reactor(move || {
                let place = Place { node: place.0.as_deref(), iteration: &place.1 };
                let seen = state.seen(&Meter::default(), now(), place, &reads, &kept);
                Ok((seen, kept))
            });
            let (seen, kept) = seen.await?;
            values = kept;
            match seen {
                Ok(data) => return within_time(turn, move |meter| source.over(meter, &data)).await,
                Err(Stop::Refused(refusal)) => {
                    let problem = Problem::new("node", refusal.code.as_str(), refusal.message);
                    return Err(Refusal::invalid("invalid_body", "the body", vec![problem]));
                }
                Err(Stop::Missing(missing)) => {
                    let mut data = Data::default();
                    let wanted: Vec<_> = missing.0.into_iter().map(Datum::Stored).collect();
                    if !wanted.iter().all(|datum| data.want(datum)) {
                        let detail = "the expression sees more stored data than can be loaded at once";
                        return Err(Refusal::new(Kind::TooLarge, "too_large", detail));
                    }
                    data.load(&*self.catalog, &run).await?;
                    for datum in &wanted {
                        let Some(reference) = datum.reference() else { continue };
                        let Some(value) = data.content(reference) else {
                            let detail = format!("a value of run {run} is lost");
                            return Err(Refusal::new(Kind::Lost, "value_lost", detail));
                        };
                        values.insert(reference.key.clone(), Arc::new(value));
                    }
                }
            }
        }
    }

    /// Folds all that is recorded of a run, with its plan.
    async fn folded(&self, run: &RunId) -> Result<Run, Refusal> {
        let end = self.runs.row(run).await?.seq;
        let _turn = if end > u64::from(ENTRIES) { Some(self.heavy.fold().await?) } else { None };
        let mut state = Run::new(run);
        let mut seq = 0;
        while seq < end {
            let entries = self.catalog.history(run, seq, ENTRIES).await?;
            let Some(last) = entries.last() else { break };
            seq = last.seq;
            for entry in &entries {
                let event = super::history::event(run, entry).ok_or_else(Refusal::internal)?;
                if let What::RunCreated { plan, .. } = &event.what {
                    state.attach(Arc::new(self.plan(run, plan).await?));
                }
                state.apply(&event);
            }
        }
        Ok(state)
    }

    async fn plan(&self, run: &RunId, recorded: &Datum) -> Result<Plan, Refusal> {
        let mut data = Data::default();
        data.want(recorded);
        data.load(&*self.catalog, run).await?;
        let unavailable = || {
            let detail = format!("the plan of run {run} can't be had");
            Refusal::new(Kind::Conflict, "plan_unavailable", detail)
        };
        let definition = serde_json::from_value(data.show(recorded)).map_err(|_| unavailable())?;
        Plan::pinned(definition).map_err(|_| unavailable())
    }
}

// === impl Source ===

impl Source {
    /// Returns what it looks at, or what is wrong with it.
    fn reads(&self) -> Result<Reads, Refusal> {
        match self {
            Self::Expression(text) | Self::Condition(text) => expr::check_expression(text),
            Self::Template(template) => expr::check_template(template),
        }
        .map_err(|error| self.wrong(error))
    }

    fn over(&self, meter: &Meter<'_>, data: &Value) -> Result<Value, Refusal> {
        match self {
            Self::Expression(text) => expr::evaluate_under(meter, text, data),
            Self::Condition(text) => expr::holds_under(meter, text, data).map(Value::Bool),
            Self::Template(template) => expr::render_under(meter, template, data),
        }
        .map_err(|error| self.wrong(error))
    }

    fn wrong(&self, error: expr::Error) -> Refusal {
        let (path, code) = match self {
            Self::Expression(_) | Self::Condition(_) => ("expression", "invalid_expression"),
            Self::Template(_) => ("template", "invalid_template"),
        };
        Refusal::invalid("invalid_body", "the body", vec![Problem::new(path, code, error.to_string())])
    }
}

/// Evaluates where it holds up nobody, and for a bounded time.
async fn within_time(
    turn: Turn,
    evaluate: impl FnOnce(&Meter<'_>) -> Result<Value, Refusal> + Send + 'static,
) -> Result<Evaluated, Refusal> {
    let brake = Arc::new(Brake::default());
    let watched = brake.clone();
    let evaluated = off_the_reactor(move || {
        let value = evaluate(&Meter::new(Some(&brake)))?;
        drop(turn);
        let bytes = callboard_core::value::json_len(&value) as u64;
        Ok(Evaluated { r#type: kind(&value), bytes, value })
    });
    tokio::pin!(evaluated);
    tokio::select! {
        done = &mut evaluated => return done,
        () = tokio::time::sleep(TIME) => watched.stop(),
    }
    evaluated.await
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
