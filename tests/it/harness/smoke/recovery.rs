//! Each part may end and be started again.

use super::*;

#[tokio::test]
async fn actors_and_reminders_come_back_after_each_part_was_restarted() {
    let (redis, mut cluster, server) =
        (Redis::start().await, DaprCluster::start().await, Upstream::start().await);
    app(&server, "Counter", "smoke");
    let spec = SidecarSpec::new("workflow-service").app_port(server.addr().port()).redis(redis.address());
    let mut sidecar = cluster.sidecar(spec).await;
    sidecar.hosts_actors().await;
    let (client, actor) = (http(), format!("{}/v1.0/actors/Counter/c1", sidecar.http()));
    let reminder = json!({"dueTime": "1s", "period": "1s"});
    assert_eq!(post(&client, format!("{actor}/reminders/wake"), reminder).await, 204);

    for part in ["control plane", "sidecar"] {
        match part {
            "control plane" => {
                cluster.restart_placement().await;
                cluster.restart_scheduler().await;
            }
            _ => sidecar.restart().await,
        }
        let answers = || async {
            let answer = client
                .post(format!("{actor}/method/after"))
                .json(&json!({}))
                .timeout(Duration::from_secs(2))
                .send()
                .await;
            match answer {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => Err(format!("after the restart of {part}: {other:?}")),
            }
        };
        eventually(SOON, answers).await;
        let ticks = || {
            server.script.requests().iter().filter(|request| request.target.ends_with("/remind/wake")).count()
        };
        let before = ticks();
        eventually(SOON, || async { when(ticks(), |now| *now > before) }).await;
    }
}

#[tokio::test]
async fn an_app_that_died_hosts_its_actors_again_when_it_is_back() {
    let (redis, cluster, server) =
        (Redis::start().await, DaprCluster::start().await, Upstream::start().await);
    app(&server, "Counter", "smoke");
    let port = server.addr().port();
    let spec = SidecarSpec::new("workflow-service").app_port(port).redis(redis.address()).app_health_check();
    let sidecar = cluster.sidecar(spec).await;
    sidecar.hosts_actors().await;
    let (client, url) = (http(), format!("{}/v1.0/actors/Counter/c1/method/add", sidecar.http()));
    let call = || async {
        let answer = client.post(&url).json(&json!({})).timeout(Duration::from_secs(3)).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"))
    };
    eventually(SOON, || async { when(call().await, |status| *status == Ok(200)) }).await.expect("it answers");

    drop(server);
    let noticed =
        || async { when(sidecar.process.log(), |log| log.contains("App entered un-healthy status")) };
    eventually(SOON, noticed).await;
    let server = Upstream::on(port).await;

    eventually(SOON, || async { when(call().await, |status| *status == Ok(200)) }).await.expect("it answers");
    assert!(server.script.calls() > 0);
}
