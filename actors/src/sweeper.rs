//! The second way to every run: wakes the catalog's runs that nobody woke in time, through their actors.

use crate::{
    protocol,
    services::Services,
    tasks::{Tasks, pause},
};
use callboard_catalog::{OpenRun, REMEMBERED};
use callboard_core::{
    Span, Timestamp,
    id::{ProjectId, RunId},
};
use std::time::Duration;
use tokio::task::JoinSet;

const PERIOD: Duration = Duration::from_secs(10);
/// Runs woken in one sweep, and at once.
const BATCH: u32 = 200;
const AT_ONCE: usize = 16;
/// A run that was found is not looked for again before this.
const LEASE: Span = Span::secs(60);
/// At start, runs that were busy are due at once: whoever worked on them may be gone. Busy runs are due within this.
const BUSY: Span = Span::secs(60);

/// The statuses of runs that have not ended, those that are busy first.
const BUSY_STATUS: [&str; 2] = ["running", "pending"];
const CALM_STATUS: [&str; 2] = ["waiting", "paused"];
const PAGE: u32 = 500;
/// Between two runs that wait and are not due: with a hundred thousand of them, others have work to do meanwhile.
const PACE: Duration = Duration::from_millis(10);
/// Agents that no run needs any more, and old answers, are looked for so often.
const TIDY: Duration = Duration::from_secs(3600);
/// Answers that are forgotten at once: others write meanwhile.
const ANSWERS: u32 = 1000;
/// Tries of a call in the first sweep, for the sidecar may come up later than this process.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_secs(1);

/// Sweeps at start and then every ten seconds, until the shutdown.
pub fn start(services: Services, tasks: &Tasks) {
    let (stop, own) = (tasks.clone(), tasks.clone());
    tasks.spawn_until_stop(tidy(services.clone()));
    tasks.spawn_until_stop(async move {
        // The same for the whole of the first sweep, so that it ends; another start soon finds the same runs again.
        let began = services.clock.now();
        let mut busy = Some(began + services.settings.paced(BUSY));
        loop {
            let now = services.clock.now();
            let (due, then) =
                busy.map_or((now, now + services.settings.paced(LEASE)), |due| (due, due + Span(1)));
            let full = sweep(&services, due, then, if busy.is_some() { TRIES } else { 1 }).await;
            if !full && let Some(due) = busy.take() {
                let services = services.clone();
                own.spawn_until_stop(async move { survey(&services, began, due + Span(1)).await });
            }
            let pause = if full { Duration::from_millis(200) } else { services.settings.pause(PERIOD) };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = stop.stopped() => return,
            }
        }
    });
}

/// Forgets the agents that only runs long gone were pinned to, and answers that nobody asks for again.
async fn tidy(services: Services) {
    loop {
        forget_answers(&services).await;
        match services.catalog.projects().await {
            Ok(projects) => {
                for project in projects {
                    match services.catalog.forget_pins(&project, services.clock.now()).await {
                        Ok(gone) => {
                            tracing::debug!(%project, gone, "pins that no run can name are forgotten")
                        }
                        Err(error) => tracing::debug!(%project, %error, "pins are looked through later"),
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "pins are looked through later"),
        }
        tokio::time::sleep(services.settings.pause(TIDY)).await;
    }
}

/// Forgets what was answered to requests with a key, once it is too old to be answered again.
async fn forget_answers(services: &Services) {
    loop {
        let now = services.clock.now();
        let before = Timestamp(now.0.saturating_sub(i64::try_from(REMEMBERED.0).unwrap_or(i64::MAX)));
        match services.catalog.forget_answers(before, ANSWERS).await {
            Ok(gone) if gone == u64::from(ANSWERS) => {}
            Ok(gone) => return tracing::debug!(gone, "answers are forgotten"),
            Err(error) => return tracing::debug!(%error, "answers are forgotten later"),
        }
    }
}

/// Wakes every run that has not ended and that the first sweep did not see: when a run is to be looked at is told by a
/// wall clock that may have been wrong, then or now. The busy ones come at once, and so do those whose last event lies
/// ahead of the clock; the others in their time.
async fn survey(services: &Services, now: Timestamp, seen: Timestamp) {
    let unseen = |run: &OpenRun| run.next_check_at.is_some_and(|at| at > seen);
    each(services, &BUSY_STATUS, unseen, Duration::ZERO).await;
    each(services, &CALM_STATUS, |run| unseen(run) && run.last_at > now, Duration::ZERO).await;
    let pace = services.settings.pause(PACE);
    each(services, &CALM_STATUS, |run| unseen(run) && run.last_at <= now, pace).await;
}

/// Wakes the runs of some statuses that are wanted, of each project, page by page.
async fn each(services: &Services, statuses: &[&str], wanted: impl Fn(&OpenRun) -> bool, pace: Duration) {
    let projects = loop {
        match services.catalog.projects().await {
            Ok(projects) => break projects,
            Err(error) => reads_on_later(services, &error).await,
        }
    };
    let lists: Vec<(&ProjectId, &str)> =
        projects.iter().flat_map(|project| statuses.iter().map(move |status| (project, *status))).collect();
    for (project, status) in lists {
        let mut after: Option<RunId> = None;
        loop {
            let page = match services.catalog.open_runs(project, status, after.as_ref(), PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    reads_on_later(services, &error).await;
                    continue;
                }
            };
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            let runs = page.into_iter().filter(|run| wanted(run)).map(|run| run.id).collect();
            wake(services, runs, TRIES, pace).await;
        }
    }
}

async fn reads_on_later(services: &Services, error: &callboard_catalog::Error) {
    tracing::debug!(%error, "the first sweep reads on later");
    tokio::time::sleep(services.settings.pause(AGAIN)).await;
}

/// Wakes what is due by an instant and moves it on to another. Returns whether there may be more.
async fn sweep(services: &Services, due: Timestamp, then: Timestamp, tries: u32) -> bool {
    let due = match services.catalog.due(due, then, BATCH).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the sweeper can't read the catalog");
            return false;
        }
    };
    let full = due.len() == BATCH as usize;
    wake(services, due, tries, Duration::ZERO).await;
    full
}

async fn wake(services: &Services, runs: Vec<RunId>, tries: u32, pace: Duration) {
    let mut calls = JoinSet::new();
    for run in runs {
        pause(pace).await;
        if calls.len() >= AT_ONCE {
            calls.join_next().await;
        }
        let (services, again) = (services.clone(), services.settings.pause(AGAIN));
        calls.spawn(async move {
            for n in 1..=tries {
                match protocol::wake(&services, &run).await {
                    Ok(_) => return,
                    Err(error) => tracing::debug!(%run, %error, "the run is not woken yet"),
                }
                if n < tries {
                    tokio::time::sleep(again).await;
                }
            }
        });
    }
    while calls.join_next().await.is_some() {}
}
