//! Where results go: pipes, devices and links stay what they are, and what a command reads, what a
//! run owns, or what somebody else wrote is refused before any work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use foresee_tests::{QUICK, message, small_run, text, xtask, xtask_command};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// A run, which drew its own faces.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        let output = xtask(&small_run(&made.path("run"), &QUICK)?, &[])?;
        assert!(output.status.success(), "{}", message(&output));
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn evaluate(&self, predictions: &Path, more: &[&str]) -> AnyResult<Command> {
        let (model, faces) = (self.path("run/model.safetensors"), self.path("run/faces"));
        let start = ["evaluate", "--model", text(&model)?, "--celeba", text(&faces)?];
        let mut arguments = start.to_vec();
        arguments.extend(["--predictions", text(predictions)?]);
        xtask_command(&[&arguments[..], more].concat())
    }

    fn prune(&self, save: &Path, more: &[&str]) -> AnyResult<Output> {
        let run = self.path("run");
        let start = ["prune", "--run", text(&run)?, "--count", "2", "--save", text(save)?];
        xtask(&[&start[..], more].concat(), &[])
    }

    /// Everything that would say that a stage was done or a file was written.
    fn state(&self) -> AnyResult<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = vec![];
        for name in ["run/manifest.json", "run/model.safetensors", "run/faces/list_attr_celeba.txt"]
        {
            files.push((self.path(name), fs::read(self.path(name))?));
        }
        Ok(files)
    }
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", message(output));
    assert!(message(output).contains(reason), "{reason}: {}", message(output));
}

#[test]
fn results_go_where_the_path_leads() -> AnyResult {
    let made = Fixture::new()?;
    let before = made.state()?;

    // Standard output: the table alone.
    let output = made.evaluate(Path::new("-"), &[])?.output()?;
    let table = String::from_utf8(output.stdout)?;
    assert!(output.status.success() && table.starts_with("image,5_o_Clock_Shadow,"), "{table}");
    assert!(table.lines().skip(1).all(|line| line.split(',').count() == 41));
    assert!(String::from_utf8_lossy(&output.stderr).contains("balanced"), "the summary");
    assert!(!Path::new("-").exists());

    // A file, then the same file again; a link stays a link.
    let file = made.path("new/predictions.csv");
    assert!(made.evaluate(&file, &[])?.status()?.success());
    assert_eq!(fs::read_to_string(&file)?, table);
    assert!(made.evaluate(&file, &[])?.status()?.success());
    #[cfg(unix)]
    {
        let link = made.path("link");
        std::os::unix::fs::symlink(&file, &link)?;
        fs::write(&file, "")?;
        assert!(made.evaluate(&link, &[])?.status()?.success());
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file)?, table);
        assert!(made.evaluate(Path::new("/dev/stdout"), &[])?.output()?.stdout == table.as_bytes());

        // A link to the standard output is the standard output.
        let standard = made.path("standard");
        std::os::unix::fs::symlink("/dev/stdout", &standard)?;
        let piped = fs::File::create(made.path("piped"))?;
        assert!(made.evaluate(&standard, &[])?.stdout(piped).status()?.success());
        assert_eq!(fs::read_to_string(made.path("piped"))?, table);

        // A pipe is written into, and so is a device.
        let fifo = made.path("fifo");
        if Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()) {
            let mut writer = made.evaluate(&fifo, &[])?.stdout(Stdio::null()).spawn()?;
            assert_eq!(fs::read_to_string(&fifo)?, table);
            assert!(writer.wait()?.success());
        }
        let device = made.path("device");
        let made_device = Command::new("mknod").arg(&device).args(["c", "1", "3"]).output();
        if made_device.is_ok_and(|output| output.status.success()) {
            assert!(made.evaluate(&device, &[])?.output()?.status.success());
            assert!(made.prune(&device, &[])?.status.success());
            assert!(!fs::metadata(&device)?.is_file(), "the device is no file");
        }
    }
    let output = made.prune(Path::new("-"), &[])?;
    assert!(output.status.success(), "{}", message(&output));
    fs::write(made.path("piped.safetensors"), &output.stdout)?;
    let saved = made.path("pruned.safetensors");
    assert!(made.prune(&saved, &[])?.status.success());
    assert_eq!(fs::read(&saved)?, output.stdout);
    assert_eq!(made.state()?, before);
    Ok(())
}

