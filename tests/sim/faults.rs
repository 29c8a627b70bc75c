//! The larger faults: killed and paused hosts, moved actors, a catalog that is away, lost reminders, rollbacks.

use crate::world::{HOSTS, World};
use callboard_actors::{AGENT, WORKFLOW};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

pub fn start(world: &Arc<World>) {
    if world.plan.calm {
        return;
    }
    // Swarm: each seed has only some of them.
    let mut all: Vec<fn(Arc<World>)> = vec![
        |w| drop(tokio::spawn(kills(w))),
        |w| drop(tokio::spawn(pauses(w))),
        |w| drop(tokio::spawn(moves(w))),
        |w| drop(tokio::spawn(outages(w))),
        |w| drop(tokio::spawn(forgotten(w))),
    ];
    if world.plan.strict {
        all.push(|w| rollbacks(&w));
    }
    let most = world.chance(0.4);
    for begin in all {
        if most || world.chance(0.6) {
            begin(world.clone());
        }
    }
}

async fn kills(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(world.seldom(world.between(300, 4000)))).await;
        if world.quiet() {
            return;
        }
        let host = world.between(0, HOSTS as u64) as usize;
        world.crash(host);
        sleep(Duration::from_millis(world.between(20, 1200))).await;
        if world.life(host).is_none() {
            world.boot(host);
        }
    }
}

/// A host stands still while its actors go to others; then it goes on as if nothing had happened.
async fn pauses(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(world.seldom(world.between(600, 4000)))).await;
        if world.quiet() {
            return;
        }
        let host = world.between(0, HOSTS as u64) as usize;
        let Some(life) = world.life(host) else { continue };
        let long = if world.chance(0.2) { world.between(1500, 8000) } else { world.between(50, 1200) };
        world.log(|| format!("host {host} stands still for {long}"));
        world.see("pauses");
        life.process.hold();
        world.move_actors(host);
        let world = world.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(long)).await;
            life.process.release();
            world.log(|| format!("host {host} goes on"));
        });
    }
}

async fn moves(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(world.between(150, 2000))).await;
        if world.quiet() {
            return;
        }
        let all: Vec<String> = world.state.lock().owner.keys().cloned().collect();
        let Some(id) = all.get((world.draw() % all.len().max(1) as u64) as usize) else { continue };
        let to = world.between(0, HOSTS as u64) as usize;
        let from = {
            let mut state = world.state.lock();
            let Some(place) = state.owner.get_mut(id) else { continue };
            let from = place.0;
            *place = (to, from);
            from
        };
        world.log(|| format!("{id} moves from {from} to {to}"));
        // The old host is told, or not.
        if world.chance(0.5) && from != to {
            let kind = if id.contains('.') { AGENT } else { WORKFLOW };
            world.call_app(from, "DELETE", format!("/actors/{kind}/{id}"), Default::default()).await;
        }
    }
}

async fn outages(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(world.between(1000, 7000))).await;
        if world.quiet() {
            return;
        }
        let long = world.between(100, 2500);
        world.log(|| format!("the catalog is away for {long}"));
        world.state.lock().catalog_down_until = world.now() + long;
    }
}

async fn forgotten(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(world.between(1500, 8000))).await;
        if world.quiet() {
            return;
        }
        let all: Vec<_> = world.state.lock().reminders.all.keys().cloned().collect();
        let Some(key) = all.get((world.draw() % all.len().max(1) as u64) as usize) else { continue };
        world.log(|| format!("reminder {}/{} is lost", key.0, key.1));
        world.state.lock().reminders.all.remove(key);
    }
}

/// The store goes back to what it was a while ago.
fn rollbacks(world: &Arc<World>) {
    let keep = world.clone();
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(keep.between(50, 500))).await;
            if keep.quiet() {
                return;
            }
            if keep.chance(0.8) {
                let mut state = keep.state.lock();
                state.snapshot = state.store.clone();
            }
        }
    });
    for _ in 0..world.between(0, 5) {
        let world = world.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(world.between(400, 19_000))).await;
            world.log(|| "the store goes back".to_owned());
            world.see("rollbacks");
            let mut state = world.state.lock();
            state.store = state.snapshot.clone();
        });
    }
}
