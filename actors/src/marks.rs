//! Marks of what could kill the process: a run that did so at several starts in a row is set aside.
//!
//! While a run is read, or works on something heavy, what it does and its id stand in a file. Nothing syncs it: what the process wrote is there after its
//! death, whatever ended it, and a machine that lost its power was not killed by a run. At the next start the runs
//! found there are suspects, each with a count; one that is not found there again is none any more. Suspects are let
//! in one at a time, so that the next death names the one that caused it and not whoever was beside it; and one that
//! comes through what it was suspected of is no suspect any more, for its work is on record then and not done again.
//! A death tells more about work that had taken a while: three of these set a run aside, and nine where the process was
//! gone at once, for a process may as well be killed from outside while it begins. What is set aside stays so over
//! restarts, until somebody resumes or cancels it; the others go on.

use callboard_core::id::RunId;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Runs that can be marked at once; more go unmarked.
const SLOTS: u64 = 1024;
/// Bytes of a slot: a name's length, since when it stands there, and the name.
const SLOT: u64 = 128;
/// Where the name begins.
const NAME: usize = 9;
/// Behind the slots: how far the process had come, in milliseconds of its own. Written while anything is marked.
const PULSE: u64 = SLOTS * SLOT;
const BEAT: Duration = Duration::from_millis(100);
/// What was at work for so long is likely to have ended the process.
const LONG: Duration = Duration::from_millis(500);
/// What a death counts for against whoever was at work: for long, or just then.
const WEIGHTS: (u32, u32) = (3, 1);
/// So much, by deaths in a row, sets a run aside.
const ASIDE: u32 = 9;
/// Processes that share a folder.
const PROCESSES: u32 = 64;

/// What a run does while it is marked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Its document is taken apart and the state put together.
    Load,
    /// A decision that evaluates more than a little.
    Decide,
    /// An agent's answer is held against its schema.
    Check,
    /// A tool's arguments are checked, and what it computes.
    Tool,
}

/// The marks of this process; a clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Marks(Option<Arc<Inner>>);

struct Inner {
    file: File,
    began: Instant,
    /// Slots that nobody uses.
    free: Mutex<Vec<u64>>,
    /// What speaks against a run, by its work: deaths in a row, each by its weight.
    counts: Mutex<BTreeMap<String, u32>>,
    /// Where the counts are kept.
    kept: PathBuf,
    gate: Arc<Semaphore>,
}

/// A run under way: its mark is taken away when this is dropped.
#[must_use]
pub(crate) struct UnderWay {
    slot: Option<(Arc<Inner>, u64)>,
    /// A suspect, and what of.
    suspect: Option<(Arc<Inner>, String)>,
    _alone: Option<OwnedSemaphorePermit>,
}

impl Marks {
    /// Opens the marks in `folder`, and counts what an earlier process left there. Processes that share a folder take
    /// one file each.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (file, n) = take(folder)?;
        let kept = folder.join(format!("suspects.{n}.json"));
        let found = left(&file)?;
        let before = read(&kept);
        let mut counts: BTreeMap<String, u32> = found
            .iter()
            .map(|(name, weight)| {
                (name.clone(), before.get(name).map_or(*weight, |n| n.saturating_add(*weight)))
            })
            .collect();
        counts.extend(before.into_iter().filter(|(name, n)| *n >= ASIDE && !found.contains_key(name)));
        for (name, _) in counts.iter().filter(|(_, n)| **n >= ASIDE) {
            let (run, work) = (run_of(name), name.split(' ').next());
            tracing::error!(
                %run,
                work,
                "the run is set aside: it was at this work when the process died, again and again; `resume` lets it go \
                 on, `cancel` ends it"
            );
        }
        let suspects = counts.values().filter(|n| **n < ASIDE).count();
        if suspects > 0 {
            tracing::warn!(suspects, "the process died while runs were read or decided");
        }
        keep(&kept, &counts)?;
        file.set_len(0)?;
        file.set_len(PULSE + 8)?;
        let inner = Arc::new(Inner {
            file,
            began: Instant::now(),
            free: Mutex::new((0..SLOTS).rev().collect()),
            counts: Mutex::new(counts),
            kept,
            gate: Arc::new(Semaphore::new(1)),
        });
        let beating = Arc::downgrade(&inner);
        std::thread::Builder::new().name("marks".into()).spawn(move || beat(&beating))?;
        Ok(Self(Some(inner)))
    }

    /// Marks a run until what is returned is dropped. A suspect waits until it is the only one of them.
    pub async fn enter(&self, run: &RunId, work: Work) -> UnderWay {
        let Some(inner) = &self.0 else { return UnderWay { slot: None, suspect: None, _alone: None } };
        let (name, suspect) = (work.of(run), self.is_suspect(run));
        // Never closed.
        let alone = if suspect { Arc::clone(&inner.gate).acquire_owned().await.ok() } else { None };
        UnderWay {
            slot: inner.mark(&name).map(|slot| (Arc::clone(inner), slot)),
            suspect: suspect.then(|| (Arc::clone(inner), name)),
            _alone: alone,
        }
    }

    /// Whether the last start found it marked.
    pub fn is_suspect(&self, run: &RunId) -> bool {
        self.any(run, |_| true)
    }

    pub fn is_set_aside(&self, run: &RunId) -> bool {
        self.any(run, |n| n >= ASIDE)
    }

    fn any(&self, run: &RunId, is: impl Fn(u32) -> bool) -> bool {
        self.0.as_ref().is_some_and(|inner| {
            let counts = inner.counts.lock();
            !counts.is_empty()
                && Work::ALL.iter().any(|work| counts.get(&work.of(run)).is_some_and(|n| is(*n)))
        })
    }

    /// Forgets what is held against a run.
    pub fn lift(&self, run: &RunId) {
        if let Some(inner) = &self.0 {
            inner.forget(|name| run_of(name) == run.as_str());
        }
    }
}

