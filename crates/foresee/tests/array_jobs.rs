//! `fidelity` and `compare` as array jobs: several processes make the runs of one study.
#![cfg(unix)]

#[path = "support/small_study.rs"]
mod small_study;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use small_study::{AnyResult, Place, message, succeeded};

/// Another process is making the run.
const BUSY: i32 = 75;

/// Its runs take long enough to be killed in.
fn place() -> AnyResult<Place> {
    Place::new(&["train.epochs=8", "train.checkpoint_seconds=0", "figures.formats=['svg']"])
}

fn study(place: &Place, out: &str, more: &[&str]) -> Command {
    place.study(out, &[&["--seeds", "1"], more].concat())
}

fn check_refused(output: &Output, status: i32, expected: &str) {
    let text = message(output);
    assert!(output.status.code() == Some(status) && text.contains(expected), "{status}: {text}");
}

/// All files below a folder, but for what tells times, places or the program.
fn files(folder: &Path) -> AnyResult<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(part) = folders.pop() {
        for entry in std::fs::read_dir(part)? {
            let path = entry?.path();
            let name = path.strip_prefix(folder)?.display().to_string();
            match path.is_dir() {
                true => folders.push(path),
                false if name.ends_with("manifest.json") || name.ends_with("report.html") => {}
                false => drop(found.insert(name, std::fs::read(&path)?)),
            }
        }
    }
    Ok(found)
}

/// Makes runs one after the other, as one of several workers that share them in no way.
fn work(place: &Place, numbers: [&str; 3]) -> AnyResult<Vec<Option<i32>>> {
    let make =
        |number: &str| Ok(study(place, "array", &["--only", number]).output()?.status.code());
    numbers.into_iter().map(make).collect()
}

