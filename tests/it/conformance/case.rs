//! One case on one server: what it expected and did not see, and which known differences it met.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::releases::Row;
use super::target::Target;

/// The longest a case may take, reminders that are tried four times included.
const LIMIT: Duration = Duration::from_secs(50);

/// A case that runs; derefs to the server it runs on.
pub struct Case {
    target: Arc<Target>,
    mismatches: Mutex<Vec<String>>,
    met: Mutex<BTreeSet<&'static str>>,
}

/// A case's name and what it does.
pub struct Named {
    pub name: &'static str,
    pub run: for<'a> fn(&'a Case) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

/// How a case ended.
pub struct Outcome {
    pub name: &'static str,
    pub took: Duration,
    pub mismatches: Vec<String>,
    pub met: BTreeSet<&'static str>,
}

/// Makes a list of [`Named`] of functions `async fn case(case: &Case)`.
macro_rules! cases {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        vec![$($(crate::conformance::case::Named {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |case| Box::pin(crate::conformance::cases::$module::$case(case)),
        }),+),+]
    };
}
pub(super) use cases;

impl Deref for Case {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.target
    }
}

impl Case {
    /// Notes a difference between what was seen and what was expected, and goes on.
    #[track_caller]
    pub fn same<T: PartialEq + Debug>(&self, what: impl std::fmt::Display, actual: T, expected: T) {
        if actual != expected {
            let line = Location::caller().line();
            self.note(format!("line {line}: {what}: expected {expected:?}, got {actual:?}"));
        }
    }

    /// Notes that something does not hold.
    #[track_caller]
    pub fn holds(&self, what: impl std::fmt::Display, holds: bool, seen: impl Debug) {
        if !holds {
            let line = Location::caller().line();
            self.note(format!("line {line}: expected {what}, saw {seen:?}"));
        }
    }

    /// Returns what the server under test is expected to do where servers differ.
    pub fn row<T: Clone>(&self, row: &Row<T>) -> T {
        if row.differs {
            self.met.lock().expect("no panic while a name is noted").insert(row.name);
        }
        row.of(self.server)
    }

    fn note(&self, mismatch: String) {
        self.mismatches.lock().expect("no panic while a mismatch is noted").push(mismatch);
    }
}

/// Runs all cases at once, each on its own, and returns how they ended.
pub async fn run_all(target: &Arc<Target>, cases: Vec<Named>) -> Vec<Outcome> {
    let running: Vec<_> = cases.into_iter().map(|named| tokio::spawn(run(target.clone(), named))).collect();
    let mut outcomes = Vec::with_capacity(running.len());
    for task in running {
        outcomes.push(task.await.expect("a case's panic is caught in a task of its own"));
    }
    outcomes
}

async fn run(target: Arc<Target>, named: Named) -> Outcome {
    let started = std::time::Instant::now();
    let case = Arc::new(Case { target, mismatches: Mutex::default(), met: Mutex::default() });
    let running = case.clone();
    let task = tokio::spawn(async move { tokio::time::timeout(LIMIT, (named.run)(&running)).await });
    match task.await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => case.note(format!("has not ended within {LIMIT:?}")),
        Err(error) => case.note(match error.try_into_panic() {
            Ok(panic) => panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "panicked".to_owned()),
            Err(error) => error.to_string(),
        }),
    }
    let mismatches = std::mem::take(&mut *case.mismatches.lock().expect("the case has ended"));
    let met = std::mem::take(&mut *case.met.lock().expect("the case has ended"));
    Outcome { name: named.name, took: started.elapsed(), mismatches, met }
}
