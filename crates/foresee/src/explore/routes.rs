//! The addresses of the server, and what each answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use foresee_report::Format;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::forecast::{self, Forecast};
use super::parameters::Parameters;
use super::population::Population;
use super::ranking::Ranking;
use super::turns::Turns;
use super::view::View;
use super::{answers, faces, figure, masks, outcome, page};
use crate::error::input;
use crate::operate::{Opened, in_colour};
use crate::web::{Answer, Guard, Refusal, body, guarded, json, on_thread, png, text};

/// Bytes of an image that is uploaded.
const MOST_IMAGE: usize = 16 << 20;
/// An image that takes longer to arrive makes room for others.
const ARRIVE: Duration = Duration::from_secs(30);
/// Bytes of a forecast with the rounds before it.
const MOST_FORECAST: usize = 1 << 20;
/// Pixels a side of a face in the list, and of the chosen one.
const SMALL: usize = 72;
const LARGE: usize = 224;

/// What all requests share.
#[derive(Clone)]
struct Shared {
    opened: Arc<Opened>,
    ranking: Arc<Ranking>,
    population: Arc<Population>,
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
pub fn router(opened: Opened, guard: Guard) -> Router {
    let ranking = Ranking::default();
    ranking.fill(&opened);
    router_with(Arc::new(opened), Arc::new(ranking), guard)
}

pub(super) fn router_with(opened: Arc<Opened>, ranking: Arc<Ranking>, guard: Guard) -> Router {
    let shared = Shared {
        opened,
        ranking,
        population: Arc::default(),
        turns: Turns::default(),
        quick: Arc::new(Semaphore::new(1)),
        slow: Arc::new(Semaphore::new(1)),
        uploads: Arc::new(Semaphore::new(1)),
        figures: Arc::new(Semaphore::new(1)),
    };
    let router = Router::new()
        .route("/", get(start))
        .route("/explore.css", get(async || text(page::STYLE, "text/css; charset=utf-8")))
        .route("/explore.js", get(async || text(page::SCRIPT, "text/javascript; charset=utf-8")))
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
        .with_state(shared);
    guarded(router, guard)
}

fn parameters(uri: &Uri) -> crate::error::Result<Parameters> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| input(format!("the link cannot be read: {e}")))?;
    Parameters::new(pairs.0)
}

impl Shared {
    fn view(&self, given: &Parameters) -> crate::error::Result<View> {
        View::read(given, self.opened.channels())
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
        on_thread(move || {
            let result = work(&shared);
            drop(permit);
            result
        })
        .await
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

/// The page. A link that cannot be read, or that names a face that is not here, gives the page of a
/// new link, which says so.
async fn start(State(shared): State<Shared>, uri: Uri) -> Answer {
    let read = parameters(&uri).and_then(|given| {
        let view = shared.view(&given)?;
        view.face.as_ref().map_or(Ok(()), |face| shared.opened.check_face(face))?;
        Ok(view)
    });
    let (view, problem) = match read {
        Ok(view) => (view, None),
        Err(e) => (View::read(&Parameters::default(), shared.opened.channels())?, Some(e)),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let problem = problem.map(|e| format!("{e:#}"));
    let page = page::page(&shared.opened, &view, problem.as_deref())?.into_string();
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((status, kind, page).into_response())
}

async fn listed(State(shared): State<Shared>, uri: Uri) -> Answer {
    let view = shared.view(&parameters(&uri)?)?;
    Ok(json(faces::list(&shared.opened, &shared.ranking, &view.listing)?))
}

async fn answered(State(shared): State<Shared>, uri: Uri) -> Answer {
    let work = |shared: &Shared, view: &View| answers::answers(&shared.opened, view);
    Ok(json(shared.of_view(&shared.quick, &uri, work).await?))
}

async fn strongest(State(shared): State<Shared>, uri: Uri) -> Answer {
    let work = |shared: &Shared, view: &View| masks::strongest(&shared.opened, view);
    Ok(json(shared.of_view(&shared.quick, &uri, work).await?))
}

fn overtaken() -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "a newer request has replaced this one")
}

async fn operated(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "operate")?;
    let work = move |shared: &Shared, view: &View| match turn.is_overtaken() {
        true => Ok(None),
        false => outcome::outcome(&shared.opened, view).map(Some),
    };
    let outcome = shared.of_view(&shared.quick, &uri, work).await?;
    outcome.map(json).ok_or_else(overtaken)
}

async fn tried(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "population")?;
    let work = move |shared: &Shared, view: &View| {
        shared.population.effect(&shared.opened, view, &|| turn.is_overtaken())
    };
    let effect = shared.of_view(&shared.slow, &uri, work).await?;
    effect.map(json).ok_or_else(overtaken)
}

async fn challenged(State(shared): State<Shared>, uri: Uri) -> Answer {
    let view = shared.view(&parameters(&uri)?)?;
    let seed = view.challenge.ok_or_else(|| input("challenge: give a seed"))?;
    Ok(json(forecast::asked(seed)))
}

async fn forecast(State(shared): State<Shared>, uri: Uri, sent: Body) -> Answer {
    let bytes = body(sent, MOST_FORECAST).await?;
    let forecast: Forecast = serde_json::from_slice(&bytes)
        .map_err(|e| Refusal::from(input(format!("the forecast cannot be read: {e}"))))?;
    let work = move |shared: &Shared, view: &View| forecast::judge(&shared.opened, view, forecast);
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
    let work = move |shared: &Shared| Ok(Uploaded { face: shared.opened.upload(&bytes)? });
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
        in_colour(&shared.opened.pixels(face, size)?)
    };
    shared.of_view(&shared.quick, uri, work).await
}

async fn mask(State(shared): State<Shared>, uri: Uri) -> Answer {
    let channels = shared.opened.channels();
    let expected = format!("a channel from 0 to {}", channels - 1);
    let channel = parameters(&uri)?.number("channel", 0..channels, &expected)?;
    let channel = channel.ok_or_else(|| input(format!("channel: give {expected}")))?;
    let work =
        move |shared: &Shared, view: &View| masks::mask_picture(&shared.opened, view, channel);
    Ok(png(shared.of_view(&shared.quick, &uri, work).await?))
}

async fn attribution(State(shared): State<Shared>, uri: Uri) -> Answer {
    let turn = shared.turns.begin(&parameters(&uri)?, "attribution")?;
    let work = move |shared: &Shared, view: &View| match turn.is_overtaken() {
        true => Ok(None),
        false => masks::method_picture(&shared.opened, view).map(Some),
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
    let work = move |shared: &Shared, view: &View| figure::figure(&shared.opened, view, format);
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
    let work = |shared: &Shared, view: &View| figure::csv(&shared.opened, view);
    let csv = shared.of_view(&shared.quick, &uri, work).await?;
    let name = "attachment; filename=\"explore_changes.csv\"";
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, csv).into_response())
}
