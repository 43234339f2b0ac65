//! The addresses of a study, and what each answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use foresee_celeba::display_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::choices::Shown;
use super::database::{Admission, Database, Given, Kept, Person};
use super::design::Design;
use super::materials::{FACE, Materials};
use super::page;
use super::session::{Session, Trial};
use crate::error::{Result, input};
use crate::web::{Answer, Guard, Refusal, body, cookies, guarded, json, on_thread, png, text};

/// Bytes of a request.
const MOST: usize = 1 << 14;
/// Characters of an identifier.
const MOST_NAME: usize = 128;
/// The cookie that tells a person's browser from others, before the port.
const COOKIE: &str = "foresee_person_";
/// How the name of a browser begins where a participant's would stand.
const BROWSER: &str = "browser:";
/// How long a person may stay away: 30 days in seconds.
const STAYS: u32 = 2_592_000;
/// Seconds of an answer at most: a day.
const MOST_SECONDS: f64 = 86_400.;

/// A study that is served.
pub struct Study {
    /// Its design.
    pub design: Design,
    /// Its items.
    pub materials: Materials,
    /// Its answers.
    pub database: Database,
}

/// What all requests share.
#[derive(Clone)]
struct Shared {
    study: Arc<Study>,
    /// The port, which is a part of the cookie's name: cookies do not tell ports apart.
    port: u16,
    /// What cookies end with.
    cookie_end: &'static str,
}

/// The addresses of a study. `guard` decides who may ask.
pub fn router(study: Study, guard: Guard) -> Router {
    let css = "text/css; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    let router = Router::new()
        .route("/", get(start))
        .route("/study.css", get(async move || text(page::STYLE, css)))
        .route("/jspsych.css", get(async move || text(page::JSPSYCH_STYLE, css)))
        .route("/study.js", get(async move || text(page::SCRIPT, script)))
        .route("/jspsych.js", get(async move || text(page::JSPSYCH, script)))
        .route("/api/session", get(session))
        .route("/api/consent", post(consent))
        .route("/api/answer", post(answer))
        .route("/api/withdraw", post(withdraw))
        .route("/image/face.png", get(face))
        .route("/image/explanation.png", get(explanation))
        .with_state(Shared {
            study: Arc::new(study),
            port: guard.port(),
            cookie_end: guard.cookie_end(),
        });
    guarded(router, guard)
}

/// What a person is told before agreeing, and after.
#[derive(Serialize)]
struct SessionDocument {
    title: String,
    consent: Vec<String>,
    consented: bool,
    synthetic: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
}

#[derive(Serialize)]
struct Task {
    /// Whose session it is; answers repeat it.
    session: String,
    instructions: Vec<Vec<String>>,
    trials: Vec<TrialDocument>,
    practice: usize,
    next: usize,
    finished: bool,
    code: Option<String>,
    completion_link: Option<String>,
    debriefing: Vec<String>,
    unit: &'static str,
    withdrawn: bool,
}

#[derive(Serialize)]
struct TrialDocument {
    place: usize,
    face: String,
    explanation: Option<String>,
    explanation_title: Option<&'static str>,
    operation: String,
    instruction: Option<&'static str>,
    attributes: Vec<AskedDocument>,
}

