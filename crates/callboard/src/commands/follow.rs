//! Follows a run on a server to its end. The server may go away in between: the history is read on from the last event
//! that was seen.

use super::{Exit, progress::Progress, remote::Session, verdict};
use crate::{
    client::{Client, Error, Event},
    say::{self, say},
    terminal::{json, word},
};
use callboard_core::id::RunId;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks for it.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// What is told while a run runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// Its steps, for people, on standard error.
    Steps,
    /// Its events, as lines of JSON on standard output.
    Events,
}

/// A run that is followed to its end.
struct Following<'c> {
    client: &'c Client,
    run: &'c RunId,
    told: Told,
    progress: Option<Progress>,
    /// Of the last event that was seen.
    seq: u64,
}

/// What became of one stream.
#[derive(Debug, PartialEq, Eq)]
enum Stream {
    /// Everything was told.
    Complete,
    /// It broke off after so many events.
    Broken(usize),
    /// Nobody reads any more.
    Unread,
}

/// Waits for the end of a run, tells what happens, prints its output; the exit code is the run's verdict.
pub async fn to_end(session: &Session, run: &RunId, told: Told, after: u64) -> anyhow::Result<Exit> {
    // A run or a server that is not there is told at once; only one that goes away is waited for.
    session.client.run(run).await?;
    let mut following = Following {
        client: &session.client,
        run,
        told,
        progress: (told == Told::Steps).then(Progress::new),
        seq: after,
    };
    let read = following.follow().await?;
    drop(following);
    if !read {
        return Ok(Exit::Done);
    }
    let ended = session.client.run(run).await?;
    match (session.json, told) {
        (false, _) => verdict::report(&ended),
        // The events are the answer; the last of them says how it ended.
        (true, Told::Events) => Ok(verdict::exit(&ended)),
        (true, Told::Nothing | Told::Steps) => {
            say::result(&json(&ended))?;
            Ok(verdict::exit(&ended))
        }
    }
}

// === impl Following ===

impl Following<'_> {
    /// Follows the run to its end. Returns whether somebody still reads.
    async fn follow(&mut self) -> anyhow::Result<bool> {
        let mut away: Option<Instant> = None;
        let mut pause = PAUSES[0];
        loop {
            match self.stream().await {
                Ok(Stream::Complete) => return Ok(true),
                Ok(Stream::Unread) => return Ok(false),
                Ok(Stream::Broken(events)) if events > 0 => (away, pause) = (None, PAUSES[0]),
                // It answers, and has nothing to say: as one that is stopping.
                Ok(Stream::Broken(_)) => {}
                Err(error) if error.downcast_ref::<Error>().is_some_and(Error::may_pass) => {
                    let since = *away.get_or_insert_with(|| {
                        self.line(&format!("({error}; looking for it again)"));
                        Instant::now()
                    });
                    if since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    /// Reads one stream to its end.
    async fn stream(&mut self) -> anyhow::Result<Stream> {
        let Some(mut events) = self.client.events(self.run, self.seq).await? else {
            return Ok(Stream::Complete);
        };
        let mut seen = 0;
        loop {
            let event = match events.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(Stream::Broken(seen)),
                // What came counts: the next stream begins behind it.
                Err(error) if error.may_pass() && seen > 0 => return Ok(Stream::Broken(seen)),
                Err(error) => return Err(error.into()),
            };
            // A stream may tell again what another has told.
            if event.view.seq <= self.seq {
                continue;
            }
            (self.seq, seen) = (event.view.seq, seen + 1);
            if !self.tell(&event)? {
                return Ok(Stream::Unread);
            }
        }
    }

    fn tell(&mut self, event: &Event) -> anyhow::Result<bool> {
        if self.told == Told::Events {
            return say::part(&json(&event.raw));
        }
        let Some(progress) = &mut self.progress else { return Ok(true) };
        progress.show(&event.view);
        if event.view.r#type == "step.started"
            && let (Some(node), Some(_)) = (&event.view.node, event.view.data.get("args_hash"))
            && event.view.data.pointer("/input/title").is_some()
        {
            let iteration = event.view.iteration.as_deref().filter(|iteration| !iteration.is_empty());
            let iteration = iteration.map(|iteration| format!("[{iteration}]")).unwrap_or_default();
            let run = self.run;
            let step = word(&format!("{node}{iteration}"));
            progress.line(&format!("  answer it: callboard approvals approve {run} {step}"));
        }
        Ok(true)
    }

    fn line(&self, text: &str) {
        match &self.progress {
            Some(progress) => progress.line(text),
            None => say!("{text}"),
        }
    }
}

/// Returns what is told while a run runs.
pub fn told(session: &Session, follow: bool) -> Told {
    match (follow, session.json) {
        (false, _) => Told::Nothing,
        (true, true) => Told::Events,
        (true, false) => Told::Steps,
    }
}

/// Says that a run was started: its id, or how it ended if that is to be waited for.
pub async fn started(
    session: &Session,
    answer: &Value,
    given: &crate::cli::remote::Given,
) -> anyhow::Result<Exit> {
    let id = ["run_id", "id"].iter().find_map(|name| answer.get(*name)?.as_str()?.parse::<RunId>().ok());
    let Some(run) = id else { anyhow::bail!("the server answered no run id") };
    if !given.wait && !given.follow {
        session.show(answer, || run.to_string())?;
        if !session.json {
            say!("(callboard runs follow {run})");
        }
        return Ok(Exit::Done);
    }
    if given.follow && !session.json {
        say!("run {run}");
    }
    to_end(session, &run, told(session, given.follow), 0).await
}
