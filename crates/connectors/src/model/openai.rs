//! Any endpoint that speaks OpenAI's chat completions, in whatever dialect.
//!
//! The request is async-openai's type. The answer is read here and not by its client, because that one retries by
//! itself, buffers without a limit, drops `Retry-After`, and refuses answers of compatible servers that leave out
//! fields nobody needs. Redirects are not followed: they would take the key elsewhere.
//!
//! A request that is refused for a part of it is sent once more without that part, at once: a refusal costs nothing, and
//! is no answer. All other trying again is the core's.

mod events;
mod extras;
mod learning;
mod lenient;
mod reading;
mod refusal;
mod stream;
mod thinking;
mod wire;

use super::{
    ChatModel, OnDelta, Provider, Said,
    abilities::{Abilities, Dialect},
    scrubbed,
};
use crate::{
    CallError,
    http::{self as client, errors},
    secret::{Scrub, Secret},
};
use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use async_trait::async_trait;
use callboard_core::agent::message::{ModelReply, ModelRequest};
use learning::Learnt;
use parking_lot::Mutex;
use refusal::Refusal;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use url::{Host, Url};
use zeroize::Zeroizing;

/// For a whole call: long answers of large models take minutes.
const TOTAL: Duration = Duration::from_secs(600);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(120);
const PARALLEL: u32 = 64;
/// Of an answer that is an error, in bytes.
const ERROR_BODY: usize = 64 << 10;
/// A million tokens of text. Many calls are under way at once, and each may be answered with that much.
const ANSWER: usize = 4 << 20;
/// How often one call is sent, each time without something that was refused.
const ROUNDS: usize = 8;
/// Models of which it is remembered what they refused.
const MODELS: usize = 256;
/// The first version of Azure's API that has all that is sent here.
const AZURE_VERSION: &str = "2024-10-21";

/// One provider.
pub struct OpenAi {
    client: reqwest::Client,
    url: Url,
    /// The key, and whatever else each request has, marked as sensitive.
    headers: HeaderMap,
    scrub: Scrub,
    timeout: Duration,
    parallel: u32,
    said: Abilities,
    /// By model, or by the beginning of its name and `*`.
    said_of: BTreeMap<String, Abilities>,
    learnt: Mutex<BTreeMap<String, Learnt>>,
}

/// Why there is no answer.
enum Unanswered {
    /// The request, or a part of it.
    Refused(Refusal),
    /// A stream came that can't be read.
    Unread(stream::Unread),
    Failed(CallError),
}

// === impl OpenAi ===

impl OpenAi {
    pub fn new(provider: &Provider) -> Result<Self, CallError> {
        let key = Some(provider.api_key.expose().trim()).filter(|key| !key.is_empty());
        let url = endpoint(provider, key)?;
        let headers = headers(provider, &url, key)?;
        let secrets: Vec<Secret> = key.map(Secret::new).into_iter().chain(secret_headers(provider)).collect();
        Ok(Self {
            client: client(provider, &url)?,
            url,
            headers,
            scrub: Scrub::new(&secrets),
            timeout: provider.timeout.map_or(TOTAL, |span| Duration::from_millis(span.0)),
            parallel: provider.parallel.unwrap_or(PARALLEL).max(1),
            said: provider.abilities(),
            said_of: provider.models.clone(),
            learnt: Mutex::default(),
        })
    }

