//! Which messages carry a MAC, over what, and what follows where it does not fit.
//!
//! A call of an internal method ends with `"mac"`, over the actor's type and id, the method, and the bytes of the body
//! without it. The attempt that a message is about stands in its body. There is no time in it: run, step and attempt are
//! what makes a message that comes again harmless, and what keeps it from counting for anything else. The answer of a call
//! that was signed is signed, too, over the same and the call's MAC.
//!
//! Task messages go over a bus, which may write them anew: their MAC is over what they say, whatever the order and the
//! spelling, and stands beside `data` in the event. Workers outside sign nothing; the token of an offer is a MAC over its
//! run, step and attempt.

use super::{
    Fault, Message, agent,
    run::{self, Finished},
};
use crate::{
    AGENT, Keyring, WORKFLOW,
    keyring::{Content, Fit},
    services::Services,
};
use bytes::Bytes;
use callboard_catalog::Keys;
use callboard_core::{
    Code,
    id::{AgentId, ProjectId, RunId},
    workflow::StepKey,
};
use serde_json::Value;

/// Before the MAC; a brace or a comma stands before that.
const FIELD: &[u8] = b"\"mac\":\"";
/// Behind it.
const END: &[u8] = b"\"}";
/// The longest MAC, in bytes: the largest number of a key, a dot, 22 letters.
const LONGEST: usize = 33;

/// How much of a refused call's names is shown, in characters.
const SHOWN: usize = 80;

/// Whom a message is for, and what is asked.
#[derive(Debug, Clone, Copy)]
pub struct To<'a> {
    pub actor: &'a str,
    pub id: &'a str,
    pub method: &'a str,
}

/// The MAC that a call came with, once it is known to fit: the answer is signed over it.
#[derive(Debug, Clone)]
pub struct Mac(String);

impl<'t> To<'t> {
    /// Whether only our own processes send it. Ids with a dot are those of runs' agents and of whom they ask.
    pub fn is_internal(self) -> bool {
        let methods: &[&str] = match self.actor {
            WORKFLOW => run::INTERNAL,
            AGENT => agent::INTERNAL,
            _ => &[],
        };
        methods.contains(&self.method) || self.id.contains('.')
    }

    /// Returns the project it is about; that of what has no id is nobody's.
    fn project(self) -> Option<ProjectId> {
        self.id.parse::<AgentId>().ok().map(|id| id.home().project().clone())
    }

    /// Whether it is about a project other than `default`: what our processes send there is always signed, since such a
    /// project may answer to nothing else.
    fn is_elsewhere(self) -> bool {
        self.project().is_some_and(|project| !project.is_default())
    }

    /// Whether the release before takes it with a MAC: it refuses a worker's result that has a field it does not know.
    fn is_known_before(self) -> bool {
        self.method != Finished::METHOD
    }

    fn call<'a>(self, body: &'a [u8]) -> impl Fn(&mut Content) + use<'a, 't> {
        move |content| {
            self.named(content.part(b"call")).part(body);
        }
    }

    fn answer<'a>(self, mac: &'a Mac, body: &'a [u8]) -> impl Fn(&mut Content) + use<'a, 't> {
        move |content| {
            self.named(content.part(b"answer")).part(mac.0.as_bytes()).part(body);
        }
    }

    fn named(self, content: &mut Content) -> &mut Content {
        content.part(self.actor.as_bytes()).part(self.id.as_bytes()).part(self.method.as_bytes())
    }
}

/// Signs a call that only our own processes make, or that is about another project than `default`; anything else stays
/// as it is.
pub fn seal(keyring: &Keyring, to: To<'_>, body: Bytes) -> (Bytes, Option<Mac>) {
    let is_elsewhere = to.is_elsewhere();
    if !is_elsewhere && (!to.is_internal() || !(to.is_known_before() || keyring.is_required())) {
        return (body, None);
    }
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let mac = keyring.sign(to.call(&body));
    (with(body, &mac), Some(Mac(mac)))
}