impl Work {
    const ALL: [Work; 4] = [Work::Load, Work::Decide, Work::Check, Work::Tool];

    /// Returns the name of this work of a run.
    fn of(self, run: &RunId) -> String {
        let work = match self {
            Work::Load => "load",
            Work::Decide => "decide",
            Work::Check => "check",
            Work::Tool => "tool",
        };
        format!("{work} {run}")
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn forget(&self, is: impl Fn(&str) -> bool) {
        let mut counts = self.counts.lock();
        let before = counts.len();
        counts.retain(|name, _| !is(name));
        if counts.len() < before
            && let Err(error) = keep(&self.kept, &counts)
        {
            tracing::warn!(%error, "what runs are suspected of is not kept");
        }
    }

    fn mark(&self, name: &str) -> Option<u64> {
        let length =
            u8::try_from(name.len()).ok().filter(|n| *n > 0 && name.len() + NAME <= SLOT as usize)?;
        let slot = self.free.lock().pop()?;
        let mut text = Vec::with_capacity(SLOT as usize);
        text.push(length);
        text.extend_from_slice(&self.now().to_le_bytes());
        text.extend_from_slice(name.as_bytes());
        if let Err(error) = self.file.write_all_at(&text, slot * SLOT) {
            tracing::debug!(%error, "a mark is not written");
        }
        Some(slot)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((inner, slot)) = self.slot.take() {
            // What stays marked is only a suspect.
            let _ = inner.file.write_all_at(&[0], slot * SLOT);
            inner.free.lock().push(slot);
        }
        if let Some((inner, name)) = self.suspect.take() {
            inner.forget(|known| known == name);
        }
    }
}

/// Returns the run in the name of a work.
fn run_of(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(_, run)| run)
}

