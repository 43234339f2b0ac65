//! Names that come from files cannot break out of the page, a figure or a table.

use foresee_report::{
    About, AttributionColumn, AttributionKind, AttributionMethod, Face, Report, Section, Source,
    Style, Table, face_attributions,
};

const HOSTILE: &str = "<script>alert('x')</script>\"& \\input{x} $|";

#[test]
fn what_comes_from_files_is_escaped() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let source = Source { data: HOSTILE.into(), synthetic: true };
    let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
    let row = AttributionColumn {
        name: HOSTILE.into(),
        face,
        region: None,
        maps: vec![vec![1., 0., -1., 0.]],
    };
    let method = AttributionMethod { name: HOSTILE.into(), kind: AttributionKind::Signed };
    let figure = face_attributions("figure", &[method], &[row], &source, &Style::default())?;
    let about =
        About { caption: HOSTILE.into(), data: vec![HOSTILE.into()], command: HOSTILE.into() };
    let figure = figure.about(about);
    assert!(!figure.svg().contains("<script"));
    figure.save(folder.path())?;

    let mut table = Table::new("table", HOSTILE, &[HOSTILE]).measured_on(&source);
    table.rows.push(vec![HOSTILE.into()]);
    table.save(folder.path())?;
    let latex = std::fs::read_to_string(folder.path().join("table.tex"))?;
    assert!(
        !latex.contains("\\input{") && latex.contains("\\$") && latex.contains("\\&"),
        "{latex}"
    );
    let markdown = std::fs::read_to_string(folder.path().join("table.md"))?;
    assert!(!markdown.contains("<script"), "{markdown}");

    let sections = vec![
        Section::Heading(HOSTILE.into()),
        Section::Text(HOSTILE.into()),
        Section::Figure(figure),
        Section::Table(table.clone()),
        Section::Plain(table),
    ];
    let report = Report {
        title: HOSTILE.into(),
        source,
        summary: vec![(HOSTILE.into(), HOSTILE.into())],
        sections,
    };
    report.save(&folder.path().join("report.html"))?;
    let page = std::fs::read_to_string(folder.path().join("report.html"))?;
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    Ok(())
}
