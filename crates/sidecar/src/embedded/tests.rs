//! The server as its callers see it: in this process and over sockets.

mod actors;
mod bus;
mod database;
mod doors;
mod http;
mod state;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::{Endpoint, Publish, Save, Ttl};

const COMPONENTS: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec: {type: state.sqlite, version: v1, metadata: [{name: actorStateStore, value: 'true'}, {name: keyPrefix, value: name}]}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: pubsub}
spec: {type: pubsub.in-memory, version: v1}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: broadcast}
spec: {type: pubsub.in-memory, version: v1, metadata: [{name: consumerID, value: '{uuid}'}]}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: secrets}
spec: {type: secretstores.local.env, version: v1}
";

/// A request as the app saw it.
#[derive(Debug)]
struct Seen {
    method: http1::Method,
    path: String,
    headers: http1::HeaderMap,
    body: Bytes,
}

use ::http as http1;

/// An app made of one function; what it is asked comes out of the receiver.
fn app<F, R>(answer: F) -> (App, mpsc::UnboundedReceiver<Seen>)
where
    F: Fn(String, Bytes) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = (u16, String)> + Send + 'static,
{
    let (seen, calls) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: http1::Request<Body>| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let path = parts.uri.path().to_owned();
            let _ = seen.send(Seen {
                method: parts.method,
                path: path.clone(),
                headers: parts.headers,
                body: body.clone(),
            });
            let (status, text) = answer(path, body).await;
            let answer = http1::Response::builder().status(status);
            let answer = match text.strip_prefix("!error ") {
                Some(text) => {
                    answer.header("x-daprerrorresponseheader", "true").body(Body::from(text.to_owned()))
                }
                None => answer.body(Body::from(text)),
            };
            Ok::<_, Infallible>(answer.unwrap())
        }
    });
    (App::InProcess(AppService::new(service)), calls)
}

/// A folder with components and a database.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("components")).unwrap();
        let place = Self(folder);
        place.write("all.yaml", COMPONENTS);
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join("components").join(name), text).unwrap();
    }

    fn config(&self, app: App) -> Config {
        let local = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Config {
            app_id: "app".into(),
            database: self.0.path().join("sidecar.db"),
            components: self.0.path().join("components"),
            http: local,
            grpc: local,
            api_token: None,
            app_token: None,
            app,
        }
    }

    async fn start(&self, app: App) -> Server {
        let server = Server::start(self.config(app)).await.unwrap();
        server.app_ready().await;
        server
    }
}

/// The same server, in process and over a socket.
fn clients(server: &Server) -> [Sidecar; 2] {
    let grpc = format!("http://{}", server.grpc_addr().unwrap());
    [server.sidecar(), Sidecar::connect(&Endpoint { grpc, api_token: None }).unwrap()]
}

async fn next(calls: &mut mpsc::UnboundedReceiver<Seen>, path: &str) -> Seen {
    let find = async {
        loop {
            let seen = calls.recv().await.unwrap();
            if seen.path == path {
                return seen;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), find).await.expect(path)
}

fn save(key: &str, data: &str, fence: crate::Fence, ttl: Ttl) -> Vec<Save> {
    vec![Save { key: key.into(), data: data.to_owned().into(), fence, ttl }]
}

fn message(pubsub: &str, topic: &str, data: &str) -> Publish {
    Publish {
        pubsub: pubsub.into(),
        topic: topic.into(),
        data: data.to_owned().into(),
        content_type: "application/json".into(),
        metadata: BTreeMap::new(),
    }
}

#[tokio::test]
async fn every_mistake_in_the_components_stops_the_start() {
    let place = Place::new();
    place.write("bad.yaml", "kind: Component\nmetadata: {name: x}\nspec: {type: pubsub.redis}");
    let Err(error) = Server::start(place.config(App::None)).await else { panic!("started") };
    assert!(error.to_string().contains("bad.yaml: x: type pubsub.redis is not offered"), "{error}");
}

#[tokio::test]
async fn the_token_is_asked_of_every_caller() {
    let place = Place::new();
    let mut config = place.config(App::None);
    config.api_token = Some("s3cret".into());
    let server = Server::start(config).await.unwrap();
    assert!(server.sidecar().ready().await);
    let grpc = format!("http://{}", server.grpc_addr().unwrap());
    let bare = Sidecar::connect(&Endpoint { grpc: grpc.clone(), api_token: None }).unwrap();
    assert!(matches!(bare.metadata().await, Err(crate::Error::Denied(_))));
    let right = Sidecar::connect(&Endpoint { grpc, api_token: Some("s3cret".into()) }).unwrap();
    assert!(right.ready().await);
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let request = dapr::dapr::proto::runtime::v1::TryLockRequest::default();
    let status = server.sidecar().raw().try_lock_alpha1(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(status.message().contains("try_lock_alpha1"), "{status}");
    server.shutdown().await;
}

#[tokio::test]
async fn secrets_come_from_the_environment_but_tokens_do_not() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    let path = sidecar.get_secret("secrets", "PATH").await.unwrap();
    assert_eq!(path["PATH"], std::env::var("PATH").unwrap());
    assert_eq!(sidecar.get_secret("secrets", "DAPR_API_TOKEN").await.unwrap()["DAPR_API_TOKEN"], "");
    assert!(sidecar.get_secret("nowhere", "x").await.is_err());
    server.shutdown().await;
}

#[tokio::test]
async fn the_open_network_takes_a_token() {
    let place = Place::new();
    let mut config = place.config(App::None);
    config.http = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    assert!(matches!(Server::start(config).await, Err(StartError::Invalid(_))));
}

#[test]
fn the_shipped_components_can_be_used() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/local");
    let found = Components::load(&folder, "callboard").unwrap();
    assert_eq!(found.actor_store(), Some("statestore"));
    assert_eq!(found.state["statestore"].prefix, crate::components::Prefix::Name);
    assert!(found.pubsub["broadcast"].broadcast && !found.pubsub["pubsub"].broadcast);
    assert!(found.secrets.contains_key("secretstore"));
}
