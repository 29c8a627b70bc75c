//! Starting a run: the definition is found, checked and pinned, the input checked against it.

use super::{
    Workflows,
    methods::{NAME, bounded},
    reason::{Done, Turn},
};
use crate::{
    pins::Pinned,
    protocol::{Fault, run::Start},
};
use callboard_core::{
    Code, Datum, Problem,
    agent::spec::Agents,
    id::{OperationId, RunId, WorkflowId},
    schema,
    workflow::{Input, Pin, Plan, event::RunSettings, plan::Surroundings},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A definition that can be run.
#[derive(Clone)]
pub(super) struct Compiled {
    plan: Arc<Plan>,
    /// What the run records of it.
    document: Arc<Value>,
    /// Whom it asks, and whom those may ask.
    agents: Option<Pinned>,
}

/// Plans of stored versions that are remembered. Beyond that all are forgotten, and compiled once more when they are
/// needed.
const PLANS: usize = 128;

impl Workflows {
    /// Starts the run `run`. The same start again is the same run; another start under its id is a conflict.
    pub async fn start(&self, run: &RunId, body: Start) -> Result<Done, Fault> {
        if self.tasks.is_stopping() {
            return Err(Fault::unavailable("this process ends, and begins no run: try again"));
        }
        let (definition, version) = self.definition(run, &body).await?;
        let input = body.input.clone().unwrap_or(Value::Object(Default::default()));
        let compiled = self.compiled(run, body.workflow_id.as_ref(), version, definition).await?;
        let Compiled { plan, document, agents } = compiled;
        if plan.definition.input.is_some() {
            let (plan, input) = (Arc::clone(&plan), input.clone());
            let fits = move || match &plan.definition.input {
                Some(expected) => schema::validate(expected, &input),
                None => Ok(()),
            };
            // A schema and an input may take long, so this is done off the reactor.
            self.tasks.pool.check(fits).await.map_err(Fault::busy)?.map_err(|problems| {
                let problems = problems.into_iter().map(|p| Problem {
                    path: if p.path.is_empty() { "input".into() } else { format!("input.{}", p.path) },
                    ..p
                });
                Fault::new(422, Code::InvalidInput, "the input does not fit the workflow's schema")
                    .with_problems(problems.collect())
            })?;
        }
        if callboard_core::value::json_len(&input) > callboard_core::value::VALUE_LIMIT {
            return Err(Fault::new(413, Code::ValueTooLarge, "the input is larger than 16 MiB"));
        }
        let op = match &body.op {
            Some(op) => bounded("op", op.clone(), NAME)?,
            None => OperationId::new(format!("{:x}", self.services.clock.id())),
        };
        let max_tokens: BTreeMap<String, u32> = match (&plan.definition.settings.budget, &agents) {
            (Some(budget), Some(pinned)) if budget.tokens.is_some() => {
                let known = &pinned.agents.agents;
                let used = plan.definition.agents().into_iter();
                used.filter_map(|name| Some((name.clone(), known.get(&name)?.max_tokens?))).collect()
            }
            (Some(_) | None, _) => BTreeMap::new(),
        };
        if let Some(agents) = &agents {
            let unkept = |error| Fault::unavailable(format!("run {run} can't be started now: {error}"));
            self.pins.keep(run.project(), agents).await.map_err(unkept)?;
        }
        let dispatch = self.services.settings.dispatch;
        let mut settings = RunSettings { dispatch, retention: 0, max_tokens, otherwise: None };
        let own = plan.definition.settings.retention.unwrap_or_default();
        settings.retain(own.or(self.services.settings.retention));
        let start = Input::Start {
            op,
            workflow_id: body.workflow_id.clone(),
            version,
            plan: Datum::Inline(document.clone()),
            input: Datum::inline(input.clone()),
            settings,
        };
        let turn = Turn::Start { input: Box::new(start), plan: Arc::clone(&plan), first: body.first };
        let done = self.turn(run, turn).await?;
        is_same(run, &body, &input, (&plan, &document), &done)?;
        Ok(done)
    }

    /// Finds the definition: given with the call, or the catalog's.
    async fn definition(&self, run: &RunId, body: &Start) -> Result<(Value, u32), Fault> {
        match (&body.definition, &body.workflow_id) {
            (Some(definition), None) => Ok((definition.clone(), 0)),
            (None, Some(id)) => {
                let found = self.services.catalog.workflow(run.project(), id, body.version).await;
                let found = found.map_err(|e| Fault::unavailable(e.to_string()))?;
                let Some(workflow) = found else {
                    return Err(Fault::new(404, Code::UnknownWorkflow, format!("there is no workflow {id}")));
                };
                if !workflow.problems.is_empty() {
                    let message = format!("workflow {id} is a draft with problems: it can't be started");
                    return Err(
                        Fault::new(409, Code::WorkflowHasProblems, message).with_problems(workflow.problems)
                    );
                }
                Ok((workflow.definition, workflow.version))
            }
            (Some(_), Some(_)) => Err(Fault::bad_request("give either workflow_id or definition, not both")),
            (None, None) => Err(Fault::bad_request("give a workflow_id or a definition")),
        }
    }

    /// Returns what a run of a definition is pinned to; neither a stored version nor this process's agents change, so that is
    /// found out once.
    async fn compiled(
        &self,
        run: &RunId,
        workflow: Option<&WorkflowId>,
        version: u32,
        definition: Value,
    ) -> Result<Compiled, Fault> {
        let key = workflow.map(|id| (id.clone(), version));
        if let Some(known) = key.as_ref().and_then(|key| self.plans.lock().get(key).cloned()) {
            return Ok(known);
        }
        let around = Surroundings {
            agents: self.services.agents.agents.keys().cloned().collect(),
            bound_secrets: self.services.projects.of(run.project()).secrets.hosts().bound(),
        };
        let agents = Arc::clone(&self.services.agents);
        let check = move || check(definition, &around, &agents);
        let compiled = self.tasks.pool.check(check).await.map_err(Fault::busy)??;
        if let Some(key) = key {
            let mut plans = self.plans.lock();
            if plans.len() >= PLANS {
                plans.clear();
            }
            plans.insert(key, compiled.clone());
        }
        Ok(compiled)
    }
}

/// Checks that a run that exists was begun by this very start: it answers that one again, and no other.
fn is_same(
    run: &RunId,
    body: &Start,
    input: &Value,
    (plan, document): (&Plan, &Value),
    done: &Done,
) -> Result<(), Fault> {
    let Some(created) = &done.run.created else { return Ok(()) };
    let known = body.op.as_ref().is_some_and(|op| done.run.knows(op));
    // Which version is the latest may change between a start and its repetition.
    let same_definition = match &body.workflow_id {
        Some(_) => {
            created.workflow_id == body.workflow_id && body.version.is_none_or(|v| v == created.version)
        }
        None => {
            // It may have begun with other agents.
            let defined = done.run.plan.as_ref().map(|plan| &plan.definition);
            created.workflow_id.is_none()
                && (is_value(&created.plan, document) || defined == Some(&plan.definition))
        }
    };
    if same_definition && is_value(&created.input, input) {
        return Ok(());
    }
    if known {
        let message = format!(
            "run {run} was started by this operation with another body: use another id for another start"
        );
        return Err(Fault::new(422, Code::IdempotencyKeyReused, message));
    }
    Err(Fault::new(409, Code::RunExists, format!("run {run} exists already and was started otherwise")))
}

/// Whether recorded data is this value; stored data is compared by hash.
fn is_value(datum: &Datum, value: &Value) -> bool {
    match datum {
        Datum::Inline(known) => **known == *value,
        Datum::Stored(r) => r.hash == callboard_core::Hash::of(value.to_string().as_bytes()),
    }
}

/// Reads and compiles a definition, and finds its agents.
fn check(definition: Value, around: &Surroundings, agents: &Agents) -> Result<Compiled, Fault> {
    let invalid = |problems: Vec<Problem>| {
        let n = problems.len();
        let s = if n == 1 { "" } else { "s" };
        Fault::new(422, Code::InvalidDefinition, format!("the definition has {n} problem{s}"))
            .with_problems(problems)
    };
    let plan = Plan::compile_value(definition, around).map_err(invalid)?;
    let agents = Pinned::of(agents.resolved(&plan.agents));
    let plan = plan.with_pin(agents.as_ref().map(|pinned| Pin {
        agents: pinned.hash,
        secrets: pinned.agents.secrets(pinned.agents.agents.keys()),
    }));
    let document = plan.document().map_err(|e| Fault::bad_request(e.to_string()))?;
    Ok(Compiled { plan: Arc::new(plan), document: Arc::new(document), agents })
}
