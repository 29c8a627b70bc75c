//! Reminders: periodic callbacks that get lost, come in bursts, and go the way of stale placement.

use crate::world::{Fault, World};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

#[derive(Default)]
pub struct Reminders {
    /// By actor type and id; the number tells one registration from the next.
    pub all: BTreeMap<(String, String), u64>,
    last: u64,
}

#[derive(Clone)]
pub struct Reminder {
    pub kind: String,
    pub id: String,
    pub name: String,
    pub period: u64,
}

/// Registers a reminder in place of the one of the same actor, and rings it until it is replaced or removed.
pub fn register(world: &Arc<World>, reminder: Reminder, due: u64) {
    world.log(|| format!("reminder {}/{} due {due} every {}", reminder.kind, reminder.id, reminder.period));
    let key = (reminder.kind.clone(), reminder.id.clone());
    let number = {
        let mut state = world.state.lock();
        state.reminders.last += 1;
        let number = state.reminders.last;
        state.reminders.all.insert(key.clone(), number);
        number
    };
    let world = world.clone();
    tokio::spawn(async move {
        let mut wait = due;
        loop {
            sleep(Duration::from_millis(wait)).await;
            if world.state.lock().reminders.all.get(&key) != Some(&number) {
                return;
            }
            ring(&world, &reminder);
            if reminder.period == 0 {
                return;
            }
            wait = reminder.period;
        }
    });
}

pub fn remove(world: &World, kind: &str, id: &str) {
    world.log(|| format!("reminder {kind}/{id} is removed"));
    world.state.lock().reminders.all.remove(&(kind.to_owned(), id.to_owned()));
}

fn ring(world: &Arc<World>, reminder: &Reminder) {
    if world.fault(Fault::TickLost, 0.05) {
        return;
    }
    let times = if world.fault(Fault::TickBurst, 0.05) { 3 } else { 1 };
    for _ in 0..times {
        let (world, reminder) = (world.clone(), reminder.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(world.between(0, 30))).await;
            world.see("ticks");
            let Reminder { kind, id, name, .. } = &reminder;
            let host = world.route(id);
            world.log(|| format!("tick {kind}/{id} at {host}"));
            world
                .call_app(
                    host,
                    "PUT",
                    format!("/actors/{kind}/{id}/method/remind/{name}"),
                    Bytes::from_static(b"{}"),
                )
                .await;
        });
    }
}
