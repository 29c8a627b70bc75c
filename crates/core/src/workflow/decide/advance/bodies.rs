//! Nodes that hold others: the iterations of `for_each` and `loop`.

use super::{Decision, Halt};
use crate::{
    Datum, Missing,
    call::{CallError, Spent},
    expr,
    value::{VALUE_LIMIT, json_len},
    workflow::{
        decide::{context::Scope, missing_all},
        event::{StepKey, What},
        plan::NodeIx,
        run::{Iterations, Step},
    },
};
use serde_json::Value;

impl Decision<'_> {
    /// Goes on with a `for_each`: with its open iterations, then with new ones as far as they may run at once, and
    /// completes it when all have ended.
    pub(super) fn for_each(
        &mut self,
        scope: &Scope,
        ix: NodeIx,
        key: &StepKey,
        parallel: u32,
    ) -> Result<(), Halt> {
        let Some(body) = self.plan.node(ix).body else { return Ok(()) };
        let inner = |index: u32| Scope { graph: body, path: join_path(&scope.path, index) };
        // Open iterations first: one that ends makes room for the next.
        for index in self.iterations(key).open {
            self.scope(&inner(index))?;
        }
        // An iteration that failed may have ended the step.
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
                // An iteration without room for a call could only wait, and would be kept as state meanwhile.
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
            match self.gathered(&now)? {
                Some(list) => self.complete(key, 1, Datum::inline(list), None, Spent::default()),
                None => {
                    let message = "the list of its outputs is larger than 16 MiB";
                    self.fail(key, 1, CallError::permanent("value_too_large", message), Spent::default());
                }
            }
        }
        Ok(())
    }

    /// Brings the outputs of all iterations together, in their order; nothing if that is more than a value may be.
    fn gathered(&self, iterations: &Iterations) -> Result<Option<Value>, Halt> {
        // What will be too large together is not brought together.
        let sizes = iterations.outputs.values().map(|output| match output {
            Datum::Inline(value) => json_len(value),
            Datum::Stored(stored) => usize::try_from(stored.size).unwrap_or(usize::MAX),
        });
        if sizes.fold(0, usize::saturating_add) > VALUE_LIMIT {
            return Ok(None);
        }
        let mut missing = Vec::new();
        let mut list = Vec::with_capacity(iterations.outputs.len());
        for output in iterations.outputs.values() {
            match self.values.get(output) {
                Ok(value) => list.push((*value).clone()),
                Err(Missing(refs)) => missing.extend(refs),
            }
        }
        if !missing.is_empty() {
            return Err(missing_all(missing));
        }
        let list = Value::Array(list);
        Ok((json_len(&list) <= VALUE_LIMIT).then_some(list))
    }

    pub(super) fn repeat(
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
                // `until` stands outside the body. It sees what the loop's own scope sees, and of the body only
                // `last` and `index`.
                let mut context = self.context(scope, &plan.node(ix).until_reads)?;
                context.insert("last".into(), (*self.values.get(last)?).clone());
                // The index of the iteration that has just ended.
                context.insert("index".into(), (now.next - 1).into());
                match expr::holds_under(self.meter, until, &Value::Object(context)) {
                    Ok(done) if done || now.next >= max || self.run.wrap_up => {
                        self.complete(key, 1, last.clone(), None, Spent::default());
                        return Ok(());
                    }
                    Ok(_) => {}
                    Err(e) => {
                        self.fail(
                            key,
                            1,
                            CallError::permanent("expression_error", format!("until: {e}")),
                            Spent::default(),
                        );
                        return Ok(());
                    }
                }
            } else if self.run.wrap_up {
                // No iteration has ended, so there is no output to complete with.
                self.put(What::StepCancelled { step: key.clone() });
                return Ok(());
            }
            self.put(What::IterationStarted { step: key.clone(), index: now.next });
        }
    }

    /// Returns a copy: the events that follow change the iterations themselves.
    fn iterations(&self, key: &StepKey) -> Iterations {
        self.run.steps.get(key).and_then(|s| s.iterations.clone()).unwrap_or_default()
    }
}

/// Appends an index to a path: `"3"` and 17 give `"3.17"`.
fn join_path(outer: &str, index: u32) -> String {
    if outer.is_empty() { index.to_string() } else { format!("{outer}.{index}") }
}
