//! Actors over the embedded server.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Error, Reminder};

use super::*;

const CONFIG: &str = r#"{"entities":["A"],"actorIdleTimeout":"1h"}"#;

fn host() -> (App, mpsc::UnboundedReceiver<Seen>) {
    app(|path, body| async move {
        match path.as_str() {
            "/dapr/config" => (200, CONFIG.to_owned()),
            "/dapr/subscribe" => (404, String::new()),
            path if path.ends_with("/method/echo") => (200, String::from_utf8_lossy(&body).into_owned()),
            path if path.ends_with("/method/created") => (201, String::new()),
            path if path.ends_with("/method/fails") => (500, "why".to_owned()),
            path if path.ends_with("/method/refuses") => (200, "!error no".to_owned()),
            path if path.ends_with("/method/panics") => panic!("as it does"),
            path if path.ends_with("/remind/bad") => (500, String::new()),
            _ => (200, String::new()),
        }
    })
}

fn reminder(name: &str, due: Option<u64>, period: Option<u64>) -> Reminder {
    Reminder {
        actor_type: "A".into(),
        actor_id: "1".into(),
        name: name.into(),
        due: due.map(Duration::from_millis),
        period: period.map(Duration::from_millis),
        data: Bytes::from_static(b"hi"),
    }
}

#[tokio::test]
async fn only_an_answer_of_200_is_success() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    for sidecar in clients(&server) {
        let answer = sidecar.invoke_actor("A", "1", "echo", Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(&answer[..], b"x");
        let seen = next(&mut calls, "/actors/A/1/method/echo").await;
        assert_eq!(
            (seen.method, &seen.headers["dapr-api-call"]),
            (http1::Method::PUT, &"true".parse().unwrap())
        );
        for method in ["created", "fails", "panics"] {
            let error = sidecar.invoke_actor("A", "1", method, Bytes::new()).await.unwrap_err();
            assert!(
                matches!(&error, Error::Other(status) if status.code() == tonic::Code::Internal),
                "{error:?}"
            );
        }
        let refused = sidecar.invoke_actor("A", "1", "refuses", Bytes::new()).await.unwrap();
        assert_eq!(&refused[..], b"no");
        assert!(sidecar.invoke_actor("B", "1", "echo", Bytes::new()).await.is_err());
        assert!(matches!(
            sidecar.invoke_actor("A", "..", "echo", Bytes::new()).await,
            Err(Error::Invalid(_))
        ));
        assert!(sidecar.metadata().await.unwrap().host_ready);
        assert_eq!(sidecar.metadata().await.unwrap().actors["A"], 1);
    }
    server.shutdown().await;
    next(&mut calls, "/actors/A/1").await;
}

#[tokio::test]
async fn turns_never_overlap_even_when_callers_give_up() {
    let place = Place::new();
    let running = Arc::new(Mutex::new((0, 0)));
    let seen = running.clone();
    let (app, _calls) = app(move |path, _| {
        let seen = seen.clone();
        async move {
            if path == "/dapr/config" {
                return (200, CONFIG.to_owned());
            }
            struct Leave(Arc<Mutex<(u32, u32)>>);
            impl Drop for Leave {
                fn drop(&mut self) {
                    self.0.lock().0 -= 1;
                }
            }
            {
                let mut seen = seen.lock();
                seen.0 += 1;
                seen.1 = seen.1.max(seen.0);
            }
            let _leave = Leave(seen);
            tokio::time::sleep(Duration::from_millis(20)).await;
            (200, String::new())
        }
    });
    let server = place.start(app).await;
    for sidecar in clients(&server) {
        let mut callers = Vec::new();
        for n in 0..12u64 {
            let sidecar = sidecar.clone();
            callers.push(tokio::spawn(async move {
                let call = sidecar.invoke_actor("A", "1", "work", Bytes::new());
                let patience = if n % 3 == 1 { 10 } else { 10_000 };
                tokio::time::timeout(Duration::from_millis(patience), call).await.is_ok_and(|r| r.is_ok())
            }));
        }
        let mut served = 0;
        for caller in callers {
            served += u32::from(caller.await.unwrap());
        }
        assert_eq!(served, 8);
    }
    assert_eq!(running.lock().1, 1);
    server.shutdown().await;
}

