//! Query parameters.

use super::Error;
use crate::operations::{Query, query};
use axum::{
    extract::{FromRequestParts, Query as Pairs},
    response::{IntoResponse, Response},
};
use http::request::Parts;

/// The query, as a type of ours, or several.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: Query> FromRequestParts<S> for Params<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let given = Pairs::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Pairs(given) =
            given.map_err(|error| Error::bad_request("invalid_query", error.body_text()).into_response())?;
        query(&given).map(Self).map_err(|refusal| Error::from(refusal).into_response())
    }
}
