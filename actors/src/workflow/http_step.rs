//! An HTTP step: performed by this process, outside any turn; its answer comes back as an input.

use super::{Workflows, attempts::Attempt, nodes::node_of, reason::Turn};
use crate::{
    failpoint::failpoint,
    kernel::Ladder,
    line::{Owner, Places},
    mutant::rule,
    tasks::Called,
};
use callboard_connectors::http::{
    Held,
    node::{self, Answer, Call},
};
use callboard_core::{
    Datum, Span,
    call::{CallError, Usage},
    id::RunId,
    request::{Request, Template},
    workflow::{Input, Outcome, Plan, Run, StepKey, run::StepState},
};
use std::{collections::BTreeSet, sync::Arc};

/// Waits before the tries to record an answer.
const RECORD: Ladder = Ladder::of(&[0, 100, 1000, 5000, 10_000]);

/// A step's call, on its way.
pub(super) struct HttpStep {
    step: StepKey,
    attempt: u32,
    /// The rendered request, as recorded.
    input: Datum,
    expect: Vec<u16>,
    at_most_once: bool,
    /// Its definition, and the secrets of the whole run.
    plan: Arc<Plan>,
    timeout: Option<Span>,
    owner: Owner,
}

impl HttpStep {
    /// Returns the call, nothing where the run's plan does not have it.
    pub fn new(
        id: &RunId,
        run: &Run,
        (step, attempt): Attempt,
        input: Datum,
        expect: Vec<u16>,
        at_most_once: bool,
    ) -> Option<Self> {
        let plan = Arc::clone(run.plan.as_ref()?);
        let timeout = node_of(run, &step)?.timeout;
        let owner = Owner::of(id, run);
        Some(Self { step, attempt, input, expect, at_most_once, plan, timeout, owner })
    }
}

impl Workflows {
    /// Performs the call in a task of its own.
    pub(super) fn call_http(&self, run: &RunId, call: HttpStep) {
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            let _places = tokio::select! {
                biased;
                () = this.tasks.stopped() => return,
                places = this.places(&run, &call) => places,
            };
            // From here on the call counts as made: a stop waits for it, also where it is still to be granted.
            let Some(_call) = this.tasks.begin(Called::Http) else { return };
            if rule!(Grant, call.at_most_once) && !this.granted(&run, &call.step, call.attempt).await {
                this.land(&run, &call.step, call.attempt).await;
                return;
            }
            failpoint!("http.before_call");
            // The answer keeps its places in memory until it is recorded.
            let mut _held = Held::default();
            let outcome = match this.request(&run, &call).await {
                Ok(Some(request)) => match this.perform(&run, &call, &request).await {
                    Ok(Answer { output, held }) => {
                        _held = held;
                        Outcome::Done(Datum::inline(output))
                    }
                    Err(error) => Outcome::Failed(error),
                },
                // The request could not be read: the next wake tries again.
                Ok(None) => {
                    this.land(&run, &call.step, call.attempt).await;
                    return;
                }
                Err(error) => Outcome::Failed(error),
            };
            failpoint!("http.after_call");
            let step = call.step;
            let input = Input::Answer { step: step.clone(), attempt: call.attempt, outcome, usage: Usage::default() };
            // The call was made, so its answer is worth waiting for.
            let mut tries = RECORD;
            while tries.climb().await {
                match this.turn(&run, Turn::Input(input.clone())).await {
                    Ok(_) => return,
                    // Only these two may go away by themselves.
                    Err(fault) if fault.status == 503 || fault.status == 429 => {}
                    Err(fault) => {
                        tracing::debug!(%run, %step, detail = fault.detail, "the answer is not wanted");
                        return;
                    }
                }
            }
            tracing::warn!(%run, %step, attempt = call.attempt, "the answer of an HTTP step could not be recorded");
            this.land(&run, &step, call.attempt).await;
        });
    }

    /// Waits until the call may be made. Its request is not kept meanwhile: many may wait.
    async fn places(&self, run: &RunId, call: &HttpStep) -> Places {
        let url = self
            .content(run, &call.input)
            .await
            .and_then(|input| Some(input.get("url")?.as_str()?.to_owned()));
        let host = node::host_of(&url.unwrap_or_default());
        self.lines.of_host(&host, &call.owner).await
    }

    /// Forgets an attempt: nobody here works on it any more, and the next wake may.
    pub(super) async fn land(&self, run: &RunId, step: &StepKey, attempt: u32) {
        if let Ok(mut actor) = self.boxes.enter(run).await {
            actor.attempts.forget(&(step.clone(), attempt));
        }
    }

    /// Asks for the right to perform an `at_most_once` call. Only one activation gets it.
    pub(super) async fn granted(&self, run: &RunId, step: &StepKey, attempt: u32) -> bool {
        let activation = format!("{:x}", self.services.clock.id());
        let ask = Input::Grant { step: step.clone(), attempt, activation: activation.clone() };
        let Ok(done) = self.turn(run, Turn::Input(ask)).await else { return false };
        done.run.steps.get(step).is_some_and(
            |s| matches!(&s.state, StepState::Started { granted: Some(holder) } if *holder == activation),
        )
    }

    /// Reads the recorded request; `None` if it can't be had now.
    async fn request(&self, run: &RunId, call: &HttpStep) -> Result<Option<Request>, CallError> {
        let Some(input) = self.content(run, &call.input).await else { return Ok(None) };
        let request = serde_json::from_value((*input).clone()).map_err(|e| invalid(e.to_string()))?;
        Ok(Some(request))
    }

    /// Makes the call. Errs with the call's failure.
    async fn perform(&self, run: &RunId, call: &HttpStep, request: &Request) -> Result<Answer, CallError> {
        let node = call.plan.by_id.get(&*call.step.node).map(|ix| &call.plan.node(*ix).node.kind);
        let Some(node) = node.and_then(|kind| kind.request()) else {
            return Err(invalid("the run's definition has no such call".into()));
        };
        let node = Template { expect: call.expect.clone(), ..node.clone() };
        let key = format!("{run}/{}/{}", call.step, call.attempt);
        let call = Call {
            node: &node,
            request,
            secrets: &self.secrets_of(&call.plan),
            idempotency_key: &key,
            timeout: call.timeout,
        };
        let granted = self.services.projects.of(run.project());
        let answer = node::perform(&granted.http, &*granted.secrets, call).await;
        // The run's own deadline and this client's come at the same time. Whichever is first, people see one code.
        answer.map_err(|error| match error.code.as_str() {
            "http_timeout" => CallError { code: "timeout".into(), ..error },
            _ => error,
        })
    }

    /// Returns the names of all secrets that a run may use: of its calls, and of its agents' tools.
    pub(super) fn secrets_of(&self, plan: &Plan) -> BTreeSet<String> {
        let mut names = match &plan.pin {
            Some(pin) => pin.secrets.clone(),
            None => self.services.agents.secrets(&plan.agents),
        };
        names.extend(plan.secrets.iter().cloned());
        names
    }
}

fn invalid(message: String) -> CallError {
    CallError::permanent("http_invalid_request", message)
}
