//! The PDF of a figure.

use resvg::usvg;

/// Dictionaries that name the resources of a page.
const RESOURCES: [&[u8]; 5] =
    [b"/XObject <<", b"/Pattern <<", b"/ExtGState <<", b"/Shading <<", b"/Font <<"];

/// The bytes of a PDF, which are decided by the SVG.
pub(crate) fn pdf(tree: &usvg::Tree) -> Result<Vec<u8>, String> {
    let options = svg2pdf::ConversionOptions::default();
    let pdf = svg2pdf::to_pdf(tree, options, svg2pdf::PageOptions::default());
    pdf.map(|pdf| in_order(&pdf)).map_err(|e| e.to_string())
}

/// Sorts the entries of each dictionary of resources, which svg2pdf writes in another order each
/// time. An entry is a line. All entries stay within their object, so the offsets of objects hold.
fn in_order(pdf: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = pdf.split_inclusive(|&byte| byte == b'\n').collect();
    let mut at = 0;
    while at < lines.len() {
        let opened = RESOURCES.contains(&lines[at].trim_ascii());
        at += 1;
        if opened {
            let entries = lines[at..].iter().take_while(|line| line.trim_ascii() != b">>").count();
            lines[at..at + entries].sort_unstable();
            at += entries;
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_resources_are_sorted_and_nothing_else() {
        let pdf = b"b\na\n /XObject <<\n  /x1 8 0 R\n  /x0 9 0 R\n >>\n /Font <<\n >>\nd\nc";
        let sorted = b"b\na\n /XObject <<\n  /x0 9 0 R\n  /x1 8 0 R\n >>\n /Font <<\n >>\nd\nc";
        assert_eq!(in_order(pdf), sorted);
    }

    #[test]
    fn one_svg_makes_one_pdf() {
        let circle = |i| format!("<circle cx='{i}' cy='5' r='4' opacity='0.{i}'/>");
        let circles: String = (1..9).map(circle).collect();
        let svg =
            format!("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>{circles}</svg>");
        let tree = usvg::Tree::from_str(&svg, &usvg::Options::default()).unwrap();
        let first = pdf(&tree).unwrap();
        assert!((0..8).all(|_| pdf(&tree).unwrap() == first));
    }
}
