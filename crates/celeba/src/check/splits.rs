//! Sizes of the splits, and faces that are in another split than in CelebA.

use super::{Findings, Status};
use crate::dataset::CelebA;
use crate::official::{SPLIT_SIZES, split_of_name};
use crate::split::Split;

pub(super) fn check(data: &CelebA, complete: bool, findings: &mut Findings) {
    let sizes = Split::DISJOINT.map(|split| data.split(split).map_or(0, |faces| faces.len()));
    let (mut status, mut message) = check_sizes(sizes, complete);
    // Synthetic faces have names like CelebA's, but other splits.
    if !data.is_synthetic() {
        let faces = (0..data.len()).map(|face| (data.name(face), data.partition(face)));
        if let Some(moved) = moved_faces(faces) {
            message = format!("{message}; {moved}");
            status = if complete { Status::Wrong } else { status };
        }
    }
    findings.add(status, "splits", message);
}

fn check_sizes(sizes: [usize; 3], complete: bool) -> (Status, String) {
    let words = |[train, val, test]: [usize; 3]| format!("{train} train, {val} val, {test} test");
    let found = words(sizes);
    match sizes {
        SPLIT_SIZES => (Status::Right, found),
        [train, val, test] if [train, test, val] == SPLIT_SIZES => {
            (Status::Wrong, format!("{found}: val and test are exchanged"))
        }
        _ if complete => (Status::Wrong, format!("{found}; CelebA's are {}", words(SPLIT_SIZES))),
        _ => (Status::Note, format!("{found}: not CelebA's own")),
    }
}

/// Says how many faces are in another split than in CelebA, which their names tell, and names the
/// first one. `None` if there are no such faces.
fn moved_faces<'a>(faces: impl Iterator<Item = (&'a str, Option<Split>)>) -> Option<String> {
    let mut moved = faces.filter_map(|(name, split)| {
        split_of_name(name)
            .filter(|&official| Some(official) != split)
            .map(|official| (name, split, official))
    });
    let (name, split, official) = moved.next()?;
    let split = split.map_or("no split", Split::id);
    let first = format!("{name} is in {split}, which is in CelebA's {}", official.id());
    match moved.count() {
        0 => Some(first),
        n => {
            Some(format!("{} faces are in another split than in CelebA, the first: {first}", n + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::official::{FACES, split_of};

    #[test]
    fn exchanged_splits_are_found() {
        assert_eq!(check_sizes(SPLIT_SIZES, true).0, Status::Right);
        let exchanged = check_sizes([162_770, 19_962, 19_867], true);
        assert!(exchanged.0 == Status::Wrong && exchanged.1.contains("val and test are exchanged"));
        assert_eq!(check_sizes([162_769, 19_868, 19_962], true).0, Status::Wrong);
        assert_eq!(check_sizes([6400, 800, 800], false).0, Status::Note);
    }

    #[test]
    fn moved_faces_are_found_by_their_numbers() {
        let names: Vec<String> = (1..=FACES).map(|number| format!("{number:06}.jpg")).collect();
        let moved = |split: &dyn Fn(usize) -> Option<Split>| {
            let faces = names.iter().enumerate();
            moved_faces(faces.map(|(face, name)| (name.as_str(), split(face))))
        };
        let official = |face: usize| split_of(face + 1);
        assert_eq!(moved(&official), None);
        // The same counts, but moved by one, and in another order of the splits.
        let shifted = moved(&|face| official((face + FACES - 1) % FACES)).unwrap();
        assert!(
            shifted.starts_with(
                "3 faces are in another split than in CelebA, the first: 000001.jpg is in test, \
                 which is in CelebA's train"
            ),
            "{shifted}"
        );
        let exchange = |split| match split {
            Some(Split::Train) => Some(Split::Val),
            Some(Split::Val) => Some(Split::Train),
            other => other,
        };
        let exchanged = moved(&|face| exchange(official(face))).unwrap();
        assert!(
            exchanged.starts_with("182637 faces")
                && exchanged.ends_with("000001.jpg is in val, which is in CelebA's train"),
            "{exchanged}"
        );
        assert_eq!(
            moved(&|face| if face == 162_770 { Some(Split::Train) } else { official(face) })
                .unwrap(),
            "162771.jpg is in train, which is in CelebA's val"
        );
        assert_eq!(
            moved(&|face| official(face).filter(|_| face > 0)).unwrap(),
            "000001.jpg is in no split, which is in CelebA's train"
        );
        let own = [("mine.jpg", Split::Test), ("7.jpg", Split::Test), ("202600.jpg", Split::Train)];
        assert_eq!(moved_faces(own.into_iter().map(|(name, split)| (name, Some(split)))), None);
    }
}
