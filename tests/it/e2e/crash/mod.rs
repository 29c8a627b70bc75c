//! `kill -9` while runs are in every state there is: each goes on, nothing is recorded twice, calls are bounded.

mod calls;
mod components;
mod storm;
mod waits;

use super::world::{Case, Stage, Where, World, case, play};
use crate::harness::eventually;
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_any_state_goes_on_after_kill_9_over_the_embedded_sidecar() {
    // A restart performs what was under way at once.
    survive(Where::Embedded, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_any_state_goes_on_after_kill_9_beside_real_dapr() {
    // The run's wake and the sweeper are the ways back: half a minute and some.
    survive(Where::Beside, Duration::from_secs(60)).await;
}

/// Brings a run into each state, kills the place, and lets every case see that its run goes on.
async fn survive(place: Where, within: Duration) {
    let mut stage = Stage::start(place).await;
    let crash = Arc::new(Crash { within, held: Mutex::default(), over: watch::Sender::new(None) });
    let cases: Vec<_> = calls::all(&crash).into_iter().chain(waits::all(&crash)).collect();
    let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
    let playing = tokio::spawn(play(stage.world.clone(), cases, names.len()));
    eventually(Duration::from_secs(60), || async {
        let held = crash.held.lock().expect("no panic while a name is added").clone();
        let missing: Vec<_> = names.iter().filter(|name| !held.contains(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not in their state: {missing:?}")) }
    })
    .await;
    let killed = Instant::now();
    stage.place.crash().await;
    eprintln!("{place:?}: ready again after {:.1?}", killed.elapsed());
    crash.over.send_replace(Some(Instant::now()));
    let failed = playing.await.expect("the cases are played");
    assert!(failed.is_empty(), "these failed: {failed:#?}");
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

/// The crash that cases wait for.
pub struct Crash {
    /// How long after the restart something must have happened.
    within: Duration,
    held: Mutex<Vec<&'static str>>,
    /// When everything runs again.
    over: watch::Sender<Option<Instant>>,
}

/// A run that was in its state when everything was killed.
pub struct Held {
    pub run: String,
    /// Its record at that time.
    before: Vec<Value>,
    over: Instant,
    within: Duration,
}

impl Crash {
    /// The run is in its state: returns after the crash.
    async fn strike(&self, w: &World, name: &'static str, run: &str) -> Held {
        let before = w.recorded(run).await;
        self.held.lock().expect("no panic while a name is added").push(name);
        let mut over = self.over.subscribe();
        let over = *over.wait_for(Option::is_some).await.expect("the crash comes");
        Held { run: run.to_owned(), before, over: over.expect("an instant"), within: self.within }
    }
}

impl Held {
    /// What happened at `at` happened soon enough after the restart.
    #[track_caller]
    fn soon(&self, name: &str, at: Instant) {
        let took = at.saturating_duration_since(self.over);
        eprintln!("{name} went on after {took:.1?}");
        assert!(took < self.within, "{name} went on only {took:.1?} after the restart");
    }

    /// Waits for the end; what was recorded before the crash is the beginning of what is recorded now.
    async fn ended(&self, w: &World, status: &str) -> (Value, Vec<Value>) {
        let ended = w.ends(&self.run, status).await;
        let after = w.recorded(&self.run).await;
        assert_eq!(after[..self.before.len()], self.before, "the record of {} was rewritten", self.run);
        (ended, w.api.steps(&self.run).await)
    }
}

/// Makes a list of named cases that know the crash.
macro_rules! crashes {
    ($crash:expr; $($case:path),* $(,)?) => {
        vec![$($crate::e2e::crash::known($crash, stringify!($case), $case)),*]
    };
}
use crashes;

fn known<F, R>(crash: &Arc<Crash>, name: &'static str, f: F) -> (&'static str, Case)
where
    F: FnOnce(World, Arc<Crash>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let crash = crash.clone();
    case(name, |world| f(world, crash))
}
