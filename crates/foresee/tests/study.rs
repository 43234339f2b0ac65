//! `foresee study`: a design, people who answer through the router, and the scores of it.

#[path = "support/folders.rs"]
mod folders;
mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use foresee::studies::people::{Database, Design, Materials, Study, router};
use foresee::web::Guard;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use support::{Answer, AnyResult, HOST, Server, foresee, run_folder};
use tempfile::TempDir;
use tower::ServiceExt;

const CHOICES: &str = r#"
arms = ["none", "contributions", "shuffled_contributions"]
faces = 4
asked = 3
trials = 4
practice = 1
checks = 1
resamples = 50
least_change = 0.0
most_people = 100000
identifiers = ["PROLIFIC_PID", "STUDY_ID"]
completion_link = "https://example.org/complete?cc={code}"
operations = [
    { kind = "prune", rule = "random", share = 0.5 },
    { kind = "tone_curve", n = 3.0, beta = 0.0 },
]
"#;

/// A study on the run, which tests copy.
fn made() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let run = run_folder().display().to_string();
        std::fs::write(path("choices.toml"), CHOICES).expect("choices");
        let new = ["study", "new", "--run", &run, "--out", &path("study")];
        let choices = path("choices.toml");
        foresee(&[&new[..], &["--choices", &choices]].concat()).expect("a study");
        folder
    });
    folder.path()
}

/// A study of its own.
fn study() -> AnyResult<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let study = folder.path().join("study");
    folders::copy(&made().join("study"), &study)?;
    Ok((folder, study))
}

/// The server of a study.
fn start(study: &Path) -> AnyResult<Server> {
    let (design, hash) = Design::read(study)?;
    let materials = Materials::read(study, &design)?;
    let database = Database::open(study, &hash, false)?;
    let guard = Guard::new(HOST.parse()?)?;
    Server::new(router(Study { design, materials, database }, guard))
}

fn post(server: &Server, address: &str, cookie: &str, document: &Value) -> AnyResult<Answer> {
    server.post_as(cookie, address, document.to_string())
}

/// Agrees to take part; the cookie and the session.
fn agree(server: &Server, identifiers: &Value) -> AnyResult<(String, Value)> {
    let reply = post(server, "/api/consent", "", &json!({ "identifiers": identifiers }))?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let cookie = reply.headers["set-cookie"].to_str()?.to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    Ok((cookie, reply.json()?))
}

fn answer(session: &Value, place: usize, after: [f64; 3]) -> Value {
    let session = &session["session"];
    json!({
        "session": session, "place": place, "after": after, "confidence": 60, "seconds": 9.5
    })
}

/// What an attentive person answers to a trial.
fn attentive(session: &Value, trial: &Value, place: usize) -> Value {
    let instruction = trial["instruction"].as_str().unwrap_or_default();
    let end = if instruction.contains("100 %") { 100. } else { 0. };
    match instruction.is_empty() {
        true => answer(session, place, [80., 10. + place as f64, 50.]),
        false => answer(session, place, [end; 3]),
    }
}

/// Answers everything; the code.
fn finish(server: &Server, cookie: &str, session: &Value) -> AnyResult<String> {
    let trials = session["trials"].as_array().ok_or("trials")?;
    let mut code = None;
    for (place, trial) in trials.iter().enumerate() {
        let reply = post(server, "/api/answer", cookie, &attentive(session, trial, place))?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let reply = reply.json()?;
        assert_eq!(reply["next"], place + 1);
        // Only practice tells what happened.
        assert_eq!(reply["truth"].is_array(), place == 0, "{place}");
        code = reply["code"].as_str().map(str::to_owned);
        assert_eq!(code.is_some(), place + 1 == trials.len());
    }
    Ok(code.ok_or("a code")?)
}

