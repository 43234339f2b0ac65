//! Every crate's package, unpacked in an empty folder, compiles there: it includes nothing from
//! outside of itself.

use std::path::{Path, PathBuf};
use std::process::Command;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Members that are not published.
const PRIVATE: [&str; 2] = ["xtask", "foresee-tests"];

/// A member that turns features on.
const FEATURES: &str = "features";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(command: &mut Command) -> AnyResult {
    let output = command.output()?;
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn every_package_compiles_by_itself() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let mut package = Command::new(env!("CARGO"));
    package.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--offline"]);
    package.args(PRIVATE.iter().flat_map(|name| ["--exclude", name]));
    package.arg("--target-dir").arg(folder.path()).current_dir(root());
    run(&mut package)?;
    let packages = unpack(&folder.path().join("package"), folder.path())?;
    // All of `crates`, and the folder `data`.
    let expected = std::fs::read_dir(root().join("crates"))?.count() + 1;
    assert_eq!(packages.len(), expected, "{packages:?}");
    std::fs::write(folder.path().join("Cargo.toml"), workspace(&packages)?)?;
    write_features(&folder.path().join(FEATURES))?;
    std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    // The dependencies are there already.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    run(Command::new(env!("CARGO"))
        .args(["check", "--release", "--workspace", "--offline", "--target-dir"])
        .arg(target)
        .current_dir(folder.path()))
}

/// Unpacks all packages of a folder; the names of the folders that they make.
fn unpack(packages: &Path, into: &Path) -> AnyResult<Vec<String>> {
    let mut folders = vec![];
    for entry in std::fs::read_dir(packages)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "crate") {
            // With times of now (m): by those in the package, nothing would ever be checked again.
            run(Command::new("tar").arg("xzmf").arg(&path).arg("-C").arg(into))?;
            folders.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    folders.sort();
    Ok(folders)
}

/// A package of no code with the dependencies that `xtask/Cargo.toml` names for their features
/// alone: with other features everything that depends on these would be compiled once more.
fn write_features(folder: &Path) -> AnyResult {
    let xtask: toml::Table =
        toml::from_str(&std::fs::read_to_string(root().join("xtask/Cargo.toml"))?)?;
    let unused = ["hyper", "hyper-util"].map(|name| {
        (name.to_owned(), xtask["dependencies"].get(name).cloned().expect("a dependency of xtask"))
    });
    let mut manifest: toml::Table = toml::from_str(
        "[package]\nname = \"features\"\nversion = \"0.0.0\"\nedition = \"2024\"\n",
    )?;
    manifest.insert("dependencies".into(), toml::Table::from_iter(unused).into());
    manifest.insert("build-dependencies".into(), xtask["build-dependencies"].clone());
    std::fs::create_dir_all(folder.join("src"))?;
    std::fs::write(folder.join("src/lib.rs"), "")?;
    Ok(std::fs::write(folder.join("Cargo.toml"), toml::to_string(&manifest)?)?)
}

/// A workspace of the packages, each of which takes the others from its folder, built with the
/// profile of the checkout.
fn workspace(packages: &[String]) -> AnyResult<String> {
    let own: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("Cargo.toml"))?)?;
    let mut manifest: toml::Table = toml::from_str("[workspace]\nresolver = \"3\"\n")?;
    manifest["workspace"].as_table_mut().ok_or("a section")?.extend([
        ("members".into(), [packages, &[FEATURES.into()]].concat().into()),
        ("dependencies".into(), own["workspace"]["dependencies"].clone()),
    ]);
    let mut patch = toml::Table::new();
    for folder in packages {
        let (name, _version) = folder.rsplit_once('-').ok_or("a name with a version")?;
        let path = toml::Table::from_iter([("path".to_owned(), folder.clone().into())]);
        patch.insert(name.to_owned(), path.into());
    }
    let patch = toml::Table::from_iter([("crates-io".to_owned(), patch.into())]);
    manifest.insert("patch".into(), patch.into());
    manifest.insert("profile".into(), own["profile"].clone());
    Ok(toml::to_string(&manifest)?)
}