    /// What the settings say of a model: those with the longest name that fits it come last.
    fn said_of(&self, model: &str) -> Abilities {
        let fits = |name: &&String| match name.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => model == name.as_str(),
        };
        let mut fitting: Vec<&String> = self.said_of.keys().filter(fits).collect();
        fitting.sort_by_key(|name| name.len());
        fitting.into_iter().fold(self.said.clone(), |said, name| said.under(&self.said_of[name]))
    }

    /// Sends the request until it is answered, or refused for something that can't be left out.
    async fn exchange(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let said = self.said_of(&request.model);
        let by_name = Abilities::by_name(self.url.host_str().unwrap_or_default(), &request.model);
        let mut learnt = self.learnt.lock().get(&request.model).cloned().unwrap_or_default();
        let mut first_limit = None;
        let (mut news, mut guessed) = (Vec::new(), None);
        for round in 0..ROUNDS {
            let dialect = Dialect::of(&by_name.under(&learnt.abilities).under(&said), learnt.dropped.clone());
            let heard =
                on_delta.filter(|_| dialect.stream && (learnt.trusts_streams() || said.stream == Some(true)));
            let first_limit = *first_limit.get_or_insert(dialect.token_limit);
            let sent = wire::request(request, &dialect, heard.is_some(), first_limit).map_err(|e| {
                CallError::permanent("model_rejected", format!("the request can't be written: {e}"))
            })?;
            let refusal = match self.send(request, &sent, heard, round).await {
                Ok(reply) => {
                    if heard.is_some() && learnt.unread.0 > 0 {
                        self.trust_streams(&request.model);
                    }
                    self.remember(&request.model, &learnt, &news);
                    // The words of an answer that came as a whole.
                    if let Some(on_delta) = on_delta.filter(|_| heard.is_none())
                        && !reply.text.is_empty()
                    {
                        on_delta(&reply.text);
                    }
                    return Ok(reply);
                }
                Err(Unanswered::Refused(refusal)) => refusal,
                Err(Unanswered::Unread(unread)) => {
                    self.doubt_streams(&request.model, unread.by_accident);
                    return Err(unread.error);
                }
                Err(Unanswered::Failed(error)) => return Err(error),
            };
            let Some(change) = learning::change(&dialect, &said, &sent, &refusal) else {
                // What was guessed did not help, so what it said first is what it means.
                return Err(guessed.unwrap_or(refusal.error));
            };
            learnt.add(&change);
            if change.is_guess {
                guessed.get_or_insert(refusal.error);
            } else {
                guessed = None;
            }
            news.push(change);
        }
        Err(guessed.unwrap_or_else(|| {
            CallError::elsewhere("model_rejected", "the provider refuses every form of the request")
        }))
    }

    /// Remembers what helped, and says so once.
    fn remember(&self, model: &str, learnt: &Learnt, news: &[learning::Change]) {
        if news.is_empty() || news.iter().any(|change| change.once) {
            return;
        }
        let mut all = self.learnt.lock();
        let known = all.get(model);
        let is_new =
            known.is_none_or(|known| known.abilities != learnt.abilities || known.dropped != learnt.dropped);
        if is_new {
            for change in news {
                let host = self.url.host_str().unwrap_or_default();
                tracing::info!(
                    host,
                    model,
                    left_out = change.what,
                    "the model refuses this and is asked without it from now on"
                );
            }
        }
        if all.len() >= MODELS && known.is_none() {
            all.pop_first();
        }
        let entry = all.entry(model.to_owned()).or_default();
        entry.abilities = entry.abilities.under(&learnt.abilities);
        entry.dropped.extend(learnt.dropped.iter().cloned());
    }

    fn trust_streams(&self, model: &str) {
        if let Some(learnt) = self.learnt.lock().get_mut(model) {
            learnt.unread = (0, None);
        }
    }

    /// Counts a stream that could not be read. In the end whole answers are asked for: who listens must not be why a call
    /// fails.
    fn doubt_streams(&self, model: &str, by_accident: bool) {
        let mut all = self.learnt.lock();
        if all.len() >= MODELS && !all.contains_key(model) {
            all.pop_first();
        }
        let (times, last) = &mut all.entry(model.to_owned()).or_default().unread;
        *times = if by_accident { *times + 1 } else { learning::UNREAD };
        *last = Some(Instant::now());
        if *times >= learning::UNREAD {
            tracing::info!(model, "streams can't be read: the model is asked for whole answers for a while");
        }
    }

    async fn send(
        &self,
        request: &ModelRequest,
        sent: &wire::Sent,
        on_delta: OnDelta<'_>,
        round: usize,
    ) -> Result<ModelReply, Unanswered> {
        let body = serde_json::to_vec(&sent.body).map_err(|e| {
            CallError::permanent("model_rejected", format!("the request can't be written: {e}"))
        })?;
        // Another text under the same key would be refused for that.
        let key = match round {
            0 => request.idempotency_key.clone(),
            _ => format!("{}/{round}", request.idempotency_key),
        };
        let key = HeaderValue::from_str(&key).map_err(|_| {
            CallError::permanent("model_rejected", "the idempotency key can't stand in a header")
        })?;
        let call = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, if on_delta.is_some() { "text/event-stream" } else { "application/json" })
            .header("idempotency-key", key)
            .headers(self.headers.clone())
            .body(body);
        let response = call.send().await.map_err(|e| self.unreachable(&e))?;
        client::body::check_headers(response.headers()).map_err(of_model)?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = errors::retry_after(response.headers());
            let body = client::body::read(response, ERROR_BODY).await.unwrap_or_default();
            return Err(Unanswered::Refused(Refusal::new(status.as_u16(), retry_after, &body)));
        }
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.trim_start().to_ascii_lowercase();
        if kind.starts_with("text/event-stream") {
            // A server that streams always may be asked for a whole answer.
            return stream::read(response, request, on_delta).await.map_err(|unread| {
                match unread.error.code == "model_timeout" || !sent.stream {
                    true => Unanswered::Failed(unread.error),
                    false => Unanswered::Unread(unread),
                }
            });
        }
        // What is called neither of the two may be either; only a page for people is none.
        if PAGES.iter().any(|page| kind.starts_with(page)) {
            return Err(refusal::page().into());
        }
        let body = client::body::read(response, ANSWER).await.map_err(of_model)?;
        let reply = reading::whole_answer(&body, request)?;
        // A server that can't stream answers as a whole.
        if let Some(on_delta) = on_delta
            && !reply.text.is_empty()
        {
            on_delta(&reply.text);
        }
        Ok(reply)
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        of_model(errors::request(error, &self.url))
    }
}

#[cfg(test)]
impl OpenAi {
    pub(super) fn address(&self) -> String {
        self.url.to_string()
    }

