//! Tells the program which commit and which `Cargo.lock` it is built from.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rustc-env=FORESEE_COMMIT={}", commit());
    println!("cargo:rustc-env=FORESEE_LOCK={}", lock().display());
}

/// The commit of the checkout, marked if what the program is built from was changed since; in a
/// published package, the commit that it was packed from.
fn commit() -> String {
    let root = folder("CARGO_MANIFEST_DIR").join("../..");
    if !root.join(".git").exists() {
        return packed().unwrap_or_else(|| "unknown".into());
    }
    let sources = ["crates", "data", "xtask", "Cargo.toml", "Cargo.lock"];
    sources
        .iter()
        .for_each(|part| println!("cargo:rerun-if-changed={}", root.join(part).display()));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // A linked worktree has it elsewhere. Cargo would take what is not there for changed.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]).map(|path| root.join(path));
    if let Some(log) = log.filter(|log| log.exists()) {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    let changes = git(&[&["status", "--porcelain", "--"][..], &sources].concat());
    match (git(&["rev-parse", "HEAD"]), changes) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit} with uncommitted changes"),
        _ => "unknown".into(),
    }
}

/// What `cargo package` writes into a package.
fn packed() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let hash = text.split("\"sha1\": \"").nth(1)?;
    Some(hash.split('"').next()?.to_owned())
}

/// A copy of `Cargo.lock` of the workspace or of the package; an empty file if there is none.
fn lock() -> PathBuf {
    let package = folder("CARGO_MANIFEST_DIR");
    let places = [package.join("../../Cargo.lock"), package.join("Cargo.lock")];
    // Cargo would take one that is not there for changed, and build the program at every call.
    let found = places.iter().find(|place| place.exists());
    found.iter().for_each(|place| println!("cargo:rerun-if-changed={}", place.display()));
    let lock = found.and_then(|place| std::fs::read(place).ok()).unwrap_or_default();
    let copy = folder("OUT_DIR").join("Cargo.lock");
    std::fs::write(&copy, lock).expect("the build folder is writable");
    copy
}

/// A folder that cargo tells.
fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable).expect("cargo sets it").into()
}