#[test]
fn a_whole_study_from_design_to_scores() -> AnyResult {
    let (_folder, study) = study()?;
    let server = start(&study)?;
    let before = server.get("/api/session")?.json()?;
    assert_eq!(before["consented"], false);
    assert!(before.get("trials").is_none(), "nothing is asked before consent");
    let mut codes = BTreeSet::new();
    for person in 0..6 {
        let (cookie, session) =
            agree(&server, &json!({ "PROLIFIC_PID": format!("P{person}"), "workerId": "no" }))?;
        assert_eq!(session["trials"].as_array().map(Vec::len), Some(6));
        assert_eq!(session["synthetic"], true);
        codes.insert(finish(&server, &cookie, &session)?);
        let after = server.get_as(&cookie, "/api/session")?.json()?;
        let link = after["completion_link"].as_str().unwrap_or_default();
        assert!(link.starts_with("https://example.org/complete?cc="), "{link}");
    }
    assert_eq!(codes.len(), 6);
    drop(server);
    let shown = study.display().to_string();
    foresee(&["study", "score", &shown])?;
    let page = std::fs::read_to_string(study.join("report.html"))?;
    assert!(page.contains("A study with people: ") && !page.contains("SIMULATED PEOPLE"));
    let answers = std::fs::read_to_string(study.join("data/answers.csv"))?;
    assert_eq!(answers.lines().count(), 1 + 6 * 6 * 3);
    for secret in ["P0", "workerId", codes.first().ok_or("a code")?.as_str()] {
        let files = ["answers", "people", "scores", "codebook"];
        for file in files.map(|file| study.join(format!("data/{file}.csv"))) {
            assert!(!std::fs::read_to_string(&file)?.contains(secret), "{file:?} tells {secret}");
        }
    }
    direction_by_hand(&study, &answers)
}

/// The score of the directions, computed anew from the published answers.
fn direction_by_hand(study: &Path, answers: &str) -> AnyResult {
    let mut lines = answers.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().ok_or("a head")?;
    let column = |name: &str| head.iter().position(|column| *column == name).ok_or("a column");
    let (person, trial) = (column("person")?, column("trial")?);
    let numbers = [column("before")?, column("after")?, column("forecast")?];
    let mut people = [(0., 0.); 6];
    for row in lines.filter(|row| row[trial] == "counted") {
        let value = |i: usize| row[numbers[i]].parse::<f64>();
        let (before, after, forecast) = (value(0)?, value(1)?, value(2)?);
        if after == before {
            continue;
        }
        let sums = &mut people[row[person].parse::<usize>()?];
        sums.1 += 1.;
        sums.0 += match forecast == before.round() {
            true => 0.5,
            false => f64::from(u8::from((after > before) == (forecast > before.round()))),
        };
    }
    let shares = people.iter().filter(|(_, count)| *count > 0.).map(|(right, count)| right / count);
    let shares: Vec<f64> = shares.collect();
    let expected = shares.iter().sum::<f64>() / shares.len() as f64;
    let scores = std::fs::read_to_string(study.join("data/scores.csv"))?;
    let row = scores.lines().find(|line| line.starts_with("everybody,everybody,direction,"));
    let found = row.and_then(|row| row.split(',').nth(3)).ok_or("a score")?;
    assert_eq!(shares.len(), 6, "every person saw a change");
    assert!((found.parse::<f64>()? - expected).abs() < 1e-9, "{found} {expected}");
    Ok(())
}

