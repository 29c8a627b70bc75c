//! Query parameters and pages: `limit`, `cursor`, `next`.

use super::Error;
use axum::{
    extract::{FromRequestParts, Query},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Items of a page unless the caller says otherwise.
const DEFAULT: u32 = 100;
const MOST: u32 = 1000;

/// The query; parameters nobody knows are ignored, as proxies add some.
pub struct Params<T>(pub T);

/// What of a list is asked for.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    limit: Option<u32>,
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Items<T> {
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
}

// === impl Page ===

impl Page {
    pub fn limit(&self) -> Result<u32, Error> {
        match self.limit {
            None => Ok(DEFAULT),
            Some(limit @ 1..=MOST) => Ok(limit),
            Some(_) => Err(Error::bad_request("invalid_query", format!("limit is between 1 and {MOST}"))),
        }
    }

    /// Returns the cursor of a list whose places are numbers; 0 without one.
    pub fn place(&self) -> Result<u64, Error> {
        self.cursor.as_deref().map_or(Ok(0), |cursor| {
            cursor.parse().map_err(|_| Error::bad_request("invalid_cursor", "this is no cursor of this list"))
        })
    }

    /// Returns the cursor of a list whose places are ids.
    pub fn after(&self) -> Result<Option<&str>, Error> {
        match self.cursor.as_deref() {
            Some(cursor) if !callboard_core::id::is_id(cursor) => {
                Err(Error::bad_request("invalid_cursor", "this is no cursor of this list"))
            }
            cursor => Ok(cursor),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Error::bad_request("invalid_query", error.body_text()).into_response()),
        }
    }
}

/// Cuts a list read one item too long into a page.
pub fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(id);
    (items, next)
}