    pub(super) fn header_names(&self) -> Vec<String> {
        self.headers.keys().map(ToString::to_string).collect()
    }
}

impl From<CallError> for Unanswered {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

/// Types of bodies that are no answers of models, whatever stands in them.
const PAGES: [&str; 4] = ["text/html", "application/xhtml", "image/", "application/pdf"];

/// Where calls go.
fn endpoint(provider: &Provider, key: Option<&str>) -> Result<Url, CallError> {
    const PATH: &str = "/chat/completions";
    let wrong = || CallError::permanent("provider_invalid", "the base URL is not an http or https URL");
    let mut url = Url::parse(provider.base_url.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(wrong)?;
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(PATH) {
        url.set_path(&format!("{path}{PATH}"));
    }
    let has_version = url.query_pairs().any(|(name, _)| name == "api-version");
    let version = provider
        .api_version
        .as_deref()
        .or_else(|| (is_azure(&url) && path.contains("/deployments/")).then_some(AZURE_VERSION));
    if let Some(version) = version.filter(|_| !has_version) {
        url.query_pairs_mut().append_pair("api-version", version);
    }
    if let (Some(name), Some(key)) = (&provider.key_query, key) {
        url.query_pairs_mut().append_pair(name, key);
    }
    Ok(url)
}

fn is_azure(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.ends_with(".azure.com"))
}

/// What each request has besides its own.
fn headers(provider: &Provider, url: &Url, key: Option<&str>) -> Result<HeaderMap, CallError> {
    let wrong = |message: String| CallError::permanent("provider_invalid", message);
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, text: Zeroizing<String>| {
        let mut value = HeaderValue::from_maybe_shared(client::owned(text)).ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Some(())
    };
    let name =
        |text: &str| text.parse::<HeaderName>().map_err(|_| wrong(format!("{text} is no name of a header")));
    if let Some(key) = key.filter(|_| provider.key_query.is_none()) {
        let own = provider.key_header.as_deref().or_else(|| is_azure(url).then_some("api-key"));
        let (name, text) = match own {
            Some(own) => (name(own)?, key.to_owned()),
            None => (header::AUTHORIZATION, format!("Bearer {key}")),
        };
        put(name, Zeroizing::new(text))
            .ok_or_else(|| wrong("the API key can't stand in a header".to_owned()))?;
    }
    for (text, value) in &provider.headers {
        put(name(text)?, Zeroizing::new(value.expose().to_owned()))
            .ok_or_else(|| wrong(format!("the value of {text} can't stand in a header")))?;
    }
    Ok(headers)
}

/// Values of headers that are keys by their names. Others may be ordinary words, which answers have, too.
fn secret_headers(provider: &Provider) -> impl Iterator<Item = Secret> + '_ {
    const SECRET: [&str; 5] = ["authorization", "key", "token", "secret", "cookie"];
    let is_secret = |name: &str| SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word));
    let secrets = provider.headers.iter().filter(move |(name, _)| is_secret(name));
    secrets.map(|(_, header)| Secret::new(header.expose().rsplit(' ').next().unwrap_or_default()))
}

/// The client, with the proxy that the settings name, else that of the environment. This machine is called without one.
fn client(provider: &Provider, url: &Url) -> Result<reqwest::Client, CallError> {
    let is_here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    let build = |proxy: Option<reqwest::Proxy>, environment: bool| {
        client::build(|| {
            let client = if environment { client::through_environment() } else { client::plain() };
            let client = client.read_timeout(SILENCE);
            match &proxy {
                Some(proxy) => client.proxy(proxy.clone()),
                None => client,
            }
        })
    };
    match Some(provider.proxy.expose().trim()).filter(|proxy| !proxy.is_empty()) {
        Some("none") => build(None, false),
        Some(proxy) => {
            let wrong = || CallError::permanent("provider_invalid", "the proxy is not a URL");
            let url = Url::parse(proxy).ok().filter(Url::has_host).ok_or_else(wrong)?;
            build(Some(reqwest::Proxy::all(url).map_err(|_| wrong())?), false)
        }
        None => build(None, !is_here),
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    fn parallel(&self) -> Option<usize> {
        Some(self.parallel as usize)
    }

    async fn call(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let late = || CallError::transient("model_timeout", "the model did not answer in time");
        // Some providers repeat the key, in what they refuse and in what they answer.
        let said = on_delta.map(|to| Said::new(&self.scrub, to));
        let listen = |text: &str| said.iter().for_each(|said| said.add(text));
        let exchange = self.exchange(request, said.as_ref().map(|_| &listen as _));
        let reply = tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| Err(late()));
        scrubbed(reply, &self.scrub, said.as_ref())
    }
}

/// Turns a failure of the transport into one of a model.
fn of_model(error: CallError) -> CallError {
    let code = match error.code.as_str() {
        "http_timeout" => "model_timeout",
        "http_connect" | "http_broken" => "model_unavailable",
        "http_too_large" | "http_invalid_response" => "model_invalid_response",
        _ => "model_rejected",
    };
    CallError { code: code.to_owned(), elsewhere: code != "model_rejected", ..error }
}
