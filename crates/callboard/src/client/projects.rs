//! Projects, as clients see them.

use super::{Client, Error, Listing};
use callboard_core::id::ProjectId;
use reqwest::Method;
use serde_json::Value;

const PATH: &str = "/api/v1/projects";

// === impl Client ===

impl Client {
    pub fn projects(&self) -> Listing {
        self.list(PATH, Vec::new())
    }

    /// Pauses a project, or resumes it.
    pub async fn pause_project(&self, id: &ProjectId, paused: bool) -> Result<Value, Error> {
        let verb = if paused { "pause" } else { "resume" };
        // Twice is once.
        self.json(self.request(Method::POST, &format!("{PATH}/{id}/{verb}"), &[])?).await
    }

    /// Sets all limits of a project.
    pub async fn limit_project(&self, id: &ProjectId, limits: &Value) -> Result<Value, Error> {
        self.json(self.request(Method::PUT, &format!("{PATH}/{id}/limits"), &[])?.json(limits)).await
    }
}
