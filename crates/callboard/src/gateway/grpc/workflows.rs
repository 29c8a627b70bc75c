//! `callboard.v1.Workflows`.

use super::{
    Served,
    caller::{Caller, answer, workflow},
    forms, shown,
    status::{refused, status},
    v1::{self, workflows_server::Workflows},
};
use crate::{
    gateway::Error,
    operations::{Answered, Changed, Key, Listed, Naming, Page, Saved, Start, Text},
};
use callboard_catalog::{Answer, Expected};
use callboard_core::{Hash, Problem, document::Format};
use serde::Deserialize;
use tonic::{Request, Response, Status, async_trait};

/// What was saved, as it is remembered under its key.
#[derive(Deserialize)]
struct Remembered {
    id: String,
    name: String,
    version: u32,
    status: String,
    problems: Vec<Problem>,
}

#[async_trait]
impl Workflows for Served {
    async fn create_workflow(
        &self,
        request: Request<v1::CreateWorkflowRequest>,
    ) -> Result<Response<v1::SavedWorkflow>, Status> {
        let (Caller { principal, key, .. }, v1::CreateWorkflowRequest { definition, draft }) =
            Caller::of(request)?;
        let text = forms::definition(definition, draft);
        let naming = key.map(|key| naming(key, "grpc CreateWorkflow", "", None, &text));
        let saved = self.operations.create_workflow(&principal, naming, text, told).await;
        remembered(saved.map_err(refused)?)
    }

    async fn check_workflow(
        &self,
        request: Request<v1::CheckWorkflowRequest>,
    ) -> Result<Response<v1::CheckedWorkflow>, Status> {
        let (_, v1::CheckWorkflowRequest { definition }) = Caller::of(request)?;
        let checked = self.operations.check_workflow(forms::definition(definition, true)).await;
        let checked = checked.map_err(refused)?;
        let problems = shown::problems(checked.problems);
        Ok(Response::new(v1::CheckedWorkflow { name: checked.name, problems }))
    }

    async fn list_workflows(
        &self,
        request: Request<v1::ListWorkflowsRequest>,
    ) -> Result<Response<v1::ListWorkflowsResponse>, Status> {
        let (caller, v1::ListWorkflowsRequest { limit, cursor }) = Caller::of(request)?;
        let of = page(limit, cursor);
        let found = self.operations.list_workflows(&caller.principal, &of, &Listed::default()).await;
        let found = found.map_err(refused)?;
        let items = found.items.into_iter().map(shown::workflow_line).collect();
        Ok(Response::new(v1::ListWorkflowsResponse { items, next: found.next.unwrap_or_default() }))
    }

    async fn get_workflow(
        &self,
        request: Request<v1::GetWorkflowRequest>,
    ) -> Result<Response<v1::Workflow>, Status> {
        let (caller, v1::GetWorkflowRequest { id }) = Caller::of(request)?;
        let found = self.operations.workflow(&caller.principal, &workflow(&id)?).await;
        Ok(Response::new(shown::workflow(found.map_err(refused)?)))
    }

    async fn update_workflow(
        &self,
        request: Request<v1::UpdateWorkflowRequest>,
    ) -> Result<Response<v1::SavedWorkflow>, Status> {
        let (Caller { principal, key, .. }, message) = Caller::of(request)?;
        let v1::UpdateWorkflowRequest { id, definition, draft, expected_version } = message;
        let (id, text) = (workflow(&id)?, forms::definition(definition, draft));
        let naming = key.map(|key| naming(key, "grpc UpdateWorkflow", id.as_str(), expected_version, &text));
        let change = (expected_version.map(Expected::Version), text);
        let saved = self.operations.update_workflow(&principal, &id, naming, change, told).await;
        named(remembered(saved.map_err(refused)?)?, id.as_str())
    }

    async fn delete_workflow(
        &self,
        request: Request<v1::DeleteWorkflowRequest>,
    ) -> Result<Response<()>, Status> {
        let (Caller { principal, key, .. }, v1::DeleteWorkflowRequest { id }) = Caller::of(request)?;
        let id = workflow(&id)?;
        let body = Hash::of(id.as_str().as_bytes());
        let naming = key.map(|key| Naming { key, route: "grpc DeleteWorkflow", body });
        let hidden = self.operations.delete_workflow(&principal, &id, naming, told).await;
        let Answered { replayed, changed, .. } = hidden.map_err(refused)?;
        let mut response = answer((), replayed);
        response.extensions_mut().insert(changed);
        named(response, id.as_str())
    }

    async fn start_workflow(
        &self,
        request: Request<v1::StartWorkflowRequest>,
    ) -> Result<Response<v1::Started>, Status> {
        let (Caller { principal, trace, key }, v1::StartWorkflowRequest { id, input }) = Caller::of(request)?;
        let (id, body) = (workflow(&id)?, Start { input: forms::json(input)?, ..Start::default() });
        let started = self.operations.start(&principal, &trace, &id, key, body).await.map_err(refused)?;
        let again = started.replayed;
        let run = started.view.run_id.to_string();
        named(answer(shown::started(started.view), again), &run)
    }
}

/// What of a list is asked for; empty is not given.
pub fn page(limit: Option<u32>, cursor: String) -> Page {
    Page { limit, cursor: (!cursor.is_empty()).then_some(cursor) }
}

/// Names what was changed, for the audit.
pub fn named<T>(mut response: Response<T>, object: &str) -> Result<Response<T>, Status> {
    let change = response.extensions().get::<Changed>().cloned().unwrap_or_default();
    response.extensions_mut().insert(Changed { object: Some(object.to_owned()), ..change });
    Ok(response)
}

/// Names a change of a definition, by everything that decides what is saved.
fn naming(key: Key, route: &'static str, id: &str, expected: Option<u32>, text: &Text) -> Naming {
    let expected = expected.map(|version| version.to_string()).unwrap_or_default();
    let format: &[u8] = match text.format {
        Format::Json => b"json",
        Format::Yaml => b"yaml",
    };
    let draft = [u8::from(text.draft)];
    Naming {
        key,
        route,
        body: Hash::chain(&[id.as_bytes(), expected.as_bytes(), format, &draft, &text.bytes]),
    }
}

/// What is remembered of a change under its key.
fn told(saved: Option<&Saved>) -> Answer {
    // Its keys are texts, so it always serializes.
    let body = saved.map(|saved| serde_json::to_vec(saved).unwrap_or_default()).unwrap_or_default();
    Answer { status: 200, headers: Vec::new(), body: body.into() }
}

/// Answers what was saved, perhaps once more.
fn remembered(answered: Answered) -> Result<Response<v1::SavedWorkflow>, Status> {
    let Answered { answer: Answer { body, .. }, replayed, changed } = answered;
    let Remembered { id, name, version, status: of_run, problems } =
        serde_json::from_slice(&body).map_err(|error| {
            tracing::error!(%error, "a remembered answer can't be read");
            status(&Error::internal())
        })?;
    let problems = shown::problems(problems);
    let mut response = answer(v1::SavedWorkflow { id, name, version, status: of_run, problems }, replayed);
    response.extensions_mut().insert(changed);
    Ok(response)
}
