//! The server of `foresee label`, asked through its router, on synthetic faces.

mod support;

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use foresee::config::Config;
use foresee::label::{LabelOptions, Labeller, ToLabel, router};
use foresee::web::Guard;
use foresee_active::Strategy;
use foresee_celeba::{attribute_index, synthetic};
use serde_json::{Value, json};
use support::{Answer, AnyResult, HOST, Server};

fn open(faces: &Path, out: &Path, attributes: &[&str]) -> AnyResult<Arc<Labeller>> {
    let attributes: Vec<usize> =
        attributes.iter().map(|name| attribute_index(name)).collect::<Result<_, _>>()?;
    let labeller = Labeller::open(LabelOptions {
        faces: ToLabel::Faces(faces),
        out,
        attributes,
        strategy: Strategy::Entropy,
        every: 1000,
        pool: 100,
        config: Config::resolve("smoke", None, &[])?,
        seed: 0,
    })?;
    Ok(Arc::new(labeller))
}

/// A server of the page, and short ways to ask it.
struct Page(Server);

impl Page {
    fn new(labeller: Arc<Labeller>) -> AnyResult<Self> {
        Ok(Self(Server::new(router(labeller, Guard::new(HOST.parse()?)?))?))
    }

    fn ask(&self, path: &str, sent: Option<Value>) -> AnyResult<Answer> {
        match sent {
            Some(sent) => self.0.post(path, sent.to_string()),
            None => self.0.get(path),
        }
    }

    fn view(&self, path: &str, sent: Option<Value>) -> AnyResult<Value> {
        let answer = self.ask(path, sent)?;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    fn answer(&self, view: &Value, answer: &str) -> AnyResult<Value> {
        let sent = json!({
            "face": view["face"], "attribute": view["attribute"], "answer": answer
        });
        self.view("/api/answer", Some(sent))
    }
}

#[test]
fn answers_are_kept_taken_back_and_there_again() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("labels"));
    synthetic::write(&faces, 12, 1, |_| ())?;
    let page = Page::new(open(&faces, &out, &["Smiling", "Bald"])?)?;
    let first = page.view("/api/state", None)?;
    assert_eq!((&first["attribute"], &first["answers"]), (&json!("Smiling"), &json!(0)));
    let path = format!("/image?face={}", first["face"]);
    assert_eq!(page.ask(&path, None)?.status, StatusCode::OK);
    // The questions about one face come together.
    let second = page.answer(&first, "yes")?;
    assert_eq!((&second["face"], &second["attribute"]), (&first["face"], &json!("Bald")));
    // The same key twice, for a question that is no longer open.
    let twice = json!({ "face": first["face"], "attribute": "Smiling", "answer": "no" });
    assert_eq!(page.ask("/api/answer", Some(twice))?.status, StatusCode::CONFLICT);
    let other = page.answer(&second, "no")?;
    assert_eq!(other["labelled"], 1);
    assert_ne!(other["face"], first["face"]);
    let back = page.view("/api/undo", Some(json!({})))?;
    assert_eq!((&back["face"], &back["attribute"]), (&first["face"], &json!("Bald")));
    let other = page.answer(&back, "yes")?;
    let skipped = page.answer(&other, "skip")?;
    page.answer(&skipped, "no")?;
    // A face with a skip is no example.
    let csv = page.ask("/labels.csv", None)?.text();
    let image = first["image"].as_str().ok_or("a name")?;
    assert_eq!(csv, format!("image_id,Smiling,Bald\n{image},1,1\n"));
    for (path, sent) in [
        ("/image?face=99", None),
        ("/image", None),
        ("/api/answer", Some(json!({ "face": 0 }))),
        ("/api/answer", Some(json!({ "face": 0, "attribute": "Bald", "answer": "maybe" }))),
    ] {
        assert_eq!(page.ask(path, sent)?.status, StatusCode::BAD_REQUEST, "{path}");
    }
    drop(page);
    // Opened again, all answers are there; for other attributes the folder is refused.
    let page = Page::new(open(&faces, &out, &["Smiling", "Bald"])?)?;
    let view = page.view("/api/state", None)?;
    assert_eq!((&view["answers"], &view["labelled"]), (&json!(4), &json!(2)));
    let undone = page.view("/api/undo", Some(json!({})))?;
    assert_eq!(undone["answers"], 3);
    drop(page);
    let refused = open(&faces, &out, &["Smiling"]).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("is of other images, attributes or another seed"), "{refused}");
    Ok(())
}

