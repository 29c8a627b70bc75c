//! What fires when: reminders and timers in one index by time.
//!
//! An entry that fires leaves the index and comes back with its next time once its callback has ended, so that no
//! entry fires twice at once and ticks missed meanwhile collapse into one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::store::Reminder;
use super::super::times::{self, When};

/// Reminders and timers together, after which new ones are refused.
const MOST: usize = 1_000_000;
/// Bytes of data that they hold together, after which new ones are refused.
const MOST_DATA: usize = 256 << 20;

/// What an entry is registered under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) actor_type: String,
    pub(super) actor_id: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Reminder,
    Timer,
}

/// A registered callback.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) what: Reminder,
    /// A timer's callback name.
    pub(super) callback: String,
    /// When it fires next: `what.due`, or later while a failed tick is tried again.
    pub(super) at: i64,
    /// Failed tries of the current tick.
    pub(super) tries: u32,
}

#[derive(Default)]
pub(super) struct Schedule {
    index: Mutex<Index>,
    changed: Notify,
}

#[derive(Default)]
struct Index {
    entries: HashMap<Arc<Key>, Arc<Entry>>,
    /// Ticks to come; an entry whose callback runs has none.
    ticks: BTreeMap<(i64, u64), Arc<Key>>,
    places: HashMap<Arc<Key>, (i64, u64)>,
    next: u64,
    /// Of the entries' data.
    data: usize,
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn is_full(&self) -> bool {
        let index = self.index.lock();
        index.entries.len() >= MOST || index.data >= MOST_DATA
    }

    /// Registers an entry in place of one of the same name.
    pub(super) fn put(&self, entry: Entry) {
        self.index.lock().put(Arc::new(entry));
        self.changed.notify_one();
    }

    /// Brings an entry back after its callback, unless it was registered anew or removed meanwhile.
    pub(super) fn put_back(&self, entry: Entry) -> bool {
        let mut index = self.index.lock();
        let current = index.entries.get(&entry.key()).is_some_and(|known| known.what.id == entry.what.id);
        if current {
            index.put(Arc::new(entry));
            drop(index);
            self.changed.notify_one();
        }
        current
    }

    pub(super) fn remove(&self, key: &Key) {
        self.index.lock().remove(key);
    }

    /// Removes an entry unless it was registered anew.
    pub(super) fn end(&self, entry: &Entry) {
        let mut index = self.index.lock();
        let key = entry.key();
        if index.entries.get(&key).is_some_and(|known| known.what.id == entry.what.id) {
            index.remove(&key);
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.index.lock().entries.get(key).cloned()
    }

    /// Returns the entries of a kind that a type, and an actor if given, have.
    pub(super) fn list(&self, kind: Kind, actor_type: &str, actor_id: Option<&str>) -> Vec<Arc<Entry>> {
        let index = self.index.lock();
        let mut found: Vec<_> = index
            .entries
            .iter()
            .filter(|(key, _)| key.kind == kind && key.actor_type == actor_type)
            .filter(|(key, _)| actor_id.is_none_or(|id| key.actor_id == id))
            .map(|(_, entry)| entry.clone())
            .collect();
        found.sort_by_cached_key(|entry| entry.key());
        found
    }

    /// The wall clock was set back by so many milliseconds: what is to come still comes after as long as it was to.
    pub(super) fn set_back(&self, by: i64) {
        let mut index = self.index.lock();
        let entries: Vec<Arc<Entry>> =
            index.places.keys().filter_map(|key| index.entries.get(key).cloned()).collect();
        for entry in entries.into_iter().filter(|entry| !entry.what.waits_for_an_instant()) {
            let mut sooner = Entry::clone(&entry);
            sooner.at = sooner.at.saturating_sub(by);
            sooner.what.due = sooner.what.due.saturating_sub(by);
            index.put(Arc::new(sooner));
        }
        drop(index);
        self.changed.notify_one();
    }

    /// Takes an entry that is due out of the line, or tells when the next one will be.
    pub(super) fn due(&self, now: i64) -> Result<Arc<Entry>, Option<i64>> {
        self.index.lock().due(now)
    }

    /// Returns once the order of things to come may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Index {
    fn put(&mut self, entry: Arc<Entry>) {
        let key = Arc::new(entry.key());
        self.unplace(&key);
        let place = (entry.at, self.next);
        self.next += 1;
        self.ticks.insert(place, key.clone());
        self.places.insert(key.clone(), place);
        self.data += entry.what.data.len();
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.data -= replaced.what.data.len();
        }
    }

