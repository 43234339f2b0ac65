//! The rules of the house (`docs/src/architecture.md`), checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Which crates of the house a crate uses. Arrows point down: each line names crates above it only.
const ARROWS: [(&str, &[&str]); 18] = [
    ("foresee-data", &[]),
    ("foresee-files", &[]),
    ("foresee-stats", &[]),
    ("foresee-active", &[]),
    ("foresee-kernels", &[]),
    ("foresee-ranks", &[]),
    ("foresee-report", &["foresee-files"]),
    ("foresee-celeba", &["foresee-data"]),
    ("foresee-model", &["foresee-files", "foresee-kernels", "foresee-ranks"]),
    ("foresee-graph", &["foresee-files", "foresee-kernels"]),
    ("foresee-baselines", &["foresee-graph", "foresee-model"]),
    ("foresee-analysis", &["foresee-stats"]),
    (
        "foresee-perturb",
        &["foresee-analysis", "foresee-graph", "foresee-kernels", "foresee-model", "foresee-stats"],
    ),
    ("foresee-predict", &["foresee-graph", "foresee-perturb", "foresee-stats"]),
    ("foresee-people", &["foresee-predict", "foresee-stats"]),
    ("foresee-attribution", &["foresee-graph", "foresee-kernels", "foresee-stats"]),
    (
        "foresee",
        &[
            "foresee-active",
            "foresee-analysis",
            "foresee-attribution",
            "foresee-baselines",
            "foresee-celeba",
            "foresee-data",
            "foresee-files",
            "foresee-graph",
            "foresee-kernels",
            "foresee-model",
            "foresee-people",
            "foresee-perturb",
            "foresee-predict",
            "foresee-ranks",
            "foresee-report",
            "foresee-stats",
        ],
    ),
    (
        "xtask",
        &[
            "foresee",
            "foresee-attribution",
            "foresee-baselines",
            "foresee-celeba",
            "foresee-graph",
            "foresee-kernels",
            "foresee-model",
            "foresee-perturb",
            "foresee-ranks",
            "foresee-report",
            "foresee-stats",
        ],
    ),
];

/// Which crates of the house a crate's tests and examples use besides.
const TEST_ARROWS: [(&str, &[&str]); 2] =
    [("foresee-graph", &["foresee-model"]), ("foresee-attribution", &["foresee-model"])];

/// Crates that know no tensors.
const WITHOUT_CANDLE: [&str; 6] = [
    "foresee-active",
    "foresee-data",
    "foresee-files",
    "foresee-ranks",
    "foresee-report",
    "foresee-stats",
];

/// Lines of source that xtask stays below.
const XTASK_LINES: usize = 2500;
/// Columns of a line of source.
const COLUMNS: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of every member but the tests, by the name of its package.
fn members() -> AnyResult<BTreeMap<String, PathBuf>> {
    let mut folders = vec![root().join("data"), root().join("xtask")];
    for entry in std::fs::read_dir(root().join("crates"))? {
        folders.push(entry?.path());
    }
    let mut members = BTreeMap::new();
    for folder in folders {
        let manifest = manifest(&folder)?;
        let name = manifest["package"]["name"].as_str().ok_or("a package without a name")?;
        members.insert(name.to_owned(), folder);
    }
    Ok(members)
}

fn manifest(folder: &Path) -> AnyResult<toml::Table> {
    Ok(toml::from_str(&std::fs::read_to_string(folder.join("Cargo.toml"))?)?)
}

/// What a package depends on, that of targets among it.
fn dependencies(folder: &Path) -> AnyResult<BTreeSet<String>> {
    named(folder, &["dependencies", "build-dependencies"])
}

/// What only the tests and examples of a package depend on.
fn test_dependencies(folder: &Path) -> AnyResult<BTreeSet<String>> {
    let all = named(folder, &["dev-dependencies"])?;
    Ok(all.difference(&dependencies(folder)?).cloned().collect())
}

/// Names in some sections of a manifest, those of targets among them.
fn named(folder: &Path, sections: &[&str]) -> AnyResult<BTreeSet<String>> {
    let manifest = manifest(folder)?;
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([&manifest]);
    let found = tables.flat_map(|table| sections.iter().map(|name| table.get(*name)));
    let names = found.flatten().filter_map(toml::Value::as_table).flatten();
    Ok(names.map(|(name, _)| name.clone()).collect())
}

