//! Service invocation, secrets and metadata methods.

use bytes::Bytes;
use dapr::dapr::proto::common::v1::{InvokeResponse, http_extension::Verb};
use dapr::dapr::proto::runtime::v1::*;
use http::Method;
use tonic::{Code, Request};

use super::super::fault::Fault;
use super::super::runtime::VERSION;
use super::Embedded;
use crate::components::Origin;

// === impl Embedded ===

impl Embedded {
    pub(super) async fn invoke_service(
        &self,
        request: Request<InvokeServiceRequest>,
    ) -> Result<InvokeResponse, Fault> {
        let trace = super::trace(request.metadata());
        let InvokeServiceRequest { id, message } = request.into_inner();
        let message = message.ok_or_else(|| Fault::malformed("invoke request has no message"))?;
        let extension = message.http_extension.unwrap_or_default();
        let method = match Verb::try_from(extension.verb) {
            Ok(Verb::Get) => Method::GET,
            Ok(Verb::Head) => Method::HEAD,
            Ok(Verb::Put) => Method::PUT,
            Ok(Verb::Delete) => Method::DELETE,
            Ok(Verb::Options) => Method::OPTIONS,
            Ok(Verb::Patch) => Method::PATCH,
            Ok(Verb::None | Verb::Post | Verb::Connect | Verb::Trace) | Err(_) => Method::POST,
        };
        let query = match extension.querystring.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("/{}{query}", message.method.trim_start_matches('/')));
        if !message.content_type.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, message.content_type);
        }
        if let Some(trace) = trace {
            request = request.header("traceparent", trace);
        }
        let body = message.data.map(|any| any.value).unwrap_or_default();
        let request = request.body(Bytes::from(body)).map_err(|error| Fault::malformed(error.to_string()))?;
        let answer = self.runtime.invoke(&id, request).await?;
        let content_type = answer.headers.get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        if !answer.status.is_success() {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(Fault::new("ERR_DIRECT_INVOKE", answer.status.as_u16(), code(answer.status), body));
        }
        let data = prost_types::Any { type_url: String::new(), value: answer.body.into() };
        Ok(InvokeResponse { data: Some(data), content_type })
    }

    pub(super) async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<GetSecretResponse, Fault> {
        let GetSecretRequest { store_name, key, .. } = request.into_inner();
        let data = self.runtime.secret(&store_name, &key)?.into_iter().collect();
        Ok(GetSecretResponse { data })
    }

    pub(super) async fn get_bulk_secret(
        &self,
        request: Request<GetBulkSecretRequest>,
    ) -> Result<GetBulkSecretResponse, Fault> {
        let found = self.runtime.secrets(&request.into_inner().store_name)?;
        let data = found
            .into_iter()
            .map(|(name, secret)| (name, SecretResponse { secrets: secret.into_iter().collect() }));
        Ok(GetBulkSecretResponse { data: data.collect() })
    }

    pub(super) async fn set_metadata(&self, request: Request<SetMetadataRequest>) -> Result<(), Fault> {
        let SetMetadataRequest { key, value } = request.into_inner();
        self.runtime.set_metadata(&key, value)
    }

    pub(super) async fn get_metadata(
        &self,
        _request: Request<GetMetadataRequest>,
    ) -> Result<GetMetadataResponse, Fault> {
        let runtime = &self.runtime;
        let active: Vec<ActiveActorsCount> = runtime
            .actors
            .active()
            .into_iter()
            .map(|(r#type, count)| ActiveActorsCount {
                r#type,
                count: i32::try_from(count).unwrap_or(i32::MAX),
            })
            .collect();
        let components = runtime.components.listed.iter().map(|listed| RegisteredComponents {
            name: listed.name.clone(),
            r#type: listed.kind.clone(),
            version: listed.version.clone(),
            capabilities: listed.capabilities().iter().map(|name| (*name).to_owned()).collect(),
        });
        let subscriptions = runtime.bus.subscriptions().into_iter().map(|subscription| PubsubSubscription {
            pubsub_name: subscription.pubsub,
            topic: subscription.topic,
            metadata: subscription.metadata.into_iter().collect(),
            rules: Some(PubsubSubscriptionRules {
                rules: subscription
                    .rules
                    .into_iter()
                    .map(|rule| PubsubSubscriptionRule {
                        r#match: rule.matches.unwrap_or_default(),
                        path: rule.path,
                    })
                    .collect(),
            }),
            dead_letter_topic: subscription.dead_letter.unwrap_or_default(),
            r#type: match subscription.origin {
                Origin::Declarative => PubsubSubscriptionType::Declarative,
                Origin::Programmatic => PubsubSubscriptionType::Programmatic,
                Origin::Streaming => PubsubSubscriptionType::Streaming,
            }
            .into(),
        });
        let hosting = runtime.actors.is_hosting();
        #[allow(deprecated, reason = "older SDKs read the count here")]
        Ok(GetMetadataResponse {
            id: runtime.app_id.to_string(),
            active_actors_count: active.clone(),
            registered_components: components.collect(),
            extended_metadata: runtime.extended().into_iter().collect(),
            subscriptions: subscriptions.collect(),
            app_connection_properties: runtime.app.address().map(|(host, port)| AppConnectionProperties {
                port: port.into(),
                protocol: "http".to_owned(),
                channel_address: host,
                max_concurrency: -1,
                health: None,
            }),
            runtime_version: VERSION.to_owned(),
            actor_runtime: Some(ActorRuntime {
                runtime_status: match (runtime.is_ready(), hosting) {
                    (false, _) => actor_runtime::ActorRuntimeStatus::Initializing,
                    (true, false) => actor_runtime::ActorRuntimeStatus::Disabled,
                    (true, true) => actor_runtime::ActorRuntimeStatus::Running,
                }
                .into(),
                active_actors: active,
                host_ready: hosting,
                placement: if hosting { "placement: connected" } else { "" }.to_owned(),
            }),
            ..GetMetadataResponse::default()
        })
    }
}

/// The callee's HTTP status as a gRPC code.
fn code(status: http::StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        500 => Code::Internal,
        _ => Code::Unknown,
    }
}