#[tokio::test]
async fn reminders_fire_and_survive_a_restart() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let sidecar = server.sidecar();
    sidecar.register_reminder(reminder("soon", Some(0), None)).await.unwrap();
    let seen = next(&mut calls, "/actors/A/1/method/remind/soon").await;
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body, serde_json::json!({"data": "aGk=", "dueTime": "", "period": ""}));
    sidecar.register_reminder(reminder("beat", Some(0), Some(50))).await.unwrap();
    next(&mut calls, "/actors/A/1/method/remind/beat").await;
    next(&mut calls, "/actors/A/1/method/remind/beat").await;
    sidecar.register_reminder(reminder("later", Some(300), None)).await.unwrap();
    server.shutdown().await;

    let (app, mut calls) = host();
    let server = place.start(app).await;
    next(&mut calls, "/actors/A/1/method/remind/beat").await;
    next(&mut calls, "/actors/A/1/method/remind/later").await;
    server.sidecar().unregister_reminder("A", "1", "beat").await.unwrap();
    server.sidecar().unregister_reminder("A", "1", "never-was").await.unwrap();
    server.shutdown().await;
    let store = Store::open(&place.0.path().join("sidecar.db")).await.unwrap();
    assert!(store.reminders().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_failing_one_shot_is_tried_three_times_more() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    server.sidecar().register_reminder(reminder("bad", Some(0), None)).await.unwrap();
    for _ in 0..4 {
        next(&mut calls, "/actors/A/1/method/remind/bad").await;
    }
    while !server.runtime.store.reminders().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn reminders_that_can_never_be_are_refused() {
    let place = Place::new();
    let (app, _calls) = host();
    let server = place.start(app).await;
    let sidecar = server.sidecar();
    assert!(matches!(sidecar.register_reminder(reminder("x", None, None)).await, Err(Error::Other(_))));
    let foreign = Reminder { actor_type: "B".into(), ..reminder("x", Some(0), None) };
    assert!(matches!(sidecar.register_reminder(foreign).await, Err(Error::Denied(_))));
    let crooked = Reminder { name: "a/b".into(), ..reminder("x", Some(0), None) };
    assert!(matches!(sidecar.register_reminder(crooked).await, Err(Error::Invalid(_))));
    server.shutdown().await;
}

#[tokio::test]
async fn an_idle_actor_is_let_go_and_comes_back() {
    let place = Place::new();
    let (app, mut calls) = app(|path, _| async move {
        match path.as_str() {
            "/dapr/config" => (200, r#"{"entities":["A"],"actorIdleTimeout":"100ms"}"#.to_owned()),
            _ => (200, String::new()),
        }
    });
    let server = place.start(app).await;
    let sidecar = server.sidecar();
    sidecar.invoke_actor("A", "1", "m", Bytes::new()).await.unwrap();
    let gone = next(&mut calls, "/actors/A/1").await;
    assert_eq!(gone.method, http1::Method::DELETE);
    sidecar.invoke_actor("A", "1", "m", Bytes::new()).await.unwrap();
    next(&mut calls, "/actors/A/1/method/m").await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_caller_that_gives_up_cuts_the_request_to_an_app_over_http() {
    struct Ended(mpsc::UnboundedSender<&'static str>);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.send("cut");
        }
    }
    let place = Place::new();
    let (told, mut heard) = mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let told = told.clone();
        async move {
            match request.uri().path() {
                "/dapr/config" => CONFIG,
                "/actors/A/1/method/quick" => "done",
                "/actors/A/1/method/slow" => {
                    let _ended = Ended(told.clone());
                    let _ = told.send("started");
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    ""
                }
                _ => "",
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let server = place.start(App::Http(base)).await;
    for sidecar in clients(&server) {
        let slow = tokio::spawn({
            let sidecar = sidecar.clone();
            async move { sidecar.invoke_actor("A", "1", "slow", Bytes::new()).await }
        });
        assert_eq!(heard.recv().await, Some("started"));
        slow.abort();
        let cut = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await.unwrap();
        assert_eq!(cut, Some("cut"));
        let quick = sidecar.invoke_actor("A", "1", "quick", Bytes::new()).await.unwrap();
        assert_eq!(&quick[..], b"done");
    }
    server.shutdown().await;
}