fn sources(folder: &Path) -> AnyResult<Vec<PathBuf>> {
    files(folder, &["rs"])
}

/// All files of a folder with one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> AnyResult<Vec<PathBuf>> {
    let mut files = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn arrows_between_crates_point_down() -> AnyResult {
    let members = members()?;
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(listed, found, "every crate is listed");
    for (at, (name, allowed)) in ARROWS.iter().enumerate() {
        let above: Vec<&str> = ARROWS[..at].iter().map(|(name, _)| *name).collect();
        assert!(allowed.iter().all(|other| above.contains(other)), "{name} points up");
        let in_tests = TEST_ARROWS.iter().find(|(of, _)| of == name).map_or(&[][..], |of| of.1);
        for (mut used, listed) in [
            (dependencies(&members[*name])?, *allowed),
            (test_dependencies(&members[*name])?, in_tests),
        ] {
            used.retain(|other| found.contains(other.as_str()));
            assert!(used.iter().eq(listed.iter()), "{name} uses {used:?}, listed are {listed:?}");
        }
    }
    Ok(())
}

#[test]
fn numbers_and_figures_know_no_tensors() -> AnyResult {
    let members = members()?;
    for name in WITHOUT_CANDLE {
        let dependencies = dependencies(&members[name])?;
        let candle: Vec<&String> =
            dependencies.iter().filter(|name| name.starts_with("candle")).collect();
        assert!(candle.is_empty(), "{name} uses {candle:?}");
    }
    Ok(())
}

#[test]
fn the_workshop_stays_small() -> AnyResult {
    let mut lines = 0;
    for file in sources(&root().join("xtask/src"))? {
        lines += std::fs::read_to_string(file)?.lines().count();
    }
    assert!(lines < XTASK_LINES, "xtask has {lines} lines");
    Ok(())
}

/// Packages, each with its version and features, as `cargo tree` lists them.
fn features(arguments: &[&str]) -> AnyResult<BTreeSet<String>> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p} {f}"])
        .args(arguments)
        .current_dir(root())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

/// Where a feature of a dependency is the tests' alone, all that depends on it is compiled twice.
#[test]
fn cargo_xtask_builds_what_the_tests_need() -> AnyResult {
    let program = features(&["--package", "xtask", "--edges", "normal,build"])?;
    let tests = features(&["--workspace", "--edges", "normal,build,dev"])?;
    assert!(program.iter().any(|line| line.starts_with("polars v")), "{program:?}");
    let others: Vec<_> = program.difference(&tests).collect();
    assert!(
        others.is_empty(),
        "name these in xtask/Cargo.toml with the features of tests: {others:?}"
    );
    Ok(())
}

#[test]
fn lines_are_at_most_so_long() -> AnyResult {
    for folder in ["crates", "xtask", "tests", "data"] {
        for file in sources(&root().join(folder))? {
            for (i, line) in std::fs::read_to_string(&file)?.lines().enumerate() {
                let columns = line.chars().count();
                assert!(columns <= COLUMNS, "{}:{}: {columns} columns", file.display(), i + 1);
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_that_readers_see_is_unfinished() -> AnyResult {
    let texts = ["md", "toml", "csv", "json"];
    let mut found = vec![];
    for folder in ["docs/src", "data", "crates"] {
        found.extend(files(&root().join(folder), &texts)?);
    }
    found.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|file| root().join(file)));
    for file in found {
        let text = std::fs::read_to_string(&file)?;
        for mark in ["TODO", "FIXME", "XXX", "PLACEHOLDER"] {
            assert!(!text.contains(mark), "{} has a {mark}", file.display());
        }
    }
    Ok(())
}

/// A file of a crate as a path of modules: `heads/mod.rs` is [heads], `lib.rs` is [].
fn module(source: &Path, file: &Path) -> AnyResult<Vec<String>> {
    let relative = file.strip_prefix(source)?.with_extension("");
    let mut path: Vec<String> =
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    Ok(path)
}

/// The modules that a file names by `crate::…` or `super::…`, without its tests and comments.
fn imports(text: &str, own: &[String], is_folder: bool) -> Vec<Vec<String>> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let parent = &own[..own.len().saturating_sub(1)];
    let mut found = vec![];
    for (start, base) in [("crate::", &[][..]), ("super::", parent), ("self::", own)] {
        if start == "self::" && !is_folder {
            continue;
        }
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut base = base.to_vec();
            let mut rest = &code[at + start.len()..];
            while let Some(deeper) = rest.strip_prefix("super::") {
                base.pop();
                rest = deeper;
            }
            found.extend(paths(rest).into_iter().map(|path| [base.clone(), path].concat()));
        }
    }
    found
}

