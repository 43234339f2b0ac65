//! Checksums of the distributed files.

use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};

use super::{Findings, Status};
use crate::error::{Result, reading};
use crate::layout;
use crate::official::{ANNOTATION_MD5, ARCHIVE_MD5};

/// Checks the files of a folder that cannot be opened as CelebA.
pub(super) fn check_without_data(root: &Path, findings: &mut Findings) {
    for (file, md5) in ANNOTATION_MD5 {
        match layout::annotation_file(root, file) {
            Some(path) => check_annotation_file(&path, file, md5, false, findings),
            None => findings.add(Status::Missing, format!("{file}.txt"), "no such file"),
        }
    }
}

pub(super) fn check_checksums(root: &Path, complete: bool, findings: &mut Findings) {
    for (file, md5) in ANNOTATION_MD5 {
        if let Some(path) = layout::annotation_file(root, file) {
            check_annotation_file(&path, file, md5, complete, findings);
        }
    }
}

pub(super) fn check_archive(root: &Path, complete: bool, findings: &mut Findings) {
    for path in layout::archives(root) {
        check_md5(&path, ARCHIVE_MD5, complete, findings);
    }
}

fn check_annotation_file(
    path: &Path,
    file: &str,
    md5: &str,
    complete: bool,
    findings: &mut Findings,
) {
    if path.extension().is_some_and(|e| e == "csv") {
        findings.add(
            Status::Note,
            format!("{file}.csv"),
            "is not in the distributed form, of which the md5 is known",
        );
    } else {
        check_md5(path, md5, complete, findings);
    }
}

fn check_md5(path: &Path, expected: &str, complete: bool, findings: &mut Findings) {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match md5_of(path) {
        Ok(sum) if sum == expected => findings.add(Status::Right, name, "md5 as distributed"),
        Ok(_) if !complete => findings.add(Status::Note, name, "is not the distributed file (md5)"),
        Ok(sum) => findings.add(
            Status::Wrong,
            name,
            format!("md5 {sum}, but the distributed file has {expected}: download it again"),
        ),
        Err(e) => findings.add(Status::Wrong, name, e),
    }
}

fn md5_of(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(reading(path))?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(reading(path))? {
            0 => return Ok(md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => md5.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_as_in_rfc_1321() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "message digest").unwrap();
        assert_eq!(md5_of(&path).unwrap(), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
