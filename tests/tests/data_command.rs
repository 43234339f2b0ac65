//! `data` and the ways in which faces are given to `reproduce`.

use std::process::Output;

use foresee_celeba::{CelebA, Split, SplitRule, synthetic};
use foresee_tests::{message, small_run, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &message(output)
}

#[test]
fn a_check_tells_what_is_right_and_wrong() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let faces = folder.path().join("faces");
    synthetic::write(&faces, 40, 1, |_| ())?;
    let whole = xtask(&["data", "check", text(&faces)?, "--deep"], &[])?;
    assert!(whole.status.success(), "{}", told(&whole));
    for expected in [
        "right    form",
        "folder as distributed, drawn faces",
        "note     images",
        "40 of CelebA's 202599",
        "missing  identities",
        "right    images decode",
    ] {
        assert!(told(&whole).contains(expected), "{expected}: {}", told(&whole));
    }
    let data = CelebA::open(&faces, SplitRule::Official)?;
    std::fs::write(data.image_path(3), b"")?;
    std::fs::write(faces.join("identity_CelebA.txt"), "000001.jpg Anna\n")?;
    let damaged = xtask(&["data", "check", text(&faces)?, "--deep"], &[])?;
    assert_eq!(damaged.status.code(), Some(2));
    for expected in [
        "WRONG    image",
        "000004.jpg: is empty",
        "39 of 40; 1 do not",
        "WRONG    identities",
        "`Anna` is not the number of a person",
        "findings are wrong",
    ] {
        assert!(told(&damaged).contains(expected), "{expected}: {}", told(&damaged));
    }

    // What lies there and is not listed, what is listed and does not lie there, and what may not be
    // read.
    let images = faces.join("img_align_celeba");
    std::fs::rename(images.join("000009.jpg"), images.join("000099.jpg"))?;
    let moved = told(&xtask(&["data", "check", text(&faces)?], &[])?);
    for expected in [
        "1 that no row of list_attr_celeba lists, and that are not read: 000099.jpg",
        "000009.jpg is listed in the annotations but does not exist",
    ] {
        assert!(moved.contains(expected), "{expected}: {moved}");
    }
    std::fs::rename(images.join("000099.jpg"), images.join("000009.jpg"))?;
    // The same image under another ending is told once, not as if it had to be got again.
    std::fs::rename(images.join("000009.jpg"), images.join("000009.JPG"))?;
    std::fs::rename(images.join("000010.jpg"), images.join("000010.png"))?;
    let endings = told(&xtask(&["data", "check", text(&faces)?, "--deep"], &[])?);
    let found =
        "2 of 40 images are missing, of which 2 are there under another name (000009.JPG for";
    assert!(endings.contains(found), "{endings}");
    assert!(!endings.contains("000010.jpg"), "{endings}");
    let opened = CelebA::open(&faces, SplitRule::Official).unwrap_err().to_string();
    assert!(opened.contains("under another name (000009.JPG for 000009.jpg)"), "{opened}");
    std::fs::rename(images.join("000009.JPG"), images.join("000009.jpg"))?;
    std::fs::rename(images.join("000010.png"), images.join("000010.jpg"))?;
    std::fs::write(images.join("._000001.jpg"), "")?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let allow = |mode| std::fs::set_permissions(&images, std::fs::Permissions::from_mode(mode));
        allow(0)?;
        match std::fs::read_dir(&images) {
            Ok(_) => eprintln!("skipped: this user may read every folder"),
            Err(_) => {
                let closed = told(&xtask(&["data", "check", text(&faces)?], &[])?);
                assert!(
                    closed.contains("Permission denied")
                        && closed.contains("change its permissions"),
                    "{closed}"
                );
            }
        }
        allow(0o755)?;
    }

    let out = folder.path().join("stats");
    let wrong = xtask(&["data", "stats", text(&faces)?, "--out", text(&out)?, "--faces"], &[])?;
    assert!(
        wrong.status.code() == Some(2)
            && told(&wrong).contains("`Anna` is not the number of a person"),
        "{}",
        told(&wrong)
    );
    std::fs::remove_file(faces.join("identity_CelebA.txt"))?;
    assert!(
        xtask(&["data", "stats", text(&faces)?, "--out", text(&out)?, "--faces"], &[])?
            .status
            .success()
    );
    let frequencies = std::fs::read_to_string(out.join("attribute_frequencies.csv"))?;
    assert!(
        frequencies.starts_with(
            "attribute,faces,frequency,frequency_train,frequency_val,frequency_test,data"
        ) && frequencies.lines().count() == 41
    );
    let smiling = (0..40).filter(|&face| data.labels(face).has(31)).count();
    assert!(frequencies.contains(&format!("Smiling,{smiling},")), "{frequencies}");
    let correlation = std::fs::read_to_string(out.join("attribute_correlation.csv"))?;
    assert_eq!(correlation.lines().count(), 41);
    // An attribute that all faces have, or none, has no correlation.
    let varies = |k: usize| {
        let having = (0..40).filter(|&face| data.labels(face).has(k)).count();
        having > 0 && having < 40
    };
    assert!((0..40).any(varies) && !(0..40).all(varies), "the faces show both");
    for (i, row) in correlation.lines().skip(1).enumerate() {
        let cells = row.split(',').skip(1).take(40).enumerate();
        for (k, cell) in cells {
            assert_eq!(cell.is_empty(), !(varies(i) && varies(k)), "{row}");
        }
    }

    let table = std::fs::read_to_string(out.join("faces.csv"))?;
    let first = table.lines().nth(1).ok_or("no row")?;
    assert!(
        table.starts_with("image,split,5_o_Clock_Shadow,")
            && table.lines().count() == 41
            && first.starts_with("000001.jpg,train,"),
        "{first}"
    );

    let fetched = xtask(&["data", "fetch", "someone/faces"], &[])?;
    assert!(
        fetched.status.code() == Some(2) && told(&fetched).contains("--features hub"),
        "{}",
        told(&fetched)
    );
    Ok(())
}

