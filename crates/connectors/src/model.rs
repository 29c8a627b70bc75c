//! Models: one trait, the providers behind it, and which provider a model's name means.
//!
//! `provider/model` names a provider of the configuration; any other name goes to the default one. Which model to
//! try after which is decided in the core.

mod abilities;
mod openai;
mod prices;
mod scripted;

use crate::{
    CallError,
    secret::{Pieces, Scrub, Secret},
};
use async_trait::async_trait;
use callboard_core::{
    Problem, Span,
    agent::message::{Finish, Message, ModelReply, ModelRequest},
    call::Usage,
};
use parking_lot::Mutex;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

pub use abilities::{Abilities, Instructions, Structured, TokenLimit};
pub use openai::OpenAi;
pub use prices::{Amount, Prices, Tariff};
pub use scripted::{Script, Scripted};

/// The provider that is always there.
pub const SCRIPTED: &str = "scripted";

/// Receives pieces of the answer's text as they come.
pub type OnDelta<'a> = Option<&'a (dyn Fn(&str) + Send + Sync)>;

/// Answers requests.
#[async_trait]
pub trait ChatModel: Send + Sync + 'static {
    /// Returns how many calls it takes at the same time; as many as there are, if it does not say. The caller waits.
    fn parallel(&self) -> Option<usize> {
        None
    }

    /// Makes one call. With `on_delta` the answer is streamed where the provider can.
    async fn call(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError>;
}

/// What the providers are made of.
#[derive(Clone, Default)]
pub struct Config {
    /// The provider of names without one; by default `scripted`.
    pub default: Option<String>,
    pub providers: BTreeMap<String, Provider>,
    /// What the scripted provider answers.
    pub script: Script,
    pub prices: Prices,
}

/// The settings of an OpenAI-compatible endpoint.
///
/// What it can do stands here field by field, and not as `Abilities`: flattened fields would not say where a mistake stands.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Provider {
    pub base_url: String,
    #[serde(default)]
    pub api_key: Secret,
    /// For a whole call.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Calls at the same time; more wait.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// The header that has the key; by default `authorization`, after `Bearer`.
    #[serde(default)]
    pub key_header: Option<String>,
    /// The parameter of the URL that has the key instead.
    #[serde(default)]
    pub key_query: Option<String>,
    /// Further headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// `api-version` in the URL.
    #[serde(default)]
    pub api_version: Option<String>,
    /// A URL, which may have a password in it, or `none`; by default that of the environment.
    #[serde(default)]
    pub proxy: Secret,
    #[serde(default)]
    pub structured: Option<Structured>,
    #[serde(default)]
    pub structured_with_tools: Option<bool>,
    #[serde(default)]
    pub token_limit: Option<TokenLimit>,
    #[serde(default)]
    pub temperature: Option<bool>,
    #[serde(default)]
    pub stream: Option<bool>,
    #[serde(default)]
    pub stream_usage: Option<bool>,
    #[serde(default)]
    pub instructions: Option<Instructions>,
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    #[serde(default)]
    pub send_back: Option<bool>,
    /// The same of some models, by name, or by its beginning and `*`.
    #[serde(default)]
    pub models: BTreeMap<String, Abilities>,
}

/// All providers.
pub struct Models {
    /// With its name.
    default: (String, Arc<dyn ChatModel>),
    named: BTreeMap<String, Arc<dyn ChatModel>>,
    scripted: bool,
    prices: Prices,
}

// === impl Provider ===

impl Provider {
    /// What the endpoint can do, as far as it is said.
    fn abilities(&self) -> Abilities {
        Abilities {
            structured: self.structured,
            structured_with_tools: self.structured_with_tools,
            token_limit: self.token_limit,
            temperature: self.temperature,
            stream: self.stream,
            stream_usage: self.stream_usage,
            instructions: self.instructions,
            parallel_tool_calls: self.parallel_tool_calls,
            send_back: self.send_back,
        }
    }
}

// === impl Models ===

impl Models {
    /// Makes the providers of a configuration, or reports everything that is wrong with it.
    pub fn new(config: Config) -> Result<Self, Vec<Problem>> {
        let scripted: Arc<dyn ChatModel> = Arc::new(Scripted::new(config.script));
        let mut named = BTreeMap::from([(SCRIPTED.to_owned(), scripted.clone())]);
        let mut problems = Vec::new();
        for (name, provider) in &config.providers {
            let path = format!("models.providers.{name}");
            if name == SCRIPTED || name.contains('/') {
                problems.push(Problem::new(
                    path,
                    "provider_name",
                    format!("a provider can't be called {name}"),
                ));
                continue;
            }
            match OpenAi::new(provider) {
                Ok(model) => drop(named.insert(name.clone(), Arc::new(model))),
                Err(e) => problems.push(Problem::new(path, "provider_invalid", e.message)),
            }
        }
        let name = config.default.unwrap_or_else(|| SCRIPTED.to_owned());
        match named.get(&name) {
            Some(default) if problems.is_empty() => {
                let (scripted, default) = (name == SCRIPTED, (name, default.clone()));
                Ok(Self { scripted, default, named, prices: config.prices })
            }
            Some(_) => Err(problems),
            None => {
                let message = format!("there is no provider {name}");
                problems.push(Problem::new("models.default", "provider_unknown", message));
                Err(problems)
            }
        }
    }

