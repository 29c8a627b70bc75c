//! Subscriptions and what an answer to a delivery means (`dapr-contract` 1.5, 1.6 and 0.1).
//!
//! `pubsub` tries a failed delivery twice more, 100 ms apart. That something is *not* delivered again is shown
//! by a later message that has had all its tries.

use serde_json::{Value, json};

use crate::conformance::app::{Answer, Gate};
use crate::conformance::case::Case;
use crate::conformance::documents::RETRIES;
use crate::conformance::releases::{
    PLAIN_FAILURE_IS_REDELIVERED, PLAIN_TRIES_BEFORE_DEAD_LETTER, UNFOUND_IS_DEAD_LETTERED,
};

/// Publishes a message whose every delivery fails, and waits until it has been given up.
async fn time_for_all_retries(case: &Case, topic: &str) {
    case.app.always(&format!("/on/{topic}"), Answer::status(500));
    let before = case.app.asked(&format!("/on/{topic}")).len();
    case.publish("pubsub", topic, &json!("marker")).await;
    case.app.called(&format!("/on/{topic}"), before + 1 + RETRIES).await;
}

pub async fn success_is_said_in_many_ways(case: &Case) {
    let answers = [
        Answer::default(),
        Answer::status(204),
        Answer::status(201).body("created"),
        Answer::text("no JSON"),
        Answer::json(&json!({})),
        Answer::json(&json!({"status": ""})),
        Answer::json(&json!({"status": "SUCCESS"})),
    ];
    let count = answers.len();
    for answer in answers {
        case.app.once("/on/accepted", answer);
    }
    for n in 0..count {
        case.publish("pubsub", "accepted", &json!(n)).await;
    }
    case.app.called("/on/accepted", count).await;
    time_for_all_retries(case, "marker").await;
    case.same("deliveries", case.app.asked("/on/accepted").len(), count);
}

pub async fn failures_are_retried_then_dead_lettered(case: &Case) {
    for (topic, answer) in [
        ("retried", Answer::json(&json!({"status": "RETRY"}))),
        ("failing", Answer::status(500)),
        ("unknown-status", Answer::json(&json!({"status": "PERHAPS"}))),
    ] {
        case.app.always(&format!("/on/{topic}"), answer);
        case.publish("pubsub", topic, &json!({"topic": topic})).await;
    }
    for topic in ["retried", "failing", "unknown-status"] {
        let dead = case.app.called(&format!("/on/{topic}.dead"), 1).await.remove(0).json();
        let tries = case.app.asked(&format!("/on/{topic}"));
        case.same(format!("tries of {topic}"), tries.len(), 1 + RETRIES);
        let first = tries[0].json();
        case.same(format!("{topic}'s id"), &dead["id"], &first["id"]);
        case.same(format!("{topic}'s data"), &dead["data"], &json!({"topic": topic}));
        // Every try is the same event.
        let ids: Vec<Value> = tries.iter().map(|asked| asked.json()["id"].clone()).collect();
        case.same(format!("{topic}'s ids"), ids, vec![first["id"].clone(); 1 + RETRIES]);
    }
}

pub async fn dropped_messages_are_dead_lettered_at_once(case: &Case) {
    case.app.always("/on/dropped", Answer::json(&json!({"status": "DROP"})));
    case.app.always("/on/unfound", Answer::status(404));
    for topic in ["unfound", "dropped"] {
        case.publish("pubsub", topic, &json!(topic)).await;
        if topic == "unfound" && !case.row(&UNFOUND_IS_DEAD_LETTERED) {
            case.app.called("/on/unfound", 1).await;
            continue;
        }
        let dead = case.app.called(&format!("/on/{topic}.dead"), 1).await.remove(0).json();
        case.same(format!("{topic}'s data"), &dead["data"], &json!(topic));
    }
    time_for_all_retries(case, "marker").await;
    for topic in ["unfound", "dropped"] {
        case.same(format!("tries of {topic}"), case.app.asked(&format!("/on/{topic}")).len(), 1);
    }
    let dead = case.app.asked("/on/unfound.dead").len();
    case.same("a route that is not there", dead == 1, case.row(&UNFOUND_IS_DEAD_LETTERED));
}

pub async fn an_expired_event_is_dead_lettered(case: &Case) {
    let event = json!({
        "specversion": "1.0", "id": "late", "source": "s", "type": "t", "data": 1,
        "expiration": "2020-01-01T00:00:00Z",
    });
    let headers = [("content-type", "application/cloudevents+json")];
    let reply = case.send("POST", "/v1.0/publish/pubsub/expired", &headers, event.to_string()).await;
    case.same("publish", reply.status, 204);
    // daprd looks at the expiration of the dead letter, too: it is as old, and dropped.
    time_for_all_retries(case, "marker").await;
    case.same("deliveries", case.app.asked("/on/expired").len(), 0);
}

