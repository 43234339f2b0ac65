//! The paper's example: three regression models (Eq. 3 to 7).

use foresee_predict::{Basis, Points, Regression, RegressionStudy};
use foresee_report::LineStyle::{self, Dashed, Solid};
use foresee_report::{Band, Curve, Figure, HeatMap, Panel, Source, curves, heat_maps};

use crate::artifacts::{RegressionReport, RegressionRow};
use crate::error::Result;

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

/// All of them, with the numbers of a study.
pub(crate) fn regression(report: &RegressionReport, source: &Source) -> Result<Vec<Figure>> {
    Ok(vec![fits(source)?, changes(source)?, gram(source)?, cross_talk(report, source)?])
}

fn panel(title: &str, x: &str, y: &str, curves: Vec<Curve>) -> Panel {
    Panel { title: title.into(), x: x.into(), y: y.into(), curves, levels: vec![] }
}

fn places() -> impl Iterator<Item = f64> {
    (0..PLACES).map(|i| -1. + 2. * i as f64 / (PLACES - 1) as f64)
}

fn fits(source: &Source) -> Result<Figure> {
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
    let panels = panels.collect::<Result<Vec<_>>>()?;
    Ok(curves("predictability_regression_fits", &panels, source)?)
}

fn changes(source: &Source) -> Result<Figure> {
    let panel = |&basis: &Basis| {
        let curve = |(i, &component): (usize, &usize)| {
            let points = places().map(|x| (x, STEP * basis.at(SHOWN, x)[component])).collect();
            Curve::new(format!("coefficient {component}"), points, i, STYLES[i])
        };
        let labels = MOVED.map(|component| basis.label(component)).join(", ");
        let title = format!("{}: {labels}", basis.title());
        panel(&title, "x", "change of f(x)", MOVED.iter().enumerate().map(curve).collect())
    };
    let panels: Vec<Panel> = Basis::ALL.iter().map(panel).collect();
    Ok(curves("predictability_regression_changes", &panels, source)?)
}

fn gram(source: &Source) -> Result<Figure> {
    let map = |&basis: &Basis| {
        let cosines = basis.cosines(SHOWN);
        HeatMap {
            title: basis.title().into(),
            rows: cosines.row_iter().map(|row| row.iter().copied().collect()).collect(),
            axis: "coefficient".into(),
        }
    };
    let maps: Vec<HeatMap> = Basis::ALL.iter().map(map).collect();
    Ok(heat_maps("predictability_regression_gram", &maps, "cosine", source)?)
}

/// Mean, lowest and highest of a row.
type Spread = fn(&RegressionRow) -> (f64, f64, f64);

fn cross_talk(report: &RegressionReport, source: &Source) -> Result<Figure> {
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
    let panels = [
        panel("cross-talk", "N", "share of the change in other components", of_components),
        panel(
            "cross-talk when the others are fitted anew",
            "N",
            "share of the change in other coefficients",
            of_coefficients,
        ),
    ];
    Ok(curves("predictability_regression_cross_talk", &panels, source)?)
}
