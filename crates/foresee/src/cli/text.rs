//! Tables on a terminal.

use std::iter::once;

/// Rows in columns that are as wide as their longest cell, below the names of the columns. Columns
/// from `numbers` on end at the right.
pub(crate) fn aligned(header: &[&str], rows: &[Vec<String>], numbers: usize) -> String {
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let all = || once(&header).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        match column >= numbers {
            true => format!("{text:>width$}"),
            false => format!("{text:<width$}"),
        }
    };
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["é".into(), "1".into()], vec!["longer".into(), "20".into()]];
        assert_eq!(aligned(&["a", "n"], &rows, 1), "a        n\né        1\nlonger  20\n");
    }
}
