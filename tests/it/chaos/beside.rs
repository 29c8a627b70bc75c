//! Runs go on beside real Dapr while an app, a sidecar and Redis are killed in turn.

use super::{
    checker::{self, Fault},
    clients::Address,
    effects::Effects,
    full,
    load::Load,
    verdict::{Campaign, now, still_serves},
    workload::Dice,
};
use crate::harness::{DaprCluster, DaprRun, Overrides, Redis, START, Sidecar, root};
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_beside_real_dapr_when_apps_sidecars_and_redis_are_killed() {
    let (seed, runs, kills, every) =
        if full() { (2, 450, 90, Duration::from_secs(3)) } else { (2, 30, 6, Duration::from_secs(2)) };
    let effects = Effects::start().await;
    let mut redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let mut run = start(&effects, &redis, &cluster).await;
    let url = run.app("workflow-service").url.clone();
    let address: Address = Arc::new(RwLock::new(url.clone()));
    let mut dice = Dice::new(seed);
    let mut load = Load::new(seed, runs, 0, address);
    let (mut bitten, mut faults, mut crashes) = ([0; 3], Vec::new(), 0);
    let began = Instant::now();
    for n in 0..kills {
        load.begin_up_to(runs * (n + 1) / kills);
        crashes += supervise(&mut run).await;
        tokio::time::sleep_until((began + every * (n as u32 + 1)).into()).await;
        // Sometimes the runs of this kill were done long before it: one more, then, to be met at work.
        if load.open() == 0 && load.runs() - load.begun() > kills - n {
            load.begin_up_to(load.begun() + 1);
        }
        at_work(&effects).await;
        let app = if dice.roll(2) == 0 { "workflow-service" } else { "ai-service" };
        let from = now();
        match n % 3 {
            0 => run.app(app).process().restart(),
            1 => crashes += restarted(&mut run.app(app).sidecar).await,
            _ => {
                redis.kill();
                redis.restart().await;
            }
        }
        faults.push(Fault { from, to: now() });
        bitten[n % 3] += 1;
    }
    let length = began.elapsed();
    crashes += ready(&mut run).await;
    let healed = Instant::now();
    let begun = load.begun();
    let seen = load.finish().await;
    let name = format!("kill -9 beside Dapr, seed {seed}");
    // Saves and deliveries that a fault cut are tried again for a while after it.
    let longer = faults.iter().map(|f| Fault { from: f.from, to: f.to + 10_000 }).collect();
    let campaign = Campaign {
        name: &name,
        url: &url,
        seen,
        earlier: BTreeMap::new(),
        effects: &effects,
        faults: longer,
        healed,
    };
    let dumps = campaign.verdict().await;
    still_serves(&url).await;
    let into = faults.iter().filter(|fault| checker::works(&dumps, fault)).count();
    println!(
        "killed in {:.0} s: {} apps, {} sidecars, {} times Redis; {into} of {kills} fell into a step under way; \
         {crashes} times a sidecar ended at its start and was started again",
        length.as_secs_f64(),
        bitten[0],
        bitten[1],
        bitten[2],
    );
    assert_eq!(begun, runs, "INVALID: every run was to begin before the last kill");
    assert_eq!(bitten, [kills / 3; 3], "INVALID: each is to be killed as often as the others");
    assert!(into * 10 >= kills * 6, "INVALID: only {into} of {kills} kills fell into work");
    assert!(length <= Duration::from_secs(300), "INVALID: it took {length:?}");
}

/// Starts both apps beside their sidecars, with agents whose models are `effects`.
pub async fn start(effects: &Effects, redis: &Redis, cluster: &DaprCluster) -> DaprRun {
    start_with(effects, redis, cluster, []).await
}

/// The same with further variables.
pub async fn start_with<const N: usize>(
    effects: &Effects,
    redis: &Redis,
    cluster: &DaprCluster,
    variables: [(String, String); N],
) -> DaprRun {
    let mut env = BTreeMap::from([
        ("OPENAI_BASE_URL".to_owned(), effects.url.clone()),
        ("OPENAI_API_KEY".to_owned(), "none".to_owned()),
    ]);
    env.extend(variables);
    let overrides = Overrides { redis: redis.address(), env, ..Overrides::default() };
    DaprRun::start(&root().join("dapr"), cluster, overrides).await
}

/// Waits, for a second at most, until some agent calls its model.
async fn at_work(effects: &Effects) {
    let (began, before) = (Instant::now(), effects.calls());
    while effects.calls() == before && began.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Kills a sidecar and starts it as a supervisor does: again, if it ends before it is ready. Dapr 1.14 can fall at its
/// start, when an actor is called before its actors are there. Returns how often it did.
async fn restarted(sidecar: &mut Sidecar) -> usize {
    let began = Instant::now();
    sidecar.process.restart();
    let mut crashes = 0;
    while !sidecar.is_ready().await {
        assert!(began.elapsed() < START, "the sidecar is not ready\n{}", sidecar.process.tail());
        if !sidecar.process.is_running() {
            crashes += 1;
            sidecar.process.restart();
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    crashes
}

/// Starts the sidecars again that have ended by themselves, and counts them.
async fn supervise(run: &mut DaprRun) -> usize {
    let mut crashes = 0;
    for app in &mut run.apps {
        if !app.sidecar.process.is_running() {
            crashes += 1 + restarted(&mut app.sidecar).await;
        }
    }
    crashes
}

/// Waits until every app and its actors are back, and counts the sidecars that had to be started again for that.
async fn ready(run: &mut DaprRun) -> usize {
    let mut crashes = 0;
    let began = Instant::now();
    loop {
        crashes += supervise(run).await;
        let mut all = true;
        for app in &run.apps {
            all &= app.sidecar.is_hosting().await;
        }
        if all {
            return crashes;
        }
        assert!(began.elapsed() < START, "the sidecars host no actors");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
