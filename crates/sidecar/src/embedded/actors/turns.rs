//! Turns: a fair lock per actor, and the table of those that are active.
//!
//! The lock is tokio's, whose queue is first come first served and which a waiter leaves by being dropped;
//! so a caller that gives up can neither stall the queue nor let two turns overlap.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tonic::Code;

use super::super::fault::Fault;

/// Callers waiting for one actor, after which calls are refused.
const WAITING: usize = 1024;

type Table = HashMap<String, HashMap<String, Arc<Actor>>>;

/// The actors that have been called and not yet let go.
#[derive(Default)]
pub(super) struct Turns {
    table: Arc<Mutex<Table>>,
}

struct Actor {
    lock: Arc<tokio::sync::Mutex<Seat>>,
    waiting: AtomicUsize,
    active: AtomicBool,
}

/// What a turn's holder may change.
struct Seat {
    last: Instant,
    /// Out of the table: whoever waited looks the actor up again.
    retired: bool,
}

/// One actor's turn; the next starts when it is dropped.
pub(super) struct Turn {
    table: Arc<Mutex<Table>>,
    actor_type: String,
    id: String,
    actor: Arc<Actor>,
    seat: OwnedMutexGuard<Seat>,
}

/// Counts a waiter for as long as it exists.
struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

// === impl Turns ===

impl Turns {
    /// Waits for an actor's next turn.
    pub(super) async fn take(&self, actor_type: &str, id: &str) -> Result<Turn, Fault> {
        loop {
            let actor = self.entry(actor_type, id);
            if actor.waiting.fetch_add(1, Relaxed) >= WAITING {
                actor.waiting.fetch_sub(1, Relaxed);
                return Err(Fault::new(
                    "ERR_ACTOR_INVOKE_METHOD",
                    500,
                    Code::ResourceExhausted,
                    format!("error invoke actor method: too many calls wait for {actor_type}/{id}"),
                ));
            }
            let waiter = Waiter(&actor.waiting);
            let seat = actor.lock.clone().lock_owned().await;
            drop(waiter);
            if seat.retired {
                continue;
            }
            let (actor_type, id) = (actor_type.to_owned(), id.to_owned());
            return Ok(Turn { table: self.table.clone(), actor_type, id, actor, seat });
        }
    }

    fn entry(&self, actor_type: &str, id: &str) -> Arc<Actor> {
        let mut table = self.table.lock();
        if let Some(actor) = table.get(actor_type).and_then(|actors| actors.get(id)) {
            return actor.clone();
        }
        let actor = Arc::new(Actor {
            lock: Arc::new(tokio::sync::Mutex::new(Seat { last: Instant::now(), retired: false })),
            waiting: AtomicUsize::new(0),
            active: AtomicBool::new(false),
        });
        table.entry(actor_type.to_owned()).or_default().insert(id.to_owned(), actor.clone());
        actor
    }

    pub(super) fn is_active(&self, actor_type: &str, id: &str) -> bool {
        let table = self.table.lock();
        table
            .get(actor_type)
            .and_then(|actors| actors.get(id))
            .is_some_and(|actor| actor.active.load(Relaxed))
    }

    pub(super) fn count(&self, counts: &mut BTreeMap<String, usize>) {
        for (actor_type, actors) in &*self.table.lock() {
            let active = actors.values().filter(|actor| actor.active.load(Relaxed)).count();
            counts.insert(actor_type.clone(), active);
        }
    }

    /// Takes the turns of all actors that nobody uses and that have been idle for as long as their type allows.
    pub(super) fn idle(&self, allowed: impl Fn(&str) -> Duration) -> Vec<Turn> {
        let mut idle = Vec::new();
        for (actor_type, actors) in &*self.table.lock() {
            let allowed = allowed(actor_type);
            for (id, actor) in actors {
                if actor.waiting.load(Relaxed) > 0 {
                    continue;
                }
                let Ok(seat) = actor.lock.clone().try_lock_owned() else { continue };
                if seat.last.elapsed() >= allowed {
                    let (table, actor) = (self.table.clone(), actor.clone());
                    idle.push(Turn { table, actor_type: actor_type.clone(), id: id.clone(), actor, seat });
                }
            }
        }
        idle
    }

