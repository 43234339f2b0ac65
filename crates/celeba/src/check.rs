//! Is this CelebA, and is it whole?

use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};
use rayon::prelude::*;

use crate::attributes::ATTRIBUTES;
use crate::dataset::{CelebA, Split, SplitRule};
use crate::error::{Result, at};
use crate::places;

/// Faces in the whole of CelebA.
const FACES: usize = 202_599;
/// People in it.
const PEOPLE: usize = 10_177;
/// Its train, val and test images.
const SPLITS: [usize; 3] = [162_770, 19_867, 19_962];
/// Checksums of the distributed files.
const SUMS: [(&str, &str); 5] = [
    ("list_attr_celeba", "75e246fa4810816ffd6ee81facbd244c"),
    ("list_eval_partition", "d32c9cbf5e040fd4025c592c306e6668"),
    ("identity_CelebA", "32bd1bd63d3c78cd57e08160ec5ed1e2"),
    ("list_bbox_celeba", "00566efa6fedff7a56946cd1c10f1c16"),
    ("list_landmarks_align_celeba", "cc24ecafdb5b50baae59b03474781f8c"),
];
const ARCHIVE_SUM: (&str, &str) = ("img_align_celeba", "00d2c5bc6d35e252742224ab0c1e8fcb");
/// How far an attribute's frequency may lie from the published one in the whole of CelebA, and how
/// many standard errors in a part of it.
const TOLERANCE: f64 = 0.001;
const ERRORS: f64 = 5.;
/// Bad images that are named; the others are counted.
const NAMED: usize = 20;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Right,
    /// Not as distributed, which may be meant: a part of CelebA, for example.
    Note,
    /// Not there, and not needed.
    Missing,
    /// It cannot be used so, or is not what it seems.
    Wrong,
}

impl Status {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Note => "note",
            Self::Missing => "missing",
            Self::Wrong => "WRONG",
        }
    }
}

/// One line of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub status: Status,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub told: String,
}

/// Checks what lies at a path: counts, checksums of the distributed files, splits and attributes
/// against the published ones, the other annotations, and with `deep` every image and the archive's
/// checksum. `progress` is told the number of images that were decoded since it was last called,
/// and that of all. Nothing is an error: what is wrong is a finding.
pub fn check(path: &Path, deep: bool, progress: impl Fn(usize, usize) + Sync) -> Vec<Finding> {
    let mut findings = Findings(vec![]);
    let data = match CelebA::open_with_missing(path, SplitRule::Official) {
        Ok(data) => data,
        Err(e) => {
            findings.add(Status::Wrong, "form", e);
            // What can be said of the files alone.
            for (stem, sum) in SUMS {
                match places::file(path, stem) {
                    Some(_) => findings.sum(path, stem, sum, false),
                    None => findings.add(Status::Missing, format!("{stem}.txt"), "no such file"),
                }
            }
            return findings.0;
        }
    };
    let drawn = if data.is_synthetic() { ", drawn faces" } else { "" };
    findings.add(Status::Right, "form", format!("{}{drawn}", data.form()));
    let whole = data.len() == FACES;
    findings.add(
        if whole { Status::Right } else { Status::Note },
        "images",
        format!("{} of CelebA's {FACES}", data.len()),
    );
    findings.listed(&data, deep);
    findings.splits(&data, whole);
    findings.attributes(&data, whole);
    for (stem, sum) in SUMS {
        findings.sum(data.root(), stem, sum, whole);
    }
    findings.people(&data, whole);
    findings.others(&data);
    if deep {
        findings.archive(data.root(), whole);
        findings.images(&data, progress);
    }
    findings.0
}

