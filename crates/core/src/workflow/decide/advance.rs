//! What follows by itself: due deadlines, taken signals, ready nodes, iterations, the end.
//!
//! A join fires on the set of ended parents, never on a counter. Steps not yet started have no state: whether a node
//! is ready is read off its parents each time.

use super::{Decision, Halt, context::Scope, permanent};
use crate::{
    Datum, Span, Timestamp,
    agent::message::CallError,
    expr,
    workflow::{
        definition::{EffectMode, Join, NodeKind},
        event::{Reserved, RunError, StepKey, What},
        marks::Mark,
        plan::NodeIx,
        run::{Step, StepState},
    },
};
use serde_json::{Map, Value, json};

/// Whether a node may start.
enum Ready {
    Wait,
    Start,
    Skip,
    /// Its join can't be satisfied any more.
    Never,
}

impl Decision<'_> {
    pub(super) fn advance(&mut self) -> Result<(), Halt> {
        if self.run.ended.is_some() {
            if !self.run.purging && self.run.retained_until().is_none_or(|until| self.at >= until) {
                self.put(What::RunPurging {});
            }
            return Ok(());
        }
        if self.run.paused.is_some() {
            return Ok(());
        }
        self.spend_time();
        self.due();
        loop {
            let (before, made) = (self.run.clone(), self.events.len());
            let full = self.is_full();
            if full {
                self.probe();
            }
            if self.run.ended.is_none() {
                self.take_signals();
                self.scope(&Scope::root())?;
            }
            if self.events.len() == made {
                return Ok(());
            }
            if full {
                // More would follow: leave it to the next turn.
                self.run = before;
                self.events.truncate(made);
                self.put(What::DecisionCut {});
                return Ok(());
            }
        }
    }

    /// A run whose wall time is used up ends, or wraps up.
    fn spend_time(&mut self) {
        if self.run.ended.is_none()
            && !self.run.wrap_up
            && time_limit(&self.run).is_some_and(|t| self.at >= t)
        {
            self.breached("seconds", None);
        }
    }

    /// Handles every open step whose instant has come.
    fn due(&mut self) {
        let keys: Vec<StepKey> = self.run.open.iter().cloned().collect();
        for key in keys {
            if self.is_full() || self.run.ended.is_some() {
                return;
            }
            let Some(step) = self.run.steps.get(&key).cloned() else { continue };
            match step.state {
                StepState::Retrying { at } if at <= self.at => self.retry(&key, &step),
                StepState::Started { .. } if step.deadline.is_some_and(|d| d <= self.at) => {
                    self.expire(&key, &step)
                }
                _ => {}
            }
        }
    }

    fn retry(&mut self, key: &StepKey, step: &Step) {
        if self.run.wrap_up {
            self.put(What::StepCancelled { step: key.clone() });
            return;
        }
        let Some(ix) = self.plan.by_id.get(&*key.node).copied() else { return };
        let Some(reserved) = self.reservation(key, ix, step.input.as_ref()) else { return };
        let deadline = self.plan.node(ix).node.timeout.map(|t| self.at + t);
        let attempt = step.attempt + 1;
        self.put(What::StepStarted { step: key.clone(), attempt, input: None, deadline, reserved });
    }

    /// Ends a step whose deadline has passed, each kind in its own way.
    fn expire(&mut self, key: &StepKey, step: &Step) {
        let plan = self.plan.clone();
        let Some(ix) = plan.by_id.get(&*key.node) else { return };
        let node = &plan.node(*ix).node;
        match &node.kind {
            NodeKind::Wait(_) => {
                let until = step.deadline.unwrap_or(self.at).to_string();
                self.complete(key, step.attempt, Datum::inline(json!({ "until": until })), None, None);
            }
            NodeKind::Approval(_) => {
                let output = json!({"approved": false, "comment": null, "expired": true});
                self.complete(key, step.attempt, Datum::inline(output), Some("rejected"), None);
            }
            NodeKind::Signal(signal) => {
                let message = format!("no signal {} came in time", signal.name);
                self.fail(key, step.attempt, permanent("signal_timeout", message), None);
            }
            NodeKind::Agent(_) | NodeKind::Http(_) if node.effect == EffectMode::AtMostOnce => {
                self.put(What::StepUnknown { step: key.clone(), attempt: step.attempt });
            }
            NodeKind::Agent(_)
            | NodeKind::Http(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Transform(_)
            | NodeKind::Condition(_) => {
                let limit = node.timeout.unwrap_or_default();
                let retryable = matches!(node.kind, NodeKind::Agent(_) | NodeKind::Http(_));
                let message = format!("attempt {} took longer than {limit}", step.attempt);
                let error = CallError { code: "timeout".into(), message, retryable, retry_after: None };
                self.fail(key, step.attempt, error, None);
            }
        }
    }

    /// Gives kept signals to the steps that wait for them, oldest first.
    fn take_signals(&mut self) {
        if self.run.signals.is_empty() {
            return;
        }
        let plan = self.plan.clone();
        let keys: Vec<StepKey> = self.run.open.iter().cloned().collect();
        for key in keys {
            let Some(NodeKind::Signal(signal)) =
                plan.by_id.get(&*key.node).map(|ix| &plan.node(*ix).node.kind)
            else {
                continue;
            };
            let Some(data) = self.run.signals.get(&signal.name).and_then(|q| q.front()).cloned() else {
                continue;
            };
            let Some(attempt) = self.run.steps.get(&key).map(|s| s.attempt) else { continue };
            if self.is_full() {
                return;
            }
            self.put(What::StepCompleted {
                step: key,
                attempt,
                output: data,
                branch: None,
                usage: None,
                error: None,
                op: None,
                signal: Some(signal.name.clone()),
            });
        }
    }

    /// Starts what is ready in one graph, and ends the graph when everything in it has ended.
    fn scope(&mut self, scope: &Scope) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let made = self.events.len();
        let mut all_ended = true;
        for ix in &plan.graphs[scope.graph as usize].nodes {
            if self.is_full() || self.run.ended.is_some() || !self.is_open(scope) {
                return Ok(());
            }
            match self.mark_of(*ix, &scope.path) {
                Mark::Open => {
                    all_ended = false;
                    if let Some((key, step)) = self.step_of(*ix, &scope.path).map(|(k, s)| (k, s.clone())) {
                        self.hold(scope, *ix, &key, &step)?;
                    }
                }
                Mark::Completed(_) | Mark::Failed | Mark::Skipped | Mark::Cancelled => {}
                Mark::None => {
                    let ready = self.ready(*ix, &scope.path);
                    if matches!(ready, Ready::Wait) {
                        all_ended = false;
                        continue;
                    }
                    let key = StepKey::new(self.run.generation(), &plan.node(*ix).node.id, &scope.path);
                    match ready {
                        Ready::Wait => {}
                        Ready::Skip => self.put(What::StepSkipped { step: key }),
                        Ready::Start if self.run.wrap_up => self.put(What::StepSkipped { step: key }),
                        Ready::Start => all_ended &= self.start(scope, *ix, &key)?,
                        Ready::Never => {
                            let message = "too few of the edges its join waits for were taken";
                            self.fail(&key, 1, permanent("join_unsatisfied", message), None);
                        }
                    }
                }
            }
        }
        if all_ended && self.events.len() == made && self.run.ended.is_none() {
            self.end_scope(scope)?;
        }
        Ok(())
    }

    /// Whether the iteration a scope stands for is still open.
    fn is_open(&self, scope: &Scope) -> bool {
        let Some(owner) = self.plan.graphs[scope.graph as usize].owner else { return true };
        let Some((outer, index)) = scope.split() else { return false };
        let key = StepKey::new(self.run.generation(), &self.plan.node(owner).node.id, outer);
        let step = self.run.steps.get(&key);
        step.and_then(|s| s.iterations.as_ref()).is_some_and(|i| i.open.contains(&index))
    }

    /// Goes on with an open step that holds others, or that wrapping up ends.
    fn hold(&mut self, scope: &Scope, ix: NodeIx, key: &StepKey, step: &Step) -> Result<(), Halt> {
        let plan = self.plan.clone();
        match &plan.node(ix).node.kind {
            NodeKind::ForEach(node) => self.for_each(scope, ix, key, node.parallel),
            NodeKind::Loop(node) => self.repeat(scope, ix, key, &node.until, node.max),
            NodeKind::Wait(_) | NodeKind::Signal(_) | NodeKind::Approval(_) if self.run.wrap_up => {
                self.put(What::StepCancelled { step: key.clone() });
                Ok(())
            }
            _ if self.run.wrap_up
                && matches!(step.state, StepState::Retrying { .. } | StepState::Unknown) =>
            {
                self.put(What::StepCancelled { step: key.clone() });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ready(&self, ix: NodeIx, path: &str) -> Ready {
        let plan = &self.plan;
        let parents = &plan.node(ix).parents;
        if parents.is_empty() {
            return Ready::Start;
        }
        let (mut taken, mut open, mut skipped) = (0usize, 0usize, 0usize);
        for link in parents {
            let mark = self.mark_of(link.node, path);
            match mark {
                Mark::None | Mark::Open => open += 1,
                Mark::Completed(_) | Mark::Failed => taken += usize::from(mark.takes(link.branch.as_deref())),
                Mark::Skipped => skipped += 1,
                Mark::Cancelled => {}
            }
        }
        let needed = match plan.join(ix) {
            Join::Settle => {
                return match open {
                    0 if skipped == parents.len() => Ready::Skip,
                    0 => Ready::Start,
                    _ => Ready::Wait,
                };
            }
            Join::All => {
                return if open > 0 {
                    Ready::Wait
                } else if taken > 0 {
                    Ready::Start
                } else {
                    Ready::Skip
                };
            }
            Join::Any => 1,
            Join::N(n) => n as usize,
        };
        match () {
            () if taken >= needed => Ready::Start,
            () if open > 0 => Ready::Wait,
            () if taken == 0 => Ready::Skip,
            () => Ready::Never,
        }
    }

    /// Starts a node. Returns whether it has ended at once; a node that finds no free place stays unstarted.
    fn start(&mut self, scope: &Scope, ix: NodeIx, key: &StepKey) -> Result<bool, Halt> {
        let plan = self.plan.clone();
        let node = plan.node(ix);
        if matches!(node.node.kind, NodeKind::Agent(_) | NodeKind::Http(_)) && !self.has_room() {
            return Ok(false);
        }
        let context = Value::Object(self.context(scope, &node.reads)?);
        match self.prepare(&node.node.kind, &context) {
            Ok(Prepared::Ended { output, branch }) => {
                self.complete(key, 1, Datum::inline(output), branch, None);
                Ok(true)
            }
            Ok(Prepared::Open { input, deadline }) => {
                let input = Some(Datum::inline(input));
                let Some(reserved) = self.reservation(key, ix, input.as_ref()) else { return Ok(false) };
                let deadline = deadline.or(node.node.timeout.map(|t| self.at + t));
                self.put(What::StepStarted { step: key.clone(), attempt: 1, input, deadline, reserved });
                if let Some((key, step)) = self.step_of(ix, &scope.path).map(|(k, s)| (k, s.clone())) {
                    self.hold(scope, ix, &key, &step)?;
                }
                Ok(false)
            }
            Err(error) => {
                self.fail(key, 1, error, None);
                Ok(true)
            }
        }
    }

    /// Evaluates a node's configuration: some kinds have ended then, the others have their input.
    fn prepare(&self, kind: &NodeKind, context: &Value) -> Result<Prepared, CallError> {
        let render = |what: &str, template: &Value| {
            expr::render(template, context).map_err(|e| permanent("template_error", format!("{what}: {e}")))
        };
        let eval = |what: &str, source: &str| {
            expr::evaluate(source, context).map_err(|e| permanent("expression_error", format!("{what}: {e}")))
        };
        let open = |input, deadline| Ok(Prepared::Open { input, deadline });
        match kind {
            NodeKind::Agent(n) => {
                let prompt = expr::render_text(&n.prompt, context)
                    .map_err(|e| permanent("template_error", format!("prompt: {e}")))?;
                open(json!({"agent": n.agent, "prompt": prompt}), None)
            }
            NodeKind::Transform(n) => {
                let data = match &n.input {
                    Some(source) => eval("input", source)?,
                    None => context.get("input").cloned().unwrap_or(Value::Null),
                };
                let output = crate::transform::apply(&n.rules, &data)
                    .map_err(|e| permanent("transform_error", e.to_string()))?;
                Ok(Prepared::Ended { output, branch: None })
            }
            NodeKind::Condition(n) => {
                let yes = expr::holds(&n.r#if, context)
                    .map_err(|e| permanent("expression_error", format!("if: {e}")))?;
                Ok(Prepared::Ended { output: yes.into(), branch: Some(if yes { "true" } else { "false" }) })
            }
            NodeKind::ForEach(n) => {
                let items = eval("items", &n.items)?;
                if !items.is_array() {
                    return Err(permanent("items_not_a_list", format!("items: `{}` is not a list", n.items)));
                }
                open(items, None)
            }
            NodeKind::Loop(_) => open(Value::Null, None),
            NodeKind::Wait(n) => {
                let until = match (&n.r#for, &n.until) {
                    (Some(span), _) => self.at + *span,
                    (None, Some(template)) => {
                        let text = expr::render_text(template, context)
                            .map_err(|e| permanent("template_error", format!("until: {e}")))?;
                        Timestamp::parse(text.trim()).ok_or_else(|| {
                            permanent(
                                "invalid_instant",
                                format!("until: `{text}` is not an RFC 3339 instant"),
                            )
                        })?
                    }
                    (None, None) => self.at,
                };
                open(json!({"until": until.to_string()}), Some(until))
            }
            NodeKind::Signal(n) => open(json!({"name": n.name}), n.timeout.map(|t| self.at + t)),
            NodeKind::Approval(n) => {
                let title = render("title", &Value::String(n.title.clone()))?;
                let detail = n.detail.as_ref().map(|d| render("detail", d)).transpose()?;
                open(json!({"title": title, "detail": detail}), n.timeout.map(|t| self.at + t))
            }
            NodeKind::Http(n) => {
                let url = expr::render_text(&n.url, context)
                    .map_err(|e| permanent("template_error", format!("url: {e}")))?;
                let object = |what, map: &Map<String, Value>| render(what, &Value::Object(map.clone()));
                let mut request = json!({"method": n.method, "url": url});
                if !n.headers.is_empty() {
                    request["headers"] = object("headers", &n.headers)?;
                }
                if !n.query.is_empty() {
                    request["query"] = object("query", &n.query)?;
                }
                if let Some(body) = &n.body {
                    request["body"] = render("body", body)?;
                }
                open(request, None)
            }
        }
    }

    /// Returns what to set aside for a call, or nothing when the budget does not allow it (which then has its way).
    fn reservation(&mut self, key: &StepKey, ix: NodeIx, input: Option<&Datum>) -> Option<Reserved> {
        let plan = self.plan.clone();
        let NodeKind::Agent(agent) = &plan.node(ix).node.kind else { return Some(Reserved::default()) };
        let Some(budget) = &plan.definition.settings.budget else { return Some(Reserved::default()) };
        let mut reserved = Reserved { calls: 1, tokens: 0 };
        if budget.tokens.is_some() {
            let settings = self.run.created.as_ref().map(|c| &c.settings);
            let answer = settings.and_then(|s| s.max_tokens.get(&agent.agent)).copied().unwrap_or(0);
            let prompt = match input {
                Some(Datum::Inline(v)) => crate::value::json_len(v) as u64,
                Some(Datum::Stored(r)) => r.size,
                None => 0,
            };
            // About four characters are a token.
            reserved.tokens = u64::from(answer) + prompt.div_ceil(4);
        }
        let Some(limit) = self.breach(reserved) else { return Some(reserved) };
        self.breached(limit, Some(&key.node));
        if self.run.ended.is_none() {
            let done = self.run.steps.contains_key(key);
            self.put(if done {
                What::StepCancelled { step: key.clone() }
            } else {
                What::StepSkipped { step: key.clone() }
            });
        }
        None
    }

    /// Whether another step may be dispatched.
    fn has_room(&self) -> bool {
        // Asked for every node that is ready, so it is counted once per event.
        match self.room.get() {
            Some((made, room)) if made == self.events.len() => room,
            _ => {
                let room = self.count_room();
                self.room.set(Some((self.events.len(), room)));
                room
            }
        }
    }

    fn count_room(&self) -> bool {
        let setting = self.run.created.as_ref().map_or(64, |c| c.settings.dispatch);
        let limit = self.plan.definition.settings.parallel.unwrap_or(setting).min(setting).max(1);
        let running = self.run.open.iter().filter(|key| {
            let step = self.run.steps.get(*key);
            step.is_some_and(|s| matches!(s.state, StepState::Started { .. }))
                && self.plan.by_id.get(&*key.node).is_some_and(|ix| {
                    matches!(self.plan.node(*ix).node.kind, NodeKind::Agent(_) | NodeKind::Http(_))
                })
        });
        running.count() < limit as usize
    }

    fn for_each(&mut self, scope: &Scope, ix: NodeIx, key: &StepKey, parallel: u32) -> Result<(), Halt> {
        let Some(body) = self.plan.node(ix).body else { return Ok(()) };
        let inner = |index: u32| Scope { graph: body, path: join_path(&scope.path, index) };
        for index in self.iterations(key).open {
            self.scope(&inner(index))?;
        }
        let Some(step) = self.run.steps.get(key).filter(|s| s.is_open()) else { return Ok(()) };
        let Some(items) = step.input.clone() else { return Ok(()) };
        let len = self.values.get(&items)?.as_array().map_or(0, Vec::len) as u32;
        loop {
            let now = self.iterations(key);
            if now.next >= len
                || now.open.len() >= parallel.max(1) as usize
                || self.run.wrap_up
                || self.is_full()
                || self.run.ended.is_some()
                || !self.has_room()
            {
                break;
            }
            self.put(What::IterationStarted { step: key.clone(), index: now.next });
            self.scope(&inner(now.next))?;
        }
        let now = self.iterations(key);
        let is_open = self.run.steps.get(key).is_some_and(Step::is_open) && self.run.ended.is_none();
        if is_open && now.open.is_empty() && (now.next >= len || self.run.wrap_up) && !self.is_full() {
            let mut missing = Vec::new();
            let mut list = Vec::with_capacity(now.outputs.len());
            for output in now.outputs.values() {
                match self.values.get(output) {
                    Ok(value) => list.push((*value).clone()),
                    Err(crate::Missing(refs)) => missing.extend(refs),
                }
            }
            if !missing.is_empty() {
                return Err(super::missing_all(missing));
            }
            let list = Value::Array(list);
            if crate::value::json_len(&list) > crate::value::VALUE_LIMIT {
                let message = "the list of its outputs is larger than 16 MiB";
                self.fail(key, 1, permanent("value_too_large", message), None);
            } else {
                self.complete(key, 1, Datum::inline(list), None, None);
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        scope: &Scope,
        ix: NodeIx,
        key: &StepKey,
        until: &str,
        max: u32,
    ) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let Some(body) = plan.node(ix).body else { return Ok(()) };
        loop {
            for index in self.iterations(key).open {
                self.scope(&Scope { graph: body, path: join_path(&scope.path, index) })?;
            }
            let now = self.iterations(key);
            let is_open = self.run.steps.get(key).is_some_and(Step::is_open) && self.run.ended.is_none();
            if !is_open || !now.open.is_empty() || self.is_full() {
                return Ok(());
            }
            if let Some(last) = now.next.checked_sub(1).and_then(|i| now.outputs.get(&i)) {
                let mut context = self.context(scope, &plan.node(ix).until_reads)?;
                context.insert("last".into(), (*self.values.get(last)?).clone());
                context.insert("index".into(), (now.next - 1).into());
                match expr::holds(until, &Value::Object(context)) {
                    Ok(done) if done || now.next >= max || self.run.wrap_up => {
                        self.complete(key, 1, last.clone(), None, None);
                        return Ok(());
                    }
                    Ok(_) => {}
                    Err(e) => {
                        self.fail(key, 1, permanent("expression_error", format!("until: {e}")), None);
                        return Ok(());
                    }
                }
            } else if self.run.wrap_up {
                self.put(What::StepCancelled { step: key.clone() });
                return Ok(());
            }
            self.put(What::IterationStarted { step: key.clone(), index: now.next });
        }
    }

    fn iterations(&self, key: &StepKey) -> crate::workflow::run::Iterations {
        self.run.steps.get(key).and_then(|s| s.iterations.clone()).unwrap_or_default()
    }

    /// Everything in the graph has ended: so has the iteration, or the run.
    fn end_scope(&mut self, scope: &Scope) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let graph = &plan.graphs[scope.graph as usize];
        let output = match &graph.output {
            Some(template) => {
                let context = Value::Object(self.context(scope, &graph.output_reads)?);
                match expr::render(template, &context) {
                    Ok(output) => Ok(Datum::inline(output)),
                    // Wrapping up ends with what is there, even when the definition's output needs more.
                    Err(_) if self.run.wrap_up => Ok(self.last_outputs(scope)?),
                    Err(e) => Err(permanent("output_error", format!("output: {e}"))),
                }
            }
            None => Ok(self.last_outputs(scope)?),
        };
        match (graph.owner, output) {
            (None, Ok(output)) => self.put(What::RunCompleted { output }),
            (None, Err(e)) => {
                self.put(What::RunFailed { error: RunError { code: e.code, message: e.message, node: None } })
            }
            (Some(owner), output) => {
                let Some((outer, index)) = scope.split() else { return Ok(()) };
                let key = StepKey::new(self.run.generation(), &plan.node(owner).node.id, outer);
                match output {
                    Ok(output) => self.put(What::IterationEnded { step: key, index, output }),
                    Err(e) => self.fail(&key, 1, e, None),
                }
            }
        }
        Ok(())
    }

    /// Returns the output of the last completed node, or an object by node id if several were last.
    fn last_outputs(&self, scope: &Scope) -> Result<Datum, Halt> {
        let done = |ix: NodeIx| match self.step_of(ix, &scope.path)?.1.state {
            StepState::Completed { ref output, .. } => Some(output.clone()),
            _ => None,
        };
        let graph = &self.plan.graphs[scope.graph as usize];
        let mut last: Vec<(&str, Datum)> = Vec::new();
        for ix in &graph.nodes {
            let Some(output) = done(*ix) else { continue };
            if self.plan.node(*ix).children.iter().all(|link| done(link.node).is_none()) {
                last.push((&self.plan.node(*ix).node.id, output));
            }
        }
        match last.as_slice() {
            [] => Ok(Datum::null()),
            [(_, only)] => Ok(only.clone()),
            several => {
                let mut out = Map::new();
                for (id, output) in several {
                    out.insert((*id).to_owned(), (*self.values.get(output)?).clone());
                }
                Ok(Datum::inline(Value::Object(out)))
            }
        }
    }
}

/// What starting a node comes to.
enum Prepared {
    Ended { output: Value, branch: Option<&'static str> },
    Open { input: Value, deadline: Option<Timestamp> },
}

/// Returns when the run's wall time is used up, given the pauses so far.
pub(in crate::workflow) fn time_limit(run: &crate::workflow::Run) -> Option<Timestamp> {
    let seconds = run.plan.as_ref()?.definition.settings.budget.as_ref()?.seconds?;
    let generation = run.generations.last()?;
    Some(generation.at + Span::secs(seconds) + Span(run.paused_for - generation.paused_before))
}

fn join_path(outer: &str, index: u32) -> String {
    if outer.is_empty() { index.to_string() } else { format!("{outer}.{index}") }
}
