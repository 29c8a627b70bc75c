//! Query parameters.

use super::Error;
use axum::{
    extract::{FromRequestParts, Query},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The query; parameters nobody knows are ignored, as proxies add some.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Error::bad_request("invalid_query", error.body_text()).into_response()),
        }
    }
}
