//! Reminders and timers (`dapr-contract` 1.2, 3.5, 4.5, 4.6 and 0.1).

use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use dapr::dapr::proto::runtime::v1::*;
use serde_json::{Value, json};
use tonic::Code;

use crate::conformance::app::Answer;
use crate::conformance::case::Case;
use crate::conformance::releases::*;
use crate::conformance::target::code;

fn api(id: &str, kind: &str, name: &str) -> String {
    format!("/v1.0/actors/Probe/{id}/{kind}/{name}")
}

fn callback(id: &str, kind: &str, name: &str) -> String {
    format!("/actors/Probe/{id}/method/{kind}/{name}")
}

async fn remind(case: &Case, id: &str, name: &str, body: Value) -> (u16, String) {
    case.post(&api(id, "reminders", name), &body).await.refusal()
}

/// A call out of the actor's own turns, by which a periodic reminder's ticks can be counted.
async fn ticks(case: &Case, id: &str, name: &str, count: usize) -> Vec<Instant> {
    case.app.called(&callback(id, "remind", name), count).await.iter().map(|asked| asked.at).collect()
}

const SAVED: (u16, String) = (204, String::new());

pub async fn a_reminder_fires_with_its_data(case: &Case) {
    let body = json!({"dueTime": "0s", "data": {"a": [1, "two"]}});
    case.same("register", remind(case, "r-data", "once", body).await, SAVED);
    let asked = case.app.called(&callback("r-data", "remind", "once"), 1).await.remove(0);
    case.same("method", asked.method.as_str(), "PUT");
    case.same("content type", asked.header("content-type").as_deref(), Some("application/json"));
    case.same("body", asked.json(), json!({"data": {"a": [1, "two"]}, "dueTime": "", "period": ""}));
    let request = RegisterActorReminderRequest {
        actor_type: "Probe".into(),
        actor_id: "r-data".into(),
        name: "proto".into(),
        due_time: "500ms".into(),
        data: b"bytes".to_vec(),
        ..Default::default()
    };
    let registered = Instant::now();
    case.same("over gRPC", code(&case.sidecar.raw().register_actor_reminder(request).await), Code::Ok);
    let asked = case.app.called(&callback("r-data", "remind", "proto"), 1).await.remove(0);
    case.same("base64", asked.json()["data"].as_str(), Some(BASE64_STANDARD.encode("bytes").as_str()));
    let early = case.row(&EARLY_TICKS);
    case.holds(
        "not early",
        early || asked.at - registered >= Duration::from_millis(490),
        asked.at - registered,
    );
    case.same("without data", remind(case, "r-data", "bare", json!({"dueTime": "PT0S"})).await, SAVED);
    let asked = case.app.called(&callback("r-data", "remind", "bare"), 1).await.remove(0);
    case.same("without data", asked.json().get("data").cloned().unwrap_or_default(), Value::Null);
}

