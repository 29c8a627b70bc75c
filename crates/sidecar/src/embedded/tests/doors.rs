//! Who may call the two ports, what may be called through them, and what that may cost.

use dapr::dapr::proto::common::v1::InvokeRequest;
use dapr::dapr::proto::runtime::v1::dapr_client::DaprClient;
use dapr::dapr::proto::runtime::v1::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Sends a request as it is written and returns the whole answer.
async fn raw(at: SocketAddr, head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let text = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn host() -> (App, mpsc::UnboundedReceiver<Seen>) {
    app(|path, _| async move {
        match path.as_str() {
            "/dapr/config" => (200, r#"{"entities":["A"]}"#.to_owned()),
            "/dapr/subscribe" => (
                200,
                r#"[{"pubsubname":"pubsub","topic":"t","route":"/events/commands","deadLetterTopic":"t.dead"}]"#
                    .to_owned(),
            ),
            "/events/commands" => (404, String::new()),
            _ => (200, String::new()),
        }
    })
}

#[tokio::test]
async fn a_page_of_somebody_else_reaches_nothing() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let at = server.http_addr().unwrap();
    next(&mut calls, "/dapr/subscribe").await;
    for (sent, status, code) in [
        ("Host: evil.example", "421", "ERR_HOST_NOT_ALLOWED"),
        ("X: y", "400", "ERR_BAD_HOST"),
        ("Host: localhost\r\nHost: localhost", "400", "ERR_BAD_HOST"),
        ("Host: localhost\r\nOrigin: https://evil.example", "403", "ERR_ORIGIN_NOT_ALLOWED"),
        ("Host: localhost\r\nOrigin: null", "403", "ERR_ORIGIN_NOT_ALLOWED"),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", "403", "ERR_ORIGIN_NOT_ALLOWED"),
        ("Host: localhost\r\nReferer: http://evil.example/", "403", "ERR_ORIGIN_NOT_ALLOWED"),
    ] {
        for line in ["GET /v1.0/secrets/secrets/bulk", "POST /v1.0/actors/A/1/method/m", "GET /v1.0/healthz"]
        {
            let answer = raw(at, &format!("{line} HTTP/1.1\r\n{sent}"), "").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line} {sent}: {answer}");
            assert!(answer.contains(code) && answer.contains("nosniff"), "{line} {sent}: {answer}");
        }
    }
    for sent in
        ["Host: localhost:3500", "Host: 127.0.0.1:3500\r\nContent-Type: text/plain", "Host: [::1]:3500"]
    {
        let answer = raw(at, &format!("POST /v1.0/actors/A/1/method/m HTTP/1.1\r\n{sent}"), "{}").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{sent}: {answer}");
        next(&mut calls, "/actors/A/1/method/m").await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn grpc_is_called_by_names_of_its_own() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let port = server.grpc_addr().unwrap().port();
    let asked = |authority: String| async move {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let endpoint = endpoint.origin(authority.parse().unwrap());
        let mut client = DaprClient::new(endpoint.connect().await.unwrap());
        client.get_metadata(GetMetadataRequest {}).await
    };
    for name in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "localhost".into(), "[::1]:1".into()]
    {
        let answer = asked(format!("http://{name}")).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
    let refused = asked("http://evil.example:50001".into()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    assert!(refused.message().contains("server.hosts"), "{refused}");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let mut client = DaprClient::new(endpoint.connect().await.unwrap());
    let mut request = tonic::Request::new(GetMetadataRequest {});
    request.metadata_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(client.get_metadata(request).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    server.shutdown().await;
}

#[tokio::test]
async fn what_only_the_sidecar_calls_cannot_be_invoked() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let at = server.http_addr().unwrap();
    next(&mut calls, "/dapr/subscribe").await;
    for path in [
        "actors/A/1/method/answer",
        "actors/A/1",
        "Actors/A/1",
        "%61ctors/A/1",
        "%2561ctors/A/1",
        "actors%2FA%2F1",
        "/actors//A/1",
        "events/commands",
        "events//commands/",
        "EVENTS/Commands",
        "events%2fcommands",
        "dapr/config",
        "job/x",
        "healthz",
        // Encoded so often that nobody means it.
        &format!("%{}61ctors/A/1", "25".repeat(20)),
    ] {
        let head = format!("PUT /v1.0/invoke/app/method/{path} HTTP/1.1\r\nHost: localhost");
        let answer = raw(at, &head, "{}").await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("sidecar"), "{path}: {answer}");
        let head = format!("PUT /{path} HTTP/1.1\r\nHost: localhost\r\ndapr-app-id: app");
        let answer = raw(at, &head, "{}").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
        for client in clients(&server) {
            let message = InvokeRequest { method: path.into(), ..InvokeRequest::default() };
            let request = InvokeServiceRequest { id: "app".into(), message: Some(message) };
            let refused = client.raw().invoke_service(request).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{path}");
        }
    }
    // Neither is any of it called: the next thing the app sees is what may be, with its caller's name.
    let head =
        "GET /v1.0/invoke/app/method/orders/events?a=b HTTP/1.1\r\nHost: localhost\r\ndapr-caller-app-id: x";
    assert!(raw(at, head, "").await.starts_with("HTTP/1.1 200"));
    let seen = calls.recv().await.unwrap();
    assert_eq!(
        (seen.path.as_str(), &seen.headers["dapr-caller-app-id"]),
        ("/orders/events", &"app".parse().unwrap())
    );
    for client in clients(&server) {
        let message = InvokeRequest { method: "actor/events".into(), ..InvokeRequest::default() };
        let request = InvokeServiceRequest { id: "app".into(), message: Some(message) };
        client.raw().invoke_service(request).await.unwrap();
        assert_eq!(calls.recv().await.unwrap().headers["dapr-caller-app-id"], "app");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn metadata_and_keys_are_bounded() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    let set = |key: &str, size: usize| {
        let request = SetMetadataRequest { key: key.into(), value: "x".repeat(size) };
        let sidecar = sidecar.clone();
        async move { sidecar.raw().set_metadata(request).await.map(drop).map_err(|status| status.code()) }
    };
    assert_eq!(set("k", 4096).await, Ok(()));
    assert_eq!(set("k", 4097).await, Err(tonic::Code::InvalidArgument));
    assert_eq!(set(&"k".repeat(257), 1).await, Err(tonic::Code::InvalidArgument));
    for n in 1..256 {
        assert_eq!(set(&format!("k{n}"), 1).await, Ok(()), "{n}");
    }
    assert_eq!(set("one more", 1).await, Err(tonic::Code::InvalidArgument));
    assert_eq!(set("k", 2).await, Ok(()), "one that is there may change");
    let long = "t".repeat(2000);
    assert!(sidecar.publish(message("pubsub", &long, "1")).await.is_err());
    let long = save(&"k".repeat(5000), "1", crate::Fence::None, Ttl::Keep);
    assert!(sidecar.save("statestore", long).await.is_err());
    server.shutdown().await;
}

#[tokio::test]
async fn what_a_reminder_or_timer_carries_is_bounded() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let at = server.http_addr().unwrap();
    next(&mut calls, "/dapr/subscribe").await;
    let put = async |what: &str, data: usize, callback: usize| {
        let (data, callback) = ("x".repeat(data), "c".repeat(callback));
        let body = format!(r#"{{"dueTime":"1h","data":"{data}","callback":"{callback}"}}"#);
        let head = format!("PUT /v1.0/actors/A/1/{what}/n HTTP/1.1\r\nHost: localhost");
        raw(at, &head, &body).await.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    // The data are a text in quotes.
    let most = (256 << 10) - 2;
    for what in ["reminders", "timers"] {
        assert_eq!(put(what, most, 1).await, "204", "{what}");
        assert_eq!(put(what, most + 1, 1).await, "400", "{what}");
    }
    assert_eq!(put("timers", 1, 256).await, "204");
    assert_eq!(put("timers", 1, 257).await, "400");
    server.shutdown().await;
}

#[tokio::test]
async fn a_dead_letter_nobody_reads_is_kept_for_seven_days() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let rows = |sql: &str| {
        let database = rusqlite::Connection::open(place.0.path().join("sidecar.db")).unwrap();
        database.query_row(sql, (), |row| row.get::<_, Option<i64>>(0)).unwrap()
    };
    let count = "select count(*) from message where topic = 't.dead'";
    server.sidecar().publish(message("pubsub", "t", "1")).await.unwrap();
    next(&mut calls, "/events/commands").await;
    for _ in 0..100 {
        if rows(count) == Some(1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.runtime.bus.limit_dead_letters().await.unwrap();
    let left = rows("select max(expires) from message where topic = 't.dead'").unwrap() - times::steady();
    let days = Duration::from_millis(left.unsigned_abs()).as_secs_f64() / 86_400.0;
    assert!((6.99..=7.0).contains(&days), "{days}");
    // A look in between moves nothing, and one after that time removes it.
    server.runtime.bus.limit_dead_letters().await.unwrap();
    assert_eq!(rows(count), Some(1));
    let database = rusqlite::Connection::open(place.0.path().join("sidecar.db")).unwrap();
    database.execute("update message set expires = 1 where topic = 't.dead'", ()).unwrap();
    server.runtime.bus.limit_dead_letters().await.unwrap();
    assert_eq!(rows(count), Some(0));
    server.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_is_its_owners_alone_and_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = Place::new();
    let (database, wal) = (place.0.path().join("sidecar.db"), place.0.path().join("sidecar.db-wal"));
    // As an older release left them.
    std::fs::write(&database, "").unwrap();
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = place.start(App::None).await;
    server.sidecar().save("statestore", save("k", "1", crate::Fence::None, Ttl::Keep)).await.unwrap();
    assert_eq!((mode(&database), mode(&wal)), (0o600, 0o600));
    server.shutdown().await;

    let theirs = place.0.path().join("theirs");
    std::fs::write(&theirs, "ssh-ed25519 …").unwrap();
    std::fs::remove_file(&database).unwrap();
    symlink(&theirs, &database).unwrap();
    assert!(matches!(Server::start(place.config(App::None)).await, Err(StartError::Database { .. })));
    std::fs::remove_file(&database).unwrap();
    symlink(place.0.path().join("nowhere"), &database).unwrap();
    assert!(matches!(Server::start(place.config(App::None)).await, Err(StartError::Database { .. })));
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "ssh-ed25519 …");
    assert!(!place.0.path().join("nowhere").exists());
    // A folder that is reached by a link is a folder.
    std::fs::remove_file(&database).unwrap();
    let link = place.0.path().join("link");
    symlink(place.0.path(), &link).unwrap();
    let mut config = place.config(App::None);
    config.database = link.join("sidecar.db");
    Server::start(config).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_told_to_come_back() {
    let place = Place::new();
    let doors = Doors { room: callboard_listener::Room::new(1 << 20), ..Doors::default() };
    let server = Server::start_behind(place.config(App::None), doors).await.unwrap();
    let at = server.http_addr().unwrap();
    let large = format!(r#"[{{"key":"k","value":"{}"}}]"#, "x".repeat(2 << 20));
    let mut socket = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST /v1.0/state/statestore HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        large.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The other side stops reading in the middle.
    let _ = socket.write_all(large.as_bytes()).await;
    let mut answer = vec![0; 1024];
    let n = socket.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    let small =
        raw(at, "POST /v1.0/state/statestore HTTP/1.1\r\nHost: localhost", r#"[{"key":"k","value":1}]"#)
            .await;
    assert!(small.starts_with("HTTP/1.1 204"), "{small}");
    let request = SaveStateRequest {
        store_name: "statestore".into(),
        states: vec![dapr::dapr::proto::common::v1::StateItem {
            key: "k".into(),
            value: vec![b'1'; 2 << 20],
            ..Default::default()
        }],
    };
    let over_the_wire = &clients(&server)[1];
    let refused = over_the_wire.raw().save_state(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    server.shutdown().await;
}