/// Takes the MAC off a call, which is refused where it must have a fitting one. Public calls of projects that are open to
/// any app pass as they are, but for a MAC of ours.
pub async fn open(services: &Services, to: To<'_>, body: Bytes) -> Result<(Bytes, Option<Mac>), Fault> {
    let is_public = !to.is_internal() && !is_closed(services, to);
    if is_public && !to.is_elsewhere() {
        return Ok((body, None));
    }
    let (opened, mac, fit) = fit(&services.keyring, &*services.catalog, to, body.clone()).await;
    if is_public {
        return Ok(if fit == Fit::Fits { (opened, mac) } else { (body, None) });
    }
    admit(services, to, fit)?;
    Ok((opened, mac))
}

/// Whether only our own processes may speak of this project at all.
fn is_closed(services: &Services, to: To<'_>) -> bool {
    to.project().is_some_and(|project| !services.projects.is_open(&project))
}

/// Takes the MAC off a call; it is returned where it fits.
async fn fit<C: Keys + ?Sized>(
    keyring: &Keyring,
    catalog: &C,
    to: To<'_>,
    body: Bytes,
) -> (Bytes, Option<Mac>, Fit) {
    let (body, mac) = without(body);
    let fit = keyring.check(catalog, mac.as_deref(), to.call(&body)).await;
    (body, mac.filter(|_| fit == Fit::Fits).map(Mac), fit)
}

/// Signs the answer of a call.
pub fn seal_answer(keyring: &Keyring, to: To<'_>, mac: &Mac, answer: Bytes) -> Bytes {
    let own = keyring.sign(to.answer(mac, &answer));
    with(answer, &own)
}

/// Takes the MAC off an answer; nothing where it must have a fitting one: then somebody else has answered.
pub async fn open_answer(services: &Services, to: To<'_>, mac: &Mac, answer: Bytes) -> Option<Bytes> {
    let (answer, fit) = checked(&services.keyring, &*services.catalog, to, mac, answer).await;
    if fit == Fit::Fits {
        return Some(answer);
    }
    // Whoever refused may know more of the keys than this process.
    services.keyring.refresh(&*services.catalog).await;
    admit(services, to, fit).ok().map(|()| answer)
}

/// The same for who has no services: an answer without a fitting MAC is none.
pub async fn opened<C: Keys + ?Sized>(
    keyring: &Keyring,
    catalog: &C,
    to: To<'_>,
    mac: &Mac,
    answer: Bytes,
) -> Result<Bytes, Bytes> {
    let (answer, fit) = checked(keyring, catalog, to, mac, answer).await;
    if fit == Fit::Fits {
        return Ok(answer);
    }
    keyring.refresh(catalog).await;
    Err(answer)
}

async fn checked<C: Keys + ?Sized>(
    keyring: &Keyring,
    catalog: &C,
    to: To<'_>,
    mac: &Mac,
    answer: Bytes,
) -> (Bytes, Fit) {
    let (answer, own) = without(answer);
    let fit = keyring.check(catalog, own.as_deref(), to.answer(mac, &answer)).await;
    (answer, fit)
}

/// Returns the MAC of a task for an agent, as it stands in the event.
pub fn seal_task(keyring: &Keyring, agent: &AgentId, task: &Value) -> String {
    keyring.sign(|content| said(content.part(b"task").part(agent.as_str().as_bytes()), task))
}

/// Refuses a task that must have a fitting MAC and has none.
pub async fn open_task(
    services: &Services,
    agent: &AgentId,
    mac: Option<&str>,
    task: &Value,
) -> Result<(), Fault> {
    let content = |content: &mut Content| said(content.part(b"task").part(agent.as_str().as_bytes()), task);
    let fit = services.keyring.check(&*services.catalog, mac, content).await;
    admit(services, To { actor: AGENT, id: agent.as_str(), method: agent::TaskReady::METHOD }, fit)
}

/// Returns the token of an offer, which its answer may carry; none while there may be processes that refuse one.
pub fn offer_token(keyring: &Keyring, run: &RunId, step: &StepKey, attempt: u32) -> Option<String> {
    keyring.is_required().then(|| keyring.sign(offer(run, step, attempt)))
}

