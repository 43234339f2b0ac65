//! The log is for people: whatever becomes of it, the work and its exit status are the same.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use foresee_tests::{QUICK, message, shell_line, small_run, xtask, xtask_command};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// Runs a command whose log nobody reads.
fn unread(arguments: &[&str]) -> AnyResult<ExitStatus> {
    let mut child =
        xtask_command(arguments)?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    drop(child.stderr.take());
    Ok(child.wait()?)
}

#[test]
fn a_log_that_cannot_be_written_changes_nothing() -> AnyResult {
    assert_eq!(unread(&["data", "check", "nowhere"])?.code(), Some(2));
    assert_eq!(unread(&["figures", "--run", "nowhere"])?.code(), Some(2));

    let folder = tempfile::tempdir()?;
    let run = |name: &str| small_run(&folder.path().join(name), &QUICK);
    let arguments = run("unread")?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert!(unread(&arguments)?.success());
    assert!(folder.path().join("unread/report.html").is_file());

    let full = Path::new("/dev/full");
    if full.exists() {
        let log = std::fs::OpenOptions::new().write(true).open(full)?;
        let status = xtask_command(&run("full")?)?.stdout(Stdio::null()).stderr(log).status()?;
        assert!(status.success());
        assert!(folder.path().join("full/report.html").is_file());
    }
    Ok(())
}

#[test]
fn options_and_the_environment_choose_what_is_shown() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let log = |more: &[&str], environment: &[(&str, &str)]| -> AnyResult<String> {
        let output = xtask(&small_run(&out, &[&QUICK[..], more].concat())?, environment)?;
        assert!(output.status.success(), "{}", message(&output));
        Ok(message(&output))
    };
    let first = log(&["-v"], &[("RUST_LOG", "")])?;
    assert!(first.contains("train: done") && first.contains("wrote data/"), "{first}");
    assert!(!first.contains('\u{1b}'), "a pipe gets no colours: {first:?}");

    // All stages are up to date from here on.
    let plain = log(&[], &[("RUST_LOG", "")])?;
    assert!(plain.contains("train: up to date") && !plain.contains("wrote"), "{plain}");
    assert_eq!(log(&["--quiet"], &[])?, "");
    assert!(log(&[], &[("CLICOLOR_FORCE", "1")])?.contains('\u{1b}'));
    let no_colour = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "0")];
    assert!(!log(&[], &no_colour)?.contains('\u{1b}'));
    let json = log(&["--log-json"], &[("CLICOLOR_FORCE", "1")])?;
    let lines: Vec<serde_json::Value> =
        json.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert!(lines.iter().any(|line| line["message"] == "train: up to date"), "{json}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
    let timed = log(&["--timestamps"], &[])?;
    assert!(timed.lines().all(|line| line.starts_with("20") && line.contains('Z')), "{timed}");
    Ok(())
}

/// Runs a command in a shell after a limit is set.
#[cfg(target_os = "linux")]
fn under(limit: &str, arguments: &[String]) -> AnyResult<std::process::Output> {
    let started = xtask_command(arguments)?;
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", &format!("{limit} && exec {}", shell_line(&started))]);
    limited.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    Ok(limited.output()?)
}

/// A limit of the process bounds what is available, and is told before the training.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_process_is_seen() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let arguments = small_run(&folder.path().join("run"), &QUICK)?;
    let output = under("ulimit -v 6000000", &arguments)?;
    let told = message(&output);
    let available = told.split("of memory, ").nth(1).and_then(|rest| rest.split(' ').next());
    let available: f64 = available.ok_or("no figure")?.parse()?;
    assert!(available < 6.2, "{told}");
    Ok(())
}

/// A limit of file sizes is an error that names the file, and leaves no half file.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_file_sizes_is_told() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let arguments = small_run(&folder.path().join("run"), &QUICK)?;
    let output = under("ulimit -f 100", &arguments)?;
    assert_eq!(output.status.code(), Some(1), "{}", message(&output));
    assert!(message(&output).contains("File too large"), "{}", message(&output));
    let left = std::fs::read_dir(folder.path().join("run"))?.flatten();
    let half = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"));
    assert_eq!(half.count(), 0);
    Ok(())
}

/// A path that the manifest cannot hold is refused by its name, before the faces are looked at.
#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_refused_first() -> AnyResult {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir()?;
    let odd = folder.path().join(OsStr::from_bytes(b"f\xFF"));
    for option in ["--celeba", "--out"] {
        let arguments: Vec<OsString> = ["reproduce", "--profile", "smoke", option]
            .iter()
            .map(OsString::from)
            .chain([odd.clone().into_os_string()])
            .collect();
        let output = xtask(&arguments, &[])?;
        assert_eq!(output.status.code(), Some(2), "{}", message(&output));
        let told = message(&output);
        assert!(told.contains(option) && told.contains("is not UTF-8"), "{told}");
        assert!(!odd.exists());
    }
    Ok(())
}