#[test]
fn nothing_is_counted_twice_and_nothing_out_of_turn() -> AnyResult {
    let (_folder, study) = study()?;
    let server = start(&study)?;
    let (cookie, session) = agree(&server, &json!({ "PROLIFIC_PID": "P" }))?;
    let early = post(&server, "/api/answer", &cookie, &answer(&session, 2, [1.; 3]))?;
    assert_eq!(early.status, StatusCode::CONFLICT);
    let first = post(&server, "/api/answer", &cookie, &answer(&session, 0, [1.; 3]))?.json()?;
    assert_eq!((&first["already"], &first["next"]), (&json!(false), &json!(1)));
    let again = post(&server, "/api/answer", &cookie, &answer(&session, 0, [2.; 3]))?.json()?;
    assert_eq!((&again["already"], &again["next"]), (&json!(true), &json!(1)));
    // Another browser of the same participant goes on where this one is.
    let (other, resumed) = agree(&server, &json!({ "PROLIFIC_PID": "P" }))?;
    assert_eq!((&other, &resumed["next"]), (&cookie, &json!(1)));
    assert_eq!(resumed["trials"], session["trials"]);
    // So does a server that is started anew.
    drop(server);
    let server = start(&study)?;
    assert_eq!(server.get_as(&cookie, "/api/session")?.json()?["next"], 1);
    for wrong in [
        json!({ "place": 1, "after": [1, 2], "confidence": 60, "seconds": 1 }),
        json!({ "place": 1, "after": [1, 2, 101], "confidence": 60, "seconds": 1 }),
        json!({ "place": 1, "after": [1, 2, 3], "confidence": -1, "seconds": 1 }),
        json!({ "place": 1, "after": [1, 2, 3], "confidence": 60, "seconds": 1e9 }),
        json!({ "place": 99, "after": [1, 2, 3], "confidence": 60, "seconds": 1 }),
        json!({ "place": 1, "after": [1, 2, 3], "confidence": 60, "seconds": 1, "arm": 2 }),
        json!([]),
    ] {
        let mut wrong = wrong;
        if let Some(fields) = wrong.as_object_mut() {
            fields.insert("session".into(), session["session"].clone());
        }
        let reply = post(&server, "/api/answer", &cookie, &wrong)?;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // Another participant at the same browser is somebody else.
    let link = "/api/session?PROLIFIC_PID=Q";
    assert_eq!(server.get_as(&cookie, link)?.json()?["consented"], false);
    let (other, others) = agree(&server, &json!({ "PROLIFIC_PID": "Q" }))?;
    assert!(other != cookie && others["next"] == 0);
    let mixed = post(&server, "/api/answer", &other, &answer(&session, 0, [1.; 3]))?;
    assert_eq!(mixed.status, StatusCode::CONFLICT, "a trial of another session");
    // Who agrees twice because an answer got lost is one person.
    let twice = json!({ "identifiers": {}, "browser": "0123456789abcdef0123456789abcdef" });
    let [first, second] = [(); 2].map(|()| post(&server, "/api/consent", "", &twice));
    assert_eq!(first?.headers["set-cookie"], second?.headers["set-cookie"]);
    // Faces and explanations are each person's own.
    assert_eq!(server.get("/image/face.png?place=0")?.status, StatusCode::FORBIDDEN);
    let face = server.get_as(&cookie, "/image/face.png?place=0")?;
    assert!(face.body.starts_with(b"\x89PNG"));
    for trial in session["trials"].as_array().ok_or("trials")? {
        if let Some(address) = trial["explanation"].as_str() {
            assert!(server.get_as(&cookie, address)?.body.starts_with(b"\x89PNG"));
        }
    }
    Ok(())
}

#[test]
fn who_withdraws_is_forgotten() -> AnyResult {
    let (_folder, study) = study()?;
    let server = start(&study)?;
    let (cookie, session) = agree(&server, &json!({ "PROLIFIC_PID": "Somebody" }))?;
    finish(&server, &cookie, &session)?;
    let (second, session) = agree(&server, &json!({}))?;
    finish(&server, &second, &session)?;
    assert_eq!(post(&server, "/api/withdraw", &cookie, &json!({}))?.status, StatusCode::OK);
    let after = server.get_as(&cookie, "/api/session")?.json()?;
    assert_eq!((&after["withdrawn"], &after["code"]), (&json!(true), &Value::Null));
    let refused = post(&server, "/api/answer", &cookie, &answer(&session, 0, [1.; 3]))?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    drop(server);
    foresee(&["study", "score", &study.display().to_string()])?;
    let people = std::fs::read_to_string(study.join("data/people.csv"))?;
    assert!(people.lines().nth(1).is_some_and(|row| row.starts_with("0,")), "{people}");
    let answers = std::fs::read_to_string(study.join("data/answers.csv"))?;
    assert!(answers.lines().skip(1).all(|row| row.starts_with("1,")));
    // One person has no spread.
    let scores = std::fs::read_to_string(study.join("data/scores.csv"))?;
    let row = scores.lines().find(|row| row.starts_with("everybody,everybody,largest,"));
    let cells: Vec<&str> = row.ok_or("a score")?.split(',').collect();
    assert!(cells[4].is_empty() || cells[4] == "NaN", "{cells:?}");
    Ok(())
}

#[test]
fn simulated_people_are_marked_and_kept_apart() -> AnyResult {
    let (_folder, study) = study()?;
    let shown = study.display().to_string();
    foresee(&["study", "simulate", &shown, "--people", "12"])?;
    foresee(&["study", "score", &shown, "--simulated"])?;
    assert!(foresee(&["study", "score", &shown]).is_err(), "no person has answered");
    let page = std::fs::read_to_string(study.join("simulated/report.html"))?;
    assert!(page.contains("(SIMULATED PEOPLE)"));
    for file in ["figures/people_scores.svg", "tables/people_scores.md"] {
        let text = std::fs::read_to_string(study.join("simulated").join(file))?;
        assert!(text.contains("SIMULATED PEOPLE"), "{file}");
    }
    for file in ["scores", "contrasts", "calibration", "answers", "people", "codebook"] {
        let csv = std::fs::read_to_string(study.join(format!("simulated/data/{file}.csv")))?;
        assert!(csv.lines().skip(1).all(|row| row.contains("simulated people, synthetic")));
    }
    let plan = ["study", "plan", &shown, "--people", "4,8", "--studies", "5"];
    foresee(&plan)?;
    assert!(std::fs::read_to_string(study.join("data/power.csv"))?.contains("simulated people"));
    Ok(())
}

#[test]
fn a_design_stands_once_somebody_has_agreed() -> AnyResult {
    let (_folder, study) = study()?;
    let edit = |from: &str, to: &str| -> AnyResult {
        let file = study.join("design.toml");
        let text = std::fs::read_to_string(&file)?;
        assert!(text.contains(from));
        Ok(std::fs::write(&file, text.replacen(from, to, 1))?)
    };
    start(&study)?;
    edit("voluntary", "free")?;
    agree(&start(&study)?, &json!({}))?;
    edit("free", "voluntary")?;
    let error = start(&study).err().ok_or("a changed design is refused")?.to_string();
    assert!(error.contains("answers to another design"), "{error}");
    edit("voluntary", "free")?;
    start(&study)?;
    let shown = study.display().to_string();
    let run = run_folder().display().to_string();
    let again = ["study", "new", "--run", &run, "--out", &shown, "--overwrite"];
    assert!(foresee(&again).is_err(), "answers are never overwritten");
    // Materials that were touched are refused.
    let items = study.join("data/items.csv");
    let text = std::fs::read_to_string(&items)?;
    std::fs::write(&items, text.replacen(",0,", ",1,", 1))?;
    assert!(start(&study).is_err());
    Ok(())
}

#[test]
fn many_people_at_once_are_balanced() -> AnyResult {
    let (_folder, study) = study()?;
    let server = start(&study)?;
    const PEOPLE: usize = 60;
    let statuses: Vec<StatusCode> = server.runtime.block_on(async {
        let person = |number: usize| {
            let router = server.router.clone();
            tokio::spawn(async move {
                let send = |address: &str, cookie: &str, document: Value| {
                    let request =
                        Request::post(address).header("host", HOST).header("cookie", cookie);
                    let request = request.body(Body::from(document.to_string()));
                    router.clone().oneshot(request.expect("a request"))
                };
                let identifiers = json!({ "PROLIFIC_PID": format!("P{number}") });
                let agreed = send("/api/consent", "", json!({ "identifiers": identifiers }));
                let agreed = agreed.await.expect("an answer");
                let cookie = agreed.headers()["set-cookie"].to_str().expect("text").to_owned();
                let mut last = agreed.status();
                let body = to_bytes(agreed.into_body(), usize::MAX).await.expect("a body");
                let session: Value = serde_json::from_slice(&body).expect("JSON");
                for place in 0..6 {
                    let document = answer(&session, place, [1., 2., 3.]);
                    last = send("/api/answer", &cookie, document).await.expect("one").status();
                }
                last
            })
        };
        let mut statuses = vec![];
        for task in (0..PEOPLE).map(person).collect::<Vec<_>>() {
            statuses.push(task.await.expect("a person"));
        }
        statuses
    });
    assert!(statuses.iter().all(|status| *status == StatusCode::OK));
    drop(server);
    let shown = study.display().to_string();
    // All fail the one attention check, and the design lets one fail.
    foresee(&["study", "score", &shown])?;
    let people = std::fs::read_to_string(study.join("data/people.csv"))?;
    for arm in ["none", "contributions", "shuffled_contributions"] {
        let rows = people.lines().filter(|row| row.split(',').nth(1) == Some(arm)).count();
        assert_eq!(rows, PEOPLE / 3, "{arm}");
    }
    Ok(())
}

/// How many requests; more by FORESEE_FUZZ.
fn requests() -> usize {
    std::env::var("FORESEE_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)
}

#[test]
fn no_request_makes_the_server_fail() -> AnyResult {
    let (_folder, study) = study()?;
    let server = start(&study)?;
    let (cookie, _) = agree(&server, &json!({}))?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..requests() {
        let request = hostile(&mut rng, &cookie)?;
        let shown = format!("{request:?}");
        let reply = server.send(request)?;
        assert!(!reply.status.is_server_error(), "{shown}: {}", reply.status);
    }
    Ok(())
}

fn hostile(rng: &mut ChaCha8Rng, cookie: &str) -> AnyResult<Request<Body>> {
    let paths = [
        "/",
        "/api/session",
        "/api/consent",
        "/api/answer",
        "/api/withdrawn",
        "/image/face.png",
        "/image/explanation.png",
        "/../design.toml",
        "/materials/",
        "/%2e%2e/answers.sqlite",
    ];
    let queries = ["", "?place=0", "?place=-1", "?place=99999999999999999999", "?place=0&place=1"];
    let bodies = [
        "",
        "{",
        "null",
        "{\"identifiers\":{}}",
        "{\"identifiers\":{\"PROLIFIC_PID\":\"\"}}",
        "{\"identifiers\":{\"PROLIFIC_PID\":\"'; DROP TABLE people; --\"}}",
        "{\"place\":0,\"after\":[1e308,0,0],\"confidence\":0,\"seconds\":0}",
        "{\"place\":18446744073709551615,\"after\":[0,0,0],\"confidence\":0,\"seconds\":0}",
        "{\"place\":0,\"after\":[0,0,0],\"confidence\":1e999,\"seconds\":0}",
        "{\"place\":0,\"after\":[0,0,0],\"confidence\":0,\"seconds\":0}",
    ];
    let pick = |all: &[&'static str], rng: &mut ChaCha8Rng| *all.choose(rng).unwrap_or(&"");
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD];
    let method = methods.choose(rng).cloned().unwrap_or_default();
    let uri = format!("{}{}", pick(&paths, rng), pick(&queries, rng));
    let cookies = [cookie, "", "foresee_person_4321=", "foresee_person_4321=' OR 1=1", ";;=;"];
    let cookie = *cookies.choose(rng).unwrap_or(&"");
    let mut body = pick(&bodies, rng).as_bytes().to_vec();
    if !body.is_empty() && rng.random_bool(0.3) {
        let at = rng.random_range(0..body.len());
        body[at] = rng.random();
    }
    if rng.random_bool(0.01) {
        body = vec![b'['; 100_000];
    }
    let host = *[HOST, HOST, HOST, "evil.example"].choose(rng).unwrap_or(&HOST);
    let request = Request::builder().method(method).uri(uri);
    Ok(request.header("host", host).header("cookie", cookie).body(body.into())?)
}

/// The program, serving.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(study: &Path) -> AnyResult<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        command.args(["study", "serve"]).arg(study);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut link = String::new();
        BufReader::new(child.stdout.take().ok_or("stdout")?).read_line(&mut link)?;
        let address = link.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Self { child, address })
    }

    /// Sends a request as bytes; the answer's text, if one came.
    fn post(&self, path: &str, cookie: &str, document: &Value) -> AnyResult<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        let (body, host) = (document.to_string(), &self.address);
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nContent-Length: \
             {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn kill(mut self) -> AnyResult {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// How often the server is killed; more by FORESEE_KILLS.
fn kills() -> usize {
    std::env::var("FORESEE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

#[test]
fn a_server_that_is_killed_loses_no_answer_that_it_confirmed() -> AnyResult {
    let (_folder, study) = study()?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut confirmed: Vec<(String, usize)> = vec![];
    let mut cookie = String::new();
    let mut session = Value::Null;
    let mut address = String::new();
    for _ in 0..kills() {
        let served = Served::start(&study)?;
        if !address.is_empty() {
            assert_eq!(served.address, address, "people find the page again");
        }
        address.clone_from(&served.address);
        let killer = std::thread::spawn({
            let wait = std::time::Duration::from_micros(rng.random_range(0..40_000));
            let pid = served.child.id() as i32;
            move || {
                std::thread::sleep(wait);
                // SAFETY: a signal to a child that is waited for below.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        loop {
            let last = confirmed.iter().rev().find(|(of, _)| *of == cookie);
            let place = last.map_or(0, |last| last.1 + 1);
            let sent = match cookie.is_empty() || place == 6 {
                true => served.post("/api/consent", "", &json!({ "identifiers": {} })),
                false => {
                    let document = answer(&session, place, [place as f64; 3]);
                    served.post("/api/answer", &cookie, &document)
                }
            };
            let Ok(reply) = sent else { break };
            if !reply.starts_with("HTTP/1.1 200") || !reply.trim_end().ends_with('}') {
                assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 200"), "{reply}");
                break;
            }
            match reply.split("set-cookie: ").nth(1) {
                Some(rest) => {
                    cookie = rest.split(';').next().unwrap_or_default().to_owned();
                    let body = reply.split("\r\n\r\n").nth(1).unwrap_or_default();
                    session = serde_json::from_str(body)?;
                }
                None => confirmed.push((cookie.clone(), place)),
            }
        }
        drop(killer.join());
        served.kill()?;
    }
    let (_, hash) = Design::read(&study)?;
    drop(Database::open(&study, &hash, false)?);
    let server = start(&study)?;
    for (cookie, place) in &confirmed {
        let key = cookie.split('=').nth(1).ok_or("a key")?;
        let session =
            server.get_as(&format!("foresee_person_4321={key}"), "/api/session")?.json()?;
        let next = session["next"].as_u64().ok_or("next")? as usize;
        assert!(next > *place, "an answer that was confirmed is lost");
    }
    println!("{} kills, {} answers confirmed, none lost", kills(), confirmed.len());
    Ok(())
}
