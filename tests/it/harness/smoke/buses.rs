//! What `components/redis` promises about delivery, with shorter times.

use super::*;

/// A sidecar with an app that subscribes on both buses.
async fn start(cluster: &DaprCluster, redis: &Redis, server: &Upstream, components: &Components) -> Sidecar {
    app(server, "Counter", "smoke");
    let spec = SidecarSpec::new("workflow-service").app_port(server.addr().port()).redis(redis.address());
    let sidecar = cluster.sidecar(spec.resources(components.path())).await;
    sidecar.hosts_actors().await;
    sidecar
}

fn deliveries(server: &Upstream, path: &str) -> usize {
    server.script.requests().iter().filter(|request| request.target == path).count()
}

#[tokio::test]
async fn a_failing_handler_is_retried_and_then_the_message_is_dead_lettered() {
    let (redis, cluster, server) =
        (Redis::start().await, DaprCluster::start().await, Upstream::start().await);
    server.script.when(|request| request.target == "/on/pubsub", Reply::Status(500, None));
    let components = Components::redis().edit("callboard", |resiliency| {
        resiliency["spec"]["policies"]["retries"]["deliver"] =
            json!({"policy": "constant", "duration": "50ms", "maxRetries": 3});
    });
    let sidecar = start(&cluster, &redis, &server, &components).await;

    assert_eq!(
        post(&http(), format!("{}/v1.0/publish/pubsub/smoke.pubsub", sidecar.http()), json!(1)).await,
        204
    );

    let dead =
        || async { when(redis.command(&["XLEN", "dead"]).expect("redis answers"), |length| length == "1") };
    eventually(SOON, dead).await;
    assert_eq!(deliveries(&server, "/on/pubsub"), 4);
}

#[tokio::test]
async fn what_a_killed_sidecar_had_in_hand_is_delivered_again() {
    let (redis, cluster, server) =
        (Redis::start().await, DaprCluster::start().await, Upstream::start().await);
    let slowly = Reply::text("").after(Duration::from_secs(30));
    server.script.when(|request| request.target == "/on/pubsub", slowly);
    let components = Components::redis().set("pubsub", "processingTimeout", "1000").set(
        "pubsub",
        "redeliverInterval",
        "200",
    );
    let mut sidecar = start(&cluster, &redis, &server, &components).await;

    assert_eq!(
        post(&http(), format!("{}/v1.0/publish/pubsub/smoke.pubsub", sidecar.http()), json!(1)).await,
        204
    );
    called(&server, "POST", "/on/pubsub").await;
    let before = deliveries(&server, "/on/pubsub");
    sidecar.kill();
    sidecar.restart().await;

    eventually(SOON, || async { when(deliveries(&server, "/on/pubsub"), |count| *count > before) }).await;
}

#[tokio::test]
async fn a_broadcast_reaches_every_sidecar_of_an_app() {
    let (redis, cluster) = (Redis::start().await, DaprCluster::start().await);
    let components = Components::redis();
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let first = start(&cluster, &redis, &one, &components).await;
    let _second = start(&cluster, &redis, &two, &components).await;

    assert_eq!(
        post(&http(), format!("{}/v1.0/publish/broadcast/smoke.broadcast", first.http()), json!(1)).await,
        204
    );

    for server in [&one, &two] {
        assert_eq!(called(server, "POST", "/on/broadcast").await.json()["data"], 1);
    }
}