    fn remove(&mut self, key: &Key) {
        self.unplace(key);
        if let Some(removed) = self.entries.remove(key) {
            self.data -= removed.what.data.len();
        }
    }

    fn unplace(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.ticks.remove(&place);
        }
    }

    fn due(&mut self, now: i64) -> Result<Arc<Entry>, Option<i64>> {
        loop {
            let Some((place, key)) = self.ticks.first_key_value() else { return Err(None) };
            if place.0 > now {
                return Err(Some(place.0));
            }
            let key = key.clone();
            self.unplace(&key);
            if let Some(entry) = self.entries.get(&key) {
                return Ok(entry.clone());
            }
        }
    }
}

impl Reminder {
    /// Whether its first tick, at an instant of the wall clock's, is still to come.
    fn waits_for_an_instant(&self) -> bool {
        matches!(times::when(&self.due_time), Some(When::At(at)) if at == self.due)
    }

    /// Returns when a reminder that was read from disk is due. What lies farther ahead than it can was written when the
    /// clock was ahead: of a periodic one ticks are overdue, so it is due now, and a one-shot is due after its delay.
    pub(super) fn due_after_start(&self, now: i64) -> i64 {
        if self.waits_for_an_instant() {
            return self.due;
        }
        let delay = match times::when(&self.due_time) {
            Some(When::After(delay)) => i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
            Some(When::At(_)) | None => 0,
        };
        let latest = now.saturating_add(delay.max(self.every.unwrap_or(0)));
        match self.every {
            _ if self.due <= latest => self.due,
            Some(_) => now,
            None => latest,
        }
    }
}

impl Entry {
    pub(super) fn key(&self) -> Key {
        Key {
            kind: self.kind,
            actor_type: self.what.actor_type.clone(),
            actor_id: self.what.actor_id.clone(),
            name: self.what.name.clone(),
        }
    }

