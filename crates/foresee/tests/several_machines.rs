//! Several processes on one command, started by `mpirun`: the same bits as one, whatever dies.
//! Without an `mpirun` the tests skip, saying so.

#[path = "support/folders.rs"]
mod folders;

use std::collections::BTreeSet;
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

/// Files of a run that say how long it took.
const OTHER_EACH_TIME: [&str; 2] = ["manifest.json", "report.html"];

/// All other files of a run, by their place in its folder.
fn files_of(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder_below) = folders.pop() {
        for entry in std::fs::read_dir(folder_below)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !OTHER_EACH_TIME.contains(&&*name) {
                files.insert(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    Ok(files)
}

/// Compares all files whose bytes the faces, the settings and the seed decide.
fn check_same(a: &Path, b: &Path) -> Result {
    let files = files_of(a)?;
    // Of all stages: a stage that was left out would make this an empty test.
    for made in [
        "model.safetensors",
        "statistics.safetensors",
        "data/training.csv",
        "data/validation.csv",
        "data/accuracy.csv",
        "data/channels.csv",
        "data/mean_masks.csv",
        "data/channel_pruning_by_image.csv",
        "data/mask_transformation_by_image.csv",
        "data/predictability.csv",
        "data/attribution_scores.csv",
        "data/attribution_checks.csv",
        "data/attribution_randomisation.csv",
        "data/attribution_permutation.csv",
        "data/attribution_dependence.csv",
        "data/attribution_surrogate.csv",
        "data/attribution_maps.csv",
        "figures/attribution_comparison.svg",
        "tables/attribution_surrogate.csv",
    ] {
        assert!(files.contains(Path::new(made)), "{made} is not there");
    }
    assert_eq!(files, files_of(b)?);
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

/// Settings that a command is given besides those of the manifest are those of all ranks.
#[test]
fn all_ranks_have_the_settings_of_the_command() -> Result {
    if !has_mpirun() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let of = |ranks: usize| folder.path().join(format!("ranks-{ranks}"));
    checked(reproduce(1, &of(1)))?;
    let before = std::fs::read(of(1).join("data/attribution_scores.csv"))?;
    folders::copy(&of(1), &of(2))?;
    let set = ["--images", "3", "--set", "attribute.steps=5", "--set", "attribute.neighbours=3"];
    for ranks in [1, 2] {
        let mut command = mpirun(ranks);
        command.args([FORESEE, "--threads", "1", "attribute"]).args(set);
        command.arg("--run").arg(of(ranks));
        checked(command)?;
    }
    assert!(std::fs::read(of(1).join("data/attribution_scores.csv"))? != before);
    check_same(&of(1), &of(2))
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

fn may_mount() -> bool {
    let mut tried = Command::new("unshare");
    let tried = tried.args(["-m", "mount", "--bind", "/tmp", "/mnt"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: this needs the right to mount");
    }
    may
}

/// What a rank sees in place of a file or folder.
struct Mount<'a> {
    rank: usize,
    seen: &'a Path,
    place: &'a Path,
}

/// A command on so many ranks, of which some see something else at a place.
fn with_mounts(ranks: usize, arguments: &[&str], out: &Path, mounts: &[Mount]) -> Command {
    let mut command = mpirun(1);
    for rank in 0..ranks {
        if rank > 0 {
            command.args([":", "-n", "1"]);
        }
        if let Some(Mount { seen, place, .. }) = mounts.iter().find(|mount| mount.rank == rank) {
            let (seen, place) = (seen.display(), place.display());
            let mount = format!("mount --bind '{seen}' '{place}' && exec \"$0\" \"$@\"");
            command.args(["unshare", "-m", "sh", "-c", &mount]);
        }
        command.args([FORESEE, "--threads", "1"]).args(arguments).arg("--out").arg(out);
    }
    command
}

/// A rank that sees other faces at the same place is named before anything is trained.
#[test]
fn a_rank_with_other_faces_is_named() -> Result {
    if !has_mpirun() || !may_mount() {
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
    let own_text = own.to_string_lossy().into_owned();
    let arguments = ["train", "--system", "paper", "--profile", "smoke", "--celeba", &own_text];
    let mount = Mount { rank: 1, seen: &other, place: &own };
    let output = with_mounts(2, &arguments, &out, &[mount]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("rank 1 on ") && said.contains("are not those that the run"), "{said}");
    assert!(!out.join("model.safetensors").exists());
    Ok(())
}

/// A rank whose processor has other caches, where candle cuts its sums at other places, is named
/// before anything is done.
#[test]
fn a_rank_with_other_caches_is_named() -> Result {
    if !has_mpirun() || !may_mount() {
        return Ok(());
    }
    let (folder, cpus) = (tempfile::tempdir()?, Path::new("/sys/devices/system/cpu"));
    let own = std::fs::read_to_string(cpus.join("cpu0/cache/index0/size")).unwrap_or_default();
    let (size, ways) = if own.trim() == "48K" { ("32K", "8") } else { ("48K", "12") };
    let other = folder.path().join("cpu");
    for (index, level, size, ways) in [
        ("index0", "1", size, ways),
        ("index2", "2", "1024K", "16"),
        ("index3", "3", "8192K", "16"),
    ] {
        let cache = other.join("cpu0/cache").join(index);
        std::fs::create_dir_all(&cache)?;
        for (file, text) in [
            ("level", level),
            ("type", "Unified"),
            ("size", size),
            ("ways_of_associativity", ways),
            ("coherency_line_size", "64"),
            ("shared_cpu_list", "0"),
        ] {
            std::fs::write(cache.join(file), text)?;
        }
    }
    let mount = Mount { rank: 1, seen: &other, place: cpus };
    let out = folder.path().join("run");
    let output = with_mounts(2, &["reproduce", "--profile", "smoke"], &out, &[mount]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("rank 1 on ") && said.contains("bits of their sums"), "{said}");
    assert!(!out.exists());
    Ok(())
}

/// A copy of a run's images that can be found, and not be read.
fn broken_images(images: &Path, broken: &Path) -> Result {
    std::fs::create_dir(broken)?;
    for entry in std::fs::read_dir(images)? {
        let entry = entry?;
        let length = entry.metadata()?.len() as usize;
        std::fs::write(broken.join(entry.file_name()), vec![0; length])?;
    }
    Ok(())
}

/// In each stage that ranks share: one that cannot read its faces ends all, and is named.
#[test]
fn a_rank_that_fails_in_a_stage_ends_all() -> Result {
    if !has_mpirun() || !may_mount() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (whole, out) = (folder.path().join("whole"), folder.path().join("run"));
    checked(reproduce(1, &whole))?;
    checked(reproduce(2, &out))?;
    let (images, broken) = (out.join("faces/img_align_celeba"), folder.path().join("broken"));
    broken_images(&images, &broken)?;
    let arguments = [&["reproduce", "--profile", "smoke"][..], &SETTINGS].concat();
    // Last to first: each stage is done before those that were interrupted.
    for (stage, file) in [
        ("attribute", "attribution_scores.csv"),
        ("predict", "predictability.csv"),
        ("transform", "mask_transformation.csv"),
        ("prune", "channel_pruning.csv"),
        ("measure", "channels.csv"),
    ] {
        std::fs::remove_file(out.join("data").join(file))?;
        let mount = Mount { rank: 1, seen: &broken, place: &images };
        let mut child = with_mounts(3, &arguments, &out, &[mount]);
        let child = child.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let said = said_by(child)?;
        assert!(said.contains(&format!("stage {stage}: rank 1 on ")), "{said}");
    }
    checked(reproduce(3, &out))?;
    check_same(&whole, &out)
}

/// What a command that fails says, which has to end within 30 seconds.
fn said_by(mut child: Child) -> Result<String> {
    if !ended(&mut child, Duration::from_secs(30))? {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|code| code > 0), "it went on: {said}");
    Ok(said)
}

/// A rank whose share takes for ever does not keep one that fails from ending all.
#[test]
fn a_rank_that_fails_does_not_wait_for_slow_ones() -> Result {
    if !has_mpirun() || !may_mount() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    checked(reproduce(2, &out))?;
    let (images, broken) = (out.join("faces/img_align_celeba"), folder.path().join("broken"));
    broken_images(&images, &broken)?;
    // Whoever opens it waits until somebody writes.
    let (model, waits) = (out.join("model.safetensors"), folder.path().join("waits"));
    let mut pipe = Command::new("mkfifo");
    pipe.arg(&waits);
    checked(pipe)?;
    std::fs::remove_file(out.join("data/channels.csv"))?;
    let arguments = [&["reproduce", "--profile", "smoke"][..], &SETTINGS].concat();
    let mounts = [
        Mount { rank: 1, seen: &waits, place: &model },
        Mount { rank: 2, seen: &broken, place: &images },
    ];
    let mut command = with_mounts(3, &arguments, &out, &mounts);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let said = said_by(child)?;
    assert!(said.contains("rank 2 on "), "{said}");
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