#[test]
fn what_must_not_be_replaced_is_refused_before_the_work() -> AnyResult {
    let made = Fixture::new()?;
    let before = made.state()?;
    // What the command reads, by its name, another name, and from a folder that it reads.
    let model = made.path("run/model.safetensors");
    refused(&made.evaluate(&model, &["--overwrite"])?.output()?, "reads it");
    let annotations = made.path("run/faces/list_attr_celeba.txt");
    refused(&made.evaluate(&annotations, &["--overwrite"])?.output()?, "reads it");
    #[cfg(unix)]
    {
        let link = made.path("link");
        std::os::unix::fs::symlink(&model, &link)?;
        refused(&made.evaluate(&link, &["--overwrite"])?.output()?, "reads it");
        fs::hard_link(&model, made.path("hard"))?;
        refused(&made.evaluate(&made.path("hard"), &["--overwrite"])?.output()?, "reads it");
        fs::remove_file(made.path("hard"))?;
    }
    // What a run owns, now or later.
    for name in ["model.safetensors", "manifest.json", "data/new.csv", "checkpoint.safetensors"] {
        let place = made.path("run").join(name);
        refused(&made.prune(&place, &["--overwrite"])?, "belongs to the run");
    }
    assert!(made.prune(&made.path("run/pruned.safetensors"), &[])?.status.success());
    // What somebody else wrote.
    let notes = made.path("notes.txt");
    fs::write(&notes, "my notes\n")?;
    refused(&made.evaluate(&notes, &[])?.output()?, "--overwrite");
    refused(&made.prune(&notes, &[])?, "--overwrite");
    assert_eq!(fs::read_to_string(&notes)?, "my notes\n");
    assert!(made.prune(&notes, &["--overwrite"])?.status.success());
    // A folder, a place below a file, and a file that may not be written.
    refused(&made.prune(&made.path("run"), &[])?, "is a folder");
    let below = made.prune(&notes.join("below/p.safetensors"), &[])?;
    refused(&below, "below");
    let told = message(&below).replace(text(made.folder.path())?, "");
    assert!(!told.contains(".tmp"), "{told}");
    let mut permissions = fs::metadata(&notes)?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&notes, permissions)?;
    refused(&made.prune(&notes, &[])?, "read-only");

    // By a way that would lead elsewhere once its folder is made; into a folder that is read; what
    // links in such a folder lead to; another model; labels with the header of predictions.
    let back = made.path("none/../run/model.safetensors");
    refused(&made.evaluate(&back, &["--overwrite"])?.output()?, "goes back by `..`");
    refused(&made.prune(&back, &["--overwrite"])?, "goes back by `..`");
    assert!(!made.path("none").exists());
    let inside = made.path("run/faces/new/p.csv");
    refused(&made.evaluate(&inside, &[])?.output()?, "reads it");
    assert!(!made.path("run/faces/new").exists());
    refused(&made.evaluate(&made.path("new/"), &[])?.output()?, "name a file");
    let whole = made.path("best.safetensors");
    fs::copy(made.path("run/model.safetensors"), &whole)?;
    refused(&made.prune(&whole, &[])?, "--overwrite");
    let labels = made.path("labels.csv");
    let names = fs::read_to_string(made.path("run/faces/list_attr_celeba.txt"))?;
    let names = names.lines().nth(1).ok_or("no names")?.split_whitespace();
    let header: Vec<&str> = ["image"].into_iter().chain(names).collect();
    fs::write(&labels, format!("{}\na.jpg{}\n", header.join(","), ",1".repeat(40)))?;
    refused(&made.evaluate(&labels, &[])?.output()?, "--overwrite");
    let archive = made.path("run/faces/img_align_celeba.zip");
    fs::write(&archive, "")?;
    let model = made.path("run/model.safetensors");
    let beside = made.path("run/faces/list_attr_celeba.txt");
    let arguments = ["evaluate", "--model", text(&model)?, "--celeba", text(&archive)?];
    let output =
        xtask(&[&arguments[..], &["--overwrite", "--predictions", text(&beside)?]].concat(), &[])?;
    refused(&output, "img_align_celeba.zip");
    fs::remove_file(&archive)?;
    #[cfg(unix)]
    {
        let (annotations, elsewhere) =
            (made.path("run/faces/list_attr_celeba.txt"), made.path("attr"));
        fs::rename(&annotations, &elsewhere)?;
        std::os::unix::fs::symlink(&elsewhere, &annotations)?;
        refused(&made.evaluate(&elsewhere, &["--overwrite"])?.output()?, "reads it");
        fs::remove_file(&annotations)?;
        fs::rename(&elsewhere, &annotations)?;
    }
    #[cfg(target_os = "linux")]
    {
        let opened = fs::File::open(&notes)?;
        let reading = made.evaluate(Path::new("/dev/stdin"), &[])?.stdin(opened).output()?;
        refused(&reading, "reading only");
    }

    // Folders of studies.
    let study = |out: &Path, more: &[&str]| -> AnyResult<Output> {
        let start = ["predict", "--study", "regression", "--seeds", "1", "--out", text(out)?];
        xtask(&[&start[..], more].concat(), &[])
    };
    let theirs = made.path("theirs");
    fs::create_dir(&theirs)?;
    fs::write(theirs.join("report.html"), "<title>Somebody's report</title>")?;
    refused(&study(&theirs, &[])?, "--overwrite");
    refused(&study(&made.path("run"), &["--overwrite"])?, "the run");
    let own = made.path("own");
    assert!(study(&own, &[])?.status.success() && study(&own, &[])?.status.success());
    let kept = made.path("kept");
    fs::create_dir(&kept)?;
    fs::copy(made.path("run/report.html"), kept.join("report.html"))?;
    refused(&study(&kept, &[])?, "--overwrite");
    let stats = |out: &Path| {
        let faces = made.path("run/faces");
        xtask(&["data", "stats", text(&faces)?, "--out", text(out)?], &[])
    };
    fs::write(theirs.join("attribute_correlation.csv"), "a,b\n1,2\n")?;
    refused(&stats(&theirs)?, "--overwrite");
    assert!(stats(&own)?.status.success() && stats(&own)?.status.success());
    assert_eq!(made.state()?, before);
    Ok(())
}
