//! Views as messages. Data is JSON text, which keeps what a number of `google.protobuf.Value` can't hold.

use super::v1;
use crate::operations::{RunItem, StartedView, WorkflowLine, WorkflowView};
use callboard_actors::Said;
use callboard_core::{
    Problem,
    workflow::view::{EventView, RunView, StepView, UsageView},
};
use serde_json::Value;

pub fn problem(problem: Problem) -> v1::Problem {
    let Problem { node, path, code, message } = problem;
    v1::Problem { node, path, code, message }
}

pub fn problems(problems: Vec<Problem>) -> Vec<v1::Problem> {
    problems.into_iter().map(problem).collect()
}

pub fn workflow_line(line: WorkflowLine) -> v1::WorkflowLine {
    let WorkflowLine {
        id, name, description, version, status, problems: found, created_at, updated_at, ..
    } = line;
    let problems = problems(found);
    v1::WorkflowLine {
        id: id.to_string(),
        name,
        description,
        version,
        status,
        problems,
        created_at,
        updated_at,
    }
}

pub fn workflow(workflow: WorkflowView) -> v1::Workflow {
    let WorkflowView { definition, id, version, status, problems: found, created_at, updated_at } = workflow;
    v1::Workflow {
        id: id.to_string(),
        version,
        status,
        problems: problems(found),
        created_at,
        updated_at,
        definition: Value::Object(definition).to_string(),
    }
}

pub fn started(started: StartedView) -> v1::Started {
    let StartedView { run_id, workflow_id, status } = started;
    v1::Started {
        run_id: run_id.to_string(),
        workflow_id: workflow_id.map(|id| id.to_string()).unwrap_or_default(),
        status,
    }
}

pub fn run_item(item: RunItem) -> v1::Run {
    match item {
        RunItem::Run(seen) => run(*seen),
        RunItem::Unreadable(seen) => v1::Run {
            id: seen.id.to_string(),
            workflow_id: seen.workflow_id.map(|id| id.to_string()).unwrap_or_default(),
            version: seen.version.unwrap_or_default(),
            status: seen.status,
            created_at: seen.created_at,
            ended_at: seen.ended_at.unwrap_or_default(),
            unreadable: true,
            ..v1::Run::default()
        },
    }
}

pub fn run(run: RunView) -> v1::Run {
    v1::Run {
        id: run.id.to_string(),
        workflow_id: run.workflow_id.map(|id| id.to_string()).unwrap_or_default(),
        version: run.version,
        status: run.status,
        generation: run.generation,
        input: run.input.map(|value| value.to_string()),
        output: run.output.map(|value| value.to_string()),
        error: run.error.map(|error| v1::RunError {
            code: error.code,
            message: error.message,
            node: error.node.unwrap_or_default(),
        }),
        usage: Some(usage(run.usage)),
        created_at: run.created_at,
        started_at: run.started_at.unwrap_or_default(),
        ended_at: run.ended_at.unwrap_or_default(),
        unreadable: false,
    }
}

fn usage(usage: UsageView) -> v1::Usage {
    let UsageView { calls, prompt_tokens, completion_tokens, estimated, cost, unpriced_calls } = usage;
    v1::Usage { calls, prompt_tokens, completion_tokens, estimated, cost, unpriced_calls }
}

pub fn step(step: StepView) -> v1::Step {
    // As the API writes it.
    let status = serde_json::to_value(step.status).ok();
    v1::Step {
        node: step.node,
        generation: step.generation,
        iteration: step.iteration,
        attempt: step.attempt,
        status: status.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        input: step.input.map(|value| value.to_string()),
        output: step.output.map(|value| value.to_string()),
        args_hash: step.args_hash.unwrap_or_default(),
        error: step.error.map(|error| v1::StepError {
            code: error.code,
            message: error.message,
            details: error.details.map(|value| value.to_string()),
        }),
        usage: Some(usage(step.usage)),
        started_at: step.started_at.unwrap_or_default(),
        ended_at: step.ended_at.unwrap_or_default(),
    }
}

pub fn event(event: &EventView) -> v1::Event {
    v1::Event {
        seq: event.seq,
        at: event.at.clone(),
        r#type: event.r#type.to_string(),
        node: event.node.as_deref().unwrap_or_default().to_owned(),
        generation: event.generation.unwrap_or_default(),
        iteration: event.iteration.as_deref().unwrap_or_default().to_owned(),
        attempt: event.attempt.unwrap_or_default(),
        data: event.data.to_string(),
        hash: event.hash.clone().unwrap_or_default(),
    }
}

pub fn words(said: Said) -> v1::Words {
    let Said { node, generation, iteration, attempt, text } = said;
    v1::Words { node: node.to_string(), generation, iteration: iteration.to_string(), attempt, text }
}
