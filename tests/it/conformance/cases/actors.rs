//! Actor methods, turns, deactivation (`dapr-contract` 1.2, 3.2, 4.2, 4.3 and 0.1).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dapr::dapr::proto::runtime::v1::InvokeActorRequest;
use serde_json::json;
use tonic::Code;

use crate::conformance::app::{Answer, Gate};
use crate::conformance::case::Case;
use crate::conformance::releases::{
    API_CALL_HEADER, STATUS_IN_THE_MESSAGE, STRICT_NAMES, TURNS_OVERLAP, UNKNOWN_TYPE_CODE,
    UNKNOWN_TYPE_COSTS,
};
use crate::conformance::target::code;

fn api(id: &str, method: &str) -> String {
    format!("/v1.0/actors/Probe/{id}/method/{method}")
}

fn callback(id: &str, method: &str) -> String {
    format!("/actors/Probe/{id}/method/{method}")
}

fn invoke(id: &str, method: &str, data: &str) -> InvokeActorRequest {
    InvokeActorRequest {
        actor_type: "Probe".into(),
        actor_id: id.into(),
        method: method.into(),
        data: data.as_bytes().to_vec(),
        metadata: HashMap::from([("x-from-grpc".to_owned(), "yes".to_owned())]),
    }
}

pub async fn a_method_is_always_a_put(case: &Case) {
    let answer = Answer::text("answer").header("content-type", "text/x-own").header("x-own", "back");
    case.app.always(&callback("verbs", "m"), answer);
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let headers = [("content-type", "text/x-asked"), ("x-mine", "there")];
        let body = if method == "GET" { "" } else { "question" };
        let reply = case.send(method, &api("verbs", "m"), &headers, body).await;
        case.same(method, (reply.status, reply.text()), (200, "answer".to_owned()));
        case.same("content type back", reply.header("content-type"), Some("text/x-own"));
        case.same("header back", reply.header("x-own"), Some("back"));
        let asked = case.app.asked(&callback("verbs", "m")).pop().expect("it was called");
        case.same(method, (asked.method.as_str(), asked.text().as_str()), ("PUT", body));
        case.same("header there", asked.header("x-mine").as_deref(), Some("there"));
        if method != "GET" {
            case.same("content type there", asked.header("content-type").as_deref(), Some("text/x-asked"));
        }
        case.same("dapr-api-call", asked.header("dapr-api-call").as_deref(), case.row(&API_CALL_HEADER));
    }
    let answer = case.sidecar.raw().invoke_actor(invoke("verbs", "m", "over gRPC")).await;
    case.same("over gRPC", answer.expect("an answer").into_inner().data, b"answer".to_vec());
    let asked = case.app.asked(&callback("verbs", "m")).pop().expect("it was called");
    case.same("over gRPC", (asked.method.as_str(), asked.text().as_str()), ("PUT", "over gRPC"));
    case.same("metadata", asked.header("x-from-grpc").as_deref(), Some("yes"));
}

pub async fn only_200_is_success(case: &Case) {
    for status in [201, 204, 400, 404, 409, 500, 503] {
        let method = format!("answers-{status}");
        let answer = Answer::status(status);
        let answer = if status == 204 { answer } else { answer.body("its words") };
        case.app.always(&callback("statuses", &method), answer);
        let reply = case.send("POST", &api("statuses", &method), &[], "").await;
        case.same(status, reply.refusal(), (500, "ERR_ACTOR_INVOKE_METHOD".to_owned()));
        let message = reply.json()["message"].as_str().unwrap_or_default().to_owned();
        case.holds("a message that blames the actor", message.contains("error from actor service"), &message);
        let named = message.contains(&format!("({status})"));
        case.same(format!("{status} in {message}"), named, case.row(&STATUS_IN_THE_MESSAGE));
        let answer = case.sidecar.raw().invoke_actor(invoke("statuses", &method, "")).await;
        case.same(format!("{status} over gRPC"), code(&answer), Code::Internal);
    }
    // The next turn starts all the same.
    case.same("afterwards", case.send("POST", &api("statuses", "fine"), &[], "").await.status, 200);
}

pub async fn an_applications_error_comes_back_whole(case: &Case) {
    let body = json!({"error": {"code": "busy", "status": 409}});
    let answer = Answer::json(&body).header("x-daprerrorresponseheader", "true").header("x-more", "kept");
    case.app.always(&callback("refuses", "m"), answer);
    let reply = case.send("PUT", &api("refuses", "m"), &[], "").await;
    case.same("over HTTP", (reply.status, reply.json()), (200, body.clone()));
    case.same("the header", reply.header("x-daprerrorresponseheader"), Some("true"));
    case.same("another header", reply.header("x-more"), Some("kept"));
    let answer =
        case.sidecar.raw().invoke_actor(invoke("refuses", "m", "")).await.expect("it looks like success");
    case.same("over gRPC", answer.into_inner().data, body.to_string().into_bytes());
}

pub async fn a_type_nobody_hosts_fails(case: &Case) {
    let started = Instant::now();
    let reply = case.send("POST", "/v1.0/actors/Stranger/1/method/m", &[], "").await;
    let took = started.elapsed();
    case.same("over HTTP", reply.refusal(), (500, "ERR_ACTOR_INVOKE_METHOD".to_owned()));
    let least = case.row(&UNKNOWN_TYPE_COSTS);
    case.holds(
        format!("between {least} and {} ms", least + 5_000),
        took >= Duration::from_millis(least) && took < Duration::from_millis(least + 5_000),
        took,
    );
    let request = InvokeActorRequest { actor_type: "Stranger".into(), ..invoke("1", "m", "") };
    let answer = case.sidecar.raw().invoke_actor(request).await;
    case.same("over gRPC", code(&answer), case.row(&UNKNOWN_TYPE_CODE));
}

