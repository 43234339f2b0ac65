//! In every style, nothing that is written in a figure reaches beyond its page, is too small, or
//! crosses what else is written, whatever names people give.

use std::sync::Arc;

use foresee_report::{
    Architecture, AttributionColumn, AttributionKind, AttributionMethod, CellGrid, ChannelMask,
    Curve, Dot, Face, FaceRow, Figure, Forest, HeatMap, Level, LineStyle, MapColumn, MarkedMap,
    Panel, Preset, RangedDot, Result, Source, Style, architecture, cell_grids, curves, dot_plot,
    face_attributions, face_masks, forest, heat_maps, marked_maps,
};
use resvg::tiny_skia::Rect;
use resvg::usvg;

type AnyResult = std::result::Result<(), Box<dyn std::error::Error>>;

/// The styles in which every figure is looked at: all presets, and the narrowest figures.
fn styles() -> Vec<Style> {
    let narrow = Style { width: 72.6, ..Style::new(Preset::PaperColumn) };
    Preset::ALL.map(Style::new).into_iter().chain([narrow]).collect()
}

/// Draws a figure in every style. Every text's ink lies within the page, is no smaller than the
/// smallest text, and crosses no other text.
fn check(figure: impl Fn(&Style) -> Result<Figure>) -> AnyResult {
    for style in styles() {
        let figure = figure(&style)?;
        let mut options = usvg::Options::default();
        let fonts = Arc::make_mut(&mut options.fontdb);
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        let tree = usvg::Tree::from_str(&figure.svg(), &options)?;
        let named = |words: &str| format!("{} of {} mm: {words:?}", figure.name(), style.width);
        // usvg gives 96 pixels to an inch.
        let millimetres = f64::from(tree.size().width()) / 96. * 25.4;
        assert!((millimetres - style.width).abs() < 0.01, "{millimetres} mm");
        let mut texts: Vec<(String, Rect)> = vec![];
        visit(tree.root(), &mut |text| {
            let words: String = text.chunks().iter().map(|chunk| chunk.text()).collect();
            let scale = text.abs_transform().get_scale().0;
            for span in text.chunks().iter().flat_map(|chunk| chunk.spans()) {
                let points = f64::from(span.font_size().get() * scale) * 72. / 96.;
                let least = style.smallest_text() - 0.02;
                assert!(points > least, "{}: {points} pt", named(&words));
            }
            let ink = text.flattened().bounding_box().transform(text.abs_transform());
            let Some(ink) = ink else { return };
            let (width, height) = (tree.size().width(), tree.size().height());
            assert!(
                ink.left() >= 0.
                    && ink.top() >= 0.
                    && ink.right() <= width
                    && ink.bottom() <= height,
                "{} is at {ink:?} of {:?}",
                named(&words),
                tree.size()
            );
            if !words.trim().is_empty() {
                texts.push((words, ink));
            }
        });
        assert!(!texts.is_empty(), "{} has text", figure.name());
        for (i, (words, ink)) in texts.iter().enumerate() {
            let crossed = texts[..i].iter().find(|(_, other)| cross(ink, other));
            assert!(crossed.is_none(), "{} and {:?}", named(words), crossed);
        }
    }
    Ok(())
}

/// Whether two boxes share more than a hair.
fn cross(a: &Rect, b: &Rect) -> bool {
    let wide = a.right().min(b.right()) - a.left().max(b.left());
    let high = a.bottom().min(b.bottom()) - a.top().max(b.top());
    wide > 0.3 && high > 0.3
}

fn visit(group: &usvg::Group, see: &mut impl FnMut(&usvg::Text)) {
    for node in group.children() {
        match node {
            usvg::Node::Group(group) => visit(group, see),
            usvg::Node::Text(text) => see(text),
            _ => {}
        }
    }
}

/// Names as people give them, and as nobody should.
fn names() -> Vec<String> {
    vec![
        "a".into(),
        "Smiling, 000123.jpg, probability 0.93".into(),
        "a name that goes on and on, as names of settings and of images do ".repeat(3),
        "x".repeat(255),
        "W".repeat(90),
    ]
}

fn source(name: &str) -> Source {
    let data = format!("3200 synthetic faces ({name}), of which 400 are for validation");
    Source { data, synthetic: true }
}

