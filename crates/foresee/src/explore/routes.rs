//! The addresses of the server, and what each answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use foresee_report::Format;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::explorer::Explorer;
use super::forecast::{self, Forecast};
use super::guard::Guard;
use super::parameters::Parameters;
use super::population::Population;
use super::ranking::Ranking;
use super::refusal::Refusal;
use super::turns::Turns;
use super::view::View;
use super::{answers, faces, figure, masks, operation, page, picture};
use crate::error::input;

/// Bytes of an image that is uploaded.
const MOST_IMAGE: usize = 16 << 20;
/// An image that takes longer to arrive makes room for others.
const ARRIVE: Duration = Duration::from_secs(30);
/// Bytes of a forecast with the rounds before it.
const MOST_FORECAST: usize = 1 << 20;
/// Pixels a side of a face in the list, and of the chosen one.
const SMALL: usize = 72;
const LARGE: usize = 224;

/// What nothing else may load, and where this page may be shown.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

type Answer = std::result::Result<Response, Refusal>;

/// What all requests share.
#[derive(Clone)]
struct Shared {
    explorer: Arc<Explorer>,
    ranking: Arc<Ranking>,
    population: Arc<Population>,
    guard: Arc<Guard>,
    turns: Turns,
    /// What is to be there at once, one after the other.
    quick: Arc<Semaphore>,
    /// What may take long, one after the other.
    slow: Arc<Semaphore>,
    /// Images that arrive, one after the other.
    uploads: Arc<Semaphore>,
    /// Figures that are drawn, one after the other.
    figures: Arc<Semaphore>,
}

/// The server's addresses, with all answers computed that faces are sorted by. `guard` decides who
/// may ask. The runtime that it is served on has timers (`enable_time`).
pub fn router(explorer: Explorer, guard: Guard) -> Router {
    let ranking = Ranking::default();
    ranking.fill(&explorer);
    router_with(Arc::new(explorer), Arc::new(ranking), guard)
}

pub(super) fn router_with(explorer: Arc<Explorer>, ranking: Arc<Ranking>, guard: Guard) -> Router {
    let shared = Shared {
        explorer,
        ranking,
        population: Arc::default(),
        guard: Arc::new(guard),
        turns: Turns::default(),
        quick: Arc::new(Semaphore::new(1)),
        slow: Arc::new(Semaphore::new(1)),
        uploads: Arc::new(Semaphore::new(1)),
        figures: Arc::new(Semaphore::new(1)),
    };
    Router::new()
        .route("/", get(start))
        .route("/explore.css", get(async || text(page::STYLE, "text/css; charset=utf-8")))
        .route("/explore.js", get(async || text(page::SCRIPT, "text/javascript; charset=utf-8")))
        // Browsers ask for an icon; there is none.
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route("/api/faces", get(listed))
        .route("/api/face", get(answered))
        .route("/api/masks", get(strongest))
        .route("/api/operate", get(operated))
        .route("/api/population", get(tried))
        .route("/api/challenge", get(challenged))
        .route("/api/forecast", post(forecast))
        .route("/api/upload", post(upload))
        .route("/image/thumbnail.png", get(thumbnail))
        .route("/image/face.png", get(portrait))
        .route("/image/mask.png", get(mask))
        .route("/image/attribution.png", get(attribution))
        .route("/save/figure", get(saved_figure))
        .route("/save/numbers.csv", get(saved_numbers))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is no such address"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this address is asked in another way")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

/// Lets only those in whom the guard lets in, and says to the browser what the page may do.
async fn guarded(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let guard = &shared.guard;
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
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

fn text(text: &'static str, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn png(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/png")], bytes).into_response()
}

fn json(document: impl Serialize) -> Response {
    Json(document).into_response()
}

fn parameters(uri: &Uri) -> crate::error::Result<Parameters> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| input(format!("the link cannot be read: {e}")))?;
    Parameters::new(pairs.0)
}

