//! What is answered to a request that is not served: a status, and a reason as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::is_input;

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub reason: String,
}

#[derive(Serialize)]
struct Document<'a> {
    error: &'a str,
}

impl Refusal {
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl From<anyhow::Error> for Refusal {
    /// What the user can mend is a bad request; anything else is the server's own failure.
    fn from(e: anyhow::Error) -> Self {
        let status = match is_input(&e) {
            true => StatusCode::BAD_REQUEST,
            false => {
                tracing::error!("{e:#}");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, format!("{e:#}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Document { error: &self.reason })).into_response()
    }
}
