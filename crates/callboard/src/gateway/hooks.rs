//! `/hooks/{project}/{trigger}`: what webhooks are sent to. It is for everybody; who may is told by what a delivery is signed with.

use super::{Error, Gateway, body, limits::Place};
use crate::{
    operations::{Delivered, DeliveredView, Refusal, Trace, now},
    triggers::webhook::Delivery,
};
use axum::{
    Extension, Json,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use callboard_catalog::{AuditEntry, Refused};
use callboard_core::id::{ProjectId, TriggerId};
use callboard_listener::Peer;
use http::{HeaderMap, StatusCode};

/// `POST /hooks/{project}/{trigger}`.
pub async fn deliver(
    State(gateway): State<Gateway>,
    trace: Trace,
    Extension(place): Extension<Place>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let body = body::bytes(body, &parts.headers, body::CALL).await?;
    let delivery = Delivery { headers: headers(&parts.headers), body };
    let named = path
        .ok()
        .and_then(|Path((of, id))| Some((of.parse::<ProjectId>().ok()?, id.parse::<TriggerId>().ok()?)));
    let Some((of, trigger)) = named else {
        return Err(Error::not_found("trigger", "of this id"));
    };
    let delivered = gateway.operations.deliver(&trace, &of, &trigger, delivery).await;
    let delivered = delivered.inspect_err(|refusal| refused(&gateway, parts.extensions.get(), refusal))?;
    let (started, wait) = match delivered {
        Delivered::Skipped => {
            return Ok((StatusCode::ACCEPTED, Json(DeliveredView::skipped())).into_response());
        }
        Delivered::Started { started, wait } => (started, wait),
    };
    match wait {
        None => Ok((StatusCode::ACCEPTED, Json(DeliveredView::begun(&started))).into_response()),
        Some(wait) => {
            let _place = place.lasting()?;
            let run = gateway.operations.end_of(&trace, started, wait).await?;
            Ok(Json(DeliveredView::waited(run)).into_response())
        }
    }
}

/// Returns headers as texts; of several with one name the first.
fn headers(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let texts = headers.keys().filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)));
    texts.map(|(name, text)| (name.as_str().to_owned(), text.trim().to_owned())).collect()
}

/// Writes down that somebody has sent what nobody of ours has signed, or to nowhere.
fn refused(gateway: &Gateway, peer: Option<&Peer>, refusal: &Refusal) {
    if refusal.code != "unknown_trigger" {
        return;
    }
    let source = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string());
    gateway.operations.access.trail().record(AuditEntry {
        at: now(),
        project: ProjectId::DEFAULT,
        subject: "unknown".into(),
        via: "none".into(),
        route: "POST /hooks/{project}/{trigger}".into(),
        object: None,
        before: None,
        after: None,
        refused: Some(Refused { code: refusal.code.to_string(), source }),
    });
}
