//! The paper's example: three regression models (Eq. 3 to 7).

use foresee_predict::{Basis, Points, Regression, RegressionStudy};
use foresee_report::LineStyle::{self, Dashed, Solid};
use foresee_report::{About, Band, Curve, Figure, HeatMap, Panel, Style, curves, heat_maps};

use super::{Drawing, Request, Takes};
use crate::artifacts::{Artifact, RegressionReport, RegressionRow};
use crate::error::Result;
use crate::provenance::{functions, simulated};
use crate::run::Run;

/// N of the figures that show one N.
const SHOWN: usize = 5;
/// How far a coefficient is moved in the figure of changes.
const STEP: f64 = 0.2;
/// Coefficients whose changes are drawn.
const MOVED: [usize; 3] = [1, 4, 9];
/// Places at which functions are drawn.
const PLACES: usize = 201;

/// One style for each basis or component.
const STYLES: [LineStyle; 3] = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted];

/// The figures of the regression study. Runs have them beside their forecasts.
const fn drawing(
    name: &'static str,
    caption: &'static str,
    draw: fn(&Request, &str) -> Result<Figure>,
) -> Drawing {
    let is_in = |run: &Run| run.manifest.config.predict.images > 0;
    let data = &[RegressionReport::PATH];
    let takes = Takes::Panels;
    Drawing { name, caption, caption_of_chosen: None, data, takes, needs: None, is_in, draw }
}

pub(super) const FITS: Drawing = drawing(
    "predictability_regression_fits",
    "One data set, fitted in the three bases with 11 coefficients each.",
    |request, name| request.curves(name, fits()?, &simulated()),
);
pub(super) const CHANGES: Drawing = drawing(
    "predictability_regression_changes",
    "How f(x) changes when one coefficient grows by 0.2.",
    |request, name| request.curves(name, changes(), &functions()),
);
pub(super) const GRAM: Drawing = drawing(
    "predictability_regression_gram",
    "Gram matrices of the functions at length 1: off the diagonal is what one component shares \
     with another.",
    |request, name| {
        let maps = request.panels(name, gram())?;
        Ok(heat_maps(name, &maps, "cosine", &functions(), &request.style)?)
    },
);
pub(super) const CROSS_TALK: Drawing = drawing(
    "predictability_regression_cross_talk",
    "First panel: share of the squared changes that shows in other components, mean over \
     components (range). Second panel: the same of the coefficients when the others are \
     fitted anew, mean over data sets (range).",
    |request, name| request.curves(name, cross_talk(&request.run.read()?), &simulated()),
);

/// All of them outside of a run, with the numbers of a study.
pub(crate) fn regression(report: &RegressionReport) -> Result<Vec<Figure>> {
    let (source, style) = (simulated(), Style::default());
    let of = |drawing: &Drawing, figure: foresee_report::Result<Figure>| -> Result<Figure> {
        let data = drawing.data.iter().map(ToString::to_string).collect();
        let command = "foresee predict --study regression --out .".into();
        Ok(figure?.about(About { caption: drawing.caption.into(), data, command }))
    };
    Ok(vec![
        of(&FITS, curves(FITS.name, &fits()?, &source, &style))?,
        of(&CHANGES, curves(CHANGES.name, &changes(), &functions(), &style))?,
        of(&GRAM, heat_maps(GRAM.name, &gram(), "cosine", &functions(), &style))?,
        of(&CROSS_TALK, curves(CROSS_TALK.name, &cross_talk(report), &source, &style))?,
    ])
}

fn panel(title: &str, x: &str, y: &str, curves: Vec<Curve>) -> Panel {
    Panel { title: title.into(), x: x.into(), y: y.into(), curves, levels: vec![] }
}

fn places() -> impl Iterator<Item = f64> {
    (0..PLACES).map(|i| -1. + 2. * i as f64 / (PLACES - 1) as f64)
}

fn fits() -> Result<Vec<Panel>> {
    let study = RegressionStudy::default();
    let points = Points::draw(study.points, study.noise, 0);
    let mut truth: Vec<(f64, f64)> =
        points.x.iter().copied().zip(points.truth.iter().copied()).collect();
    truth.sort_by(|a, b| a.0.total_cmp(&b.0));
    let data: Vec<(f64, f64)> = points.x.iter().copied().zip(points.y.iter().copied()).collect();
    let panels = Basis::ALL.iter().map(|&basis| {
        let fit = Regression::fit(basis, SHOWN, &points)?;
        let fitted = places().map(|x| (x, fit.at(x))).collect();
        let curves = vec![
            Curve::new("data", data.clone(), 6, LineStyle::Points),
            Curve::new("function without noise", truth.clone(), 2, Dashed),
            Curve::new("fit", fitted, 0, Solid),
        ];
        Ok(panel(basis.title(), "x", "f(x)", curves))
    });
    panels.collect()
}

fn changes() -> Vec<Panel> {
    let panel = |&basis: &Basis| {
        let curve = |(i, &component): (usize, &usize)| {
            let points = places().map(|x| (x, STEP * basis.at(SHOWN, x)[component])).collect();
            Curve::new(format!("coefficient {component}"), points, i, STYLES[i])
        };
        let labels = MOVED.map(|component| basis.label(component)).join(", ");
        let title = format!("{}: {labels}", basis.title());
        panel(&title, "x", "change of f(x)", MOVED.iter().enumerate().map(curve).collect())
    };
    Basis::ALL.iter().map(panel).collect()
}

fn gram() -> Vec<HeatMap> {
    let map = |&basis: &Basis| {
        let cosines = basis.cosines(SHOWN);
        HeatMap {
            title: basis.title().into(),
            rows: cosines.row_iter().map(|row| row.iter().copied().collect()).collect(),
            axis: "coefficient".into(),
        }
    };
    Basis::ALL.iter().map(map).collect()
}

/// Mean, lowest and highest of a row.
type Spread = fn(&RegressionRow) -> (f64, f64, f64);

fn cross_talk(report: &RegressionReport) -> Vec<Panel> {
    let curves_of = |spread: Spread| -> Vec<Curve> {
        let curve = |(i, basis): (usize, &Basis)| {
            let own = || report.rows().filter(|row| row.basis == *basis);
            let points = own().map(|row| (row.n as f64, spread(row).0)).collect();
            let mut curve = Curve::new(basis.title(), points, i, STYLES[i]);
            curve.spread = own().map(|row| (spread(row).1, spread(row).2)).collect();
            curve.band = Band::Bars;
            curve
        };
        Basis::ALL.iter().enumerate().map(curve).collect()
    };
    let of_components =
        curves_of(|row| (row.cross_talk, row.cross_talk_lowest, row.cross_talk_highest));
    let of_coefficients = curves_of(|row| {
        (row.refit_cross_talk, row.refit_cross_talk_lowest, row.refit_cross_talk_highest)
    });
    vec![
        panel("cross-talk", "N", "share of the change in other components", of_components),
        panel(
            "cross-talk when the others are fitted anew",
            "N",
            "share of the change in other coefficients",
            of_coefficients,
        ),
    ]
}
