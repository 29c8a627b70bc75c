//! One of the parts beside real Dapr dies and comes back: an app, a sidecar, Redis.

use crate::e2e::{
    places::Place,
    world::{Stage, Where, World, example},
};
use crate::harness::{Reply, eventually, when};
use serde_json::json;
use std::time::{Duration, Instant};

/// What is killed and started again.
#[derive(Clone, Copy, Debug)]
enum Part {
    AiApp,
    WorkflowApp,
    AiSidecar,
    WorkflowSidecar,
    Redis,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_part_beside_real_dapr_may_die_while_an_agent_works() {
    let mut stage = Stage::start(Where::Beside).await;
    let markers =
        ["part-ai-app", "part-workflow-app", "part-ai-sidecar", "part-workflow-sidecar", "part-redis"];
    let parts = [Part::AiApp, Part::WorkflowApp, Part::AiSidecar, Part::WorkflowSidecar, Part::Redis];
    for (part, marker) in parts.into_iter().zip(markers) {
        // Long enough to die in.
        stage.world.says_in_turn(
            marker,
            vec![Reply::text("first").after(Duration::from_secs(3)), Reply::text("second")],
        );
        let w = stage.world.clone();
        let run = w.api.run(&example("agent"), json!({ "question": marker })).await;
        let pay = w.api.run(&example("signal"), json!({})).await;
        eventually(Duration::from_secs(30), || async { when(w.asked(marker).len(), |n| *n == 1) }).await;
        let before = w.recorded(&run).await;
        let killed = Instant::now();
        restart(&mut stage.place, part).await;
        let ready = killed.elapsed();
        let seen = w.ends(&run, "completed").await;
        let took = killed.elapsed();
        assert_eq!(w.recorded(&run).await[..before.len()], before, "{part:?}");
        let calls = w.asked(marker).len();
        eprintln!("{part:?}: ready after {ready:.1?}, the run completed after {took:.1?} with {calls} calls");
        assert!(calls <= 2, "{part:?}: {calls} calls");
        assert!(seen["output"] == "first" || seen["output"] == "second");
        pay_and_end(&w, &pay).await;
    }
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_hangs_holds_up_no_run() {
    let stage = Stage::start(Where::Beside).await;
    let w = &stage.world;
    let before = w.api.run(&example("signal"), json!({})).await;
    w.api.until(&before, "waiting").await;
    let Place::Beside(beside) = &stage.place else { unreachable!("it was started beside") };
    beside.cluster.scheduler.signal("STOP");
    let began = Instant::now();
    pay_and_end(w, &before).await;
    let during = w.api.run(&example("pause-resume"), json!({})).await;
    w.api.until_step(&during, "gap", "waiting").await;
    let crew = w.api.run(&example("agent"), json!({"question": "who wakes us?"})).await;
    w.ends(&crew, "completed").await;
    w.ends(&during, "completed").await;
    let asked = Instant::now();
    w.api.get(&format!("/runs/{crew}")).await;
    eprintln!("without a scheduler: {:.1?}, a look {:.1?}", began.elapsed(), asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(5), "a look took {:?}", asked.elapsed());
    beside.cluster.scheduler.signal("CONT");
    let after = w.api.run(&example("signal"), json!({})).await;
    pay_and_end(w, &after).await;
    for run in [&before, &during, &crew] {
        w.recorded(run).await;
    }
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

async fn pay_and_end(w: &World, run: &str) {
    let paid = json!({"name": "payment", "data": {"amount": 1}});
    eventually(Duration::from_secs(60), || async {
        let (status, answer) = w.api.keyed(&format!("/runs/{run}/signal"), "paid", paid.clone()).await;
        when((status, answer), |(status, _)| *status == 200)
    })
    .await;
    w.ends(run, "completed").await;
    w.recorded(run).await;
}

async fn restart(place: &mut Place, part: Part) {
    let Place::Beside(beside) = place else { panic!("parts are beside") };
    match part {
        Part::AiApp | Part::WorkflowApp => {
            let id = if matches!(part, Part::AiApp) { "ai-service" } else { "workflow-service" };
            let app = beside.run.app(id);
            app.process().restart();
            app.ready().await;
        }
        Part::AiSidecar | Part::WorkflowSidecar => {
            let id = if matches!(part, Part::AiSidecar) { "ai-service" } else { "workflow-service" };
            let app = beside.run.app(id);
            app.sidecar.restart().await;
            app.ready().await;
        }
        Part::Redis => beside.redis.restart().await,
    }
}
