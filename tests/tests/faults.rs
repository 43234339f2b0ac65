//! A run is never lost: killed, interrupted, without room, without its faces, beside another
//! process.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use foresee_tests::forms::AnyError;
use foresee_tests::{QUICK, message, shell_line, small_run, text, xtask, xtask_command};

type AnyResult<T = ()> = Result<T, AnyError>;

/// Several steps in each epoch, and a checkpoint at every step.
const STEPS: [&str; 4] = ["--set", "train.batch_size=8", "--set", "train.checkpoint_seconds=0"];
/// A run that takes minutes if nothing stops it.
const LONG: [&str; 2] = ["--set", "train.epochs=20000"];

fn arguments(out: &Path, more: &[&str]) -> AnyResult<Vec<String>> {
    small_run(out, &[&STEPS[..], &QUICK, more].concat())
}

fn reproduce(out: &Path, more: &[&str]) -> AnyResult<Output> {
    xtask(&arguments(out, more)?, &[])
}

/// Starts or goes on with a long run, as [`started`] does.
fn long_run(out: &Path, more: &[&str]) -> AnyResult<Child> {
    started(out, &[&LONG, more].concat())
}

/// Starts or goes on with a run; it has made two more checkpoints when this returns.
fn started(out: &Path, more: &[&str]) -> AnyResult<Child> {
    let made = || {
        std::fs::metadata(out.join("checkpoint.previous.safetensors"))
            .and_then(|m| m.modified())
            .ok()
    };
    let before = made();
    let arguments = arguments(out, more)?;
    let mut child = xtask_command(&arguments)?.stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while made() == before {
        assert!(
            start.elapsed() < Duration::from_secs(60) && child.try_wait()?.is_none(),
            "no checkpoint was made"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

fn interrupt(child: &Child) -> AnyResult {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status()?.success());
    Ok(())
}

#[test]
fn killed_runs_end_with_the_same_bytes() -> AnyResult {
    let output = xtask(&["soak", "--kills", "3"], &[])?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && told.starts_with("3 of 3 killed runs ended with the same bytes"),
        "{told}{}",
        message(&output)
    );
    assert!(
        told.contains("faces "),
        "none is killed in training, before any stage is done: {told}"
    );
    Ok(())
}

#[test]
fn ctrl_c_saves_a_second_process_is_refused_and_a_damaged_checkpoint_passed_over() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let first = long_run(&out, &[])?;
    let id = first.id();
    let second = reproduce(&out, &LONG)?;
    assert_eq!(second.status.code(), Some(2));
    assert!(
        message(&second).contains(&format!("process {id} on "))
            && message(&second).contains("is working in"),
        "{}",
        message(&second)
    );

    interrupt(&first)?;
    let first = first.wait_with_output()?;
    assert_eq!(first.status.code(), Some(130));
    assert!(
        message(&first).contains("saved at step")
            && message(&first).contains("give the same command again"),
        "{}",
        message(&first)
    );
    assert!(!out.join(".lock").exists());

    let seconds: f64 = std::fs::read_to_string(out.join("checkpoint.seconds"))?.trim().parse()?;
    assert!(seconds > 0., "what a session took is kept for the manifest");
    let newest = out.join("checkpoint.safetensors");
    let bytes = std::fs::read(&newest)?;
    // What is learned so far is no other run's to remove.
    let other = reproduce(&out, &["--set", "train.epochs=3"])?;
    assert_eq!(other.status.code(), Some(2));
    assert!(message(&other).contains("holds another run"), "{}", message(&other));
    assert!(std::fs::read(&newest)? == bytes, "the checkpoint stays");
    std::fs::write(&newest, &bytes[..bytes.len() / 2])?;
    std::fs::write(out.join("data/.tmpABCDEF"), "half")?;
    let again = long_run(&out, &[])?;
    interrupt(&again)?;
    let again = again.wait_with_output()?;
    assert!(
        std::fs::read(out.join("checkpoint.unusable.safetensors"))? == bytes[..bytes.len() / 2],
        "the damaged one takes nobody's place"
    );
    assert!(
        message(&again).contains("a checkpoint is passed over")
            && message(&again).contains("going on from step"),
        "{}",
        message(&again)
    );
    assert!(
        !out.join("data/.tmpABCDEF").exists(),
        "what a killed process left half written is removed"
    );
    Ok(())
}

#[test]
fn other_settings_are_refused_or_start_in_a_new_folder_and_a_moved_run_goes_on() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let first = reproduce(&out, &[])?;
    assert!(first.status.success(), "{}", message(&first));
    let manifest = std::fs::read(out.join("manifest.json"))?;

    let changed = ["--set", "train.lambda=1e-3"];
    let refused = reproduce(&out, &changed)?;
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        message(&refused).contains("train.lambda is 3e-6 there, 0.001 here")
            && message(&refused).contains("--force"),
        "{}",
        message(&refused)
    );
    for expected in ["train: done", "train: up to date"] {
        let forced = reproduce(&out, &[changed[0], changed[1], "--force"])?;
        assert!(
            forced.status.success() && message(&forced).contains(expected),
            "{}",
            message(&forced)
        );
    }
    assert!(
        std::fs::read(out.join("manifest.json"))? == manifest,
        "--force never touches the run that is there"
    );
    assert!(
        folder.path().join("run-2/report.html").exists() && !folder.path().join("run-3").exists()
    );

    let moved = folder.path().join("elsewhere/moved");
    std::fs::create_dir(folder.path().join("elsewhere"))?;
    std::fs::rename(&out, &moved)?;
    let again = reproduce(&moved, &[])?;
    assert!(
        again.status.success() && message(&again).matches("up to date").count() == 5,
        "{}",
        message(&again)
    );
    std::fs::remove_file(moved.join("data/channel_pruning.csv"))?;
    let pruned = xtask(&["prune", "--run", text(&moved)?], &[])?;
    assert!(
        pruned.status.success() && message(&pruned).contains("prune: done"),
        "{}",
        message(&pruned)
    );
    Ok(())
}

