//! A folder of any images, as a folder of faces without labels.

use std::path::{Path, PathBuf};

use foresee_celeba::{ATTRIBUTES, is_image_name};
use foresee_files::write_atomic;

use crate::error::{Result, input};

/// Makes annotations in `out` for the images of a folder: all labels are no, and all are of the
/// training split. The images are linked, not copied. Returns the folder to open.
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
    if std::fs::read_link(&link).is_err() {
        link_to(&std::path::absolute(images)?, &link)?;
    }
    let no = " -1".repeat(ATTRIBUTES.len());
    let labels: String = names.iter().map(|name| format!("{name}{no}\n")).collect();
    let text = format!("{}\n{}\n{labels}", names.len(), ATTRIBUTES.join(" "));
    write_atomic(&folder.join("list_attr_celeba.txt"), text.as_bytes())?;
    let split: String = names.iter().map(|name| format!("{name} 0\n")).collect();
    write_atomic(&folder.join("list_eval_partition.txt"), split.as_bytes())?;
    Ok(folder)
}

#[cfg(unix)]
fn link_to(images: &Path, link: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(images, link)?)
}

#[cfg(not(unix))]
fn link_to(_: &Path, _: &Path) -> Result<()> {
    Err(input("--images needs symbolic links; give a folder in CelebA's layout with --celeba"))
}