#[derive(Serialize)]
struct AskedDocument {
    name: String,
    before: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentRequest {
    identifiers: BTreeMap<String, String>,
    /// A random name that the browser keeps: who agrees twice is one person.
    #[serde(default)]
    browser: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerRequest {
    /// Of the session that the trial belongs to.
    session: String,
    place: usize,
    after: Vec<f64>,
    /// In percent.
    confidence: f64,
    seconds: f64,
}

#[derive(Serialize)]
struct AnswerDocument {
    already: bool,
    truth: Option<Vec<f64>>,
    next: usize,
    finished: bool,
    code: Option<String>,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingRequest {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceQuery {
    place: usize,
}

async fn start(State(shared): State<Shared>) -> Response {
    let page = page::page(&shared.study.design).into_string();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// Works on a thread that may wait for the disk.
async fn work<T: Send + 'static>(
    shared: Shared,
    work: impl FnOnce(&Shared) -> std::result::Result<T, Refusal> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    on_thread(move || work(&shared)).await
}

async fn read<T: DeserializeOwned>(sent: Body) -> std::result::Result<T, Refusal> {
    let bytes = body(sent, MOST).await?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Refusal::from(input(format!("the request cannot be read: {e}"))))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

impl Shared {
    /// Who is let in now.
    fn admission(&self) -> Result<Admission> {
        let design = &self.study.design;
        Ok(Admission {
            most: design.choices.most_people,
            trials: Session::new(design, 0)?.trials.len(),
            now: now(),
            patience: (3600. * design.choices.given_up_after_hours) as i64,
        })
    }

    fn cookie(&self) -> String {
        format!("{COOKIE}{}", self.port)
    }

    /// Who asks, if they agreed to take part.
    fn known(&self, headers: &HeaderMap) -> Result<Option<Person>> {
        match cookies(headers, &self.cookie()).next() {
            Some(key) => self.study.database.person(key),
            None => Ok(None),
        }
    }

    /// Who asks; refused if they have not agreed to take part, or no longer do.
    fn person(&self, headers: &HeaderMap) -> std::result::Result<Person, Refusal> {
        let refuse = |reason: &str| Refusal::new(StatusCode::FORBIDDEN, reason);
        match self.known(headers)? {
            None => Err(refuse("you have not agreed to take part: open the study's link")),
            Some(person) if person.withdrawn => Err(refuse("you have withdrawn your answers")),
            Some(person) => Ok(person),
        }
    }

    fn document(&self, person: Option<&Person>) -> Result<SessionDocument> {
        let design = &self.study.design;
        Ok(SessionDocument {
            title: design.choices.title.clone(),
            consent: design.choices.texts.consent.clone(),
            consented: person.is_some(),
            synthetic: design.synthetic,
            task: person.map(|person| self.task(person)).transpose()?,
        })
    }

    fn task(&self, person: &Person) -> Result<Task> {
        let design = &self.study.design;
        let session = Session::new(design, person.seat)?;
        let next = self.study.database.answered(person.number)?;
        let finished = next >= session.trials.len();
        let code = (finished && !person.withdrawn).then(|| person.code.clone());
        let trials = (0..session.trials.len()).map(|place| self.trial(&session, place)).collect();
        Ok(Task {
            session: person.session(),
            instructions: design.choices.texts.instructions.clone(),
            trials,
            practice: design.choices.practice,
            next,
            finished,
            completion_link: code.as_ref().and_then(|code| self.completion_link(code)),
            code,
            debriefing: design.choices.texts.debriefing.clone(),
            unit: "%",
            withdrawn: person.withdrawn,
        })
    }

    /// What tells a person from a platform apart, among the parameters of a link.
    fn participant<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Option<String> {
        let first = self.study.design.choices.identifiers.first()?;
        let mut given = given.into_iter();
        given.find(|(name, value)| *name == first && !value.is_empty()).map(|(_, v)| v.clone())
    }

    fn completion_link(&self, code: &str) -> Option<String> {
        Some(self.study.design.choices.completion_link.as_ref()?.replace("{code}", code))
    }

    fn trial(&self, session: &Session, place: usize) -> TrialDocument {
        let design = &self.study.design;
        let trial = session.trials[place];
        let item = &self.study.materials.items[trial.item()];
        let arm = design.choices.arms[session.arm];
        let is_check = trial.instruction().is_some();
        let has_picture =
            !is_check && self.study.materials.picture(trial.item(), &arm.to_string()).is_some();
        let names = design.asked_attributes.iter().map(|name| display_name(name));
        let asked =
            names.zip(&item.before).map(|(name, before)| AskedDocument { name, before: *before });
        TrialDocument {
            place,
            face: format!("/image/face.png?place={place}"),
            explanation: has_picture.then(|| format!("/image/explanation.png?place={place}")),
            explanation_title: has_picture.then(|| explained(arm.shown)),
            operation: match is_check {
                true => String::new(),
                false => design.choices.operations[item.operation].words(design.channels),
            },
            instruction: trial.instruction(),
            attributes: asked.collect(),
        }
    }

    /// The picture of one of the person's trials.
    fn picture(
        &self,
        headers: &HeaderMap,
        place: usize,
        explanation: bool,
    ) -> std::result::Result<Vec<u8>, Refusal> {
        let person = self.person(headers)?;
        let session = Session::new(&self.study.design, person.seat)?;
        let arm = self.study.design.choices.arms[session.arm].to_string();
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "there is no such picture");
        let trial = session.trials.get(place).ok_or_else(missing)?;
        let shown = if explanation { arm.as_str() } else { FACE };
        let picture = self.study.materials.picture(trial.item(), shown).ok_or_else(missing)?;
        Ok(picture.to_vec())
    }

    /// Keeps an answer; what becomes of it.
    fn keep(
        &self,
        person: &Person,
        session: &Session,
        request: AnswerRequest,
    ) -> Result<(Kept, Option<Vec<f64>>)> {
        let asked = self.study.design.asked_attributes.len();
        let Some(trial) = session.trials.get(request.place) else {
            return Err(input(format!("place: there are {} trials", session.trials.len())));
        };
        let is_percent = |v: &f64| (0. ..=100.).contains(v);
        if request.after.len() != asked || !request.after.iter().all(is_percent) {
            return Err(input(format!("after: give {asked} numbers from 0 to 100")));
        }
        if !is_percent(&request.confidence) || !(0. ..=MOST_SECONDS).contains(&request.seconds) {
            return Err(input(format!(
                "confidence is from 0 to 100, and seconds from 0 to {MOST_SECONDS}"
            )));
        }
        let given = Given {
            place: request.place,
            after: request.after.into_iter().map(f64::round).collect(),
            confidence: request.confidence / 100.,
            seconds: request.seconds,
        };
        let kept = self.study.database.answer(person.number, &given, now())?;
        let truth = match trial {
            Trial::Practice(item) if matches!(kept, Kept::Now | Kept::Before) => {
                Some(self.study.materials.items[*item].after.clone())
            }
            _ => None,
        };
        Ok((kept, truth))
    }
}

/// What a picture shows, for people who do not know the paper.
fn explained(shown: Shown) -> &'static str {
    match shown {
        Shown::Nothing => "",
        Shown::Masks => "How far the network's masks are open (darker: wider)",
        Shown::Contributions => "What parts of the network add to its answers",
        Shown::Correlation => "Which parts of the network do nearly the same",
        Shown::Attribution(_) => "Which pixels the network's answers come from",
    }
}

async fn session(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Answer {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map_err(|e| Refusal::from(input(format!("the link cannot be read: {e}"))))?;
    let document = move |shared: &Shared| {
        let participant = shared.participant(query.0.iter().map(|(name, value)| (name, value)));
        let known = shared.known(&headers)?;
        // Somebody else may have used this browser before.
        let known = known.filter(|known| participant.is_none() || known.participant == participant);
        Ok(shared.document(known.as_ref())?)
    };
    Ok(json(work(shared, document).await?))
}

async fn consent(State(shared): State<Shared>, headers: HeaderMap, sent: Body) -> Answer {
    let request: ConsentRequest = read(sent).await?;
    let (cookie, end) = (shared.cookie(), shared.cookie_end);
    let agree = move |shared: &Shared| -> std::result::Result<_, Refusal> {
        let participant = shared.participant(request.identifiers.iter());
        let known = shared.known(&headers)?;
        let same = |known: &Person| participant.is_none() || known.participant == participant;
        if let Some(person) = known.filter(same) {
            return Ok((shared.document(Some(&person))?, person.key));
        }
        let choices = &shared.study.design.choices;
        let kept: BTreeMap<&String, &String> = request
            .identifiers
            .iter()
            .filter(|(name, _)| choices.identifiers.contains(name))
            .collect();
        if kept.values().any(|value| value.is_empty() || value.len() > MOST_NAME) {
            return Err(input("an identifier has 1 to 128 characters").into());
        }
        let is_name = |c: char| c.is_ascii_hexdigit();
        let browser = &request.browser;
        let by_browser = (browser.len() == 32 && browser.chars().all(is_name))
            .then(|| format!("{BROWSER}{browser}"));
        let participant = participant.or(by_browser);
        let identifiers = serde_json::to_string(&kept).map_err(anyhow::Error::from)?;
        let (name, code) = (participant.as_deref(), &choices.completion_code);
        let admission = shared.admission()?;
        let admitted = shared.study.database.admit(name, &identifiers, code, admission)?;
        let person = admitted.ok_or_else(|| {
            let reason = "enough people have taken part: thank you, and sorry";
            Refusal::new(StatusCode::GONE, reason)
        })?;
        Ok((shared.document(Some(&person))?, person.key))
    };
    let (document, key) = work(shared, agree).await?;
    let mut response = json(document);
    let set = |key| format!("{cookie}={key}; Path=/; HttpOnly; SameSite=Lax; Max-Age={STAYS}{end}");
    if let Some(Ok(value)) = key.map(set).map(|text| HeaderValue::from_str(&text)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, sent: Body) -> Answer {
    let request: AnswerRequest = read(sent).await?;
    let keep = move |shared: &Shared| -> std::result::Result<_, Refusal> {
        let person = shared.person(&headers)?;
        if request.session != person.session() {
            let reason = "this trial belongs to another session";
            return Err(Refusal::new(StatusCode::CONFLICT, reason));
        }
        let session = Session::new(&shared.study.design, person.seat)?;
        let (kept, truth) = shared.keep(&person, &session, request)?;
        if kept == Kept::Withdrawn {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "you have withdrawn your answers"));
        }
        if kept == Kept::TooEarly {
            let reason = "an earlier picture is not answered yet";
            return Err(Refusal::new(StatusCode::CONFLICT, reason));
        }
        let next = shared.study.database.answered(person.number)?;
        let finished = next >= session.trials.len();
        let code = finished.then_some(person.code);
        let already = kept == Kept::Before;
        Ok(AnswerDocument { already, truth, next, finished, code })
    };
    Ok(json(work(shared, keep).await?))
}

async fn withdraw(State(shared): State<Shared>, headers: HeaderMap, sent: Body) -> Answer {
    let NothingRequest {} = read(sent).await?;
    let withdraw = move |shared: &Shared| -> std::result::Result<_, Refusal> {
        let person = shared.person(&headers)?;
        shared.study.database.withdraw(person.number)?;
        Ok(Nothing {})
    };
    Ok(json(work(shared, withdraw).await?))
}

fn place(uri: &Uri) -> std::result::Result<usize, Refusal> {
    let query = Query::<PlaceQuery>::try_from_uri(uri)
        .map_err(|e| Refusal::from(input(format!("place: {e}"))))?;
    Ok(query.place)
}

async fn face(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Answer {
    let place = place(&uri)?;
    Ok(png(work(shared, move |shared| shared.picture(&headers, place, false)).await?))
}

async fn explanation(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Answer {
    let place = place(&uri)?;
    Ok(png(work(shared, move |shared| shared.picture(&headers, place, true)).await?))
}