/// Waits until a process has written a checkpoint into a run, and kills it.
fn kill_in_training(mut child: Child, run: &Path) -> AnyResult {
    let start = Instant::now();
    while !run.join("checkpoint.safetensors").exists() {
        let is_over = child.try_wait()?.is_some();
        assert!(!is_over && start.elapsed() < Duration::from_secs(60), "there is no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    assert!(run.join(".claim").exists(), "it could not give its claim up");
    Ok(())
}

#[test]
fn several_processes_one_of_them_killed_make_what_one_makes() -> AnyResult {
    let place = place()?;
    succeeded(&study(&place, "alone", &[]).output()?);
    let first = study(&place, "array", &["--only", "1"]).stderr(Stdio::null()).spawn()?;
    kill_in_training(first, &place.path("array/runs/dense-seed0"))?;
    let listed = study(&place, "array", &["--list"]).output()?;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("stopped, goes on where it was"));

    let orders = [["0", "1", "2"], ["1", "2", "0"], ["1", "0", "2"]];
    let statuses: Vec<Vec<Option<i32>>> = std::thread::scope(|scope| {
        let workers = orders.map(|order| {
            let place = &place;
            scope.spawn(move || work(place, order).map_err(|e| e.to_string()))
        });
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .collect::<Result<_, String>>()
    })?;
    let all: Vec<i32> = statuses.into_iter().flatten().flatten().collect();
    assert_eq!(all.len(), 9);
    assert!(all.iter().all(|status| [0, BUSY].contains(status)), "{all:?}");
    assert!(all.contains(&BUSY), "two never met: {all:?}");

    succeeded(&study(&place, "array", &["--analyse"]).output()?);
    let (array, alone) = (files(&place.path("array"))?, files(&place.path("alone"))?);
    assert_eq!(array.keys().collect::<Vec<_>>(), alone.keys().collect::<Vec<_>>());
    let differing: Vec<&String> =
        alone.keys().filter(|name| array[*name] != alone[*name]).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert!(alone.contains_key("data/claims.csv"));
    Ok(())
}

/// A command that sees `folder` at another place, through a mount of its own.
fn through_mount(command: &Command, folder: &Path, place: &Path) -> AnyResult<Command> {
    std::fs::create_dir_all(place)?;
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut mounted = Command::new("unshare");
    mounted.args(["-m", "sh", "-c", script, "sh"]).arg(folder).arg(place);
    mounted.arg(command.get_program()).args(command.get_args());
    mounted.current_dir(command.get_current_dir().ok_or("it has a folder")?);
    Ok(mounted)
}

#[test]
fn of_two_processes_on_two_mounts_one_makes_the_run() -> AnyResult {
    let place = place()?;
    let shared = place.path("shared");
    std::fs::create_dir(&shared)?;
    let probe = through_mount(Command::new("true").current_dir("/"), &shared, &place.path("a"));
    if !probe?.status().is_ok_and(|status| status.success()) {
        println!("skipped: this process may not mount");
        return Ok(());
    }
    let start = |mount: &str| -> AnyResult<Child> {
        let command = study(&place, &format!("{mount}/out"), &["--only", "0"]);
        let mut command = through_mount(&command, &shared, &place.path(mount))?;
        Ok(command.stderr(Stdio::piped()).spawn()?)
    };
    let both = [start("a")?, start("b")?];
    let mut both = both.map(|child| child.wait_with_output());
    both.sort_by_key(|output| output.as_ref().map_or(-1, |o| o.status.code().unwrap_or(-1)));
    let [made, left] = both;
    succeeded(&made?);
    check_refused(&left?, BUSY, "run 0 (sparse, seed 0) is being made by process ");
    assert!(shared.join("out/runs/sparse-seed0/report.html").exists());
    Ok(())
}

#[test]
fn what_failed_is_listed_and_tried_again() -> AnyResult {
    let place = place()?;
    let list = |more: &[&str]| -> AnyResult<String> {
        let listed = study(&place, "out", &[&["--list"], more].concat()).output()?;
        succeeded(&listed);
        Ok(String::from_utf8(listed.stdout)?)
    };
    let lines = list(&[])?;
    assert!(lines.lines().count() == 4 && !place.path("out").exists(), "{lines}");
    assert!(lines.lines().nth(2).is_some_and(|line| line.starts_with("1    dense, seed 0")));
    check_refused(&study(&place, "out", &["--analyse"]).output()?, 2, "no run is done yet");

    // Something is in the way.
    let run = place.path("out/runs/dense-seed0");
    std::fs::create_dir_all(&run)?;
    std::fs::write(run.join("mine.txt"), "mine")?;
    let failed = study(&place, "out", &["--only", "1"]).output()?;
    check_refused(&failed, 1, "run 1 (dense, seed 0) failed: ");
    let json: serde_json::Value = serde_json::from_str(&list(&["--json"])?)?;
    assert!(json["runs"][1]["failed"].as_str().is_some_and(|reason| reason.contains("mine.txt")));
    assert_eq!((&json["runs"][1]["done"], &json["runs"][0]["number"]), (&false.into(), &0.into()));
    assert!(list(&[])?.contains("failed: ") && list(&[])?.contains("to be done"));

    std::fs::remove_file(run.join("mine.txt"))?;
    let mut again = study(&place, "out", &["--only"]);
    succeeded(&again.env("SLURM_ARRAY_TASK_ID", "1").output()?);
    let lines = list(&[])?;
    assert!(lines.lines().nth(2).is_some_and(|line| line.ends_with("  done")), "{lines}");
    assert!(!place.path("out/failed").exists() && !place.path("out/report.html").exists());
    succeeded(&study(&place, "out", &["--analyse"]).output()?);
    assert!(std::fs::read_to_string(place.path("out/report.html"))?.contains("1 of 3 runs"));
    Ok(())
}

#[test]
fn numbers_that_cannot_be_are_refused() -> AnyResult {
    let place = place()?;
    let compare = ["compare", "--profile", "smoke", "--out", "out", "--systems", "moon,resnet18"];
    let small = ["--set", "data.image_size=32"];
    let start = |more: &[&str]| place.foresee(&[&compare[..], &small, more].concat());
    check_refused(&start(&["--only", "6"]).output()?, 2, "--only: a number from 0 to 5");
    check_refused(&start(&["--only"]).output()?, 2, "SLURM_ARRAY_TASK_ID, which is not set");
    for (value, expected) in [("6", "a number from 0 to 5"), ("x", "is `x`, which is no number")] {
        let refused = start(&["--only"]).env("SLURM_ARRAY_TASK_ID", value).output()?;
        check_refused(&refused, 2, expected);
    }
    assert!(!place.path("out").exists());
    Ok(())
}

#[test]
fn elements_that_begin_at_once_draw_the_faces_once() -> AnyResult {
    let place = place()?;
    let make = |number: &str| -> AnyResult<Child> {
        let begin = ["compare", "--profile", "smoke", "--out", "out", "--systems", "moon,resnet18"];
        let small = ["--seeds", "1", "--set", "system.width=4", "--set", "data.image_size=32"];
        let mut command = place.foresee(&[&begin[..], &small, &["--only", number]].concat());
        Ok(command.stderr(Stdio::piped()).spawn()?)
    };
    let both = [make("0")?, make("1")?];
    for child in both {
        succeeded(&child.wait_with_output()?);
    }
    assert!(place.path("out/runs/resnet18-seed0/network.onnx").exists());
    assert!(!place.path("out/.lock").exists() && !place.path("out/.claim").exists());
    Ok(())
}
