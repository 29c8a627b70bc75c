//! A conversation as the model is told it: who the agent is, its task, what was said since, and the tools it has.

use super::Agents;
use crate::stored_values;
use callboard_core::{
    Datum,
    agent::{
        message::{Message, ModelRequest, Role},
        run::{Run, echo},
    },
    call::CallError,
    id::{AgentId, RunId},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

impl Agents {
    /// Builds the conversation: who the agent is, the task, and what was said since.
    pub(super) async fn request(
        &self,
        id: &AgentId,
        run: &Run,
        contents: &BTreeMap<String, Arc<Value>>,
        model: usize,
    ) -> Result<ModelRequest, CallError> {
        let lost =
            |what: &str| CallError::transient("value_unavailable", format!("{what} can't be read now"));
        let profile = run.profile.as_deref().ok_or_else(|| lost("the agent's profile"))?;
        let task = run.task.as_ref().ok_or_else(|| lost("the task"))?;
        let mut wanted: Vec<&Datum> = vec![&task.input];
        wanted.extend(&run.messages);
        let found = self.contents(id.home(), &wanted, contents).await.ok_or_else(|| lost("a message"))?;
        let mut values = found.into_iter();
        let input = values.next().ok_or_else(|| lost("the task"))?;
        let prompt = match &*input {
            Value::String(text) => text.clone(),
            other => other["prompt"].as_str().unwrap_or_default().to_owned(),
        };
        let mut messages = Vec::new();
        messages.extend(profile.spec.system_text().map(|text| Message::new(Role::System, text)));
        messages.push(Message::new(Role::User, prompt));
        for value in values {
            messages.push(serde_json::from_value((*value).clone()).map_err(|_| lost("a message"))?);
        }
        echo(&mut messages);
        let spec = &profile.spec;
        let mut tools = self.services.projects.of(id.home().project()).tools.specs(&profile.tools);
        tools.extend(profile.delegate_tool(task));
        Ok(ModelRequest {
            model: run.model_name(model).to_owned(),
            messages,
            tools,
            temperature: spec.temperature,
            max_tokens: spec.max_tokens,
            output_schema: task.output_schema.clone().or_else(|| spec.output_schema.clone()),
            idempotency_key: format!("{}/{}", task.key, run.iterations),
        })
    }

    /// Returns contents in order: from the datum, from memory, else from the store.
    pub(super) async fn contents(
        &self,
        run: &RunId,
        wanted: &[&Datum],
        known: &BTreeMap<String, Arc<Value>>,
    ) -> Option<Vec<Arc<Value>>> {
        let missing: Vec<(String, u64)> = wanted
            .iter()
            .filter_map(|d| d.reference())
            .filter(|r| !known.contains_key(&r.key))
            .map(|r| (r.key.clone(), r.size))
            .collect();
        let found = stored_values::load(&self.services, run, &missing).await.ok()?;
        wanted
            .iter()
            .map(|datum| match datum {
                Datum::Inline(value) => Some(value.clone()),
                Datum::Stored(r) => match known.get(&r.key) {
                    Some(value) => Some(value.clone()),
                    None => serde_json::from_slice(found.get(&r.key)?).ok().map(Arc::new),
                },
            })
            .collect()
    }
}
