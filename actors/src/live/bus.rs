//! The same fan-out between processes: the topic `callboard.live` on the component `broadcast`.
//!
//! A process in which somebody listens to a run says so, and again while it lasts. Only then do the processes where
//! the run and its agents are publish what they have: words in batches, growth of the history as its last seq. All of
//! it is best effort: nothing is kept, nothing is sent twice, a full queue drops.

use super::{Live, Recorded, Said};
use crate::{
    events,
    services::{Clock, Services},
    tasks::Tasks,
};
use bytes::Bytes;
use callboard_core::{Span, Timestamp, id::RunId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

pub const TOPIC: &str = "callboard.live";
/// A process that hosts agents is there, or goes: what was asked of it is asked again at once, not at the run's next wake.
pub const AGENTS_CAME: &str = "callboard.live.agents_came";
pub const AGENTS_LEFT: &str = "callboard.live.agents_left";
/// By then sidecars know that a process has gone.
pub const SETTLED: Duration = Duration::from_secs(3);
/// A process that came says so once more: its sidecar may have had no actors yet.
const ONCE_MORE: Duration = Duration::from_secs(6);
const LISTENING: &str = "callboard.live.listening";
const RECORDED: &str = "callboard.live.recorded";
const SAID: &str = "callboard.agent.said";

/// How long a notice counts, and how often it is renewed.
const LASTS: Span = Span::secs(30);
const RENEW: Duration = Duration::from_secs(10);
/// Words are collected for so long.
const BATCH: Duration = Duration::from_millis(50);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Which process this is, since when.
#[derive(Debug, Clone)]
pub struct Here {
    origin: String,
    since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    origin: String,
    /// By run, whether words are listened to.
    runs: BTreeMap<RunId, bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Grown {
    origin: String,
    /// By run, the last seq.
    runs: BTreeMap<RunId, u64>,
}

/// A process whose agents came or left.
#[derive(Debug, Serialize)]
struct Moved<'a> {
    origin: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
struct Words {
    origin: String,
    run: RunId,
    said: Vec<Said>,
}

impl Here {
    pub fn new(clock: &Clock) -> Self {
        Self { origin: format!("{:016x}", clock.id()), since: clock.now() }
    }

    /// Whether a message is of another process, and sent since this one is there.
    pub fn is_news(&self, time: Option<&str>, data: &serde_json::Value) -> bool {
        time.and_then(Timestamp::parse).is_some_and(|sent| sent >= self.since)
            && data["origin"].as_str().is_some_and(|origin| origin != self.origin)
    }

    /// Takes a message in. What is older than this process, of its own, or of no known shape, is nothing to it.
    pub fn hear(&self, live: &Live, kind: &str, time: Option<&str>, data: serde_json::Value, now: Timestamp) {
        let Some(sent) = time.and_then(Timestamp::parse) else { return };
        if !self.is_news(time, &data) {
            return;
        }
        match kind {
            LISTENING => {
                let Ok(notice) = serde_json::from_value::<Notice>(data) else { return };
                // Counted from when it comes: clocks differ, and only one that waited long is too old.
                if now < sent + LASTS {
                    for (run, words) in notice.runs {
                        live.heard_elsewhere(&run, words, now + LASTS, now);
                    }
                }
            }
            RECORDED => {
                let Ok(grown) = serde_json::from_value::<Grown>(data) else { return };
                grown
                    .runs
                    .iter()
                    .for_each(|(run, seq)| live.0.recorded.send(run, Recorded { seq: *seq, ended: None }));
            }
            SAID => {
                let Ok(words) = serde_json::from_value::<Words>(data) else { return };
                words.said.into_iter().for_each(|said| live.0.said.send(&words.run, said));
            }
            _ => {}
        }
    }
}

/// Tells the other processes what they ask for, until the stop.
pub fn start(services: Services, here: Here, tasks: &Tasks) {
    let Some(component) = services.settings.broadcast.clone() else { return };
    tasks.spawn_until_stop(async move {
        let live = services.live.clone();
        let mut renew = tokio::time::interval(RENEW);
        loop {
            let all = tokio::select! {
                _ = renew.tick() => true,
                () = live.0.news.notified() => false,
            };
            let listening = here.listening(&live, all, &services.clock);
            if let Err(error) = send(&services, &component, listening).await {
                tracing::debug!(%error, "that somebody listens is not told yet");
                live.forget_told();
                tokio::time::sleep(PAUSE).await;
                live.0.news.notify_one();
                continue;
            }
            if live.0.out.lock().is_empty() {
                continue;
            }
            tokio::time::sleep(BATCH).await;
            let told = here.told(&live, &services.clock);
            if let Err(error) = send(&services, &component, told).await {
                tracing::debug!(%error, "words are lost");
            }
        }
    });
}

/// Says that the agents of this process are there, twice.
pub fn welcome(services: Services, here: Here, tasks: &Tasks) {
    if services.settings.broadcast.is_none() {
        return;
    }
    tasks.spawn_until_stop(async move {
        for wait in [Duration::ZERO, ONCE_MORE] {
            tokio::time::sleep(wait).await;
            while let Err(error) = agents(&services, &here, AGENTS_CAME).await {
                tracing::debug!(%error, "that agents are there is not told yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

/// Tells the processes that host runs what became of this one's agents.
pub async fn agents(
    services: &Services,
    here: &Here,
    kind: &str,
) -> Result<(), callboard_sidecar::client::Error> {
    let Some(component) = &services.settings.broadcast else { return Ok(()) };
    let message = here.envelope(kind, "agents", &Moved { origin: &here.origin }, &services.clock);
    send(services, component, vec![message]).await
}

async fn send(
    services: &Services,
    component: &str,
    messages: Vec<Bytes>,
) -> Result<(), callboard_sidecar::client::Error> {
    events::send_on(services, component, TOPIC, messages).await
}

impl Here {
    pub(super) fn listening(&self, live: &Live, all: bool, clock: &Clock) -> Vec<Bytes> {
        let runs = live.take_listening(all);
        if runs.is_empty() {
            return Vec::new();
        }
        let notice = Notice { origin: self.origin.clone(), runs: runs.into_iter().collect() };
        vec![self.envelope(LISTENING, "listening", &notice, clock)]
    }

    pub(super) fn told(&self, live: &Live, clock: &Clock) -> Vec<Bytes> {
        let out = std::mem::take(&mut *live.0.out.lock());
        let mut messages = Vec::new();
        if !out.recorded.is_empty() {
            let grown = Grown { origin: self.origin.clone(), runs: out.recorded };
            messages.push(self.envelope(RECORDED, "recorded", &grown, clock));
        }
        let mut runs: BTreeMap<RunId, Vec<Said>> = BTreeMap::new();
        for (run, said) in out.said {
            runs.entry(run).or_default().push(said);
        }
        for (run, said) in runs {
            let words = Words { origin: self.origin.clone(), run: run.clone(), said };
            messages.push(self.envelope(SAID, run.as_str(), &words, clock));
        }
        messages
    }

    fn envelope(&self, kind: &str, subject: &str, data: &impl Serialize, clock: &Clock) -> Bytes {
        let id = format!("{}/{:x}", self.origin, clock.id());
        events::envelope(&id, kind, subject, clock.now(), data)
    }
}

impl super::Out {
    fn is_empty(&self) -> bool {
        self.said.is_empty() && self.recorded.is_empty()
    }
}