/// Refuses a worker's result whose token is not that of its offer, or that must have one and has none.
pub async fn open_result(
    services: &Services,
    run: &RunId,
    step: &StepKey,
    attempt: u32,
    token: Option<&str>,
) -> Result<(), Fault> {
    if token.is_none() && !services.settings.require_token {
        return Ok(());
    }
    let fit = services.keyring.check(&*services.catalog, token, offer(run, step, attempt)).await;
    admit(services, To { actor: WORKFLOW, id: run.as_str(), method: Finished::METHOD }, fit)
}

fn offer<'a>(run: &'a RunId, step: &StepKey, attempt: u32) -> impl Fn(&mut Content) + use<'a> {
    let step = step.to_string();
    move |content| {
        content.part(b"offer").part(run.as_str().as_bytes()).part(step.as_bytes()).number(attempt.into());
    }
}

fn admit(services: &Services, to: To<'_>, fit: Fit) -> Result<(), Fault> {
    let (code, what) = match fit {
        Fit::Fits => return Ok(()),
        Fit::Missing => (Code::Unsigned, "is not signed"),
        Fit::Wrong => (Code::WrongMac, "has a signature that does not fit"),
    };
    let To { actor, .. } = to;
    if !services.keyring.is_required() && !is_closed(services, to) {
        services.metrics.unsigned(actor);
        return Ok(());
    }
    services.metrics.refused(code.as_str());
    // Whoever calls chooses them.
    let [id, method] = [to.id, to.method].map(|name| name.chars().take(SHOWN).collect::<String>());
    if services.keyring.is_news(format!("{code} {actor} {method}")) {
        tracing::warn!(actor, ?method, ?id, "what {what} is refused, as is each of its next");
    }
    let message = format!("only our own actors call {method} of {actor} {id}, and this call {what}");
    Err(Fault::new(403, code, message))
}

/// Puts a MAC at the end of an object as we write it.
fn with(object: Bytes, mac: &str) -> Bytes {
    // No message of ours is anything but an object.
    if !object.ends_with(b"}") {
        return object;
    }
    let mut object = Vec::from(object);
    object.pop();
    object.reserve_exact(FIELD.len() + mac.len() + END.len() + 1);
    if object != b"{" {
        object.push(b',');
    }
    object.extend_from_slice(FIELD);
    object.extend_from_slice(mac.as_bytes());
    object.extend_from_slice(END);
    object.into()
}

/// Takes the MAC off the end of an object; the object is then what it was before.
fn without(object: Bytes) -> (Bytes, Option<String>) {
    let Some((content, mac)) = split(&object) else { return (object, None) };
    let (end, mac) = (content.len(), mac.to_owned());
    let mut object = Vec::from(object);
    object.truncate(end);
    object.push(b'}');
    (object.into(), Some(mac))
}

fn split(object: &[u8]) -> Option<(&[u8], &str)> {
    let rest = object.strip_suffix(END)?;
    let start = rest.len() - rest.iter().rev().take(LONGEST).position(|b| *b == b'"')?;
    let mac = std::str::from_utf8(&rest[start..]).ok()?;
    let content = rest[..start].strip_suffix(FIELD)?;
    Some((content.strip_suffix(b",").or_else(|| (content == b"{").then_some(content))?, mac))
}

/// Puts in what JSON says, and nothing of how it is written.
fn said(content: &mut Content, value: &Value) {
    match value {
        Value::Null => content.part(b"null"),
        Value::Bool(true) => content.part(b"true"),
        Value::Bool(false) => content.part(b"false"),
        Value::Number(number) => content.part(b"number").part(number.to_string().as_bytes()),
        Value::String(text) => content.part(b"text").part(text.as_bytes()),
        Value::Array(items) => {
            let content = content.part(b"list").number(items.len() as u64);
            items.iter().for_each(|item| said(content, item));
            content
        }
        Value::Object(fields) => {
            let content = content.part(b"object").number(fields.len() as u64);
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, field) in fields {
                said(content.part(name.as_bytes()), field);
            }
            content
        }
    };
}

#[cfg(test)]
mod tests;
