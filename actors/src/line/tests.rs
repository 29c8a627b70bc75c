//! Who is next, for callers that come, wait and go away.

#![allow(clippy::unwrap_used)]

use super::*;
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::mpsc;

fn owner(project: &str, workflow: u8, run: &str) -> Owner {
    let workflow = format!("0192f0c1-0000-7000-8000-0000000000{workflow:02}").parse().ok();
    Owner { run: RunId::new(&project.parse().unwrap(), run).unwrap(), workflow }
}

/// Lets callers wait, each in a task of its own, and returns in which order they are called one at a time.
async fn order(callers: Vec<(&'static str, Owner)>) -> Vec<&'static str> {
    let line = Line::new(1);
    let first = line.place(&owner("default", 0, "first"), || ()).await;
    let (told, mut order) = mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for (name, owner) in callers {
        let (line, told) = (line.clone(), told.clone());
        tasks.push(tokio::spawn(async move {
            let _place = line.place(&owner, || ()).await;
            told.send(name).unwrap();
        }));
        tokio::task::yield_now().await;
    }
    drop((first, told));
    let mut called = Vec::new();
    while let Some(name) = order.recv().await {
        called.push(name);
    }
    assert_eq!(line.0.lock().taken, 0, "each place was given back");
    called
}

#[tokio::test]
async fn a_workflow_with_many_calls_lets_one_with_a_single_call_through() {
    let mut callers: Vec<_> = (0..50).map(|n| ("many", owner("default", 1, &format!("r{n}")))).collect();
    callers.push(("single", owner("default", 2, "r50")));
    let called = order(callers).await;
    assert_eq!(called.iter().position(|name| *name == "single"), Some(1));
    assert_eq!(called.len(), 51);
}

#[tokio::test]
async fn runs_of_one_workflow_take_turns_and_a_runs_calls_are_made_in_their_order() {
    let (a, b) = (owner("default", 1, "a"), owner("default", 1, "b"));
    let waiting = vec![("a1", a.clone()), ("a2", a.clone()), ("a3", a), ("b1", b.clone()), ("b2", b)];
    assert_eq!(order(waiting).await, ["a1", "b1", "a2", "b2", "a3"]);
}

#[tokio::test]
async fn projects_take_turns_whatever_workflows_they_have() {
    let waiting = vec![
        ("a1", owner("acme", 1, "r1")),
        ("a2", owner("acme", 2, "r2")),
        ("a3", owner("acme", 3, "r3")),
        ("b1", owner("beta", 1, "r1")),
        ("b2", owner("beta", 1, "r1")),
    ];
    assert_eq!(order(waiting).await, ["a1", "b1", "a2", "b2", "a3"]);
}

#[tokio::test]
async fn who_goes_away_takes_no_place() {
    let line = Line::new(2);
    let held = [
        line.place(&owner("default", 1, "a"), || ()).await,
        line.place(&owner("default", 1, "b"), || ()).await,
    ];
    let gone: Vec<_> = (0..10_000)
        .map(|n| {
            let line = line.clone();
            tokio::spawn(async move {
                let _place = line.place(&owner("default", 1, &format!("r{n}")), || ()).await;
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    for task in gone {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let last = {
        let line = line.clone();
        tokio::spawn(async move { drop(line.place(&owner("default", 2, "last"), || ()).await) })
    };
    tokio::task::yield_now().await;
    assert!(line.0.lock().waiting.len() <= 2 * 10_000, "the dead are taken out now and then");
    drop(held);
    last.await.unwrap();
    assert_eq!(line.0.lock().taken, 0);
}

#[tokio::test]
async fn a_slow_provider_and_a_slow_host_keep_no_place_of_the_process() {
    let lines = Lines::new(4, Metrics::new(&prometheus::Registry::new()));
    let someone = owner("default", 1, "a");
    let mut slow = Vec::new();
    for n in 0..50 {
        let (lines, owner) = (lines.clone(), owner("default", 1, &format!("r{n}")));
        slow.push(tokio::spawn(async move {
            let _places = lines.of_model("slow", Some(2), &owner).await;
            std::future::pending::<()>().await;
        }));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _model = lines.of_model("quick", Some(2), &someone).await;
    let _host = lines.of_host("example.com:443", &someone).await;
    let waits =
        tokio::time::timeout(Duration::from_millis(20), lines.of_host("example.com:443", &someone)).await;
    assert!(waits.is_err(), "the process has four places");
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

/// How many calls are under way, and which have ended.
type Calls = Mutex<(usize, BTreeSet<u32>)>;

struct Call(Arc<Calls>);

impl Call {
    fn begin(calls: &Arc<Calls>) -> Self {
        calls.lock().0 += 1;
        assert!(calls.lock().0 <= 3);
        Self(Arc::clone(calls))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.lock().0 -= 1;
    }
}

#[tokio::test]
async fn by_chance_every_call_is_made_once_and_never_more_at_a_time_than_there_are_places() {
    let line = Line::new(3);
    let under_way: Arc<Calls> = Arc::default();
    let tasks: Vec<_> = (0..2_000_u32)
        .map(|n| {
            let (line, under_way) = (line.clone(), Arc::clone(&under_way));
            let (project, workflow) = (["acme", "beta", "default"][n as usize % 3], (n % 7) as u8);
            let owner = owner(project, workflow, &format!("r{}", n % 11));
            tokio::spawn(async move {
                let _place = line.place(&owner, || ()).await;
                // Dropped before the place, also where the call is cut.
                let call = Call::begin(&under_way);
                tokio::task::yield_now().await;
                drop(call);
                assert!(under_way.lock().1.insert(n));
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        // Every fifth goes away, at whatever point it is.
        if n % 5 == 0 {
            task.abort();
        }
        let ended = task.await;
        assert!(n % 5 == 0 || ended.is_ok(), "{ended:?}");
    }
    assert!(under_way.lock().1.len() >= 1_600);
    assert_eq!(line.0.lock().taken, 0);
}