/// Decodes these images; returns those that cannot be, with the reason.
pub fn bad_images(
    data: &CelebA,
    faces: &[usize],
    progress: impl Fn(usize) + Sync,
) -> Vec<(usize, String)> {
    let bad = |&face: &usize| {
        let found = data.examine(face).err().map(|e| (face, e.to_string()));
        progress(1);
        found
    };
    // Row groups one after the other, each on all cores.
    let Some(windows) = data.windows(|_| ()) else {
        return faces.par_iter().filter_map(bad).collect();
    };
    let wanted: std::collections::HashSet<usize> = faces.iter().copied().collect();
    let groups = windows
        .into_iter()
        .flatten()
        .map(|group| group.filter(|face| wanted.contains(face)).collect::<Vec<usize>>());
    groups.flat_map(|group| group.par_iter().filter_map(bad).collect::<Vec<_>>()).collect()
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, status: Status, what: impl Into<String>, told: impl ToString) {
        self.0.push(Finding { status, what: what.into(), told: told.to_string() });
    }

    /// Images without rows; and, if they are not read anyway, rows without images.
    fn listed(&mut self, data: &CelebA, deep: bool) {
        match data.unlisted_images() {
            Ok(unlisted) if unlisted.is_empty() => {}
            Ok(unlisted) => {
                let named =
                    unlisted.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if unlisted.len() > NAMED { ", …" } else { "" };
                let told = format!(
                    "{} that no row of list_attr_celeba lists, and that are not read: {named}{more}",
                    unlisted.len()
                );
                self.add(Status::Note, "other images", told);
            }
            Err(e) => self.add(Status::Wrong, "other images", e),
        }
        let missing = if deep { Ok(vec![]) } else { data.missing_images() };
        match missing {
            Ok(missing) if missing.is_empty() => {}
            Ok(missing) => {
                for &face in missing.iter().take(NAMED) {
                    self.add(
                        Status::Wrong,
                        "image",
                        format!(
                            "{} is listed in the annotations but does not exist",
                            data.image_path(face).display()
                        ),
                    );
                }
                let told = format!(
                    "{} of {} are missing: get them again, or leave them out (--skip-bad)",
                    missing.len(),
                    data.len()
                );
                self.add(Status::Wrong, "images exist", told);
            }
            Err(e) => self.add(Status::Wrong, "images exist", e),
        }
    }

    fn splits(&mut self, data: &CelebA, whole: bool) {
        let counts = [Split::Train, Split::Val, Split::Test]
            .map(|split| data.split(split).map_or(0, |faces| faces.len()));
        let (mut status, mut told) = splits(counts, whole);
        // Drawn faces have CelebA's names and splits of their own.
        let elsewhere = if data.is_synthetic() {
            None
        } else {
            elsewhere((0..data.len()).map(|face| (data.name(face), data.part(face))))
        };
        if let Some(elsewhere) = elsewhere {
            told = format!("{told}; {elsewhere}");
            status = if whole { Status::Wrong } else { status };
        }
        self.add(status, "splits", told);
    }

    fn attributes(&mut self, data: &CelebA, whole: bool) {
        let all: Vec<usize> = (0..data.len()).collect();
        let far = |(name, found, published): (&str, f64, f64)| {
            let error = (published * (1. - published) / data.len() as f64).sqrt();
            let allowed = if whole { TOLERANCE } else { ERRORS * error };
            ((found - published).abs() > allowed)
                .then(|| format!("{name} {:.2} % (CelebA {:.2} %)", 100. * found, 100. * published))
        };
        let frequencies = data.frequencies(&all);
        let off: Vec<String> = ATTRIBUTES
            .iter()
            .zip(frequencies)
            .zip(published())
            .filter_map(|((&name, f), p)| far((name, f, p)))
            .collect();
        let bound =
            if whole { "0.1 points".to_owned() } else { format!("{ERRORS} standard errors") };
        match off.is_empty() {
            true => self.add(
                Status::Right,
                "attributes",
                format!("all 40 are as frequent as published, within {bound}"),
            ),
            false if data.is_synthetic() => self.add(
                Status::Note,
                "attributes",
                format!("{} of 40 differ by more than {bound}; these faces are drawn", off.len()),
            ),
            false => self.add(
                Status::Wrong,
                "attributes",
                format!("{} of 40 differ by more than {bound}: {}", off.len(), off.join(", ")),
            ),
        }
    }

    fn sum(&mut self, root: &Path, stem: &str, expected: &str, whole: bool) {
        match places::file(root, stem) {
            None => {}
            Some(path) if path.extension().is_some_and(|e| e == "csv") => self.add(
                Status::Note,
                format!("{stem}.csv"),
                "is not in the distributed form, of which the md5 is known",
            ),
            Some(path) => self.compare(&path, expected, whole),
        }
    }

    fn compare(&mut self, path: &Path, expected: &str, whole: bool) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match md5_of(path) {
            Ok(sum) if sum == expected => self.add(Status::Right, name, "md5 as distributed"),
            Ok(_) if !whole => self.add(Status::Note, name, "is not the distributed file (md5)"),
            Ok(sum) => self.add(
                Status::Wrong,
                name,
                format!("md5 {sum}, but the distributed file has {expected}: download it again"),
            ),
            Err(e) => self.add(Status::Wrong, name, e),
        }
    }

    fn people(&mut self, data: &CelebA, whole: bool) {
        match data.identities() {
            Ok(mut people) => {
                people.sort_unstable();
                people.dedup();
                let status =
                    if whole && people.len() != PEOPLE { Status::Wrong } else { Status::Right };
                self.add(status, "identities", format!("{} people", people.len()));
            }
            Err(e) => self.optional("identities", e),
        }
    }

    fn others(&mut self, data: &CelebA) {
        match data.landmarks() {
            Ok(rows) => self.add(Status::Right, "landmarks", format!("{} faces", rows.len())),
            Err(e) => self.optional("landmarks", e),
        }
        match data.boxes() {
            Ok(rows) => self.add(Status::Right, "boxes", format!("{} faces", rows.len())),
            Err(e) => self.optional("boxes", e),
        }
    }

    /// Annotations that nothing here needs may be missing, but not wrong.
    fn optional(&mut self, what: &str, error: crate::Error) {
        match error {
            crate::Error::Missing(_) => {
                self.add(Status::Missing, what, "no such file; it is not needed")
            }
            error => self.add(Status::Wrong, what, error),
        }
    }

    fn archive(&mut self, root: &Path, whole: bool) {
        let (stem, sum) = ARCHIVE_SUM;
        for path in ["", "Img"]
            .map(|part| root.join(part).join(format!("{stem}.zip")))
            .into_iter()
            .filter(|path| path.is_file())
        {
            self.compare(&path, sum, whole);
        }
    }

    fn images(&mut self, data: &CelebA, progress: impl Fn(usize, usize) + Sync) {
        let all: Vec<usize> = (0..data.len()).collect();
        let bad = bad_images(data, &all, |n| progress(n, all.len()));
        for (_, reason) in bad.iter().take(NAMED) {
            self.add(Status::Wrong, "image", reason);
        }
        match bad.len() {
            0 => self.add(Status::Right, "images decode", format!("all {}", all.len())),
            n => self.add(
                Status::Wrong,
                "images decode",
                format!("{} of {}; {n} do not", all.len() - n, all.len()),
            ),
        }
    }
}

