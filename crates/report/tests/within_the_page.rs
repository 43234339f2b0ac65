//! Nothing that is written in a figure reaches beyond its page, whatever names people give.

use std::sync::Arc;

use foresee_report::{
    Architecture, AttributionKind, AttributionMethod, AttributionRow, CellGrid, Curve, Dot, Face,
    FaceRow, Figure, Forest, HeatMap, LineStyle, Panel, Source, architecture, cell_grids, curves,
    face_attributions, face_masks, forest, heat_maps,
};
use resvg::usvg;

type AnyResult = Result<(), Box<dyn std::error::Error>>;

/// Every text's box lies within the page.
fn check(figure: &Figure) -> AnyResult {
    let mut options = usvg::Options::default();
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    let tree = usvg::Tree::from_str(figure.svg(), &options)?;
    let (width, height) = figure.size();
    let mut texts = 0;
    visit(tree.root(), &mut |text| {
        let found = text.abs_bounding_box();
        texts += 1;
        let words: String = text.chunks().iter().map(|chunk| chunk.text()).collect();
        assert!(
            found.left() >= 0.
                && found.top() >= 0.
                && found.right() <= width as f32
                && found.bottom() <= height as f32,
            "{}: {words:?} is at {found:?} of {width} × {height}",
            figure.name()
        );
    });
    assert!(texts > 0, "{} has text", figure.name());
    Ok(())
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
            let row = AttributionRow {
                name: format!("{name}\n{name}"),
                face: Face { size: 2, rgb: vec![[0.5; 3]; 4] },
                region: None,
                maps: vec![vec![1., 0., -1., 0.]; methods.len()],
            };
            check(&face_attributions("maps", &methods, &vec![row; rows], &source(&name))?)?;
        }
        let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
        for per_face in [1, 3] {
            let masks = vec![(123_456, vec![0.; 4]); per_face];
            let row = FaceRow { name: name.clone(), masks: vec![masks] };
            let figure = face_masks(
                "masks",
                std::slice::from_ref(&face),
                &[row.clone(), row],
                &source(&name),
            )?;
            check(&figure)?;
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
                levels: vec![],
            };
            check(&curves("curves", &vec![panel; count], &source(&name))?)?;
        }
        let dot = Dot { value: 0.5, interval: (0.2, 0.7), controls: [0.1, f64::NAN] };
        let group = |columns| Forest {
            title: name.clone(),
            rows: vec![(name.clone(), vec![dot; columns]); 2],
        };
        for columns in [1, 3] {
            let titles = vec!["share of the effect that is foreseen"; columns];
            check(&forest("forest", &titles, &[group(columns)], 0.95, &source(&name))?)?;
        }
    }
    Ok(())
}

#[test]
fn grids_matrices_and_the_network_are_not_cut_off() -> AnyResult {
    for name in names() {
        for cells in [1, 7, 128] {
            let grid = CellGrid { title: name.clone(), values: vec![0.; cells] };
            check(&cell_grids("grids", &[grid], "mean mask", &source(&name))?)?;
        }
        let map = HeatMap { title: name.clone(), rows: vec![vec![1.]], axis: "channel".into() };
        check(&heat_maps("matrix", &[map], "correlation", &source(&name))?)?;
        for (blocks, mask_kernel) in [(1, None), (1, Some(3)), (4, Some(1)), (9, None)] {
            let network = Architecture {
                image_size: 64,
                blocks: vec![(3, 128, 2); blocks],
                attributes: 40,
                mask_kernel,
                parameters: 123_456_789,
            };
            check(&architecture("network", &network, &source(&name))?)?;
        }
    }
    Ok(())
}
