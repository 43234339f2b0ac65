//! A folder of any images, as a folder of faces without labels.

use std::collections::HashSet;
use std::path::Path;

use foresee_celeba::{ATTRIBUTES, CelebA, SplitRule, is_image_name};
use foresee_files::write_atomic;

use crate::error::{Result, input};
use crate::faces::unreadable;

/// The entries of a folder that [`as_faces`] makes.
pub(super) const MADE: [&str; 3] = ["img_align_celeba", ATTRIBUTES_FILE, PARTITION_FILE];
const ATTRIBUTES_FILE: &str = "list_attr_celeba.txt";
const PARTITION_FILE: &str = "list_eval_partition.txt";

/// Makes a folder of faces of the images of another: all labels are no, and all are of the training
/// split. The images are linked, not copied. Those that cannot be decoded are left out, and so are
/// other files and folders: how many is told.
pub(super) fn as_faces(images: &Path, folder: &Path) -> Result<()> {
    let refuse = |reason: String| input(format!("--images {}: {reason}", images.display()));
    let entries = std::fs::read_dir(images).map_err(|e| refuse(e.to_string()))?;
    let (mut names, mut others) = (vec![], 0);
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(refuse(format!("rename `{}`: it is not UTF-8", name.display())));
        };
        match entry.path().is_file() && is_image_name(name) {
            true => names.push(name.to_owned()),
            false => others += usize::from(!name.starts_with('.')),
        }
    }
    names.sort();
    if others > 0 {
        tracing::warn!(
            "{}: {others} folders and files that are not named like JPEG or PNG files are left out",
            images.display()
        );
    }
    if names.is_empty() {
        return Err(refuse("no JPEG or PNG file is there".into()));
    }
    if let Some(name) = names.iter().find(|name| name.contains(char::is_whitespace)) {
        return Err(refuse(format!("rename `{name}`: names may have no blanks")));
    }
    std::fs::create_dir_all(folder).map_err(|e| input(format!("{}: {e}", folder.display())))?;
    link_to(&std::path::absolute(images)?, &folder.join(MADE[0]))?;
    annotate(folder, &names)?;
    let bad = bad_names(folder)?;
    if bad.len() == names.len() {
        return Err(refuse("no image there can be decoded".into()));
    }
    if !bad.is_empty() {
        tracing::warn!("{} of {} images cannot be used and are left out", bad.len(), names.len());
        names.retain(|name| !bad.contains(name));
        annotate(folder, &names)?;
    }
    Ok(())
}

/// Writes annotations in CelebA's layout.
fn annotate(folder: &Path, names: &[String]) -> Result<()> {
    let no = " -1".repeat(ATTRIBUTES.len());
    let labels: String = names.iter().map(|name| format!("{name}{no}\n")).collect();
    let text = format!("{}\n{}\n{labels}", names.len(), ATTRIBUTES.join(" "));
    write_atomic(&folder.join(ATTRIBUTES_FILE), text.as_bytes())?;
    let split: String = names.iter().map(|name| format!("{name} 0\n")).collect();
    Ok(write_atomic(&folder.join(PARTITION_FILE), split.as_bytes())?)
}

/// The images that cannot be decoded: each is named in the log.
fn bad_names(folder: &Path) -> Result<HashSet<String>> {
    let data = CelebA::open(folder, SplitRule::Official)?;
    let all: Vec<usize> = (0..data.len()).collect();
    let bad = unreadable(&data, &all);
    bad.iter().for_each(|(_, reason)| tracing::warn!("{reason}"));
    Ok(bad.into_iter().map(|(face, _)| data.name(face).to_owned()).collect())
}

#[cfg(unix)]
fn link_to(images: &Path, link: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(images, link)?)
}

#[cfg(not(unix))]
fn link_to(_: &Path, _: &Path) -> Result<()> {
    Err(input("--images needs symbolic links; give a folder in CelebA's layout with --celeba"))
}