#[test]
fn faces_that_vanish_and_numbers_that_burst_stop_a_training_that_can_go_on() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let (faces, out) = (folder.path().join("faces"), folder.path().join("run"));
    let drawn = xtask(&["data", "synthesize", "--out", text(&faces)?, "--faces", "60"], &[])?;
    assert!(drawn.status.success(), "{}", message(&drawn));
    let from = ["--celeba", text(&faces)?];
    let run = long_run(&out, &from)?;
    std::fs::rename(faces.join("img_align_celeba"), folder.path().join("away"))?;
    let stopped = run.wait_with_output()?;
    assert_eq!(stopped.status.code(), Some(2));
    assert!(message(&stopped).contains(".jpg"), "{}", message(&stopped));
    std::fs::rename(folder.path().join("away"), faces.join("img_align_celeba"))?;
    let again = long_run(&out, &from)?;
    interrupt(&again)?;
    let again = again.wait_with_output()?;
    assert!(
        again.status.code() == Some(130) && message(&again).contains("going on from step"),
        "{}",
        message(&again)
    );

    let burst = folder.path().join("burst");
    let high =
        ["train.learning_rate=10", "train.weight_decay=10", "train.warmup=0.01", "train.epochs=60"];
    let output = reproduce(
        &burst,
        &high.iter().flat_map(|setting| ["--set", *setting]).collect::<Vec<_>>(),
    )?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message(&output).contains("values that are not finite, first in"),
        "{}",
        message(&output)
    );
    assert!(!burst.join("model.safetensors").exists());
    Ok(())
}

/// An epoch whose validation fails is not lost, and the training goes on with the validation.
#[test]
fn a_validation_face_that_breaks_costs_no_step() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let faces = folder.path().join("faces");
    // 480 of them train, so that an epoch has 60 steps.
    let drawn = xtask(&["data", "synthesize", "--out", text(&faces)?, "--faces", "600"], &[])?;
    assert!(drawn.status.success(), "{}", message(&drawn));
    let from = ["--celeba", text(&faces)?, "--set", "train.epochs=3"];
    let (whole, out) = (folder.path().join("whole"), folder.path().join("run"));
    assert!(reproduce(&whole, &from)?.status.success());

    let face = faces.join("img_align_celeba/000481.jpg");
    let image = std::fs::read(&face)?;
    let run = started(&out, &from)?;
    std::fs::write(&face, vec![0; image.len()])?;
    let stopped = run.wait_with_output()?;
    let told = message(&stopped);
    let saved = |epoch: usize| told.contains(&format!("saved at step {} of 180", 60 * epoch));
    assert!(stopped.status.code() == Some(2) && (1..=3).any(saved), "{told}");
    std::fs::write(&face, image)?;
    let again = reproduce(&out, &from)?;
    let told = message(&again);
    assert!(again.status.success() && told.contains("going on from step"), "{told}");
    for file in ["model.safetensors", "data/validation.csv", "data/training.csv"] {
        assert_eq!(std::fs::read(out.join(file))?, std::fs::read(whole.join(file))?, "{file}");
    }
    Ok(())
}

/// Runs the small run on a file system of this size in a namespace of its own, or `None` where the
/// system allows none.
fn in_small_space(mounted: &Path, size: &str, then: &str) -> AnyResult<Option<Output>> {
    std::fs::create_dir_all(mounted)?;
    if !Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "tmpfs", text(mounted)?])
        .status()
        .is_ok_and(|s| s.success())
    {
        eprintln!(
            "skipped: this system allows no file system of one's own (unshare -rm mount -t tmpfs)"
        );
        return Ok(None);
    }
    let run = shell_line(&xtask_command(&arguments(&mounted.join("run"), &[])?)?);
    let script =
        format!("mount -t tmpfs -o size={size} tmpfs {0} && cd {0} && {then}", text(mounted)?)
            .replace("RUN", &run);
    Ok(Some(Command::new("unshare").args(["-rm", "sh", "-c", &script]).output()?))
}

#[test]
fn a_full_disk_and_a_folder_made_read_only_are_told_and_the_run_goes_on_later() -> AnyResult {
    let folder = tempfile::tempdir()?;
    // The faces alone take more.
    let Some(drawing) = in_small_space(&folder.path().join("a"), "100k", "RUN")? else {
        return Ok(());
    };
    assert_eq!(drawing.status.code(), Some(1), "{}", message(&drawing));
    assert!(message(&drawing).contains("o space left on device"), "{}", message(&drawing));

    // Room for the faces, but after them only for a part of what training writes; then room again.
    let script = "RUN; code=$?; ls -A run; mount -o remount,size=64m . && RUN && exit $code";
    let Some(training) = in_small_space(&folder.path().join("b"), "1200k", script)? else {
        return Ok(());
    };
    assert!(
        training.status.code() == Some(1) && message(&training).contains("o space left on device"),
        "{}",
        message(&training)
    );
    let left = String::from_utf8_lossy(&training.stdout).into_owned();
    assert!(!left.contains(".tmp"), "half a file was left: {left}");
    assert!(message(&training).contains("figures: done"), "{}", message(&training));

    let script = "RUN > /dev/null && rm run/model.safetensors && mount -o remount,ro . ; RUN";
    let Some(read_only) = in_small_space(&folder.path().join("c"), "64m", script)? else {
        return Ok(());
    };
    assert!(
        read_only.status.code() == Some(2) && message(&read_only).contains("ead-only file system"),
        "{}",
        message(&read_only)
    );
    Ok(())
}
