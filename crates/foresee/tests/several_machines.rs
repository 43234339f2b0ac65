//! Several processes on one command, started by `mpirun`: the same bits as one, whatever dies.
//! Without an `mpirun` the tests skip, saying so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const FORESEE: &str = env!("CARGO_BIN_EXE_foresee");

/// Settings that leave several micro-batches and several batches, to training and to the stages
/// behind it.
const SETTINGS: [&str; 22] = [
    "--set",
    "data.synthetic_faces=480",
    "--set",
    "train.limit=48",
    "--set",
    "train.batch_size=12",
    "--set",
    "train.micro_batch=2",
    "--set",
    "train.epochs=4",
    "--set",
    "train.checkpoint_seconds=0",
    "--set",
    "measure.images=90",
    "--set",
    "predict.images=24",
    "--set",
    "prune.images=40",
    "--set",
    "transform.images=20",
    "--set",
    "attribute.images=2",
];

fn has_mpirun() -> bool {
    let started = mpirun(2).arg("true").output();
    let is_there = started.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("skipped: there is no mpirun that starts two processes");
    }
    is_there
}

/// `mpirun` of so many ranks; the caller adds the program.
fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "-n", &ranks.to_string()])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        // There are more ranks than cores: those that wait leave theirs to the others.
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        // Processes of one container cannot always read each other's memory.
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    command
}

fn of_foresee(mut command: Command, arguments: &[&str], out: &Path) -> Command {
    command.args([FORESEE, "--threads", "1"]).args(arguments).arg("--out").arg(out);
    command
}

fn reproduce(ranks: usize, out: &Path) -> Command {
    let arguments = [&["reproduce", "--profile", "smoke"][..], &SETTINGS].concat();
    match ranks {
        1 => {
            let mut command = Command::new(FORESEE);
            command.args(["--threads", "1"]).args(arguments).arg("--out").arg(out);
            command
        }
        _ => of_foresee(mpirun(ranks), &arguments, out),
    }
}

fn checked(mut command: Command) -> Result<Output> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(output),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// Compares the files whose bytes the faces, the settings and the seed decide.
fn check_same(a: &Path, b: &Path) -> Result {
    let mut files = vec!["model.safetensors".into(), "statistics.safetensors".into()];
    for entry in std::fs::read_dir(a.join("data"))? {
        files.push(Path::new("data").join(entry?.file_name()));
    }
    // Of all stages: a stage that was left out would make this an empty test.
    for made in [
        "training",
        "validation",
        "accuracy",
        "channels",
        "mean_masks",
        "channel_pruning_by_image",
        "mask_transformation_by_image",
        "predictability",
        "attribution_scores",
    ] {
        let path = Path::new("data").join(made).with_extension("csv");
        assert!(files.contains(&path), "{} is not there", path.display());
    }
    for file in files {
        let same = std::fs::read(a.join(&file))? == std::fs::read(b.join(&file))?;
        assert!(same, "{} of {} differs", file.display(), b.display());
    }
    Ok(())
}

#[test]
fn any_number_of_ranks_makes_the_same_run() -> Result {
    if !has_mpirun() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let of = |ranks: usize| folder.path().join(format!("ranks-{ranks}"));
    checked(reproduce(1, &of(1)))?;
    for ranks in [2, 3, 4, 7] {
        let output = checked(reproduce(ranks, &of(ranks)))?;
        check_same(&of(1), &of(ranks))?;
        // One of them speaks.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.matches("train: done in").count(), 1, "{said}");
    }
    let evaluated = |ranks: usize| -> Result<Vec<u8>> {
        let model = of(1).join("model.safetensors");
        let faces = of(1).join("faces");
        let mut command = mpirun(ranks);
        command.args([FORESEE, "--threads", "1", "evaluate", "--json", "--split", "all"]);
        command.arg("--model").arg(model).arg("--celeba").arg(faces);
        let predictions = folder.path().join(format!("predictions-{ranks}.csv"));
        command.arg("--predictions").arg(&predictions);
        checked(command)?;
        Ok(std::fs::read(predictions)?)
    };
    let alone = evaluated(1)?;
    for ranks in [2, 3, 7] {
        assert!(evaluated(ranks)? == alone, "{ranks} ranks answer otherwise");
    }
    Ok(())
}

