//! The addresses of the server, and what each answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::Deserialize;

use super::journal::Answer as Given;
use super::labeller::Labeller;
use super::page;
use crate::error::input;
use crate::web::{Answer, Guard, Refusal, body, guarded, json, on_thread, text};

/// Bytes of an answer.
const MOST_ANSWER: usize = 1 << 12;

type Shared = State<Arc<Labeller>>;

/// The server's addresses. `guard` decides who may ask.
pub fn router(labeller: Arc<Labeller>, guard: Guard) -> Router {
    let router = Router::new()
        .route("/", get(start))
        .route("/label.css", get(async || text(page::STYLE, "text/css; charset=utf-8")))
        .route("/label.js", get(async || text(page::SCRIPT, "text/javascript; charset=utf-8")))
        .route("/api/state", get(state))
        .route("/api/answer", post(answer))
        .route("/api/undo", post(undo))
        .route("/image", get(image))
        .route("/labels.csv", get(labels))
        .with_state(labeller);
    guarded(router, guard)
}

/// Does work that waits for the disk on a thread that may wait.
async fn wait<T: Send + 'static>(
    labeller: &Arc<Labeller>,
    work: impl FnOnce(&Labeller) -> crate::error::Result<T> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    let labeller = labeller.clone();
    on_thread(move || work(&labeller)).await
}

async fn start(State(labeller): Shared) -> Answer {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((kind, page::page(&labeller).into_string()).into_response())
}

async fn state(State(labeller): Shared) -> Answer {
    Ok(json(wait(&labeller, |labeller| Ok(labeller.view())).await?))
}

#[derive(Deserialize)]
struct Sent {
    face: usize,
    attribute: String,
    answer: Given,
}

async fn answer(State(labeller): Shared, sent: Body) -> Answer {
    let bytes = body(sent, MOST_ANSWER).await?;
    let Sent { face, attribute, answer } = serde_json::from_slice(&bytes)
        .map_err(|e| Refusal::from(input(format!("the answer cannot be read: {e}"))))?;
    let work = move |labeller: &Labeller| {
        let is_kept = labeller.answer(face, &attribute, answer)?;
        Ok(is_kept.then(|| labeller.view()))
    };
    wait(&labeller, work).await?.map(json).ok_or_else(|| {
        Refusal::new(StatusCode::CONFLICT, "another question is open by now; nothing was kept")
    })
}

async fn undo(State(labeller): Shared) -> Answer {
    let work = |labeller: &Labeller| Ok(labeller.undo()?.then(|| labeller.view()));
    wait(&labeller, work)
        .await?
        .map(json)
        .ok_or_else(|| Refusal::new(StatusCode::CONFLICT, "there is no answer to take back"))
}

#[derive(Deserialize)]
struct Shown {
    face: usize,
}

async fn image(State(labeller): Shared, uri: Uri) -> Answer {
    let Query(Shown { face }) = Query::try_from_uri(&uri)
        .map_err(|e| Refusal::from(input(format!("the link cannot be read: {e}"))))?;
    let bytes = wait(&labeller, move |labeller| labeller.image(face)).await?;
    let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

async fn labels(State(labeller): Shared) -> Answer {
    let csv = wait(&labeller, |labeller| Ok(labeller.csv())).await?;
    let name = "attachment; filename=\"labels.csv\"";
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, csv).into_response())
}