#[test]
fn every_fifth_face_is_of_the_hold_out_and_all_are_asked_once() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("labels"));
    synthetic::write(&faces, 10, 1, |_| ())?;
    let page = Page::new(open(&faces, &out, &["Male"])?)?;
    let mut view = page.view("/api/state", None)?;
    let (mut seen, mut held_out) = (vec![], vec![]);
    while !view["face"].is_null() {
        seen.push(view["face"].as_u64().ok_or("a number")?);
        held_out.push(view["held_out"] == true);
        view = page.answer(&view, "yes")?;
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
        faces: ToLabel::Faces(&faces),
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
    let page = Page::new(labeller.clone())?;
    let found = || -> AnyResult<Value> {
        let mut view = page.view("/api/state", None)?;
        for i in 0..10 {
            view = page.answer(&view, if i % 2 == 0 { "yes" } else { "no" })?;
        }
        for _ in 0..600 {
            // It may have begun before the last answers.
            if view["learned_from"].is_u64() && view["is_learning"] == false {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            view = page.view("/api/state", None)?;
        }
        // The next face is the one that the network chose.
        view = page.answer(&view, "yes")?;
        Ok(view)
    };
    let found = found();
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

#[cfg(unix)]
#[test]
fn images_that_cannot_be_decoded_are_left_out_and_another_folder_is_read() -> AnyResult {
    use std::process::Command;

    let folder = tempfile::tempdir()?;
    let drawn = folder.path().join("drawn");
    synthetic::write(&drawn, 4, 1, |_| ())?;
    let out = folder.path().join("labels");
    let images = ["first", "second"].map(|name| folder.path().join(name));
    for images in &images {
        std::fs::create_dir(images)?;
    }
    for entry in std::fs::read_dir(drawn.join("img_align_celeba"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), images[1].join(entry.file_name()))?;
    }
    std::fs::write(images[0].join("broken.jpg"), b"no image")?;
    let label = |images: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        command.args(["label", "--attribute", "Smiling", "--address", "192.0.2.1", "--images"]);
        command.arg(images).arg("--out").arg(&out).output()
    };
    let refused = label(&images[0])?;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && text.contains("no image there"), "{text}");
    // The folder that was refused is no longer looked at. (No machine has that address.)
    std::fs::write(images[1].join("broken.jpg"), b"no image")?;
    let text = String::from_utf8_lossy(&label(&images[1])?.stderr).into_owned();
    assert!(text.contains("1 of 5 images cannot be used"), "{text}");
    assert!(text.contains("192.0.2.1"), "{text}");
    let listed = std::fs::read_to_string(out.join("faces/list_eval_partition.txt"))?;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    // Other pictures of the same names are refused before anything is changed.
    let others = folder.path().join("others");
    synthetic::write(&others, 4, 2, |_| ())?;
    let text =
        String::from_utf8_lossy(&label(&others.join("img_align_celeba"))?.stderr).into_owned();
    assert!(text.contains("is of other images"), "{text}");
    assert_eq!(std::fs::read_link(out.join("faces/img_align_celeba"))?, images[1]);
    assert_eq!(std::fs::read_to_string(out.join("faces/list_eval_partition.txt"))?, listed);
    Ok(())
}

#[cfg(unix)]
#[test]
fn what_label_did_not_write_is_left_alone() -> AnyResult {
    use std::process::Command;

    let folder = tempfile::tempdir()?;
    let out = folder.path().join("project");
    let photos = out.join("faces");
    synthetic::write(&photos, 4, 1, |_| ())?;
    let label = |images: &Path, out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        command.args(["label", "--attribute", "Smiling", "--address", "192.0.2.1", "--images"]);
        command.arg(images).arg("--out").arg(out).output()
    };
    let images = photos.join("img_align_celeba");
    let refused = label(&images, &out)?;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && text.contains("is not empty (faces)"), "{text}");
    assert_eq!(std::fs::read_dir(&images)?.count(), 4);
    // Nor does it remove what was put into its own folder of faces.
    let own = folder.path().join("labels");
    label(&images, &own)?;
    std::fs::write(own.join("faces/notes.txt"), "mine")?;
    let text = String::from_utf8_lossy(&label(&images, &own)?.stderr).into_owned();
    assert!(text.contains("holds `notes.txt`, which was not made here"), "{text}");
    assert_eq!(std::fs::read_to_string(own.join("faces/notes.txt"))?, "mine");
    assert!(own.join("faces/list_attr_celeba.txt").exists(), "nothing is removed then");
    // What operating systems leave is no reason to refuse.
    std::fs::remove_file(own.join("faces/notes.txt"))?;
    std::fs::write(own.join("faces/.DS_Store"), "")?;
    let text = String::from_utf8_lossy(&label(&images, &own)?.stderr).into_owned();
    assert!(text.contains("192.0.2.1"), "{text}");
    Ok(())
}
