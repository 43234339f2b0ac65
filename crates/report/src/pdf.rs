//! The PDF of a figure.

use pdf_writer::{Content, Name, Pdf, Rect, Ref, TextStr};
use resvg::usvg;

use crate::about::About;

/// SVG pixels of a point.
const PIXELS: f32 = 96. / 72.;

/// Objects of the page itself.
const OWN: i32 = 5;

/// Dictionaries that name the resources of a page.
const RESOURCES: [&[u8]; 5] =
    [b"/XObject <<", b"/Pattern <<", b"/ExtGState <<", b"/Shading <<", b"/Font <<"];

/// The bytes of a PDF of one page of the figure's size, which are decided by the SVG and by what is
/// said about it.
pub(crate) fn pdf(tree: &usvg::Tree, title: &str, about: &About) -> Result<Vec<u8>, String> {
    let options = svg2pdf::ConversionOptions::default();
    let (chunk, drawing) = svg2pdf::to_chunk(tree, options).map_err(|e| e.to_string())?;
    let [catalog, pages, page, contents, info] = [1, 2, 3, 4, OWN].map(Ref::new);
    // Not by the order of their appearance, which svg2pdf does not keep.
    let number = |old: Ref| Ref::new(OWN + old.get());
    let (chunk, drawing) = (chunk.renumber(number), number(drawing));

    let (width, height) = (tree.size().width() / PIXELS, tree.size().height() / PIXELS);
    let name = Name(b"figure");
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    {
        let mut page = pdf.page(page);
        page.media_box(Rect::new(0., 0., width, height)).parent(pages).contents(contents);
        page.resources().x_objects().pair(name, drawing);
    }
    let mut content = Content::new();
    content.transform([width, 0., 0., height, 0., 0.]).x_object(name);
    pdf.stream(contents, &content.finish());
    pdf.extend(&chunk);
    pdf.document_info(info)
        .title(TextStr(title))
        .subject(TextStr(&about.caption))
        .keywords(TextStr(&about.made_from()))
        .creator(TextStr(About::CREATOR))
        .producer(TextStr("svg2pdf"));
    Ok(in_order(&pdf.finish()))
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
        let about = About { caption: "σ (noise)".into(), ..About::default() };
        let pdf = || pdf(&tree, "circles", &about).unwrap();
        let first = pdf();
        assert!((0..8).all(|_| pdf() == first));
    }
}