    /// Returns the entry as it stands after a tick: with its next time, or `None` if that was the last.
    pub(super) fn after_tick(&self, now: i64) -> Option<Self> {
        let every = self.what.every?;
        let left = self.what.left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            return None;
        }
        let mut next = self.clone();
        next.what.left = left;
        next.what.due = match self.kind {
            // The next tick keeps the beat; those that were missed are one.
            Kind::Reminder => {
                // Since it came, the clock may have been set back.
                let due = self.what.due.min(now);
                let missed = now.saturating_sub(due) / every;
                due.saturating_add(every.saturating_mul(missed.saturating_add(1)))
            }
            // A timer counts from the end of its callback.
            Kind::Timer => now.saturating_add(every),
        };
        if next.what.expires.is_some_and(|end| next.what.due >= end) {
            return None;
        }
        next.at = next.what.due;
        next.tries = 0;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, due: i64, every: Option<i64>, left: Option<u32>) -> Entry {
        let what = Reminder {
            id: "1".into(),
            actor_type: "A".into(),
            actor_id: "a".into(),
            name: "n".into(),
            data: String::new(),
            due_time: String::new(),
            period: String::new(),
            ttl: String::new(),
            due,
            every,
            left,
            expires: None,
            retry_every: 1000,
            retries: Some(3),
        };
        Entry { kind, callback: String::new(), at: due, tries: 0, what }
    }

    #[test]
    fn missed_ticks_collapse_and_the_beat_is_kept() {
        let tick = entry(Kind::Reminder, 1_000, Some(100), None);
        assert_eq!(tick.after_tick(1_010).unwrap().at, 1_100);
        assert_eq!(tick.after_tick(1_555).unwrap().at, 1_600);
        assert_eq!(entry(Kind::Timer, 1_000, Some(100), None).after_tick(1_555).unwrap().at, 1_655);
    }

    #[test]
    fn what_was_written_when_the_clock_was_ahead_is_due_now() {
        let hour = 3_600_000;
        let of = |due, due_time: &str, every| {
            let mut what = entry(Kind::Reminder, due, every, None).what;
            what.due_time = due_time.to_owned();
            what.due_after_start(1_000_000)
        };
        assert_eq!(of(1_000_000 + 3 * hour, "30s", Some(30_000)), 1_000_000);
        assert_eq!(of(1_000_000 + 20_000, "30s", Some(30_000)), 1_020_000, "within its period");
        assert_eq!(
            of(1_000_000 + hour, "1h", Some(600_000)),
            1_000_000 + hour,
            "its first tick is so far off"
        );
        assert_eq!(of(1_000_000 + 3 * hour, "1h", Some(600_000)), 1_000_000);
        assert_eq!(of(1_000_000 + 3 * hour, "1h", None), 1_000_000 + hour, "a one-shot is never early");
        assert_eq!(
            of(7_200_000, "1970-01-01T02:00:00Z", Some(600_000)),
            7_200_000,
            "an instant is an instant"
        );
        assert_eq!(of(9_000_000, "1970-01-01T02:00:00Z", Some(600_000)), 1_000_000);
    }

    #[test]
    fn a_clock_that_is_set_back_changes_no_delay() {
        let schedule = Schedule::default();
        schedule.put(entry(Kind::Reminder, 10_000, Some(30_000), None));
        let mut instant = entry(Kind::Timer, 9_000, None, None);
        instant.what.due_time = "1970-01-01T00:00:09Z".into();
        schedule.put(instant);
        schedule.set_back(8_000);
        let fired = schedule.due(2_000).unwrap();
        assert_eq!((fired.kind, fired.at), (Kind::Reminder, 2_000));
        assert_eq!(schedule.due(2_000).unwrap_err(), Some(9_000), "instants stay");
        assert_eq!(entry(Kind::Reminder, 10_000, Some(30_000), None).after_tick(2_000).unwrap().at, 32_000);
    }

    #[test]
    fn the_data_of_all_entries_is_counted() {
        let schedule = Schedule::default();
        let mut large = entry(Kind::Reminder, 5, Some(10), None);
        large.what.data = "x".repeat(MOST_DATA / 2);
        schedule.put(large.clone());
        schedule.put(large.clone());
        assert!(!schedule.is_full());
        large.what.name = "m".into();
        schedule.put(large.clone());
        assert!(schedule.is_full());
        schedule.remove(&large.key());
        assert!(!schedule.is_full());
    }

    #[test]
    fn repetitions_and_one_shots_end() {
        assert!(entry(Kind::Reminder, 0, None, None).after_tick(1).is_none());
        let two = entry(Kind::Reminder, 0, Some(10), Some(2)).after_tick(1).unwrap();
        assert!(two.after_tick(11).is_none());
    }

    #[test]
    fn an_entry_that_was_replaced_does_not_come_back() {
        let schedule = Schedule::default();
        schedule.put(entry(Kind::Reminder, 5, Some(10), None));
        let fired = schedule.due(5).unwrap();
        assert_eq!(schedule.due(5).unwrap_err(), None);
        let mut anew = entry(Kind::Reminder, 50, None, None);
        anew.what.id = "2".into();
        schedule.put(anew);
        assert!(!schedule.put_back(fired.after_tick(6).unwrap()));
        schedule.end(&fired);
        assert_eq!(schedule.due(6).unwrap_err(), Some(50));
    }
}