pub async fn turns_are_taken_one_at_a_time_and_in_order(case: &Case) {
    let gate = Gate::new();
    let method = |n: usize| callback("fifo", &format!("m{n}"));
    let mut calls = Vec::new();
    for n in 0..4 {
        case.app.always(&method(n), Answer::default().after(&gate));
        let (client, url) = (case.client.clone(), format!("{}{}", case.http, api("fifo", &format!("m{n}"))));
        calls.push(tokio::spawn(async move {
            client.put(url).send().await.map(|answer| answer.status().as_u16())
        }));
        if n == 0 {
            case.app.called(&method(0), 1).await;
        }
        // Nothing tells that a call waits in the sidecar's queue.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        case.app.called(&method(n), 1).await;
        if n < 3 {
            case.same("the next waits", case.app.asked(&method(n + 1)).len(), 0);
        }
        gate.open(1);
        case.same("status", call.await.expect("the task ends").expect("an answer"), 200);
    }
}

pub async fn actors_do_not_wait_for_each_other(case: &Case) {
    let gate = Gate::new();
    case.app.always(&callback("slow", "m"), Answer::default().after(&gate));
    let path = api("slow", "m");
    let slow = case.send("POST", &path, &[], "");
    let quick = async {
        case.app.called(&callback("slow", "m"), 1).await;
        case.same("another actor", case.send("POST", &api("quick", "m"), &[], "").await.status, 200);
        gate.open(1);
    };
    let (slow, ()) = tokio::join!(slow, quick);
    case.same("the slow one", slow.status, 200);
}

pub async fn a_caller_that_leaves_ends_its_turn(case: &Case) {
    let never = Gate::new();
    case.app.always(&callback("left", "stuck"), Answer::default().after(&never));
    let (client, url) = (case.client.clone(), format!("{}{}", case.http, api("left", "stuck")));
    let stuck = tokio::spawn(async move { client.put(url).send().await });
    let asked = case.app.called(&callback("left", "stuck"), 1).await.remove(0);
    stuck.abort();
    case.app.cut(&asked).await;
    case.same("the next turn", case.send("PUT", &api("left", "next"), &[], "").await.status, 200);
}

pub async fn a_waiting_caller_that_leaves_takes_nobody_along(case: &Case) {
    let gate = Gate::new();
    case.app.always(&callback("queue", "first"), Answer::default().after(&gate));
    let call = |method: &str| {
        let (client, url) = (case.client.clone(), format!("{}{}", case.http, api("queue", method)));
        tokio::spawn(async move { client.put(url).send().await.map(|answer| answer.status().as_u16()) })
    };
    let first = call("first");
    case.app.called(&callback("queue", "first"), 1).await;
    // Nothing tells that a call waits in the sidecar's queue.
    let second = call("second");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let third = call("third");
    tokio::time::sleep(Duration::from_millis(300)).await;
    second.abort();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let overlap = !case.app.asked(&callback("queue", "third")).is_empty();
    case.same("the third starts beside the first", overlap, case.row(&TURNS_OVERLAP));
    gate.open(1);
    case.same("the first", first.await.expect("the task ends").expect("an answer"), 200);
    case.same("the third", third.await.expect("the task ends").expect("an answer"), 200);
    case.same("the second", case.app.asked(&callback("queue", "second")).len(), 0);
}

pub async fn an_idle_actor_is_let_go_and_comes_back(case: &Case) {
    let method = "/v1.0/actors/Idle/sleepy/method/m";
    case.same("a call", case.send("POST", method, &[], "").await.status, 200);
    let gone = case.app.called("/actors/Idle/sleepy", 1).await.remove(0);
    case.same("method", gone.method.as_str(), "DELETE");
    case.same("body", gone.text(), String::new());
    case.app.once("/actors/Idle/sleepy", Answer::status(500));
    case.same("a call later", case.send("POST", method, &[], "").await.status, 200);
    case.app.called("/actors/Idle/sleepy", 2).await;
    // An actor whose end was refused is gone all the same.
    case.same("a call after that", case.send("POST", method, &[], "").await.status, 200);
    case.app.called("/actors/Idle/sleepy", 3).await;
}

pub async fn a_trace_reaches_the_actor(case: &Case) {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    case.send("POST", &api("traced", "m"), &[("traceparent", trace)], "").await;
    case.sidecar
        .with_trace(Some(trace.to_owned()))
        .invoke_actor("Probe", "traced", "m", bytes::Bytes::new())
        .await
        .expect("an answer");
    for asked in case.app.called(&callback("traced", "m"), 2).await {
        let found = asked.header("traceparent").unwrap_or_default();
        case.same("the trace's id", found.get(3..35).unwrap_or_default(), &trace[3..35]);
    }
}

pub async fn names_that_could_lead_elsewhere_are_refused(case: &Case) {
    for id in ["plain", "with-dash_and.dot", "a@b", "a:b", "a~b", "sp%20ace", "%C3%A9"] {
        let status = case.send("POST", &api(id, "m"), &[], "").await.status;
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c));
        let expected = if plain { 200 } else { case.row(&STRICT_NAMES) };
        case.same(id, status, expected);
    }
}
