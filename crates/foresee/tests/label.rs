//! The server of `foresee label`, asked through its router, on synthetic faces.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use foresee::config::Config;
use foresee::label::{LabelOptions, Labeller, router};
use foresee::web::Guard;
use foresee_active::Strategy;
use foresee_celeba::{attribute_index, synthetic};
use serde_json::{Value, json};
use tower::ServiceExt;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const HOST: &str = "127.0.0.1:4321";

fn open(faces: &Path, out: &Path, attributes: &[&str]) -> AnyResult<Labeller> {
    let attributes: Vec<usize> =
        attributes.iter().map(|name| attribute_index(name)).collect::<Result<_, _>>()?;
    Ok(Labeller::open(LabelOptions {
        faces,
        out,
        attributes,
        strategy: Strategy::Entropy,
        every: 1000,
        pool: 100,
        config: Config::resolve("smoke", None, &[])?,
        seed: 0,
    })?)
}

struct Server(Router);

impl Server {
    fn new(labeller: Labeller) -> AnyResult<Self> {
        Ok(Self(router(Arc::new(labeller), Guard::new(HOST.parse()?)?)))
    }

    async fn ask(&self, path: &str, sent: Option<Value>) -> AnyResult<(StatusCode, Vec<u8>)> {
        let method = if sent.is_some() { "POST" } else { "GET" };
        let body = sent.map_or(Body::empty(), |value| Body::from(value.to_string()));
        let request = Request::builder().method(method).uri(path).header("host", HOST);
        let response = self.0.clone().oneshot(request.body(body)?).await?;
        let status = response.status();
        Ok((status, to_bytes(response.into_body(), 1 << 20).await?.to_vec()))
    }

    async fn view(&self, path: &str, sent: Option<Value>) -> AnyResult<Value> {
        let (status, bytes) = self.ask(path, sent).await?;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn answer(&self, view: &Value, answer: &str) -> AnyResult<Value> {
        let sent = json!({
            "face": view["face"], "attribute": view["attribute"], "answer": answer
        });
        self.view("/api/answer", Some(sent)).await
    }
}

#[tokio::test]
async fn answers_are_kept_taken_back_and_there_again() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("labels"));
    synthetic::write(&faces, 12, 1, |_| ())?;
    let server = Server::new(open(&faces, &out, &["Smiling", "Bald"])?)?;
    let first = server.view("/api/state", None).await?;
    assert_eq!((&first["attribute"], &first["answers"]), (&json!("Smiling"), &json!(0)));
    let path = format!("/image?face={}", first["face"]);
    assert_eq!(server.ask(&path, None).await?.0, StatusCode::OK);
    // The questions about one face come together.
    let second = server.answer(&first, "yes").await?;
    assert_eq!((&second["face"], &second["attribute"]), (&first["face"], &json!("Bald")));
    // The same key twice, for a question that is no longer open.
    let twice = json!({ "face": first["face"], "attribute": "Smiling", "answer": "no" });
    assert_eq!(server.ask("/api/answer", Some(twice)).await?.0, StatusCode::CONFLICT);
    let other = server.answer(&second, "no").await?;
    assert_eq!(other["labelled"], 1);
    assert_ne!(other["face"], first["face"]);
    let back = server.view("/api/undo", Some(json!({}))).await?;
    assert_eq!((&back["face"], &back["attribute"]), (&first["face"], &json!("Bald")));
    let other = server.answer(&back, "yes").await?;
    let skipped = server.answer(&other, "skip").await?;
    server.answer(&skipped, "no").await?;
    // A face with a skip is no example.
    let (_, csv) = server.ask("/labels.csv", None).await?;
    let image = first["image"].as_str().ok_or("a name")?;
    assert_eq!(String::from_utf8(csv)?, format!("image_id,Smiling,Bald\n{image},1,1\n"));
    for (path, sent) in [
        ("/image?face=99", None),
        ("/image", None),
        ("/api/answer", Some(json!({ "face": 0 }))),
        ("/api/answer", Some(json!({ "face": 0, "attribute": "Bald", "answer": "maybe" }))),
    ] {
        assert_eq!(server.ask(path, sent).await?.0, StatusCode::BAD_REQUEST, "{path}");
    }
    drop(server);
    // Opened again, all answers are there; for other attributes the folder is refused.
    let server = Server::new(open(&faces, &out, &["Smiling", "Bald"])?)?;
    let view = server.view("/api/state", None).await?;
    assert_eq!((&view["answers"], &view["labelled"]), (&json!(4), &json!(2)));
    let undone = server.view("/api/undo", Some(json!({}))).await?;
    assert_eq!(undone["answers"], 3);
    drop(server);
    let refused = open(&faces, &out, &["Smiling"]).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("is of other faces, attributes or another seed"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn every_fifth_face_is_of_the_hold_out_and_all_are_asked_once() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("labels"));
    synthetic::write(&faces, 10, 1, |_| ())?;
    let server = Server::new(open(&faces, &out, &["Male"])?)?;
    let mut view = server.view("/api/state", None).await?;
    let (mut seen, mut held_out) = (vec![], vec![]);
    while !view["face"].is_null() {
        seen.push(view["face"].as_u64().ok_or("a number")?);
        held_out.push(view["held_out"] == true);
        view = server.answer(&view, "yes").await?;
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert_eq!(held_out, (0..10).map(|i| i % 5 == 4).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_network_learns_from_the_answers_and_chooses_anew() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("labels"));
    synthetic::write(&faces, 40, 1, |_| ())?;
    let labeller = Arc::new(Labeller::open(LabelOptions {
        faces: &faces,
        out: &out,
        attributes: vec![attribute_index("Male")?],
        strategy: Strategy::Entropy,
        every: 4,
        pool: 100,
        config: Config::resolve("smoke", None, &[])?,
        seed: 0,
    })?);
    let learner = std::thread::spawn({
        let labeller = labeller.clone();
        move || foresee::label::learn(&labeller)
    });
    let server = Server(router(labeller.clone(), Guard::new(HOST.parse()?)?));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let found: AnyResult<Value> = runtime.block_on(async {
        let mut view = server.view("/api/state", None).await?;
        for i in 0..10 {
            view = server.answer(&view, if i % 2 == 0 { "yes" } else { "no" }).await?;
        }
        for _ in 0..600 {
            // It may have begun before the last answers.
            if view["learned_from"].is_u64() && view["is_learning"] == false {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            view = server.view("/api/state", None).await?;
        }
        // The next face is the one that the network chose.
        view = server.answer(&view, "yes").await?;
        Ok(view)
    });
    labeller.stop();
    learner.join().map_err(|_| "the learner has failed")?;
    let view = found?;
    assert!((4..=8).contains(&view["learned_from"].as_u64().ok_or("a number")?));
    assert_eq!((&view["chosen_by"], &view["problem"]), (&json!("entropy"), &Value::Null));
    let accuracy = view["accuracy"].as_f64();
    assert_eq!(accuracy.is_some(), view["accuracy_over"].as_u64() > Some(0));
    assert!(accuracy.is_none_or(|share| (0. ..=1.).contains(&share)));
    assert!(labeller.csv().lines().count() == 12);
    Ok(())
}
