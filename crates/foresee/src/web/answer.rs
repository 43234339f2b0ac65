//! Short ways to answer, and the headers of every answer.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::guard::Guard;
use super::page;
use super::refusal::Refusal;

/// What a page may load (nothing from elsewhere), and where it may be shown.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What a request is answered.
pub(crate) type Answer = std::result::Result<Response, Refusal>;

pub(crate) fn text(text: &'static str, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub(crate) fn png(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/png")], bytes).into_response()
}

pub(crate) fn json(document: impl Serialize) -> Response {
    Json(document).into_response()
}

/// Works on a thread that may be busy, or wait for the disk.
pub(crate) async fn on_thread<T: Send + 'static, E: Into<Refusal> + Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(e) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())),
    }
}

/// The bytes of a request, if they are no more than so many.
pub(crate) async fn body(body: Body, most: usize) -> std::result::Result<Bytes, Refusal> {
    to_bytes(body, most).await.map_err(|_| {
        let reason = format!("the request is too long; send at most {most} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })
}

/// The router behind its guard: other addresses are refused in the same way, and every answer says
/// to the browser what the page may do.
pub(crate) fn guarded(router: Router, guard: Guard) -> Router {
    router
        .route("/page.css", get(async || text(page::STYLE, "text/css; charset=utf-8")))
        // Browsers ask for an icon; there is none.
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is no such address"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this address is asked in another way")
        })
        .layer(middleware::from_fn_with_state(Arc::new(guard), checked))
}

async fn checked(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let cookie = guard.cookie(request.uri());
    let mut response = match guard.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
