//! The components of a cluster, as Dapr's operator hands them to a sidecar, carry workflows: topics that only some apps may
//! use are the ones that our apps use.

use super::rendered;
use crate::{
    e2e::api::Api,
    harness::{DaprCluster, DaprRun, Overrides, Redis, http, root, scratch},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// What a sidecar asks of its callers: as in a cluster, both tokens are there.
const TOKEN: &str = "of-the-sidecar";

/// Writes the resources of `k8s/base` with what their Secret holds put in, which is what the operator does.
fn handed_over(to: &Path, redis: &str) {
    let kinds = ["Component", "Resiliency"];
    let wanted = |document: &Value| kinds.iter().any(|kind| document["kind"] == *kind);
    let mut documents: Vec<Value> = rendered("k8s/base").into_iter().filter(wanted).collect();
    assert_eq!(documents.len(), 5);
    for (number, document) in documents.iter_mut().enumerate() {
        for item in document["spec"]["metadata"].as_array_mut().into_iter().flatten() {
            let Some(key) = item["secretKeyRef"]["key"].as_str() else { continue };
            let value = if key == "host" { redis } else { "" };
            *item = json!({"name": item["name"], "value": value});
        }
        let fields = document.as_object_mut().expect("a document is an object");
        fields.remove("auth");
        fields["metadata"].as_object_mut().expect("meta data").remove("namespace");
        let text = serde_json::to_string_pretty(document).expect("it was parsed");
        fs::write(to.join(format!("{number}.yaml")), text).expect("a file of a temporary folder");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_run_with_the_components_of_a_cluster_and_topics_are_for_those_who_need_them() {
    let redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let resources = scratch();
    handed_over(resources.path(), &redis.address());
    let overrides = Overrides {
        redis: redis.address(),
        resources: vec![resources.path().to_owned()],
        env: [("DAPR_API_TOKEN", TOKEN), ("APP_API_TOKEN", "of-the-app")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Overrides::default()
    };
    let mut run = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
    let [workflow, ai] = ["workflow-service", "ai-service"].map(|id| run.app(id).sidecar.http());
    let api = Api::new(&run.app("workflow-service").url, &workflow);

    // Tasks go to the ai role over the bus, answers come back, and somebody listens meanwhile: the broadcast is used, too.
    let crew = fs::read_to_string(root().join("config/examples/research-crew.yaml")).expect("the example");
    let definition: Value = serde_saphyr::from_str(&crew).expect("YAML");
    let id = api.create(&definition).await;
    let whole =
        api.post(&format!("/workflows/{id}/start?wait=60s"), json!({"input": {"topic": "bees"}})).await;
    assert_eq!((&whole["status"], &whole["usage"]["calls"]), (&json!("completed"), &json!(4)), "{whole:#}");

    // What a sidecar refuses to subscribe to, or to publish, it says; nobody asked for what is not theirs.
    for app in &mut run.apps {
        let logs = [app.sidecar.process.log(), app.process().log()];
        let refused: Vec<_> =
            logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("not allowed")).collect();
        assert_eq!(refused, Vec::<&str>::new());
    }

    // (who, topic, whether)
    let rights = [
        (&workflow, "pubsub/callboard.offers", 204),
        (&workflow, "pubsub/callboard.events", 204),
        (&workflow, "pubsub/callboard.commands.dead", 204),
        (&workflow, "pubsub/callboard.results.dead", 204),
        (&workflow, "pubsub/callboard.commands", 403),
        (&workflow, "pubsub/callboard.results", 403),
        (&workflow, "pubsub/callboard.tasks.dead", 403),
        (&ai, "pubsub/callboard.tasks.dead", 204),
        (&ai, "pubsub/callboard.tasks", 403),
        (&ai, "pubsub/callboard.events", 403),
        (&ai, "pubsub/callboard.commands", 403),
        (&ai, "pubsub/somebody.elses", 403),
        (&ai, "broadcast/callboard.live", 204),
        (&ai, "broadcast/somebody.elses", 403),
    ];
    for (sidecar, topic, wanted) in rights {
        let url = format!("{sidecar}/v1.0/publish/{topic}");
        let publish = || http().post(&url).json(&json!({}));
        let answer = publish().header("dapr-api-token", TOKEN).send().await.expect("the sidecar answers");
        assert_eq!(answer.status().as_u16(), wanted, "{sidecar} {topic}");
        let stranger = publish().send().await.expect("the sidecar answers");
        assert_eq!(stranger.status().as_u16(), 401, "{sidecar} {topic}");
    }
}