pub async fn a_recovered_subscriber_gets_the_message(case: &Case) {
    case.app.once("/on/twice", Answer::status(503));
    case.publish("pubsub", "twice", &json!("again")).await;
    let tries = case.app.called("/on/twice", 2).await;
    case.same("the same event", tries[0].json(), tries[1].json());
}

pub async fn rules_choose_the_route(case: &Case) {
    let publish = |topic: &'static str, kind: &'static str, data: Value| async move {
        let path = format!("/v1.0/publish/pubsub/{topic}?metadata.cloudevent.type={kind}");
        let reply = case.post(&path, &data).await;
        case.same("publish", reply.status, 204);
    };
    publish("routed", "urgent", json!({"size": 9})).await;
    publish("routed", "other", json!({"size": 9})).await;
    publish("routed", "other", json!({"size": 1})).await;
    for route in ["urgent", "large", "rest"] {
        case.app.called(&format!("/on/routed/{route}"), 1).await;
        case.same(route, case.app.asked(&format!("/on/routed/{route}")).len(), 1);
    }
    // No rule and no default: processed.
    publish("unrouted", "other", json!(1)).await;
    publish("unrouted", "urgent", json!(2)).await;
    let asked = case.app.called("/on/unrouted", 1).await;
    case.same("the one that matched", &asked[0].json()["data"], &json!(2));
    // A rule that fails is a failed delivery.
    publish("misrouted", "other", json!({})).await;
    case.app.called("/on/misrouted.dead", 1).await;
    case.same("misrouted", case.app.asked("/on/misrouted").len(), 0);
}

pub async fn declared_subscriptions_are_served(case: &Case) {
    for (topic, kind) in [("declared-v1", "any"), ("declared-v2", "any"), ("declared-v2", "urgent")] {
        let path = format!("/v1.0/publish/pubsub/{topic}?metadata.cloudevent.type={kind}");
        case.same(topic, case.post(&path, &json!(kind)).await.status, 204);
    }
    case.app.called("/on/declared-v1", 1).await;
    case.app.called("/on/declared-v2", 1).await;
    case.app.called("/on/declared-v2/urgent", 1).await;
    case.publish("pubsub", "somebody-elses", &json!(1)).await;
    time_for_all_retries(case, "kept-trying").await;
    case.same("another app's subscription", case.app.asked("/on/somebody-elses").len(), 0);
    let document = case.get("/v1.0/metadata").await.json();
    let listed = document["subscriptions"].as_array().cloned().unwrap_or_default();
    let topics: Vec<&str> = listed.iter().filter_map(|entry| entry["topic"].as_str()).collect();
    for (topic, there) in
        [("declared-v1", true), ("json", true), ("nowhere", false), ("somebody-elses", false)]
    {
        case.same(format!("{topic} is listed"), topics.contains(&topic), there);
    }
}

pub async fn without_a_policy_the_broker_decides(case: &Case) {
    // With a dead letter topic.
    case.app.always("/on/plain-dead", Answer::status(500));
    case.publish("plain", "plain-dead", &json!("dead")).await;
    case.app.called("/on/plain-dead.dead", 1).await;
    let tries = case.app.asked("/on/plain-dead").len();
    case.same("tries before the dead letter topic", tries, case.row(&PLAIN_TRIES_BEFORE_DEAD_LETTER));
    // Without one: redelivered when its second of processing time is over, or gone.
    case.app.once("/on/plain-failing", Answer::status(500));
    case.publish("plain", "plain-failing", &json!("failing")).await;
    let again = case.app.called("/on/plain-failing", 1).await;
    if case.row(&PLAIN_FAILURE_IS_REDELIVERED) {
        let again = case.app.called("/on/plain-failing", 2).await;
        case.same("the same event", again[0].json(), again[1].json());
        return;
    }
    // A message whose handler never answers is redelivered after the same time: the other would have been, too.
    let gate = Gate::new();
    case.app.once("/on/plain-quiet", Answer::default().after(&gate));
    case.publish("plain", "plain-quiet", &json!("quiet")).await;
    case.app.called("/on/plain-quiet", 2).await;
    gate.open(1);
    case.same("gone", case.app.asked("/on/plain-failing").len(), again.len());
}