pub async fn times_that_cannot_be_read_are_refused(case: &Case) {
    let refused = (500, "ERR_ACTOR_REMINDER_CREATE".to_owned());
    for body in [
        json!({"dueTime": "PT0.5S"}),
        json!({"dueTime": "0s", "period": "P1D"}),
        json!({}),
        json!({"dueTime": "soon"}),
    ] {
        case.same(&body, remind(case, "r-bad", "n", body.clone()).await, refused.clone());
    }
    let reply = case.send("POST", &api("r-bad", "reminders", "n"), &[], "{").await;
    case.same("no JSON", reply.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
    let (status, error) = case.row(&REMINDER_OF_A_STRANGER);
    let reply = case.post("/v1.0/actors/Stranger/1/reminders/n", &json!({"dueTime": "1h"})).await;
    case.same("a type that is not hosted", reply.refusal(), (status, error.to_owned()));
    for (actor_type, due, expected) in
        [("Probe", "PT0.5S", Code::Internal), ("Stranger", "1h", Code::PermissionDenied)]
    {
        let request = RegisterActorReminderRequest {
            actor_type: actor_type.into(),
            actor_id: "r-bad".into(),
            name: "n".into(),
            due_time: due.into(),
            ..Default::default()
        };
        let answer = case.sidecar.raw().register_actor_reminder(request).await;
        case.same(format!("{actor_type} {due} over gRPC"), code(&answer), expected);
    }
    let reply = case.post("/v1.0/actors/dapr.internal.x/1/reminders/n", &json!({"dueTime": "1h"})).await;
    case.same("a reserved type", reply.status, 403);
}

pub async fn a_reminder_is_read_replaced_and_removed(case: &Case) {
    let far = |data: i32| json!({"dueTime": "1h", "period": "2h", "data": data});
    case.same("register", remind(case, "r-crud", "n", far(1)).await, SAVED);
    let reply = case.get(&api("r-crud", "reminders", "n")).await;
    case.same("read", reply.status, 200);
    let data = |reply: &crate::conformance::target::Reply| match case.row(&REMINDER_DATA) {
        ReminderData::Json => reply.json()["data"].clone(),
        ReminderData::Bytes => {
            let bytes = BASE64_STANDARD.decode(reply.json()["data"]["value"].as_str().unwrap_or_default());
            serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default()
        }
    };
    case.same("its data", data(&reply), json!(1));
    let as_sent = reply.json()["period"] == "2h";
    case.same(format!("the period {}", reply.json()["period"]), as_sent, case.row(&PERIOD_AS_SENT));
    case.same("replace", remind(case, "r-crud", "n", far(2)).await, SAVED);
    case.same("its new data", data(&case.get(&api("r-crud", "reminders", "n")).await), json!(2));
    let mut kept = far(3);
    kept["overwrite"] = json!(false);
    let (status, error) = case.row(&KEPT_REMINDER);
    case.same("overwrite: false", remind(case, "r-crud", "n", kept).await, (status, error.to_owned()));
    let listed = ListActorRemindersRequest { actor_type: "Probe".into(), actor_id: Some("r-crud".into()) };
    let listed = case.sidecar.raw().list_actor_reminders(listed).await;
    case.same("list", code(&listed), case.row(&LIST_REMINDERS));
    if let Ok(listed) = listed {
        let names: Vec<String> = listed.into_inner().reminders.into_iter().map(|found| found.name).collect();
        case.same("list", names, vec!["n".to_owned()]);
    }
    case.same("remove", case.delete(&api("r-crud", "reminders", "n")).await.status, 204);
    let (status, error) = case.row(&MISSING_REMINDER);
    case.same(
        "missing",
        case.get(&api("r-crud", "reminders", "n")).await.refusal(),
        (status, error.to_owned()),
    );
    case.same("remove a missing one", case.delete(&api("r-crud", "reminders", "n")).await.status, 204);
    let request = UnregisterActorReminderRequest {
        actor_type: "Probe".into(),
        actor_id: "r-crud".into(),
        name: "n".into(),
    };
    case.same("over gRPC", code(&case.sidecar.raw().unregister_actor_reminder(request).await), Code::Ok);
}

pub async fn a_failing_one_shot_is_tried_as_the_release_does(case: &Case) {
    case.app.always(&callback("r-shot", "remind", "once"), Answer::status(500));
    case.same("register", remind(case, "r-shot", "once", json!({"dueTime": "0s"})).await, SAVED);
    let tries = case.row(&ONE_SHOT_TRIES);
    case.app.called(&callback("r-shot", "remind", "once"), tries).await;
    // A clock that ticks at the same second: after five of its ticks a further try would have come.
    case.same(
        "clock",
        remind(case, "r-shot", "clock", json!({"dueTime": "0s", "period": "500ms"})).await,
        SAVED,
    );
    ticks(case, "r-shot", "clock", 4).await;
    case.same("tries", case.app.asked(&callback("r-shot", "remind", "once")).len(), tries);
    case.delete(&api("r-shot", "reminders", "clock")).await;
    let (status, _) = case.row(&MISSING_REMINDER);
    case.same("it is gone", case.get(&api("r-shot", "reminders", "once")).await.status, status);
}

pub async fn a_failure_policy_says_how_often(case: &Case) {
    let mut body =
        json!({"dueTime": "0s", "failure_policy": {"constant": {"interval": "300ms", "maxRetries": 1}}});
    case.app.always(&callback("r-policy", "remind", "constant"), Answer::status(500));
    case.same("constant", remind(case, "r-policy", "constant", body.clone()).await, SAVED);
    body["failure_policy"] = json!({"drop": {}});
    case.app.always(&callback("r-policy", "remind", "drop"), Answer::status(500));
    case.same("drop", remind(case, "r-policy", "drop", body).await, SAVED);
    case.same(
        "clock",
        remind(case, "r-policy", "clock", json!({"dueTime": "1s", "period": "1s"})).await,
        SAVED,
    );
    ticks(case, "r-policy", "clock", 3).await;
    let tries = case.app.asked(&callback("r-policy", "remind", "constant")).len();
    case.same("constant", tries, case.row(&TRIES_BY_POLICY));
    case.same("drop", case.app.asked(&callback("r-policy", "remind", "drop")).len(), 1);
    case.delete(&api("r-policy", "reminders", "clock")).await;
}

pub async fn a_failing_periodic_reminder_comes_again(case: &Case) {
    case.app.once(&callback("r-beat", "remind", "n"), Answer::status(500));
    case.same("register", remind(case, "r-beat", "n", json!({"dueTime": "0s", "period": "4s"})).await, SAVED);
    let at = ticks(case, "r-beat", "n", 2).await;
    let gap = (at[1] - at[0]).as_millis() as u64;
    let expected = case.row(&RETRY_OF_A_BEAT);
    // A beat may begin more than a second late or early in 1.14.
    case.holds(format!("about {expected} ms"), gap + 1_500 > expected && gap < expected + 800, gap);
    ticks(case, "r-beat", "n", 3).await;
    case.delete(&api("r-beat", "reminders", "n")).await;
}

pub async fn a_period_may_have_an_end(case: &Case) {
    case.same("R3", remind(case, "r-end", "three", json!({"period": "R3/PT1S"})).await, SAVED);
    let body = json!({"dueTime": "0s", "period": "1s", "ttl": "1500ms"});
    case.same("ttl", remind(case, "r-end", "ttl", body).await, SAVED);
    let body = json!({"dueTime": "1h", "ttl": "1s", "period": "1s"});
    let refused = remind(case, "r-end", "early", body).await;
    let (status, error) = case.row(&TTL_BEFORE_THE_FIRST_TICK);
    case.same("a ttl before the first tick", refused, (status, error.to_owned()));
    let at = ticks(case, "r-end", "three", 3).await;
    let early = case.row(&EARLY_TICKS);
    let slack = if early { 1_500 } else { 700 };
    case.holds("one period apart", (at[2] - at[0]).as_millis().abs_diff(2000) < slack, at[2] - at[0]);
    case.same("clock", remind(case, "r-end", "clock", json!({"dueTime": "0s", "period": "1s"})).await, SAVED);
    ticks(case, "r-end", "clock", 3).await;
    case.same("three", case.app.asked(&callback("r-end", "remind", "three")).len(), 3);
    let count = case.app.asked(&callback("r-end", "remind", "ttl")).len();
    case.holds("two ticks until the ttl", count == 2 || early && (1..=3).contains(&count), count);
    case.delete(&api("r-end", "reminders", "clock")).await;
}

pub async fn a_removed_reminder_fires_no_more(case: &Case) {
    for name in ["kept", "removed"] {
        case.same(name, remind(case, "r-stop", name, json!({"dueTime": "2s", "period": "1s"})).await, SAVED);
    }
    case.same("remove", case.delete(&api("r-stop", "reminders", "removed")).await.status, 204);
    ticks(case, "r-stop", "kept", 2).await;
    case.same("removed", case.app.asked(&callback("r-stop", "remind", "removed")).len(), 0);
    case.delete(&api("r-stop", "reminders", "kept")).await;
}

pub async fn timers_fire_and_stop(case: &Case) {
    let body = json!({"dueTime": "0s", "period": "200ms", "callback": "mine", "data": {"t": 1}});
    let timer = |name: &str| api("t", "timers", name);
    // An actor's timers need the actor.
    case.send("POST", "/v1.0/actors/Probe/t/method/wake", &[], "").await;
    case.same("register", case.post(&timer("tick"), &body).await.status, 204);
    let asked = case.app.called(&callback("t", "timer", "tick"), 3).await.remove(0);
    case.same("method", asked.method.as_str(), "PUT");
    case.same("data", &asked.json()["data"], &json!({"t": 1}));
    case.same("callback", &asked.json()["callback"], &json!("mine"));
    case.same("remove", case.delete(&timer("tick")).await.status, 204);
    // A failing callback does not stop a timer.
    case.app.once(&callback("t", "timer", "fails"), Answer::status(500));
    let body = json!({"dueTime": "0s", "period": "200ms"});
    case.same("register", case.post(&timer("fails"), &body).await.status, 204);
    case.app.called(&callback("t", "timer", "fails"), 3).await;
    case.delete(&timer("fails")).await;
    // A callback may end its timer.
    let cancel = Answer::default().header("x-daprremindercancel", "true");
    case.app.once(&callback("t", "timer", "ends"), cancel);
    case.same("register", case.post(&timer("ends"), &body).await.status, 204);
    case.same("register", case.post(&timer("clock"), &body).await.status, 204);
    case.app.called(&callback("t", "timer", "ends"), 1).await;
    case.app.called(&callback("t", "timer", "clock"), 5).await;
    let ended = case.app.asked(&callback("t", "timer", "ends")).len() == 1;
    case.same("a timer that was ended by its callback", ended, case.row(&TIMER_CAN_END_ITSELF));
    for name in ["ends", "clock"] {
        case.delete(&timer(name)).await;
    }
    case.same(
        "a bad time",
        case.post(&timer("bad"), &json!({"dueTime": "soon"})).await.refusal(),
        (500, "ERR_ACTOR_TIMER_CREATE".to_owned()),
    );
    case.same(
        "no JSON",
        case.send("POST", &timer("bad"), &[], "{").await.refusal(),
        (400, "ERR_MALFORMED_REQUEST".to_owned()),
    );
    let request = RegisterActorTimerRequest {
        actor_type: "Probe".into(),
        actor_id: "t".into(),
        name: "proto".into(),
        due_time: "0s".into(),
        ..Default::default()
    };
    case.same("over gRPC", code(&case.sidecar.raw().register_actor_timer(request).await), Code::Ok);
    case.app.called(&callback("t", "timer", "proto"), 1).await;
}
