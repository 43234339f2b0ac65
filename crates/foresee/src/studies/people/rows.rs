//! Data files of a study: rows with a last column that says whom and what they come from.

use std::path::Path;

use foresee_files::write_atomic;
use foresee_report::frame::read_csv;

use crate::artifacts::Row;
use crate::error::{Result, input};
use crate::run::marked_csv;

/// Writes rows at their place in a folder.
pub(super) fn write_rows<R: Row>(folder: &Path, rows: &[R], kind: &str) -> Result<()> {
    let csv = marked_csv(R::to_frame(rows)?, kind)?;
    Ok(write_atomic(&folder.join(R::PATH), csv.as_bytes())?)
}

/// Reads rows from their place in a folder.
pub(super) fn read_rows<R: Row>(folder: &Path) -> Result<Vec<R>> {
    let path = folder.join(R::PATH);
    let frame = read_csv(&path).map_err(|e| input(format!("{}: {e}", path.display())))?;
    Ok(R::from_frame(&frame)?)
}
