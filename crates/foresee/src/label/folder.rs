//! A folder of any images, as a folder of faces without labels.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use foresee_celeba::{ATTRIBUTES, CelebA, SplitRule, is_image_name};
use foresee_files::write_atomic;

use crate::error::{Result, input};
use crate::faces::unreadable;

/// Makes annotations in `out` for the images of a folder: all labels are no, and all are of the
/// training split. The images are linked, not copied. Those that cannot be decoded are left out.
/// Returns the folder to open.
pub(crate) fn as_faces(images: &Path, out: &Path) -> Result<PathBuf> {
    let refuse = |reason: String| input(format!("--images {}: {reason}", images.display()));
    let entries = std::fs::read_dir(images).map_err(|e| refuse(e.to_string()))?;
    let mut names = vec![];
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && is_image_name(&name) {
            names.push(name);
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(refuse("no JPEG or PNG file is there".into()));
    }
    if let Some(name) = names.iter().find(|name| name.contains(char::is_whitespace)) {
        return Err(refuse(format!("rename `{name}`: names may have no blanks")));
    }
    let folder = out.join("faces");
    std::fs::create_dir_all(&folder)?;
    let link = folder.join("img_align_celeba");
    let target = std::path::absolute(images)?;
    if std::fs::read_link(&link).ok().as_ref() != Some(&target) {
        remove_link(&link)?;
        link_to(&target, &link)?;
    }
    annotate(&folder, &names)?;
    let bad = bad_names(&folder)?;
    if bad.len() == names.len() {
        return Err(refuse("no image there can be decoded".into()));
    }
    if !bad.is_empty() {
        tracing::warn!("{} of {} images cannot be used and are left out", bad.len(), names.len());
        names.retain(|name| !bad.contains(name));
        annotate(&folder, &names)?;
    }
    Ok(folder)
}

/// Writes annotations in CelebA's layout.
fn annotate(folder: &Path, names: &[String]) -> Result<()> {
    let no = " -1".repeat(ATTRIBUTES.len());
    let labels: String = names.iter().map(|name| format!("{name}{no}\n")).collect();
    let text = format!("{}\n{}\n{labels}", names.len(), ATTRIBUTES.join(" "));
    write_atomic(&folder.join("list_attr_celeba.txt"), text.as_bytes())?;
    let split: String = names.iter().map(|name| format!("{name} 0\n")).collect();
    Ok(write_atomic(&folder.join("list_eval_partition.txt"), split.as_bytes())?)
}

/// The images that cannot be decoded: each is named in the log.
fn bad_names(folder: &Path) -> Result<HashSet<String>> {
    let data = CelebA::open(folder, SplitRule::Official)?;
    let all: Vec<usize> = (0..data.len()).collect();
    let bad = unreadable(&data, &all);
    bad.iter().for_each(|(_, reason)| tracing::warn!("{reason}"));
    Ok(bad.into_iter().map(|(face, _)| data.name(face).to_owned()).collect())
}

/// Removes a link that leads elsewhere.
fn remove_link(link: &Path) -> Result<()> {
    match std::fs::remove_file(link) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(input(format!("{}: {e}; remove it", link.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn link_to(images: &Path, link: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(images, link)?)
}

#[cfg(not(unix))]
fn link_to(_: &Path, _: &Path) -> Result<()> {
    Err(input("--images needs symbolic links; give a folder in CelebA's layout with --celeba"))
}
