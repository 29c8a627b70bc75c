//! The metadata document (`dapr-contract` 3.7).

use http::StatusCode;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::runtime::{Runtime, VERSION};
use super::{Call, Response, empty};
use crate::components::Origin;

pub(super) fn document(runtime: &Runtime) -> Response {
    let active: Vec<Value> = runtime
        .actors
        .active()
        .into_iter()
        .map(|(actor_type, count)| json!({"type": actor_type, "count": count}))
        .collect();
    let components: Vec<Value> = runtime
        .components
        .listed
        .iter()
        .map(|listed| {
            json!({
                "name": listed.name,
                "type": listed.kind,
                "version": listed.version,
                "capabilities": listed.capabilities(),
            })
        })
        .collect();
    let subscriptions: Vec<Value> = runtime
        .bus
        .subscriptions()
        .into_iter()
        .map(|subscription| {
            let rules: Vec<Value> = subscription
                .rules
                .iter()
                .map(|rule| json!({"match": rule.matches.clone().unwrap_or_default(), "path": rule.path}))
                .collect();
            json!({
                "pubsubname": subscription.pubsub,
                "topic": subscription.topic,
                "metadata": subscription.metadata,
                "rules": rules,
                "deadLetterTopic": subscription.dead_letter.unwrap_or_default(),
                "type": match subscription.origin {
                    Origin::Declarative => "DECLARATIVE",
                    Origin::Programmatic => "PROGRAMMATIC",
                    Origin::Streaming => "STREAMING",
                },
            })
        })
        .collect();
    let hosting = runtime.actors.is_hosting();
    let mut document = json!({
        "id": &*runtime.app_id,
        "runtimeVersion": VERSION,
        "enabledFeatures": [],
        "actors": active,
        "components": components,
        "extended": runtime.extended(),
        "subscriptions": subscriptions,
        "httpEndpoints": [],
        "actorRuntime": {
            "runtimeStatus": match (runtime.is_ready(), hosting) {
                (false, _) => "INITIALIZING",
                (true, false) => "DISABLED",
                (true, true) => "RUNNING",
            },
            "activeActors": active,
            "hostReady": hosting,
            "placement": if hosting { "placement: connected" } else { "" },
        },
        "scheduler": {"connected_addresses": []},
        "workflows": {"connectedWorkers": 0},
    });
    if let Some((host, port)) = runtime.app.address() {
        document["appConnectionProperties"] = json!({
            "port": port,
            "protocol": "http",
            "channelAddress": host,
            "maxConcurrency": -1,
        });
    }
    super::json(StatusCode::OK, &document)
}

pub(super) fn set(runtime: &Runtime, key: &str, call: &Call) -> Result<Response, Fault> {
    runtime.set_metadata(key, String::from_utf8_lossy(&call.body).into_owned())?;
    Ok(empty())
}