/// Takes the first file of the folder that no living process has.
fn take(folder: &Path) -> io::Result<(File, u32)> {
    for n in 0..PROCESSES {
        let path = folder.join(format!("turns.{n}"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => return Ok((file, n)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{PROCESSES} processes use the folder already")))
}

/// Says how far the process has come, as long as there is one and something is marked.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which beats also when the reactor can't")]
fn beat(marks: &Weak<Inner>) {
    while let Some(inner) = marks.upgrade() {
        if inner.free.lock().len() < SLOTS as usize {
            // One that is missed makes a death count for less.
            let _ = inner.file.write_all_at(&inner.now().to_le_bytes(), PULSE);
        }
        drop(inner);
        std::thread::sleep(BEAT);
    }
}

/// Returns what is marked in the file, each with what that counts for.
fn left(file: &File) -> io::Result<BTreeMap<String, u32>> {
    let size = file.metadata()?.len().min(PULSE + 8);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    let number = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let pulse = number(bytes.get(PULSE as usize..PULSE as usize + 8));
    let slots = bytes.chunks(SLOT as usize).take(SLOTS as usize).filter_map(|slot| {
        let length = usize::from(*slot.first()?);
        let name = slot.get(NAME..NAME + length).filter(|name| !name.is_empty())?;
        let since = number(slot.get(1..NAME));
        let long = pulse.saturating_sub(since) >= LONG.as_millis() as u64;
        let weight = if long { WEIGHTS.0 } else { WEIGHTS.1 };
        Some((std::str::from_utf8(name).ok()?.to_owned(), weight))
    });
    let mut found = BTreeMap::new();
    for (name, weight) in slots {
        let known = found.entry(name).or_insert(weight);
        *known = weight.max(*known);
    }
    Ok(found)
}

/// A file that can't be read is none: what counts is that the process starts.
fn read(kept: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read(kept).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn keep(kept: &Path, counts: &BTreeMap<String, u32>) -> io::Result<()> {
    use io::Write;
    let next = kept.with_extension("next");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    // Not synced either: see above.
    file.write_all(&serde_json::to_vec(counts)?)?;
    std::fs::rename(next, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::run_id;

    /// A life of a process that dies while these are under way.
    async fn life(folder: &Path, under_way: &[&str]) -> Vec<String> {
        let marks = Marks::open(folder).expect("marks");
        let inner = marks.0.clone().expect("opened");
        let aside = under_way
            .iter()
            .filter(|run| marks.is_set_aside(&run_id(run)))
            .map(|run| (*run).to_owned())
            .collect();
        for run in under_way {
            // As if it died inside: the mark stays, the gate is free in the next life.
            let entered = tokio::time::timeout(
                std::time::Duration::from_millis(20),
                marks.enter(&run_id(run), Work::Load),
            )
            .await;
            entered.map(std::mem::forget).unwrap_or_default();
        }
        // They had been there for a while.
        let later = inner.now() + LONG.as_millis() as u64 + 200;
        inner.free.lock().extend(0..SLOTS);
        tokio::time::sleep(Duration::from_millis(20)).await;
        inner.file.write_all_at(&later.to_le_bytes(), PULSE).expect("written");
        // What is forgotten keeps the file open, which a death does not.
        inner.file.unlock().expect("unlocked");
        aside
    }

    #[tokio::test]
    async fn the_third_start_in_a_row_sets_aside_and_only_the_one_that_did_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let all = ["poison", "a", "b"];
        assert!(life(folder.path(), &all).await.is_empty());
        // All three are suspects now: only the first gets in.
        assert!(life(folder.path(), &all).await.is_empty());
        assert!(life(folder.path(), &["poison", "a", "c"]).await.is_empty());
        for _ in 0..2 {
            let marks = Marks::open(folder.path()).expect("marks");
            let aside: Vec<&str> = ["poison", "a", "b", "c"]
                .into_iter()
                .filter(|run| marks.is_set_aside(&run_id(run)))
                .collect();
            assert_eq!(aside, ["poison"], "and it stays so");
        }
        let marks = Marks::open(folder.path()).expect("marks");
        marks.lift(&run_id("poison"));
        drop(marks);
        assert!(!Marks::open(folder.path()).expect("marks").is_set_aside(&run_id("poison")));
    }

    #[tokio::test]
    async fn a_start_that_does_not_find_it_begins_the_count_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        for under_way in [&["r"][..], &["r"], &[], &["r"], &["r"]] {
            assert!(life(folder.path(), under_way).await.is_empty());
        }
        assert_eq!(
            life(folder.path(), &["r"]).await.len(),
            0,
            "the third in a row is found at the next start"
        );
        assert_eq!(life(folder.path(), &["r"]).await, ["r"]);
    }

    #[tokio::test]
    async fn one_that_comes_through_is_no_suspect_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        for _ in 0..4 {
            assert!(life(folder.path(), &["r"]).await.is_empty());
            let marks = Marks::open(folder.path()).expect("marks");
            assert!(marks.is_suspect(&run_id("r")));
            // Other work says nothing about the one it was found at.
            drop(marks.enter(&run_id("r"), Work::Tool).await);
            assert!(marks.is_suspect(&run_id("r")));
            drop(marks.enter(&run_id("r"), Work::Load).await);
            assert!(!marks.is_suspect(&run_id("r")));
        }
    }

    #[tokio::test]
    async fn what_ended_leaves_no_mark_and_processes_have_files_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) =
            (Marks::open(folder.path()).expect("marks"), Marks::open(folder.path()).expect("marks"));
        for _ in 0..3000 {
            drop(one.enter(&run_id("r"), Work::Load).await);
        }
        let held = two.enter(&run_id("s"), Work::Load).await;
        let left_by = |n: u32| left(&File::open(folder.path().join(format!("turns.{n}"))).expect("a file"));
        assert!(left_by(0).expect("readable").is_empty());
        assert_eq!(left_by(1).expect("readable"), BTreeMap::from([("load s".to_owned(), WEIGHTS.1)]));
        drop(held);
        assert!(left_by(1).expect("readable").is_empty());
    }
}
