//! Triggers, as clients see them.

use super::{Client, Error, Listing, fresh};
use callboard_core::id::{TriggerId, WorkflowId};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/triggers";

// === impl Client ===

impl Client {
    /// Triggers, or those of one workflow.
    pub fn triggers(&self, of: Option<&WorkflowId>) -> Listing {
        self.list(PATH, of.map(|of| ("workflow_id", of.to_string())).into_iter().collect())
    }

    pub async fn trigger(&self, id: &TriggerId) -> Result<Value, Error> {
        self.get(&format!("{PATH}/{id}")).await
    }

    /// What came of its last occasions.
    pub fn fires(&self, id: &TriggerId) -> Listing {
        self.list(&format!("{PATH}/{id}/fires"), Vec::new())
    }

    /// Makes a trigger. It is sent once: its secret is answered once.
    pub async fn create_trigger(&self, new: &Value) -> Result<Value, Error> {
        let bytes = self.once_sent(self.request(Method::POST, PATH, &[])?.json(new)).await?;
        serde_json::from_slice(&bytes).map_err(|_| Error::unreadable(&self.address))
    }

    /// Deletes a trigger. It is sent once: a second time there is none.
    pub async fn delete_trigger(&self, id: &TriggerId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("{PATH}/{id}"), &[])?;
        self.once_sent(request).await.map(drop)
    }

    /// Lets a trigger fire, or no more.
    pub async fn enable_trigger(&self, id: &TriggerId, enabled: bool) -> Result<Value, Error> {
        let verb = if enabled { "enable" } else { "disable" };
        // Twice is once.
        self.json(self.request(Method::POST, &format!("{PATH}/{id}/{verb}"), &[])?).await
    }

    /// Starts its run now.
    pub async fn fire(&self, id: &TriggerId, input: Option<Value>) -> Result<Value, Error> {
        let body = input.map_or_else(|| json!({}), |input| json!({ "input": input }));
        self.named(&format!("{PATH}/{id}/fire"), &body, &fresh()).await
    }
}