/// Processes that work in a folder, `mpirun` itself left out.
fn processes(out: &Path) -> Vec<u32> {
    let is_ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|&byte| byte == 0);
        arguments.next() == Some(FORESEE.as_bytes())
            && arguments.any(|argument| argument == out.as_os_str().as_encoded_bytes())
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_ours).collect()
}

/// Waits for the end of a child, at most so long.
fn ended(child: &mut Child, most: Duration) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < most {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

/// Kills a rank at random moments, and goes on with another number of ranks each time.
#[test]
fn a_killed_rank_ends_all_and_any_number_goes_on() -> Result {
    if !has_mpirun() || !cfg!(target_os = "linux") {
        return Ok(());
    }
    let kills: usize = std::env::var("FORESEE_KILLS").map_or(Ok(6), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let whole = folder.path().join("whole");
    let start = Instant::now();
    checked(reproduce(1, &whole))?;
    let seconds = start.elapsed().as_secs_f64();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    let mut number = 0;
    while killed < kills {
        let out = folder.path().join(format!("killed-{number}"));
        number += 1;
        let mut ended_by_itself = false;
        for ranks in [3, 2, 4, 7].into_iter().cycle() {
            let mut child = reproduce(ranks, &out);
            let mut child = child.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            std::thread::sleep(Duration::from_secs_f64(rng.random_range(0.1..1.5 * seconds)));
            let pids = processes(&out);
            if child.try_wait()?.is_some() || pids.is_empty() {
                child.wait()?;
                ended_by_itself = true;
            } else {
                let pid = pids[rng.random_range(0..pids.len())];
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status()?;
                assert!(ended(&mut child, Duration::from_secs(30))?, "the others went on");
                killed += 1;
            }
            if ended_by_itself || killed >= kills {
                break;
            }
        }
        if !ended_by_itself {
            checked(reproduce(3, &out))?;
        }
        checked(reproduce(1, &out))?;
        check_same(&whole, &out)?;
    }
    Ok(())
}

/// A rank that sees other faces at the same place is named before anything is trained.
#[test]
fn a_rank_with_other_faces_is_named() -> Result {
    let may_mount = || {
        let mut tried = Command::new("unshare");
        let tried = tried.args(["-m", "mount", "--bind", "/tmp", "/mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    if !has_mpirun() || !may_mount() {
        eprintln!("skipped: this needs mpirun, and the right to mount");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let faces = |name: &str, seed: u64| -> Result<PathBuf> {
        let path = folder.path().join(name);
        let mut command = Command::new(FORESEE);
        command.args(["data", "synthesize", "--faces", "60"]);
        command.arg("--seed").arg(seed.to_string()).arg("--out").arg(&path);
        checked(command)?;
        Ok(path)
    };
    let (own, other) = (faces("faces", 1)?, faces("other", 2)?);
    let out = folder.path().join("run");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let own_text = text(&own);
    let arguments = ["train", "--system", "paper", "--profile", "smoke", "--celeba", &own_text];
    let mut command = of_foresee(mpirun(1), &arguments, &out);
    let mount = format!("mount --bind '{}' '{own_text}' && exec \"$0\" \"$@\"", text(&other));
    command.args([":", "-n", "1", "unshare", "-m", "sh", "-c", &mount, FORESEE]);
    command.args(["--threads", "1"]).args(arguments).arg("--out").arg(&out);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("rank 1 on ") && said.contains("are not those that the run"), "{said}");
    assert!(!out.join("model.safetensors").exists());
    Ok(())
}

#[test]
fn what_ranks_cannot_share_is_refused() -> Result {
    if !has_mpirun() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for (arguments, expected) in [
        (&["--system", "paper", "--set", "train.micro_batch=0"][..], "train.micro_batch is 0"),
        (&["--system", "resnet18"], "only the paper's network, on CPUs"),
    ] {
        let arguments = [&["train", "--profile", "smoke"], arguments].concat();
        let output = of_foresee(mpirun(2), &arguments, &folder.path().join("run")).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
        std::fs::remove_dir_all(folder.path().join("run"))?;
    }
    Ok(())
}