fn splits(counts: [usize; 3], whole: bool) -> (Status, String) {
    let words = |[train, val, test]: [usize; 3]| format!("{train} train, {val} val, {test} test");
    let told = words(counts);
    match counts {
        SPLITS => (Status::Right, told),
        [train, val, test] if [train, test, val] == SPLITS => {
            (Status::Wrong, format!("{told}: val and test are exchanged"))
        }
        _ if whole => (Status::Wrong, format!("{told}; CelebA's are {}", words(SPLITS))),
        _ => (Status::Note, format!("{told}: not CelebA's own")),
    }
}

/// The official split of an image, if its name is one of CelebA's: 000001.jpg to 202599.jpg.
fn official(name: &str) -> Option<u8> {
    let number: usize = name.split_once('.').filter(|(stem, _)| stem.len() == 6)?.0.parse().ok()?;
    let [train, val, _] = SPLITS;
    (1..=FACES).contains(&number).then(|| u8::from(number > train) + u8::from(number > train + val))
}

/// Says which faces are in another split than their numbers have in CelebA, if some are.
fn elsewhere<'a>(faces: impl Iterator<Item = (&'a str, u8)>) -> Option<String> {
    let word =
        |part: u8| ["train", "val", "test"].get(usize::from(part)).copied().unwrap_or("no split");
    let mut moved = faces.filter_map(|(name, part)| {
        official(name).filter(|&own| own != part).map(|own| (name, part, own))
    });
    let (name, part, own) = moved.next()?;
    let first = format!("{name} is in {}, which is in CelebA's {}", word(part), word(own));
    match moved.count() {
        0 => Some(first),
        n => {
            Some(format!("{} faces are in another split than in CelebA, the first: {first}", n + 1))
        }
    }
}