    /// All names mean one model.
    pub fn only(model: Arc<dyn ChatModel>) -> Self {
        let prices = Prices::default();
        Self { default: (String::new(), model), named: BTreeMap::new(), scripted: false, prices }
    }

    /// Tells whether models without a provider's name are answered by the script, which must be shown.
    pub fn is_scripted(&self) -> bool {
        self.scripted
    }

    /// Returns what models cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Returns the names of all providers, the scripted one too.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Returns the provider that a model's name means.
    pub fn provider_of<'a>(&'a self, model: &'a str) -> &'a str {
        let named = model.split_once('/').map(|(provider, _)| provider);
        named.filter(|provider| self.named.contains_key(*provider)).unwrap_or(&self.default.0)
    }

    /// Returns how many calls a provider takes at the same time, if it says so.
    pub fn parallel(&self, provider: &str) -> Option<usize> {
        self.named.get(provider).unwrap_or(&self.default.1).parallel()
    }

    /// Makes one call, and takes the values of a run's secrets out of all that comes of it.
    pub async fn call_scrubbed(
        &self,
        request: &ModelRequest,
        on_delta: OnDelta<'_>,
        scrub: &Scrub,
    ) -> Result<ModelReply, CallError> {
        let said = on_delta.map(|to| Said::new(scrub, to));
        let listen = |text: &str| said.iter().for_each(|said| said.add(text));
        let reply = self.call(request, said.as_ref().map(|_| &listen as _)).await;
        scrubbed(reply, scrub, said.as_ref())
    }

    /// Makes one call, for which the caller has a [place](Self::parallel), at the provider the model's name means.
    pub async fn call(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let named = request
            .model
            .split_once('/')
            .and_then(|(provider, model)| Some((provider, self.named.get(provider)?, model)));
        let (name, provider, model) =
            named.unwrap_or((self.default.0.as_str(), &self.default.1, request.model.as_str()));
        // What one provider hid in its answers is no other's business.
        let is_foreign =
            |message: &Message| message.extras.as_ref().is_some_and(|extras| extras.provider != name);
        let mut reply = if model != request.model || request.messages.iter().any(is_foreign) {
            let mut request = ModelRequest { model: model.to_owned(), ..request.clone() };
            request.messages.iter_mut().filter(|m| is_foreign(m)).for_each(|m| m.extras = None);
            provider.call(&request, on_delta).await?
        } else {
            provider.call(request, on_delta).await?
        };
        if let Some(extras) = &mut reply.extras {
            name.clone_into(&mut extras.provider);
        }
        self.prices.charge(&request.model, &mut reply);
        Ok(reply)
    }
}

/// Hears an answer's pieces and says them on without the values of secrets, also of one that stands across pieces.
struct Said<'a> {
    pieces: Mutex<Pieces>,
    to: &'a (dyn Fn(&str) + Send + Sync),
}

impl<'a> Said<'a> {
    fn new(scrub: &Scrub, to: &'a (dyn Fn(&str) + Send + Sync)) -> Self {
        Self { pieces: Mutex::new(scrub.pieces()), to }
    }

    fn add(&self, text: &str) {
        let shown = self.pieces.lock().push(text);
        self.say(&shown);
    }

    fn finish(&self) {
        let shown = self.pieces.lock().finish();
        self.say(&shown);
    }

    fn say(&self, text: &str) {
        if !text.is_empty() {
            (self.to)(text);
        }
    }
}

/// Takes the values of secrets out of what a call came to.
fn scrubbed(
    reply: Result<ModelReply, CallError>,
    scrub: &Scrub,
    said: Option<&Said<'_>>,
) -> Result<ModelReply, CallError> {
    match reply {
        Ok(mut reply) => {
            said.into_iter().for_each(Said::finish);
            scrub.text(&mut reply.text);
            scrub.text(&mut reply.model);
            for call in &mut reply.tool_calls {
                scrub.text(&mut call.id);
                scrub.text(&mut call.name);
                scrub.text(&mut call.arguments);
            }
            if let Finish::Refused(words) = &mut reply.finish {
                scrub.text(words);
            }
            if let Some(extras) = &mut reply.extras {
                let maps = extras.calls.iter_mut().chain([&mut extras.message]);
                maps.flat_map(serde_json::Map::values_mut).for_each(|value| scrub.value(value));
            }
            Ok(reply)
        }
        Err(mut error) => {
            scrub.error(&mut error);
            Err(error)
        }
    }
}

/// Guesses what a call used, for providers that don't say: four characters a token.
fn estimate(messages: &[Message], answer: usize) -> Usage {
    let asked: usize = messages
        .iter()
        .map(|m| {
            m.content.len() + m.tool_calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>()
        })
        .sum();
    let tokens = |characters: usize| u64::try_from(characters.div_ceil(4)).unwrap_or(u64::MAX);
    Usage {
        calls: 1,
        prompt_tokens: tokens(asked),
        completion_tokens: tokens(answer),
        estimated: true,
        ..Usage::default()
    }
}

/// An answer that is not one.
fn invalid(message: impl Into<String>, retryable: bool) -> CallError {
    CallError { retryable, ..CallError::elsewhere("model_invalid_response", message) }
}

#[cfg(test)]
mod tests;
