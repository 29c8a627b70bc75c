//! What the application says about itself, and the component files of the servers under test.
//!
//! Both kinds of server load the same names: `statestore`, `pubsub` (with an inbound retry policy), `plain`
//! (without one), `broadcast`, `envs` and `files` for secrets.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Components, scratch};

/// The id under which `components/redis` lets an application in.
pub const APP_ID: &str = "workflow-service";
/// Retries of a failed delivery on `pubsub`, so many and 100 ms apart.
pub const RETRIES: usize = 2;

/// Topics of `pubsub` with a route `/on/TOPIC`, and nothing else.
const SIMPLE: &[&str] = &[
    "json",
    "text",
    "untyped",
    "binary",
    "named",
    "ready",
    "bare",
    "traced",
    "lasting",
    "proto",
    "bulk",
    "bulk-grpc",
    "many",
    "figure",
    "accepted",
    "kept-trying",
    "marker",
    "twice",
    "with/slash",
];
/// Topics whose failures go to `TOPIC.dead`, which has a route of its own.
const DEAD_LETTERED: &[&str] =
    &["retried", "dropped", "unfound", "failing", "unknown-status", "expired", "misrouted"];
/// The same on `plain`.
const PLAIN: &[&str] = &["plain-failing", "plain-quiet", "plain-kept"];

/// The answer to `GET /dapr/config`.
pub fn config() -> Value {
    json!({
        "entities": ["Probe", "Idle"],
        "actorIdleTimeout": "1h",
        // Only 1.14 knows it; its own default is 30 s.
        "actorScanInterval": "500ms",
        "drainOngoingCallTimeout": "1s",
        "drainRebalancedActors": true,
        "entitiesConfig": [{"entities": ["Idle"], "actorIdleTimeout": "1s"}, {"entities": ["Nobody"]}],
    })
}

/// The answer to `GET /dapr/subscribe`.
pub fn subscriptions() -> Value {
    let mut all: Vec<Value> = SIMPLE.iter().map(|topic| subscription("pubsub", topic)).collect();
    for (bus, topic) in DEAD_LETTERED.iter().map(|topic| ("pubsub", *topic)).chain([("plain", "plain-dead")])
    {
        let dead = format!("{topic}.dead");
        let mut entry = subscription(bus, topic);
        entry["deadLetterTopic"] = json!(dead);
        if topic == "misrouted" {
            // Fails on an event without the field.
            entry["routes"] = json!({"rules": [{"match": "event.data.size > 3", "path": "/on/misrouted"}]});
        }
        all.extend([entry, subscription(bus, &dead)]);
    }
    all.extend(PLAIN.iter().map(|topic| subscription("plain", topic)));
    all.push(subscription("broadcast", "live"));
    all.push(json!({"pubsubname": "pubsub", "topic": "raw", "route": "/on/raw", "metadata": {"rawPayload": "true"}}));
    all.push(json!({"pubsubname": "pubsub", "topic": "routed", "routes": {
        "rules": [
            {"match": "event.type == 'urgent'", "path": "/on/routed/urgent"},
            {"match": "event.data.size > 3", "path": "/on/routed/large"},
        ],
        "default": "/on/routed/rest",
    }}));
    all.push(json!({"pubsubname": "pubsub", "topic": "unrouted", "routes": {
        "rules": [{"match": "event.type == 'urgent'", "path": "/on/unrouted"}],
    }}));
    // Without a route: dropped with a warning, the others stand.
    all.push(json!({"pubsubname": "pubsub", "topic": "nowhere"}));
    Value::Array(all)
}

fn subscription(bus: &str, topic: &str) -> Value {
    json!({"pubsubname": bus, "topic": topic, "route": format!("/on/{topic}")})
}

/// Subscription files, one of each version.
const DECLARED: &str = "
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: declared-v1}
spec: {pubsubname: pubsub, topic: declared-v1, route: /on/declared-v1}
scopes: [workflow-service]
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {name: declared-v2}
spec:
  pubsubname: pubsub
  topic: declared-v2
  routes:
    rules: [{match: event.type == 'urgent', path: /on/declared-v2/urgent}]
    default: /on/declared-v2
---
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: somebody-elses}
spec: {pubsubname: pubsub, topic: somebody-elses, route: /on/somebody-elses}
scopes: [another-app]
";

/// Secrets that both kinds of server read, and one component of somebody else's.
fn shared(dir: &Path) -> String {
    let secrets = dir.join("secrets.json");
    fs::write(&secrets, r#"{"token":"shh","db":{"user":"me"}}"#).expect("a file of a temporary folder");
    format!(
        "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: envs}}
spec: {{type: secretstores.local.env, version: v1, metadata: []}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: files}}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{{name: secretsFile, value: '{}'}}]
---
{DECLARED}",
        secrets.display()
    )
}

/// The resources of a real sidecar: `components/redis` with a quicker retry policy, and what it lacks.
pub fn redis() -> Components {
    let components = Components::redis()
        .set("pubsub", "protectedTopics", "guarded")
        // Each subscription holds a connection; without a free one publishing fails.
        .set("pubsub", "poolSize", "200")
        .edit("callboard", |resiliency| {
            resiliency["spec"]["policies"]["retries"]["deliver"] =
                json!({"policy": "constant", "duration": "100ms", "maxRetries": RETRIES});
        });
    let plain = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: plain}
spec:
  type: pubsub.redis
  version: v1
  metadata:
    - {name: redisHost, value: '127.0.0.1:6379', secretKeyRef: {name: REDIS_HOST, key: REDIS_HOST}}
    - {name: redisPassword, value: ''}
    - {name: processingTimeout, value: '1000'}
    - {name: redeliverInterval, value: '200'}
    - {name: poolSize, value: '200'}
auth: {secretStore: environment}
---
";
    let more = format!("{plain}{}", shared(components.path()));
    fs::write(components.path().join("more.yaml"), more).expect("a file of a temporary folder");
    components
}

/// The same names for the embedded server.
pub fn local() -> TempDir {
    let dir = scratch();
    let text = format!(
        "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: statestore}}
spec:
  type: state.sqlite
  version: v1
  metadata: [{{name: actorStateStore, value: 'true'}}, {{name: keyPrefix, value: name}}]
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: pubsub}}
spec: {{type: pubsub.in-memory, version: v1, metadata: [{{name: protectedTopics, value: guarded}}]}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: plain}}
spec: {{type: pubsub.in-memory, version: v1}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: broadcast}}
spec: {{type: pubsub.in-memory, version: v1, metadata: [{{name: consumerID, value: '{{uuid}}'}}]}}
---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {{name: callboard}}
spec:
  policies: {{retries: {{deliver: {{policy: constant, duration: 100ms, maxRetries: {RETRIES}}}}}}}
  targets: {{components: {{pubsub: {{inbound: {{retry: deliver}}}}}}}}
---
{}",
        shared(dir.path())
    );
    fs::write(dir.path().join("all.yaml"), text).expect("a file of a temporary folder");
    dir
}