impl Shared {
    fn view(&self, given: &Parameters) -> crate::error::Result<View> {
        View::read(given, self.explorer.channels())
    }

    /// Computes on a thread that may be busy, when it is its turn.
    async fn compute<T: Send + 'static>(
        &self,
        gate: &Arc<Semaphore>,
        work: impl FnOnce(&Self) -> crate::error::Result<T> + Send + 'static,
    ) -> std::result::Result<T, Refusal> {
        let failed = |what: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, what);
        let permit = gate.clone().acquire_owned().await.map_err(|e| failed(e.to_string()))?;
        let shared = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&shared);
            drop(permit);
            result
        });
        Ok(task.await.map_err(|e| failed(e.to_string()))??)
    }

    /// Computes something of the view that a request names.
    async fn of_view<T: Send + 'static>(
        &self,
        gate: &Arc<Semaphore>,
        uri: &Uri,
        work: impl FnOnce(&Self, &View) -> crate::error::Result<T> + Send + 'static,
    ) -> std::result::Result<T, Refusal> {
        let view = self.view(&parameters(uri)?)?;
        self.compute(gate, move |shared| work(shared, &view)).await
    }
}

/// The page. A link that cannot be read gives the page of a new link, which says so.
async fn start(State(shared): State<Shared>, uri: Uri) -> Answer {
    let read = parameters(&uri).and_then(|given| shared.view(&given));
    let (view, problem) = match read {
        Ok(view) => (view, None),
        Err(e) => (View::read(&Parameters::default(), shared.explorer.channels())?, Some(e)),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let problem = problem.map(|e| format!("{e:#}"));
    let page = page::page(&shared.explorer, &view, problem.as_deref())?.into_string();
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((status, kind, page).into_response())
}

async fn listed(State(shared): State<Shared>, uri: Uri) -> Answer {
    let view = shared.view(&parameters(&uri)?)?;
    Ok(json(faces::list(&shared.explorer, &shared.ranking, &view.listing)?))
}

async fn answered(State(shared): State<Shared>, uri: Uri) -> Answer {
    let work = |shared: &Shared, view: &View| answers::answers(&shared.explorer, view);
    Ok(json(shared.of_view(&shared.quick, &uri, work).await?))
}

async fn strongest(State(shared): State<Shared>, uri: Uri) -> Answer {
    let work = |shared: &Shared, view: &View| masks::strongest(&shared.explorer, view);
    Ok(json(shared.of_view(&shared.quick, &uri, work).await?))
}

fn overtaken() -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "a newer request has overtaken this one")
}

async fn operated(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "operate")?;
    let work = move |shared: &Shared, view: &View| match turn.is_overtaken() {
        true => Ok(None),
        false => operation::outcome(&shared.explorer, view).map(Some),
    };
    let outcome = shared.of_view(&shared.quick, &uri, work).await?;
    outcome.map(json).ok_or_else(overtaken)
}

async fn tried(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "population")?;
    let work = move |shared: &Shared, view: &View| {
        shared.population.effect(&shared.explorer, view, &|| turn.is_overtaken())
    };
    let effect = shared.of_view(&shared.slow, &uri, work).await?;
    effect.map(json).ok_or_else(overtaken)
}

async fn challenged(State(shared): State<Shared>, uri: Uri) -> Answer {
    let view = shared.view(&parameters(&uri)?)?;
    let seed = view.challenge.ok_or_else(|| input("challenge: give a seed"))?;
    Ok(json(forecast::asked(seed)))
}

