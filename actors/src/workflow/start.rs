//! Starting a run: the definition is found, checked and pinned, the input checked against it.

use super::{
    Workflows,
    methods::{NAME, bounded},
    reason::{Done, Turn},
};
use crate::{
    pins::Pinned,
    protocol::{Fault, Message, run::Start},
};
use callboard_catalog::Workflow;
use callboard_core::{
    Code, Datum, Hash, Problem,
    agent::spec::Agents,
    id::{RunId, WorkflowId},
    price::Price,
    workflow::{Fingerprint, Input, Op, Pin, Plan, event::RunSettings, plan::Surroundings},
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

/// Of each agent that a run asks, by its name: the tokens of its largest answer, and the highest price of its models.
type Largest = (BTreeMap<String, u32>, BTreeMap<String, Price>);

/// Plans of stored versions that are remembered. Beyond that all are forgotten, and compiled once more when they are
/// needed.
const PLANS: usize = 128;

impl Workflows {
    /// Starts the run `run`. The same start again is the same run; another start under its id is a conflict.
    pub async fn start(&self, run: &RunId, body: Start) -> Result<Done, Fault> {
        let refused = match self.begin(run, &body).await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        // What was right when the run began may be wrong by now: the workflow is gone, or a later version of it wants
        // another input. That does not undo the start.
        let may_be_known =
            body.op.is_some() && !body.first && matches!(refused.status, 404 | 409 | 422 | 429);
        if may_be_known && let Some(done) = self.begun(run, &body).await {
            return Ok(done);
        }
        Err(refused)
    }

    /// Returns the run if this very start has begun it, as far as that can be told without its definition.
    async fn begun(&self, run: &RunId, body: &Start) -> Option<Done> {
        let done = self.turn(run, Turn::Look).await.ok()?;
        let (created, op) = (done.run.created.as_ref()?, body.op.as_ref()?);
        let same = body.workflow_id.is_some()
            && created.workflow_id == body.workflow_id
            && body.draft == (created.version == 0)
            && body.version.is_none_or(|version| version == created.version);
        let input = body.input.clone().unwrap_or(Value::Object(Default::default()));
        if !(same && done.run.knows(op)) {
            return None;
        }
        let inputs = self.as_recorded(run, body, input, &done).await;
        self.is_one_of(run, &created.input, &inputs).await.then_some(Done { replayed: true, ..done })
    }

    async fn begin(&self, run: &RunId, body: &Start) -> Result<Done, Fault> {
        if self.tasks.is_stopping() {
            return Err(Fault::unavailable("this process ends, and begins no run: try again"));
        }
        if let Err(fault) = self.quotas.begin(&self.services, run.project()).await
            // A run that has begun is told again, whatever may begin now.
            && (body.first || self.turn(run, Turn::Look).await.is_err())
        {
            return Err(fault);
        }
        let (definition, version) = self.definition(run, body).await?;
        let compiled = self.compiled(run, body.workflow_id.as_ref(), version, definition).await?;
        let Compiled { plan, document, agents } = compiled;
        let input = self.input_of(&plan, body.input.clone()).await?;
        let op = match &body.op {
            // Its body is compared with what the run recorded of it. Here it only says that it is a start.
            Some(op) if !op.is_unrepeated() => {
                Op::named(bounded("op", op.clone(), NAME)?, Fingerprint::of(Start::METHOD, &Value::Null))
            }
            Some(op) => Op::unnamed(bounded("op", op.clone(), NAME)?),
            None => self.unnamed(),
        };
        let (max_tokens, prices) = self.largest(&plan, agents.as_ref())?;
        if let Some(agents) = &agents {
            let unkept = |error| Fault::unavailable(format!("run {run} can't be started now: {error}"));
            self.pins.keep(run.project(), agents).await.map_err(unkept)?;
        }
        let dispatch = self.services.settings.dispatch;
        let mut settings = RunSettings { dispatch, retention: 0, max_tokens, otherwise: None, prices };
        let own = plan.definition.settings.retention.unwrap_or_default();
        settings.retain(own.or(self.services.settings.retention));
        let trial = self.trial(run, body, &plan).await?.map(Box::new);
        let start = Input::Start {
            op,
            workflow_id: body.workflow_id.clone(),
            version,
            plan: Datum::Inline(document.clone()),
            input: Datum::inline(input.clone()),
            settings,
            trial,
        };
        let turn = Turn::Start { input: Box::new(start), plan: Arc::clone(&plan), first: body.first };
        let done = self.turn(run, turn).await?;
        let inputs = self.as_recorded(run, body, input, &done).await;
        self.is_same(run, body, &inputs, (&plan, &document), &done).await?;
        Ok(done)
    }

    /// Returns what a reservation sets aside for each agent's call, as far as the run's budget asks for it: the tokens of its
    /// largest answer, and the highest price of its models. Errs where a budget of money can't be kept.
    fn largest(&self, plan: &Plan, agents: Option<&Pinned>) -> Result<Largest, Fault> {
        let mut largest = Largest::default();
        let (Some(budget), Some(pinned)) = (&plan.definition.settings.budget, agents) else {
            return Ok(largest);
        };
        let (known, used) = (&pinned.agents.agents, plan.definition.agents());
        if budget.tokens.is_some() || budget.cost.is_some() {
            let used = used.iter();
            largest.0 = used.filter_map(|name| Some((name.clone(), known.get(name)?.max_tokens?))).collect();
        }
        if budget.cost.is_some() {
            // Those that others may ask are paid for, too.
            for (name, spec) in known {
                let price = self.services.models.prices().highest(spec).map_err(|model| {
                    let message = format!(
                        "the run's budget of cost can't be kept: the model {model} of the agent {name} has no price \
                         in models.prices"
                    );
                    Fault::new(409, Code::PriceUnknown, message)
                })?;
                if used.contains(name) {
                    largest.1.insert(name.clone(), price);
                }
            }
        }
        Ok(largest)
    }

    /// Returns what a run that this very body began may have recorded as its input. The workflow's schema may give other
    /// defaults by now, so the run's own counts, too; earlier versions recorded what was given.
    async fn as_recorded(&self, run: &RunId, body: &Start, input: Value, done: &Done) -> Vec<Value> {
        let is_recorded = match &done.run.created {
            Some(created) => self.is_value(run, &created.input, &input).await,
            None => true,
        };
        let mut inputs = vec![input];
        if !is_recorded {
            inputs.push(body.input.clone().unwrap_or_else(|| Value::Object(Default::default())));
            if let Some(plan) = &done.run.plan {
                inputs.extend(self.input_of(plan, body.input.clone()).await.ok());
            }
        }
        inputs
    }

    /// Returns the input that a run is recorded with: checked, and with the defaults of its schema.
    pub(super) async fn input_of(&self, plan: &Arc<Plan>, given: Option<Value>) -> Result<Value, Fault> {
        let input = match plan.definition.input {
            None => plan.input_of(given),
            Some(_) => {
                let plan = Arc::clone(plan);
                // A schema and an input may take long, so this is done off the reactor.
                self.tasks.pool.check(move || plan.input_of(given)).await.map_err(Fault::busy)?
            }
        };
        let input = input.map_err(|problems| {
            Fault::new(422, Code::InvalidInput, "the input does not fit the workflow's schema")
                .with_problems(problems)
        })?;
        if callboard_core::value::json_len(&input) > callboard_core::value::VALUE_LIMIT {
            return Err(Fault::new(413, Code::ValueTooLarge, "the input is larger than 16 MiB"));
        }
        Ok(input)
    }

    /// Finds the definition: given with the call, or the catalog's.
    async fn definition(&self, run: &RunId, body: &Start) -> Result<(Value, u32), Fault> {
        match (&body.definition, &body.workflow_id) {
            (Some(definition), None) if !body.draft => Ok((definition.clone(), 0)),
            (None, Some(id)) if body.draft && body.version.is_none() => self.draft(run, id).await,
            (None, Some(id)) if !body.draft => {
                let workflow = self.stored(run, id, body.version).await?;
                if workflow.version == 0 || !workflow.problems.is_empty() {
                    let message = match workflow.version {
                        0 => {
                            format!("workflow {id} is a draft that was never published: it can't be started")
                        }
                        version => {
                            format!("version {version} of workflow {id} has problems: it can't be started")
                        }
                    };
                    return Err(has_problems(message, workflow.problems));
                }
                Ok((workflow.definition, workflow.version))
            }
            (None, Some(_)) => Err(Fault::bad_request("give either a version or draft, not both")),
            (Some(_), Some(_)) => Err(Fault::bad_request("give either workflow_id or definition, not both")),
            (Some(_), None) => Err(Fault::bad_request("a draft is of a workflow: give its workflow_id")),
            (None, None) => Err(Fault::bad_request("give a workflow_id or a definition")),
        }
    }

    async fn stored(&self, run: &RunId, id: &WorkflowId, version: Option<u32>) -> Result<Workflow, Fault> {
        let found = self.services.catalog.workflow(run.project(), id, version).await;
        let found = found.map_err(|e| Fault::unavailable(e.to_string()))?;
        found.ok_or_else(|| Fault::new(404, Code::UnknownWorkflow, format!("there is no workflow {id}")))
    }

    /// Finds what is edited. It is run as version 0: there is no such version.
    async fn draft(&self, run: &RunId, id: &WorkflowId) -> Result<(Value, u32), Fault> {
        let found = self.services.catalog.draft(run.project(), id).await;
        let Some(draft) = found.map_err(|e| Fault::unavailable(e.to_string()))? else {
            let version = self.stored(run, id, None).await?.version;
            let message = format!("workflow {id} has no draft: its version {version} is all there is");
            return Err(Fault::new(409, Code::NoDraft, message));
        };
        match draft.problems.is_empty() {
            true => Ok((draft.definition, 0)),
            false => {
                let message = format!("the draft of workflow {id} has problems: it can't be started");
                Err(has_problems(message, draft.problems))
            }
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
        // A draft changes under the number it has.
        let key = workflow.filter(|_| version > 0).map(|id| (id.clone(), version));
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

    /// Checks that a run that exists was begun by this very start: it answers that one again, and no other.
    async fn is_same(
        &self,
        run: &RunId,
        body: &Start,
        inputs: &[Value],
        (plan, document): (&Plan, &Value),
        done: &Done,
    ) -> Result<(), Fault> {
        let Some(created) = &done.run.created else { return Ok(()) };
        let known = body.op.as_ref().is_some_and(|op| done.run.knows(op));
        // Which version is the latest may change between a start and its repetition.
        let same_definition = match &body.workflow_id {
            Some(_) => {
                created.workflow_id == body.workflow_id
                    && body.draft == (created.version == 0)
                    && body.version.is_none_or(|v| v == created.version)
            }
            None => {
                // It may have begun with other agents.
                let defined = done.run.plan.as_ref().map(|plan| &plan.definition);
                created.workflow_id.is_none()
                    && (defined == Some(&plan.definition)
                        || self.is_value(run, &created.plan, document).await)
            }
        };
        if same_definition
            && done.run.trial.as_ref().map(|trial| trial.asked) == body.asked()
            && self.is_one_of(run, &created.input, inputs).await
        {
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

    async fn is_one_of(&self, run: &RunId, datum: &Datum, values: &[Value]) -> bool {
        for value in values {
            if self.is_value(run, datum, value).await {
                return true;
            }
        }
        false
    }

    /// Whether recorded data is this value. Stored data is compared by its hash, and where that differs as JSON: the order
    /// of an object's fields says nothing.
    async fn is_value(&self, run: &RunId, datum: &Datum, value: &Value) -> bool {
        let reference = match datum {
            Datum::Inline(known) => return **known == *value,
            Datum::Stored(reference) => reference,
        };
        let text = value.to_string();
        if reference.hash == Hash::of(text.as_bytes()) {
            return true;
        }
        // Another order of the same fields is as long.
        if reference.size != text.len() as u64 {
            return false;
        }
        let found = self.fetch(run, std::slice::from_ref(reference)).await;
        found.is_ok_and(|found| found.get(&reference.key).is_some_and(|known| **known == *value))
    }
}

fn has_problems(message: String, problems: Vec<Problem>) -> Fault {
    Fault::new(409, Code::WorkflowHasProblems, message).with_problems(problems)
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
