//! Trying a run: which nodes have their outputs given, where those are taken from, and which part of the graph runs.

use super::Workflows;
use crate::protocol::{
    Fault,
    run::{GivenOutput, Start},
};
use callboard_core::{
    Code, Datum, Problem,
    id::RunId,
    value::{VALUE_LIMIT, json_len},
    workflow::{Event, Fingerprint, Plan, Trial, What},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Entries of a history read at once.
const ENTRIES: u32 = 1000;

/// A step whose output is asked for, and the output that was found for it: the newest.
struct Wanted<'b> {
    /// The node that the output is given for, and the step that it is taken from: a node of the same id.
    node: &'b str,
    generation: Option<u32>,
    iteration: &'b str,
    found: Option<(u32, Datum)>,
}

impl Start {
    /// Whether it is more than a run of a definition.
    pub(super) fn is_tried(&self) -> bool {
        !self.pins.is_empty() || self.until.is_some() || self.only.is_some()
    }

    /// What it asks for beside a run, in short; nothing where that is nothing.
    pub(super) fn asked(&self) -> Option<Fingerprint> {
        let Self { pins, until, only, .. } = self;
        let asked = || Fingerprint::of("trial", &json!({"pins": pins, "until": until, "only": only}));
        self.is_tried().then(asked)
    }
}

impl Workflows {
    /// Returns how the run is tried, with all outputs that are given. Errs with everything that is wrong with it.
    pub(super) async fn trial(&self, run: &RunId, body: &Start, plan: &Plan) -> Result<Option<Trial>, Fault> {
        let Some(asked) = body.asked() else { return Ok(None) };
        let refused = |problems: Vec<Problem>| {
            let message = "what the run is tried with can't be used";
            Fault::new(422, Code::InvalidPins, message).with_problems(problems)
        };
        let mut problems = mistakes(body, plan);
        if !problems.is_empty() {
            return Err(refused(problems));
        }
        let mut outputs = Map::new();
        let mut by_run: BTreeMap<RunId, Vec<Wanted<'_>>> = BTreeMap::new();
        for (node, given) in &body.pins {
            match given {
                GivenOutput { value: Some(value), .. } => drop(outputs.insert(node.clone(), value.clone())),
                GivenOutput { called, generation, iteration, .. } => {
                    let named = called.as_deref().and_then(|name| RunId::called(run.project(), name));
                    let Some(source) = named else {
                        problems.push(Problem::new(
                            format!("pins.{node}.run"),
                            "unknown_run",
                            "there is no such run",
                        ));
                        continue;
                    };
                    let iteration = iteration.as_deref().unwrap_or_default();
                    let wanted = Wanted { node, generation: *generation, iteration, found: None };
                    by_run.entry(source).or_default().push(wanted);
                }
            }
        }
        for (source, mut wanted) in by_run {
            self.outputs(&source, &mut wanted).await?;
            for Wanted { node, found, .. } in wanted {
                match found {
                    Some((_, output)) => {
                        outputs.insert(node.to_owned(), self.recorded(&source, output).await?);
                    }
                    None => {
                        let message = format!("run {} has no output of such a step of {node}", source.name());
                        problems.push(Problem::new(format!("pins.{node}"), "no_output", message));
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(refused(problems));
        }
        let outputs = Value::Object(outputs);
        if json_len(&outputs) > VALUE_LIMIT {
            return Err(Fault::new(
                413,
                Code::ValueTooLarge,
                "the outputs given are larger than 16 MiB together",
            ));
        }
        let pinned = body.pins.keys().cloned().collect();
        let (until, only) = (body.until.clone(), body.only.clone());
        Ok(Some(Trial { until, only, pinned, outputs: Datum::inline(outputs), asked }))
    }

    /// Finds the outputs that are asked for in what is recorded of a run.
    async fn outputs(&self, run: &RunId, wanted: &mut [Wanted<'_>]) -> Result<(), Fault> {
        let catalog = &self.services.catalog;
        let mut after = 0;
        loop {
            let entries = catalog.history(run, after, ENTRIES).await;
            let entries = entries.map_err(|error| Fault::unavailable(error.to_string()))?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.seq;
            for entry in &entries {
                // What can't be read has no output for anybody.
                let Ok(Event { what: What::StepCompleted { step, output, .. }, .. }) =
                    serde_json::from_str(&entry.event)
                else {
                    continue;
                };
                let is_it = |w: &&mut Wanted<'_>| {
                    *w.node == *step.node
                        && *w.iteration == *step.iteration
                        && w.generation.is_none_or(|generation| generation == step.generation)
                };
                for wanted in wanted.iter_mut().filter(is_it) {
                    wanted.found = Some((step.generation, output.clone()));
                }
            }
        }
    }

    /// Returns what a run recorded.
    async fn recorded(&self, run: &RunId, datum: Datum) -> Result<Value, Fault> {
        let reference = match datum {
            Datum::Inline(value) => return Ok((*value).clone()),
            Datum::Stored(reference) => reference,
        };
        let found = self.services.catalog.values(run, std::slice::from_ref(&reference.key)).await;
        let found = found.map_err(|error| Fault::unavailable(error.to_string()))?;
        let value = found.get(&reference.key).and_then(|text| serde_json::from_slice(text).ok());
        value
            .ok_or_else(|| Fault::new(410, Code::ValueLost, format!("a value of run {} is lost", run.name())))
    }
}

/// Finds what is wrong with what is asked for, whatever is recorded.
fn mistakes(body: &Start, plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    let unknown = |path: String, node: &str| {
        Problem::new(path, "unknown_node", format!("there is no node `{node}`")).in_node(node)
    };
    if body.workflow_id.is_some() && !body.draft {
        let message =
            "a published version runs as it is: a draft can be tried, and a definition that comes along";
        let given =
            [("pins", !body.pins.is_empty()), ("until", body.until.is_some()), ("only", body.only.is_some())];
        let given = given.into_iter().filter(|(_, is)| *is);
        return given.map(|(field, _)| Problem::new(field, "not_for_published", message)).collect();
    }
    for (node, given) in &body.pins {
        if !plan.by_id.contains_key(node) {
            problems.push(unknown(format!("pins.{node}"), node));
        }
        if given.value.is_some() == given.called.is_some() {
            let message = "either `value` or `run` is given";
            problems.push(Problem::new(format!("pins.{node}"), "invalid", message).in_node(node));
        }
    }
    for (field, node) in [("until", &body.until), ("only", &body.only)] {
        let Some(node) = node else { continue };
        match plan.by_id.get(node) {
            None => problems.push(unknown(field.to_owned(), node)),
            Some(ix) if plan.node(*ix).graph != 0 => {
                let message = format!("node {node} is inside a body: name the node that holds it");
                problems.push(Problem::new(field, "node_in_body", message).in_node(node));
            }
            Some(_) => {}
        }
    }
    if body.until.is_some() && body.only.is_some() {
        problems.push(Problem::new("only", "invalid", "either `until` or `only` is given"));
    }
    problems
}