    /// Takes the turns of the actors that were idle for longest, as many as there are more than `most` active ones.
    pub(super) fn surplus(&self, most: usize) -> Vec<Turn> {
        let table = self.table.lock();
        let total: usize = table.values().map(HashMap::len).sum();
        let Some(surplus) = total.checked_sub(most).filter(|n| *n > 0) else { return Vec::new() };
        let mut idle = Vec::with_capacity(total);
        for (actor_type, actors) in &*table {
            for (id, actor) in actors.iter().filter(|(_, actor)| actor.waiting.load(Relaxed) == 0) {
                if let Ok(seat) = actor.lock.clone().try_lock_owned() {
                    idle.push((seat, actor_type, id, actor));
                }
            }
        }
        if idle.len() > surplus {
            idle.select_nth_unstable_by_key(surplus, |(seat, ..)| seat.last);
            idle.truncate(surplus);
        }
        let turn = |(seat, actor_type, id, actor): (_, &String, &String, &Arc<Actor>)| Turn {
            table: self.table.clone(),
            actor_type: actor_type.clone(),
            id: id.clone(),
            actor: actor.clone(),
            seat,
        };
        idle.into_iter().map(turn).collect()
    }
}

// === impl Turn ===

impl Turn {
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.actor_type, &self.id)
    }

    /// Marks the actor as one the app knows of.
    pub(super) fn activate(&self) {
        self.actor.active.store(true, Relaxed);
    }

    /// Starts the idle time, which counts from the end of a turn.
    pub(super) fn finish(&mut self) {
        self.seat.last = Instant::now();
    }

    /// Ends the actor: the next call makes a new one.
    pub(super) fn retire(mut self) {
        self.seat.retired = true;
        let mut table = self.table.lock();
        if let Some(actors) = table.get_mut(&self.actor_type)
            && actors.get(&self.id).is_some_and(|known| Arc::ptr_eq(known, &self.actor))
        {
            actors.remove(&self.id);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A turn that was cut short still counts as use.
        self.seat.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_order_and_a_waiter_that_leaves_takes_nobody_along() {
        let turns = Arc::new(Turns::default());
        let first = turns.take("A", "1").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for n in 0..3 {
            let (turns, order) = (turns.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let turn = turns.take("A", "1").await.unwrap();
                order.lock().push(n);
                tokio::task::yield_now().await;
                drop(turn);
            }));
            tokio::task::yield_now().await;
        }
        waiting[1].abort();
        tokio::task::yield_now().await;
        assert!(order.lock().is_empty());
        drop(first);
        for task in waiting {
            let _ = task.await;
        }
        assert_eq!(*order.lock(), [0, 2]);
    }

    #[tokio::test]
    async fn an_actor_in_its_turn_is_never_idle() {
        let turns = Turns::default();
        let turn = turns.take("A", "1").await.unwrap();
        turn.activate();
        assert!(turns.idle(|_| Duration::ZERO).is_empty());
        drop(turn);
        assert!(turns.idle(|_| Duration::from_secs(10)).is_empty());
        assert!(turns.is_active("A", "1"));
        let mut idle = turns.idle(|_| Duration::ZERO);
        assert_eq!(idle.len(), 1);
        idle.pop().unwrap().retire();
        assert!(!turns.is_active("A", "1"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_actors_the_longest_idle_go_first() {
        let turns = Turns::default();
        for id in ["1", "2", "3", "4"] {
            turns.take("A", id).await.unwrap().activate();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let busy = turns.take("A", "1").await.unwrap();
        assert!(turns.surplus(4).is_empty());
        let mut gone: Vec<String> = Vec::new();
        for turn in turns.surplus(2) {
            gone.push(turn.name().1.to_owned());
            turn.retire();
        }
        gone.sort();
        assert_eq!(gone, ["2", "3"]);
        drop(busy);
    }
}