/// Share of CelebA's faces that have each attribute.
fn published() -> impl Iterator<Item = f64> {
    let rows = include_str!("../../../data/published/attribute_counts.csv").lines().skip(1);
    rows.filter_map(|row| Some(row.split(',').nth(1)?.parse::<f64>().ok()? / FACES as f64))
}

fn md5_of(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(at(path))?;
    let (mut sum, mut buffer) = (Md5::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => sum.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_a_published_frequency() {
        let all: Vec<f64> = published().collect();
        assert_eq!(all.len(), ATTRIBUTES.len());
        assert!(all.iter().all(|f| (0.02..0.9).contains(f)));
    }

    #[test]
    fn exchanged_splits_are_found() {
        assert_eq!(splits(SPLITS, true).0, Status::Right);
        let exchanged = splits([162_770, 19_962, 19_867], true);
        assert!(exchanged.0 == Status::Wrong && exchanged.1.contains("val and test are exchanged"));
        assert_eq!(splits([162_769, 19_868, 19_962], true).0, Status::Wrong);
        assert_eq!(splits([6400, 800, 800], false).0, Status::Note);
    }

    #[test]
    fn moved_faces_are_found_by_their_numbers() {
        let name = |number: usize| format!("{number:06}.jpg");
        let names: Vec<String> = (1..=FACES).map(name).collect();
        let told = |part: &dyn Fn(usize) -> usize| {
            elsewhere(names.iter().enumerate().map(|(at, name)| (name.as_str(), part(at) as u8)))
        };
        let ranges = |at: usize| usize::from(at >= 162_770) + usize::from(at >= 182_637);
        assert_eq!(told(&ranges), None);
        // The same counts, but moved by one, and in another order of the splits.
        let shifted = told(&|at| ranges((at + FACES - 1) % FACES)).unwrap();
        assert!(
            shifted.starts_with("3 faces are in another split than in CelebA, the first: 000001.jpg is in test, which is in CelebA's train"),
            "{shifted}"
        );
        let exchanged = told(&|at| [1, 0, 2][ranges(at)]).unwrap();
        assert!(
            exchanged.starts_with("182637 faces")
                && exchanged.ends_with("000001.jpg is in val, which is in CelebA's train"),
            "{exchanged}"
        );
        assert_eq!(
            told(&|at| if at == 162_770 { 0 } else { ranges(at) }).unwrap(),
            "162771.jpg is in train, which is in CelebA's val"
        );
        assert_eq!(elsewhere([("mine.jpg", 2), ("7.jpg", 2), ("202600.jpg", 0)].into_iter()), None);
    }

    #[test]
    fn md5_as_in_rfc_1321() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "message digest").unwrap();
        assert_eq!(md5_of(&path).unwrap(), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