/// The paths that an import names: `a::b`, or `{a::b, c}` as several.
fn paths(text: &str) -> Vec<Vec<String>> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if !word.is_empty() {
        let rest = &text[word.len()..];
        let inner = rest.strip_prefix("::").map(paths).unwrap_or_default();
        return match inner.is_empty() {
            true => vec![vec![word]],
            false => inner.into_iter().map(|path| [vec![word.clone()], path].concat()).collect(),
        };
    }
    let Some(list) = text.strip_prefix('{') else { return vec![] };
    let mut depth = 0;
    let mut items = vec![String::new()];
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                items.iter_mut().last().into_iter().for_each(|item| item.push(c));
            }
        }
    }
    items.iter().flat_map(|item| paths(item.trim())).collect()
}

/// The imports between files of one folder: for each module those of its siblings that it names, in
/// itself or in a file below it.
type Siblings = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

fn sibling_imports(source: &Path) -> AnyResult<Siblings> {
    let files = sources(source)?;
    let modules: BTreeSet<Vec<String>> =
        files.iter().map(|file| module(source, file)).collect::<AnyResult<_>>()?;
    let mut siblings = Siblings::new();
    for file in &files {
        let own = module(source, file)?;
        let is_folder = file.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
        for path in imports(&std::fs::read_to_string(file)?, &own, is_folder) {
            let known = (0..=path.len()).rev().map(|n| path[..n].to_vec());
            let Some(target) = known.into_iter().find(|p| modules.contains(p)) else { continue };
            let common = own.iter().zip(&target).take_while(|(a, b)| a == b).count();
            // A parent and its child may know each other.
            if common < own.len() && common < target.len() {
                let from = own[..=common].to_vec();
                siblings.entry(from).or_default().insert(target[..=common].to_vec());
            }
        }
    }
    Ok(siblings)
}

/// A circle that a module is part of.
fn circle(siblings: &Siblings, start: &[String]) -> Option<Vec<Vec<String>>> {
    let mut stack = vec![vec![start.to_vec()]];
    let mut seen = BTreeSet::new();
    while let Some(path) = stack.pop() {
        for next in siblings.get(&path[path.len() - 1]).into_iter().flatten() {
            if next == start {
                return Some(path);
            }
            if seen.insert(next.clone()) {
                stack.push([path.clone(), vec![next.clone()]].concat());
            }
        }
    }
    None
}

#[test]
fn files_of_a_folder_do_not_import_each_other_in_a_circle() -> AnyResult {
    let mut circles = vec![];
    for (name, folder) in members()? {
        // foresee-data is one file.
        if name == "foresee-data" {
            continue;
        }
        let siblings = sibling_imports(&folder.join("src"))?;
        for module in siblings.keys() {
            if let Some(found) = circle(&siblings, module) {
                let names: Vec<String> = found.iter().map(|path| path.join("::")).collect();
                circles.push(format!("{name}: {}", names.join(" → ")));
            }
        }
    }
    assert!(circles.is_empty(), "import circles:\n{}", circles.join("\n"));
    Ok(())
}

#[test]
fn circles_are_found() {
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    assert_eq!(
        paths("a::{b, c::{D, E}} ;"),
        [names(&["a", "b"]), names(&["a", "c", "D"]), names(&["a", "c", "E"])]
    );
    let own = names(&["heads", "tile"]);
    let text = "use super::dims::Dims;\nuse crate::norm;\n// use crate::comment;\n";
    assert_eq!(imports(text, &own, false), [names(&["norm"]), names(&["heads", "dims", "Dims"])]);
    let siblings = Siblings::from([
        (names(&["a"]), BTreeSet::from([names(&["b"])])),
        (names(&["b"]), BTreeSet::from([names(&["a"])])),
        (names(&["c"]), BTreeSet::from([names(&["a"])])),
    ]);
    assert!(circle(&siblings, &names(&["a"])).is_some());
    assert!(circle(&siblings, &names(&["c"])).is_none());
}