#[test]
fn maps_of_few_methods_and_attributes_are_not_cut_off() -> AnyResult {
    for name in names() {
        for (methods, rows) in [(1, 1), (2, 1), (1, 4), (7, 3)] {
            let kinds =
                [AttributionKind::Unsigned, AttributionKind::Signed, AttributionKind::Global];
            let methods: Vec<AttributionMethod> = (0..methods)
                .map(|m| AttributionMethod { name: name.clone(), kind: kinds[m % 3] })
                .collect();
            let row = AttributionColumn {
                name: format!("{name}\n{name}"),
                face: Face { size: 2, rgb: vec![[0.5; 3]; 4] },
                region: None,
                maps: vec![vec![1., 0., -1., 0.]; methods.len()],
            };
            let rows = vec![row; rows];
            check(|style| face_attributions("maps", &methods, &rows, &source(&name), style))?;
        }
        let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
        for (faces, per_face) in [(1, 1), (1, 3), (2, 3), (16, 3)] {
            let mask = ChannelMask { channel: 123_456, weight: -1., mask: vec![0.; 4] };
            let masks = (true, vec![mask; per_face]);
            let row = FaceRow { name: name.clone(), faces: vec![masks; faces] };
            let faces = vec![face.clone(); faces];
            let rows = [row.clone(), row];
            check(|style| face_masks("masks", &faces, &rows, &source(&name), style))?;
        }
    }
    Ok(())
}

#[test]
fn curves_and_scores_are_not_cut_off() -> AnyResult {
    for name in names() {
        for count in [1, 3] {
            let lines = (0..count).map(|i| {
                let points = vec![(0., 1e-3 * i as f64), (1e3, 2e-3)];
                Curve::new(format!("{name}{i}"), points, i, LineStyle::Solid)
            });
            let panel = Panel {
                title: name.clone(),
                x: "channels taken away".into(),
                y: "accuracy [%]".into(),
                curves: lines.collect(),
                levels: vec![Level { name: format!("{name} level"), y: 5e-4 }],
            };
            let panels = vec![panel; count];
            check(|style| curves("curves", &panels, &source(&name), style))?;
        }
        let dot = Dot { value: 0.5, interval: (0.2, 0.7), controls: [0.1, f64::NAN] };
        let group = |columns| Forest {
            title: name.clone(),
            rows: vec![(name.clone(), vec![dot; columns]); 2],
        };
        for columns in [1, 3] {
            let titles = vec!["share of the effect that is foreseen"; columns];
            let groups = [group(columns)];
            check(|style| forest("forest", &titles, &groups, 0.95, &source(&name), style))?;
        }
        for (columns, most) in [(1, 12.5), (6, 12.5), (6, 0.031), (3, f64::NAN)] {
            let dot = RangedDot { value: -most / 2., range: (-most, most / 3.) };
            let rows = vec![(name.clone(), vec![dot; columns]); 3];
            let titles = vec![name.as_str(); columns];
            check(|style| dot_plot("dots", &name, &titles, &rows, &source(&name), style))?;
        }
    }
    Ok(())
}

#[test]
fn grids_matrices_and_the_network_are_not_cut_off() -> AnyResult {
    for name in names() {
        for cells in [1, 7, 128] {
            let grid = CellGrid { title: name.clone(), values: vec![0.; cells] };
            let grids = vec![grid; 7];
            check(|style| cell_grids("grids", &grids, "mean mask", &source(&name), style))?;
        }
        let map = HeatMap { title: name.clone(), rows: vec![vec![1.]], axis: "channel".into() };
        let maps = vec![map; 3];
        check(|style| heat_maps("matrix", &maps, "correlation", &source(&name), style))?;
        for (blocks, mask_kernel) in [(1, None), (1, Some(3)), (4, Some(1)), (9, None)] {
            let network = Architecture {
                image_size: 64,
                blocks: vec![(3, 128, 2); blocks],
                attributes: 40,
                mask_kernel,
                parameters: 123_456_789,
            };
            check(|style| architecture("network", &network, &source(&name), style))?;
        }
    }
    Ok(())
}

#[test]
fn marked_maps_of_any_size_stay_within_the_page() -> AnyResult {
    for name in names() {
        for (rows, number, of_group) in [(1, 1, 1), (3, 2, 2), (4, 39, 6), (2, 90, 18)] {
            let column = |i: usize| MapColumn {
                groups: [
                    format!("{name} {}", i / of_group / 3),
                    format!("{name} {}", i / of_group),
                ],
                name: name.clone(),
            };
            let columns: Vec<MapColumn> = (0..number).map(column).collect();
            let cells = vec![vec![(-0.4, "–"), (f64::NAN, "")]; rows].into_iter();
            let map = MarkedMap {
                title: name.clone(),
                rows: vec![name.clone(); rows],
                cells: cells.map(|row| row.into_iter().cycle().take(number).collect()).collect(),
            };
            let maps = [map.clone(), map];
            let source = source(&name);
            check(|style| marked_maps("map", &maps, &columns, &name, &name, &source, style))?;
        }
    }
    Ok(())
}