/// The bytes of a request, if they are no more than so many.
async fn body(body: Body, most: usize) -> std::result::Result<Bytes, Refusal> {
    to_bytes(body, most).await.map_err(|_| {
        let reason = format!("the request is too long; send at most {most} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })
}

async fn forecast(State(shared): State<Shared>, uri: Uri, sent: Body) -> Answer {
    let bytes = body(sent, MOST_FORECAST).await?;
    let forecast: Forecast = serde_json::from_slice(&bytes)
        .map_err(|e| Refusal::from(input(format!("the forecast cannot be read: {e}"))))?;
    let work =
        move |shared: &Shared, view: &View| forecast::judge(&shared.explorer, view, forecast);
    Ok(json(shared.of_view(&shared.quick, &uri, work).await?))
}

#[derive(Serialize)]
struct Uploaded {
    face: String,
}

/// Keeps an image, if it can be decoded.
async fn upload(State(shared): State<Shared>, sent: Body) -> Answer {
    // Only one is held at a time; others are read when it is their turn.
    let failed = |e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}"));
    let _turn = shared.uploads.acquire().await.map_err(failed)?;
    let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the image took too long to arrive");
    let bytes = timeout(ARRIVE, body(sent, MOST_IMAGE)).await.map_err(slow)??;
    let work = move |shared: &Shared| Ok(Uploaded { face: shared.explorer.upload(&bytes)? });
    Ok(json(shared.compute(&shared.quick, work).await?))
}

async fn thumbnail(State(shared): State<Shared>, uri: Uri) -> Answer {
    Ok(png(colour(&shared, &uri, SMALL).await?))
}

async fn portrait(State(shared): State<Shared>, uri: Uri) -> Answer {
    Ok(png(colour(&shared, &uri, LARGE).await?))
}

async fn colour(shared: &Shared, uri: &Uri, size: usize) -> std::result::Result<Vec<u8>, Refusal> {
    let work = move |shared: &Shared, view: &View| {
        let face = view.face.as_ref().ok_or_else(|| input("face: name a face"))?;
        picture::in_colour(&shared.explorer.pixels(face, size)?)
    };
    shared.of_view(&shared.quick, uri, work).await
}

async fn mask(State(shared): State<Shared>, uri: Uri) -> Answer {
    let channels = shared.explorer.channels();
    let expected = format!("a channel from 0 to {}", channels - 1);
    let channel = parameters(&uri)?.number("channel", 0..channels, &expected)?;
    let channel = channel.ok_or_else(|| input(format!("channel: give {expected}")))?;
    let work =
        move |shared: &Shared, view: &View| masks::mask_picture(&shared.explorer, view, channel);
    Ok(png(shared.of_view(&shared.quick, &uri, work).await?))
}

async fn attribution(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "attribution")?;
    let work = move |shared: &Shared, view: &View| match turn.is_overtaken() {
        true => Ok(None),
        false => masks::method_picture(&shared.explorer, view).map(Some),
    };
    let picture = shared.of_view(&shared.slow, &uri, work).await?;
    picture.map(png).ok_or_else(overtaken)
}

/// Formats of the figure: TikZ is of curves only.
const FORMATS: [Format; 3] = Format::DEFAULT;

async fn saved_figure(State(shared): State<Shared>, uri: Uri) -> Answer {
    let known = FORMATS.map(Format::id);
    let one = |id: &str| Format::from_id(id).filter(|format| FORMATS.contains(format));
    let format = parameters(&uri)?.one_of("format", one, &known)?.unwrap_or(Format::Svg);
    let work = move |shared: &Shared, view: &View| figure::figure(&shared.explorer, view, format);
    let bytes = shared.of_view(&shared.figures, &uri, work).await?;
    let kind = match format {
        Format::Pdf => "application/pdf",
        Format::Png => "image/png",
        _ => "image/svg+xml",
    };
    let name = format!("attachment; filename=\"explore_changes.{}\"", format.extension());
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}

async fn saved_numbers(State(shared): State<Shared>, uri: Uri) -> Answer {
    let work = |shared: &Shared, view: &View| figure::csv(&shared.explorer, view);
    let csv = shared.of_view(&shared.quick, &uri, work).await?;
    let name = "attachment; filename=\"explore_changes.csv\"";
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, csv).into_response())
}
