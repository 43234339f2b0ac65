//! `train --system` where the faces have landmarks, or identities.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use foresee::artifacts::{LearnedPeople, PartPlace};
use foresee::run::Run;
use foresee_celeba::{CelebA, LANDMARKS, Split, SplitRule, attribute_index, synthetic};
use foresee_graph::Graph;
use support::AnyResult;

/// 60 drawn faces.
fn faces(folder: &Path) -> AnyResult<(PathBuf, CelebA)> {
    let faces = folder.join("faces");
    synthetic::write(&faces, 60, 7, |_| ())?;
    let data = CelebA::open(&faces, SplitRule::Official)?;
    Ok((faces, data))
}

fn train(system: &str, faces: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
    command.args(["train", "--system", system, "--profile", "smoke", "--celeba"]).arg(faces);
    command.args(["--set", "system.width=8", "--set", "data.image_size=32", "--out"]).arg(out);
    for setting in more {
        command.args(["--set", setting]);
    }
    command
}

fn succeeded(out: &Output) -> AnyResult {
    let text = String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(()) } else { Err(text.into()) }
}

#[test]
fn parts_lie_about_the_mean_landmarks_of_the_training_faces() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, data) = faces(folder.path())?;
    let nose = |out: &Path| -> AnyResult<PartPlace> {
        let rows: Vec<PartPlace> = Run::open(out)?.read()?;
        Ok(rows.into_iter().find(|row| row.part == "nose").ok_or("no nose")?)
    };
    let out = folder.path().join("without");
    let trained = train("panda", &faces, &out, &[]).output()?;
    succeeded(&trained)?;
    assert!(String::from_utf8_lossy(&trained.stderr).contains("there are no landmarks"));
    // Rows 76 to 126 of the 178 that are seen, as 32; columns 64 to 114.
    let row = nose(&out)?;
    assert_eq!([row.left, row.right, row.top, row.bottom], [11, 21, 13, 23]);
    assert_eq!(row.placed_by, "alignment");

    // Training faces 20 rows lower in the mean; what other faces have does not count.
    let mut text = format!("60\n{}\n", LANDMARKS.join(" "));
    for face in 0..60 {
        let lower = if face % 2 == 0 { 10 } else { 30 };
        let row = [69, 111, 108, 111, 88, 136, 73, 152, 105, 152].into_iter().enumerate();
        let moved = row.map(|(at, v)| match data.partition(face) {
            Some(Split::Train) => v + if at % 2 == 1 { lower } else { 0 },
            _ => 7,
        });
        let moved: Vec<String> = moved.map(|v| v.to_string()).collect();
        text.push_str(&format!("{} {}\n", data.name(face), moved.join(" ")));
    }
    let file = faces.join("list_landmarks_align_celeba.txt");
    std::fs::write(&file, &text)?;
    let out = folder.path().join("with");
    succeeded(&train("panda", &faces, &out, &[]).output()?)?;
    let row = nose(&out)?;
    assert_eq!([row.left, row.right, row.top, row.bottom], [11, 21, 17, 27]);
    assert_eq!(row.placed_by, "landmarks");
    // The network that was written says the same.
    let graph = Graph::from_onnx(&out.join("network.onnx"))?;
    let starts = graph.weight(graph.find("part.nose.starts")?).ok_or("no starts")?;
    assert_eq!(starts.to_vec1::<i64>()?, [17, 11]);

    // Landmarks of images of half the size are refused.
    let half = |face: usize| format!("{} 34 55 54 55 44 68 36 76 52 76\n", data.name(face));
    let halved: String = (0..60).map(half).collect();
    std::fs::write(&file, format!("60\n{}\n{halved}", LANDMARKS.join(" ")))?;
    let refused = train("panda", &faces, &folder.path().join("far"), &[]).output()?;
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("landmarks = [[34.0, 55.0]"), "{text}");
    Ok(())
}

/// Stops a training while it learns identities; false if it was further by then.
fn interrupt(mut training: Child, out: &Path) -> AnyResult<bool> {
    let checkpoint = out.join("checkpoint.identities.safetensors");
    let started = Instant::now();
    while !checkpoint.exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &training.id().to_string()]).status()?;
    let status = training.wait()?;
    Ok(!status.success() && !out.join("checkpoint.safetensors").exists())
}

#[test]
fn an_anet_learns_identities_first_and_goes_on_where_it_was_interrupted() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, data) = faces(folder.path())?;
    // Two people, whom the drawn faces tell apart, and one with a single image.
    let male = attribute_index("Male")?;
    let person =
        |face: usize| if face == 0 { 9 } else { 3 + u8::from(data.labels(face).has(male)) };
    let rows = (0..60).map(|face| format!("{} {}\n", data.name(face), person(face)));
    std::fs::write(faces.join("identity_CelebA.txt"), rows.collect::<String>())?;
    let settings = ["system.identities=5", "system.similarity=0.05", "train.epochs=30"];
    let out = |name: &str| folder.path().join(name);
    let network = |name: &str| std::fs::read(out(name).join("network.onnx"));

    succeeded(&train("lnets-anet", &faces, &out("whole"), &settings).output()?)?;
    let learned: Vec<LearnedPeople> = Run::open(&out("whole"))?.read()?;
    let learned = &learned[0];
    let images = data.split(Split::Train)?.len() - 1;
    assert_eq!((learned.people, learned.images, learned.asked), (2, images, images));
    assert!(learned.accuracy > learned.most_frequent, "{learned:?}");
    assert!(!out("whole").join("checkpoint.identities.safetensors").exists());

    // On a busy machine the signal may come too late.
    let mut parts = None;
    for name in ["parts", "parts2", "parts3", "parts4", "parts5"] {
        let training = train("lnets-anet", &faces, &out(name), &settings).spawn()?;
        if interrupt(training, &out(name))? {
            parts = Some(name);
            break;
        }
    }
    let parts = parts.ok_or("five trainings were further")?;
    let mut resumed = train("lnets-anet", &faces, &out(parts), &settings);
    succeeded(&resumed.env("RAYON_NUM_THREADS", "1").output()?)?;
    assert!(network(parts)? == network("whole")?);

    succeeded(&train("lnets-anet", &faces, &out("none"), &settings[2..]).output()?)?;
    assert!(network("none")? != network("whole")?, "identities change the network");
    Ok(())
}

#[test]
fn identities_that_are_not_there_are_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, data) = faces(folder.path())?;
    let refused = |system: &str, setting: &str| -> AnyResult<String> {
        let out = train(system, &faces, &folder.path().join(system), &[setting]).output()?;
        assert!(!out.status.success());
        Ok(String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let text = refused("lnets-anet", "system.similarity=0.05")?;
    assert!(text.contains("system.similarity is for an ANet that learns"), "{text}");
    for (system, count, expected) in [("moon", 5, "nothing of MOON"), ("lnets-anet", 3, "1 or 5")] {
        let text = refused(system, &format!("system.windows={count}"))?;
        assert!(text.contains(expected), "{text}");
    }
    let text = refused("lnets-anet", "system.identities=5")?;
    assert!(text.contains("identity_CelebA.txt does not exist"), "{text}");
    let text = refused("moon", "system.identities=5")?;
    assert!(text.contains("it decides nothing of MOON"), "{text}");
    let rows = (0..60).map(|face| format!("{} {}\n", data.name(face), face + 1));
    std::fs::write(faces.join("identity_CelebA.txt"), rows.collect::<String>())?;
    let text = refused("lnets-anet", "system.identities=2")?;
    assert!(text.contains("0 of the people in the training images"), "{text}");
    Ok(())
}