#[test]
fn bad_images_are_left_out_where_that_is_asked_for() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out, splits) =
        (folder.path().join("faces"), folder.path().join("run"), folder.path().join("splits.csv"));
    synthetic::write(&faces, 40, 1, |_| ())?;
    let data = CelebA::open(&faces, SplitRule::Official)?;
    std::fs::write(data.image_path(3), b"no image")?;
    let rows: String = (0..40)
        .map(|face| {
            format!(
                "{},{}\n",
                data.name(face),
                ["train", "train", "train", "val", "test"][face % 5]
            )
        })
        .collect();
    std::fs::write(&splits, format!("image,split\n{rows}"))?;
    let run = |more: &[&str]| -> AnyResult<Output> {
        let mut arguments = vec![
            "reproduce",
            "--celeba",
            text(&faces)?,
            "--out",
            text(&out)?,
            "--splits",
            text(&splits)?,
        ];
        for setting in [
            "data.image_size=8",
            "model.channels=8",
            "train.epochs=1",
            "prune.step=8",
            "prune.random_seeds=1",
            "transform.images=2",
            "predict.images=0",
            "attribute.images=0",
        ] {
            arguments.extend(["--set", setting]);
        }
        arguments.extend(more);
        xtask(&arguments, &[])
    };
    let refused = run(&[])?;
    assert!(
        refused.status.code() == Some(2)
            && told(&refused).contains("1 of 40 images cannot be read; --skip-bad"),
        "{}",
        told(&refused)
    );
    let too_many = run(&["--skip-bad"])?;
    assert!(
        too_many.status.code() == Some(2)
            && told(&too_many).contains("2.50 %, more than the 1 % that --skip-bad allows"),
        "{}",
        told(&too_many)
    );
    assert!(!out.exists());
    let cache = folder.path().join("cache");
    let done = run(&["--skip-bad", "5", "--cache", text(&cache)?])?;
    assert!(
        done.status.success() && told(&done).contains("1 of 40 images are left out"),
        "{}",
        told(&done)
    );
    let listed = std::fs::read_to_string(out.join("bad_images.csv"))?;
    assert!(
        listed.contains("000004.jpg") && listed.contains("is neither a JPEG nor a PNG file"),
        "{listed}"
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("manifest.json"))?)?;
    // Face 3 was a validation face: 24 train, 7 val, 8 test.
    assert_eq!(
        (&manifest["data"]["train"], &manifest["data"]["val"], &manifest["data"]["test"]),
        (&24.into(), &7.into(), &8.into())
    );
    assert_eq!(std::fs::read_dir(&cache)?.count(), 1);
    let again = run(&["--skip-bad", "5", "--cache", text(&cache)?])?;
    assert!(
        again.status.success() && told(&again).matches("up to date").count() == 5,
        "{}",
        told(&again)
    );
    Ok(())
}

#[test]
fn missing_images_count_if_the_run_reads_them() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let faces = folder.path().join("faces");
    synthetic::write(&faces, 60, 1, |_| ())?;
    let data = CelebA::open(&faces, SplitRule::Official)?;
    let training = data.split(Split::Train)?;
    let (first, last) = (training[0], training[training.len() - 1]);
    std::fs::remove_file(data.image_path(first))?;
    std::fs::remove_file(data.image_path(last))?;
    let out = folder.path().join("run");
    let run = |allowed: &str| -> AnyResult<Output> {
        let more = ["--celeba", text(&faces)?, "--skip-bad", allowed];
        let limits = ["--set", "train.limit=10", "--set", "measure.images=10"];
        xtask(&small_run(&out, &[&more[..], &limits[..]].concat())?, &[])
    };
    // It reads 10 training faces and one that moves up, and 6 validation and 6 test faces.
    let refused = run("1")?;
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains("1 of 22 images"), "{}", told(&refused));
    let done = run("5")?;
    assert!(done.status.success(), "{}", told(&done));
    let listed = std::fs::read_to_string(out.join("bad_images.csv"))?;
    assert!([first, last].iter().all(|&face| listed.contains(data.name(face))), "{listed}");
    let again = run("5")?;
    assert!(told(&again).contains("train: up to date"), "{}", told(&again));
    Ok(())
}
