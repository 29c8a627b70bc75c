//! What an agent does outside its turns: call the model, call tools, ask the run for more, deliver the answer.

use super::{Actor, Agents, Mem, Target, delegate::outcome_of, job::Job, reason::Turn};
use crate::{
    Busy, Said,
    failpoint::failpoint,
    kernel::Ladder,
    line::Owner,
    marks::Work,
    mutant::{mutant, rule},
    protocol::{Unanswered, agent::Delegated, ask, run as message},
    tasks::{Call as UnderWay, Called, pause},
};
use callboard_connectors::{
    http::{Held, node::Answer},
    secret,
    tools::{self, Around, Prepared},
};
use callboard_core::{
    Code, Machine, Span,
    agent::{
        message::{Finish, ModelReply, ToolCall},
        run::{Effect, Event, Input, Phase, Run, check_call},
        task::Task,
    },
    call::CallError,
    id::{AgentId, OperationId, RunId},
    workflow::event::Reserved,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument;

/// How long a tool's call takes at most, unless the task ends before.
const TOOL: Span = Span::secs(60);
/// Waits before the tries to give a result back to the agent, to reserve a call, and to deliver the answer.
const REPORT: Ladder = Ladder::of(&[0, 100, 500, 1000, 2000, 4000, 8000, 8000]);
const RESERVE: Ladder = Ladder::of(&[0, 200, 2000, 10_000]);
const DELIVER: Ladder = Ladder::of(&[0, 50, 500, 1000, 2000, 4000, 8000]);

/// A call of the model that is to be made.
struct Thought {
    run: Run,
    contents: BTreeMap<String, Arc<Value>>,
    target: Option<Target>,
    owner: Owner,
    iteration: u32,
    /// The agent's own model, or one of its fallbacks.
    model: usize,
    wait: Span,
    /// Names this activation to the run that grants `at_most_once` calls.
    activation: String,
}

/// What came of a tool. A stop waits until it is recorded.
struct Used {
    result: Result<Answer, CallError>,
    _call: UnderWay,
}

/// What is told to whoever asked.
enum Delivery {
    ToRun(RunId, message::Answer),
    ToAgent(AgentId, Delegated),
}

impl Agents {
    pub(super) fn perform(&self, actor: &mut Actor, id: &AgentId, mem: &Mem, effect: Effect) {
        let (this, id, run, target) = (self.clone(), id.clone(), mem.run.clone(), mem.target.clone());
        let now = self.time(actor, &mem.run);
        let (contents, owner) = (mem.contents.clone(), actor.owner(&id));
        let Some(task) = run.task.clone() else { return };
        let attempt = task.attempt;
        match effect {
            Effect::CallModel { iteration, model, not_before } => {
                let activation =
                    actor.activation.get_or_insert_with(|| format!("{:x}", this.services.clock.id())).clone();
                let asks = mem.asks && iteration == 1 && task.origin.is_none();
                let limit = run.deadline().map(|at| at.since(now));
                // Only a call that failed is put off.
                let wait = if run.failures == 0 { Span::ZERO } else { not_before.since(now) };
                let asker = target.clone();
                let thought = Thought { run, contents, target, owner, iteration, model, wait, activation };
                let call = self.tasks.spawn(async move {
                    if asks && !this.is_wanted(&id, asker.as_ref(), attempt).await {
                        return;
                    }
                    tokio::select! {
                        biased;
                        // Nobody else looks at the clock while a call is under way.
                        () = past(limit) => this.report(&id, Input::Tick).await,
                        () = this.think(&id, thought) => {}
                    }
                });
                actor.call = Some(call.abort_handle());
            }
            Effect::CallTool { iteration, call } => drop(self.tasks.spawn(async move {
                // A call does not outlast the task by much that it is a part of; the task's own end comes first.
                let left = run.deadline().map(|at| Span(at.since(now).0.saturating_add(1000)));
                let left = left.filter(|left| *left < TOOL);
                failpoint!("tool.before_call");
                let Some(used) = this.use_tool(&id, &run, &owner, &call, left).await else { return };
                failpoint!("tool.after_call");
                let (result, _held) = match used.result {
                    // The answer keeps its places in memory until it is recorded.
                    Ok(answer) => (Ok(answer.output), answer.held),
                    Err(error) => (Err(error), Held::default()),
                };
                this.report(&id, Input::ToolAnswered { attempt, iteration, id: call.id, result }).await;
            })),
            Effect::Delegate { iteration, call } => self.tasks.spawn_until_stop(async move {
                this.delegate(&id, &run, (target.as_ref(), &owner), iteration, &call).await;
            }),
            Effect::Reserve { iteration } => self.tasks.spawn_until_stop(async move {
                let granted = this.reserve(&run, target.as_ref(), iteration).await;
                this.report(&id, Input::Granted { attempt, iteration, granted }).await;
            }),
            Effect::Deliver { attempt } => {
                let took = now.since(run.accepted_at);
                self.services.metrics.task_ended(Duration::from_millis(took.0));
                self.tasks.spawn(async move { this.deliver(&id, &run, target, attempt).await });
            }
        }
    }

    /// Gives a result back to the agent. One that can't be recorded now is worth waiting for.
    pub(super) async fn report(&self, id: &AgentId, input: Input) {
        let mut tries = REPORT;
        while tries.climb().await {
            match self.turn(id, Turn::Input(Box::new(input.clone()))).await {
                Ok(_) => return,
                Err(fault) => {
                    tracing::debug!(%id, detail = fault.detail, "the agent does not take a result now")
                }
            }
        }
        tracing::warn!(%id, "a result of an agent's call could not be recorded");
        self.forget_jobs(id, |_| true).await;
    }

    /// Calls the model, and reports what it says.
    async fn think(&self, id: &AgentId, thought: Thought) {
        let Thought { run, contents, target, owner, iteration, model, wait, activation } = thought;
        let granted = self.services.projects.of(id.home().project());
        let (attempt_of_task, asked) = (run.task.as_ref().map(|task| task.attempt), run.model_name(model));
        let provider = self.services.models.provider_of(asked);
        if let Some(attempt) = attempt_of_task
            && !granted.may_ask(provider)
        {
            let message = format!("the project {} may not ask the provider {provider}", id.home().project());
            let reply = Err(CallError::elsewhere("provider_not_allowed", message));
            return self.report(id, Input::Replied { attempt, iteration, reply }).await;
        }
        let ready = async {
            pause(Duration::from_millis(wait.0)).await;
            self.lines.of_model(provider, self.services.models.parallel(provider), &owner).await
        };
        let places = tokio::select! {
            biased;
            () = self.tasks.stopped() => return,
            ready = ready => ready,
        };
        // From here on the call counts as made: a stop waits for it, also where it is still to be granted.
        let Some(_call) = self.tasks.begin(Called::Model) else { return };
        let Some(task) = &run.task else { return };
        let attempt = task.attempt;
        if rule!(Grant, task.at_most_once)
            && let Some(target) = &target
        {
            match self.granted(target, task.attempt, &activation).await {
                Some(true) => {}
                Some(false) => return self.report(id, Input::Refused { attempt }).await,
                // Nobody answered: the run's wake tries again.
                None => return self.forget_jobs(id, Job::is_model).await,
            }
        }
        let request = match self.request(id, &run, &contents, model).await {
            Ok(request) => request,
            Err(error) => {
                return self.report(id, Input::Replied { attempt, iteration, reply: Err(error) }).await;
            }
        };
        let scrub = match secret::scrub(&self.secrets_of(&run), &*granted.secrets).await {
            Ok(scrub) => scrub,
            Err(error) => {
                return self.report(id, Input::Replied { attempt, iteration, reply: Err(error) }).await;
            }
        };
        let began = Instant::now();
        let span = tracing::info_span!("model", otel.kind = "client", gen_ai.request.model = request.model);
        let say = self.speaker(task, target.as_ref());
        let on_delta = say.as_ref().map(|say| say as &(dyn Fn(&str) + Send + Sync));
        failpoint!("model.before_call");
        let reply = self.services.models.call_scrubbed(&request, on_delta, &scrub).instrument(span).await;
        failpoint!("model.after_call");
        let usage = reply.as_ref().ok().map(|r: &ModelReply| &r.usage);
        let outcome = outcome_of_call(&reply);
        if outcome != "complete" {
            tracing::info!(%id, model = request.model, outcome, "a model's call gave no answer");
        }
        self.services.metrics.model_called(&request.model, began.elapsed(), outcome, usage);
        drop(places);
        self.report(id, Input::Replied { attempt, iteration, reply }).await;
    }

    /// Returns what hands a model's words on while they come; nothing where nobody listens, since a whole answer is
    /// cheaper, and less can go wrong with it. What agents say among themselves is not the step's answer.
    fn speaker(&self, task: &Task, target: Option<&Target>) -> Option<impl Fn(&str) + Send + Sync + use<>> {
        let speaks = target.filter(|_| task.origin.is_none())?;
        if !self.services.live.is_heard(&speaks.run, self.services.clock.now()) {
            return None;
        }
        let (services, target, attempt) = (self.services.clone(), speaks.clone(), task.attempt);
        Some(move |text: &str| {
            let step = &target.step;
            let (node, iteration) = (step.node.clone(), step.iteration.clone());
            let said = Said { node, generation: step.generation, iteration, attempt, text: text.to_owned() };
            services.live.say(&target.run, said, services.clock.now());
        })
    }

    /// Says why another model is asked than the one that failed.
    pub(super) fn note_fallback(&self, id: &AgentId, run: &Run, event: &Event) {
        let Event::ModelFailed { error, model, .. } = event else { return };
        if *model != run.model {
            let (from, to) = (run.model_name(run.model), run.model_name(*model));
            tracing::warn!(%id, from, to, reason = error.code, "another model is asked");
            self.services.metrics.fell_back(from, &error.code);
        }
    }

    /// Uses a tool. Its failure is data for the model. Nothing comes of it once the process stops.
    async fn use_tool(
        &self,
        id: &AgentId,
        run: &Run,
        owner: &Owner,
        call: &ToolCall,
        left: Option<Span>,
    ) -> Option<Used> {
        let computing = self.tasks.begin(Called::Tool)?;
        let outbound = match self.prepare(id, run, call).await {
            Ok(Prepared::Request(outbound)) => outbound,
            Ok(Prepared::Answered(answer)) => return Some(Used { result: Ok(answer), _call: computing }),
            Err(error) => return Some(Used { result: Err(error), _call: computing }),
        };
        drop(computing);
        let host = outbound.host();
        let places = tokio::select! {
            biased;
            () = self.tasks.stopped() => return None,
            places = self.lines.of_host(&host, owner) => places,
        };
        let begun = self.tasks.begin(Called::Tool)?;
        let key = run.task.as_ref().map_or("", |task| &task.key);
        let key = format!("{key}/{}/{}", run.iterations, call.id);
        let around = Around { names: &self.secrets_of(run), idempotency_key: &key, timeout: left };
        let result = self.services.projects.of(id.home().project()).tools.send(&outbound, around).await;
        drop(places);
        Some(Used { result, _call: begun })
    }

    /// Checks what a model asks of a tool, and computes what can be computed of it.
    async fn prepare(&self, id: &AgentId, run: &Run, call: &ToolCall) -> Result<Prepared, CallError> {
        let (profile, asked) = (run.profile.clone().unwrap_or_default(), call.clone());
        let work = move || {
            let (tool, arguments) = check_call(&profile, &asked)?;
            tools::prepare(tool, &arguments)
        };
        let _under_way = self.marks.enter(id.home(), Work::Tool).await;
        let busy = |busy: Busy| CallError::permanent("tool_failed", busy.to_string());
        self.tasks.pool.check(work).await.map_err(busy)?
    }

    /// Returns the names of all secrets that may come back: those of the run, and of the agent's tools.
    fn secrets_of(&self, run: &Run) -> BTreeSet<String> {
        let of_task = run.task.iter().flat_map(|task| &task.secrets);
        of_task.chain(run.profile.iter().flat_map(|profile| &profile.secrets)).cloned().collect()
    }

    /// Asks the run for one more call. Without an answer the call is not made.
    async fn reserve(&self, run: &Run, target: Option<&Target>, iteration: u32) -> bool {
        let (Some(target), Some(task)) = (target, &run.task) else { return true };
        let spec = run.profile.as_ref().map(|profile| &profile.spec);
        let tokens = u64::from(spec.and_then(|spec| spec.max_tokens).unwrap_or(0));
        // A model without a price costs an unknown amount, for which nothing can be set aside.
        let price = spec.and_then(|spec| self.services.models.prices().highest(spec).ok());
        let cost = price.map_or(0, |price| price.of(0, 0, tokens));
        let reserved = Reserved { calls: 1, tokens, cost };
        let op = OperationId::new(format!("{}/{iteration}", task.key));
        let reserve = message::Reserve { op, step: target.step.clone(), attempt: task.attempt, reserved };
        mutant!(Reserve, return true;);
        let mut tries = RESERVE;
        while tries.climb().await {
            match ask(&self.services, &target.run, &reserve).await {
                Ok(answer) => return answer.granted,
                Err(Unanswered::Refused(_)) => return false,
                Err(Unanswered::Silent(why)) => tracing::debug!(why, "the run does not answer now"),
            }
        }
        false
    }

    /// Asks the run whether it still waits for the attempt, where a task may have come again after its end: what told the
    /// answer may have died before it was saved here. If not, the agent forgets the task.
    async fn is_wanted(&self, id: &AgentId, target: Option<&Target>, attempt: u32) -> bool {
        let Some(target) = target else { return true };
        let question = message::IsWanted { step: target.step.clone(), attempt };
        match ask(&self.services, &target.run, &question).await {
            Ok(answer) if answer.wanted => return true,
            Ok(_) | Err(Unanswered::Refused(_)) => {
                let is_it = |mem: &Mem| {
                    mem.asks && mem.run.works() && mem.run.task.as_ref().is_some_and(|t| t.attempt == attempt)
                };
                if let Ok(mut actor) = self.boxes.enter(id).await
                    && actor.mem.as_ref().is_some_and(is_it)
                {
                    actor.mem = None;
                    actor.in_flight.clear();
                }
                self.boxes.forget_if(id, |actor| actor.mem.is_none());
            }
            // Nobody answered: the run's wake tries again.
            Err(Unanswered::Silent(_)) => self.forget_jobs(id, Job::is_model).await,
        }
        false
    }

    async fn granted(&self, target: &Target, attempt: u32, activation: &str) -> Option<bool> {
        let activation = activation.to_owned();
        let grant = message::Grant { step: target.step.clone(), attempt, activation };
        ask(&self.services, &target.run, &grant).await.ok().map(|answer| answer.granted)
    }

    /// Gives the answer to whoever asked until it is acknowledged; after a while they ask again by themselves.
    async fn deliver(&self, id: &AgentId, run: &Run, target: Option<Target>, attempt: u32) {
        let Phase::Done { outcome } = &run.phase else { return };
        let origin = run.task.as_ref().and_then(|t| t.origin.as_ref());
        let delivery = match (origin, &target) {
            (Some(origin), Some(_)) => {
                Some(Delivery::ToAgent(origin.agent.clone(), outcome_of(id, origin, run, outcome)))
            }
            // Whoever asked looks after it.
            (Some(_), None) | (None, None) => None,
            // One that was cancelled, too: where the run did not want that, it would wait for ever.
            (None, Some(Target { run: asker, step })) => {
                let (step, outcome, usage) = (step.clone(), outcome.clone(), run.usage);
                let fallbacks = run.fallbacks.clone();
                let answer = message::Answer { step, attempt, outcome, usage, fallbacks };
                Some(Delivery::ToRun(asker.clone(), answer))
            }
        };
        let Some(delivery) = delivery else {
            let _ = self.turn(id, Turn::Input(Box::new(Input::Delivered { attempt }))).await;
            return;
        };
        let mut tries = DELIVER;
        while tries.climb().await {
            failpoint!("deliver.before");
            let told = match &delivery {
                Delivery::ToRun(run, answer) => ask(&self.services, run, answer).await,
                Delivery::ToAgent(agent, delegated) => ask(&self.services, agent, delegated).await,
            };
            failpoint!("deliver.after");
            let is_told = match told {
                Err(Unanswered::Refused(fault)) if fault.code == Code::ValueLost => {
                    return self.start_over(id, attempt).await;
                }
                Ok(_) | Err(Unanswered::Refused(_)) => true,
                Err(Unanswered::Silent(_)) => false,
            };
            let is_open = rule!(Deliver, !is_told);
            if !is_open {
                let _ = self.turn(id, Turn::Input(Box::new(Input::Delivered { attempt }))).await;
                return;
            }
            // It may be long until it is told.
            let _ = self.turn(id, Turn::Look).await;
        }
        self.forget_jobs(id, |job| *job == Job::Deliver).await;
    }

    /// The store has lost what the answer names, so there is no answer: the run's next task finds no trace of it. Where
    /// the call must not be made twice, the new activation is not granted it.
    async fn start_over(&self, id: &AgentId, attempt: u32) {
        let Ok(mut actor) = self.boxes.enter(id).await else { return };
        let mem = actor.mem.take();
        if let Some(mem) = &mem
            && mem.run.task.as_ref().is_some_and(|t| t.attempt == attempt)
            && let Some(etag) = &mem.etag
        {
            let key = id.document_key();
            let gone =
                self.services.sidecar.delete(&self.services.settings.statestore, &key, Some(etag)).await;
            tracing::warn!(
                %id,
                gone = gone.is_ok(),
                "the store has lost the answer: the task is performed again"
            );
        }
        actor.in_flight.clear();
        actor.activation = None;
    }

    /// Nobody here works on these effects any more: a repetition of the task, or a wake, performs them again.
    pub(super) async fn forget_jobs(&self, id: &AgentId, which: impl Fn(&Job) -> bool) {
        if let Ok(mut actor) = self.boxes.enter(id).await {
            actor.in_flight.retain(|(_, job)| !which(job));
        }
    }
}

/// Says in a word what came of a call.
fn outcome_of_call(reply: &Result<ModelReply, CallError>) -> &str {
    match reply.as_ref().map(|reply| &reply.finish) {
        Ok(Finish::Complete) => "complete",
        Ok(Finish::Cut) => "cut",
        Ok(Finish::Filtered) => "filtered",
        Ok(Finish::Refused(_)) => "refused",
        Ok(Finish::Thought) => "no_answer",
        Err(error) => &error.code,
    }
}

/// Returns once that much time has passed; never without a limit.
pub(super) async fn past(limit: Option<Span>) {
    match limit {
        Some(left) => tokio::time::sleep(Duration::from_millis(left.0.saturating_add(1))).await,
        None => std::future::pending().await,
    }
}
