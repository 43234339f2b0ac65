//! The paper's example: three regression models (Eq. 3 to 7).

use std::path::Path;

use anyhow::Result;
use foresee_predict::{Basis, BasisReport, Points, Regression, RegressionStudy, Score};
use foresee_report::frame::{self, DataFrame, df};
use foresee_report::{
    Band, Curve, Figure, HeatMap, Panel, Report, Section, Source, Table, curves, heat_maps,
};

use crate::output::print;

pub const TABLE: &str = "data/predictability_regression.csv";

/// N of the figures that show one N.
const SHOWN: usize = 5;
/// How far a coefficient is moved in the figure of changes.
const STEP: f64 = 0.2;
/// Places at which functions are drawn.
const GRID: usize = 201;

/// What a reader must know of the data.
pub fn source() -> Source {
    let study = RegressionStudy::default();
    let data = format!(
        "simulated data: random smooth functions on [-1, 1], {} points with noise of σ = {}",
        study.points, study.noise
    );
    Source { data, synthetic: false }
}

/// The study on its own: `data/`, `figures/`, `tables/` and `report.html` in a folder.
pub fn study(out: &Path, seeds: u64) -> Result<()> {
    let measured = measure(seeds, RegressionStudy::default().resamples)?;
    frame::write_csv(&out.join(TABLE), measured.clone())?;
    let (figures, table) = (figures(&measured)?, table(&measured)?);
    for figure in &figures {
        figure.save(&out.join("figures"))?;
    }
    table.save(&out.join("tables"))?;
    let mut sections = vec![Section::Text(TEXT.into())];
    sections.extend(
        figures
            .into_iter()
            .zip(CAPTIONS)
            .map(|(figure, (_, caption))| Section::Figure(figure, caption.into())),
    );
    sections.push(Section::Table(table.clone()));
    let title = "Which regression model is predictable? Kimura & Tanaka (2020), Eq. 3 to 7".into();
    let summary = vec![("data sets".into(), seeds.to_string())];
    Report { title, source: source(), summary, sections }.save(&out.join("report.html"))?;
    tracing::info!("open {}", out.join("report.html").display());
    print(&table.markdown())
}

/// For a reader who does not know the code.
pub const TEXT: &str = "The paper's example of its definition. A function on [-1, 1] is fitted by least squares with 2N+1 coefficients in three bases; then one coefficient is perturbed. \
     The forecast of a person who sees the coefficients is: only this component changes, by this much. It is scored in two ways: on the components that one reads off \
     the perturbed function through the basis, and on the coefficients when all others are then fitted anew to the same points.";

pub const CAPTIONS: [(&str, &str); 4] = [
    (
        "predictability_regression_fits",
        "One data set, fitted in the three bases with 11 coefficients each.",
    ),
    (
        "predictability_regression_changes",
        "What a step of 0.2 in one coefficient changes of the function.",
    ),
    (
        "predictability_regression_gram",
        "Gram matrices of the functions at length 1: off the diagonal is what one component shares with another.",
    ),
    (
        "predictability_regression_cross_talk",
        "Left: share of the change that shows in other components, mean over components (range). Right: the same of the coefficients when the others are fitted anew, mean over data sets (range).",
    ),
];

/// A line for each basis and N; intervals are of so many bootstrap samples.
pub fn measure(seeds: u64, resamples: usize) -> Result<DataFrame> {
    let reports = RegressionStudy { seeds, resamples, ..RegressionStudy::default() }.run()?;
    let column =
        |value: &dyn Fn(&BasisReport) -> f64| reports.iter().map(value).collect::<Vec<_>>();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (least, most) = (
        |v: &[f64]| v.iter().copied().fold(f64::INFINITY, f64::min),
        |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    );
    let mut table = df!(
        "basis" => reports.iter().map(|r| r.basis.name()).collect::<Vec<_>>(),
        "N" => reports.iter().map(|r| r.n as i64).collect::<Vec<_>>(),
        "coefficients" => reports.iter().map(|r| 2 * r.n as i64 + 1).collect::<Vec<_>>(),
        "data_sets" => reports.iter().map(|r| r.errors.len() as i64).collect::<Vec<_>>(),
        "rmse" => column(&|r| mean(&r.errors)),
        "rmse_lowest" => column(&|r| least(&r.errors)),
        "rmse_highest" => column(&|r| most(&r.errors)),
        "condition" => column(&|r| r.condition),
        "cross_talk" => column(&|r| mean(&r.cross_talk)),
        "cross_talk_lowest" => column(&|r| least(&r.cross_talk)),
        "cross_talk_highest" => column(&|r| most(&r.cross_talk)),
        "refit_cross_talk" => column(&|r| mean(&r.refit_cross_talk)),
        "refit_cross_talk_lowest" => column(&|r| least(&r.refit_cross_talk)),
        "refit_cross_talk_highest" => column(&|r| most(&r.refit_cross_talk)),
        "evenness" => column(&|r| mean(&r.evenness)),
    )?;
    type Of = fn(&BasisReport) -> Score;
    let scores: [(&str, Of); 6] = [
        ("skill", |r| r.shifted.skill),
        ("locality", |r| r.shifted.locality),
        ("rank", |r| r.shifted.rank_of_outputs),
        ("refit_skill", |r| r.refitted.skill),
        ("refit_locality", |r| r.refitted.locality),
        ("refit_rank", |r| r.refitted.rank_of_outputs),
    ];
    for (name, of) in scores {
        table.with_column(frame::column(name, column(&|r| of(r).interval.estimate)))?;
        table
            .with_column(frame::column(&format!("{name}_low"), column(&|r| of(r).interval.low)))?;
        table.with_column(frame::column(
            &format!("{name}_high"),
            column(&|r| of(r).interval.high),
        ))?;
        table
            .with_column(frame::column(&format!("{name}_shuffled"), column(&|r| of(r).shuffled)))?;
    }
    table.with_column(frame::column("data", vec!["simulated"; reports.len()]))?;
    Ok(table)
}

/// `tables/predictability_regression`.
pub fn table(measured: &DataFrame) -> Result<Table> {
    let header = [
        "basis",
        "N",
        "error of the fit",
        "condition number",
        "cross-talk",
        "evenness over x",
        "skill; shuffled",
        "skill, others refitted; shuffled",
        "cross-talk, others refitted",
    ];
    let sets = frame::numbers(measured, "data_sets")?.first().copied().unwrap_or(0.);
    let caption = format!(
        "Regression models under perturbed coefficients: mean over {sets} data sets (range, or 95 % interval)."
    );
    let mut table = Table::new("predictability_regression", &caption, &header);
    let number = |name: &str| frame::numbers(measured, name);
    let with = |name: &str, ends: [&str; 2], digits: usize| -> Result<Vec<String>> {
        let (mid, low, high) = (
            number(name)?,
            number(&format!("{name}{}", ends[0]))?,
            number(&format!("{name}{}", ends[1]))?,
        );
        let show =
            |v: f64| if v.abs() >= 1e4 { format!("{v:.1e}") } else { format!("{v:.digits$}") };
        Ok((0..mid.len())
            .map(|i| format!("{} ({} to {})", show(mid[i]), show(low[i]), show(high[i])))
            .collect())
    };
    let score = |name: &str| -> Result<Vec<String>> {
        let shuffled = number(&format!("{name}_shuffled"))?;
        let show = |v: f64| if v.abs() >= 1e4 { format!("{v:.1e}") } else { format!("{v:.2}") };
        Ok(with(name, ["_low", "_high"], 2)?
            .into_iter()
            .zip(shuffled)
            .map(|(text, control)| format!("{text}; {}", show(control)))
            .collect())
    };
    let plain = |name: &str, digits: usize| -> Result<Vec<String>> {
        Ok(number(name)?
            .into_iter()
            .map(|v| if v >= 1e5 { format!("{v:.1e}") } else { format!("{v:.digits$}") })
            .collect())
    };
    let columns = [
        frame::texts(measured, "basis")?,
        plain("N", 0)?,
        with("rmse", ["_lowest", "_highest"], 3)?,
        plain("condition", 1)?,
        with("cross_talk", ["_lowest", "_highest"], 2)?,
        plain("evenness", 2)?,
        score("skill")?,
        score("refit_skill")?,
        with("refit_cross_talk", ["_lowest", "_highest"], 2)?,
    ];
    table.rows = (0..measured.height())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect();
    table.notes.push(source().data);
    Ok(table)
}

/// In the order of [`CAPTIONS`].
pub fn figures(measured: &DataFrame) -> Result<Vec<Figure>> {
    Ok(vec![fits()?, changes()?, gram()?, cross_talk(measured)?])
}

fn line(name: &str, points: Vec<(f64, f64)>, colour: usize, dash: usize) -> Curve {
    Curve { name: name.into(), points, spread: vec![], band: Band::Filled, colour, dash }
}

fn panel(title: &str, x: &str, y: &str, curves: Vec<Curve>) -> Panel {
    Panel { title: title.into(), x: x.into(), y: y.into(), curves, levels: vec![] }
}

fn grid() -> impl Iterator<Item = f64> {
    (0..GRID).map(|i| -1. + 2. * i as f64 / (GRID - 1) as f64)
}

fn fits() -> Result<Figure> {
    let study = RegressionStudy::default();
    let points = Points::draw(study.points, study.noise, 0);
    let mut truth: Vec<(f64, f64)> =
        points.x.iter().copied().zip(points.truth.iter().copied()).collect();
    truth.sort_by(|a, b| a.0.total_cmp(&b.0));
    let data: Vec<(f64, f64)> = points.x.iter().copied().zip(points.y.iter().copied()).collect();
    let panels = Basis::ALL
        .iter()
        .map(|&basis| {
            let fit = Regression::fit(basis, SHOWN, &points)?;
            let curves = vec![
                line("data", data.clone(), 6, 3),
                line("function without noise", truth.clone(), 2, 1),
                line("fit", grid().map(|x| (x, fit.at(x))).collect(), 0, 0),
            ];
            Ok(panel(basis.name(), "x", "f(x)", curves))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(curves(CAPTIONS[0].0, &panels, &source())?)
}

fn changes() -> Result<Figure> {
    let chosen = [1, 4, 9];
    let panels: Vec<Panel> = Basis::ALL
        .iter()
        .map(|&basis| {
            let of = |(at, &component): (usize, &usize)| {
                let points = grid().map(|x| (x, STEP * basis.at(SHOWN, x)[component])).collect();
                line(&format!("coefficient {component}"), points, at, at)
            };
            let title = format!("{}: {}", basis.name(), chosen.map(|c| basis.label(c)).join(", "));
            panel(&title, "x", "change of f(x)", chosen.iter().enumerate().map(of).collect())
        })
        .collect();
    Ok(curves(CAPTIONS[1].0, &panels, &source())?)
}

fn gram() -> Result<Figure> {
    let maps: Vec<HeatMap> = Basis::ALL
        .iter()
        .map(|&basis| {
            let cosines = basis.cosines(SHOWN);
            HeatMap {
                title: basis.name().into(),
                rows: cosines.row_iter().map(|row| row.iter().copied().collect()).collect(),
                axis: "coefficient".into(),
            }
        })
        .collect();
    Ok(heat_maps(CAPTIONS[2].0, &maps, "cosine", &source())?)
}

fn cross_talk(measured: &DataFrame) -> Result<Figure> {
    let (bases, n) = (frame::texts(measured, "basis")?, frame::numbers(measured, "N")?);
    let of = |name: &str, ends: [&str; 2]| -> Result<Vec<Curve>> {
        let (mid, low, high) = (
            frame::numbers(measured, name)?,
            frame::numbers(measured, ends[0])?,
            frame::numbers(measured, ends[1])?,
        );
        let curve = |(at, basis): (usize, &Basis)| {
            let rows: Vec<usize> = (0..n.len()).filter(|&i| bases[i] == basis.name()).collect();
            let mut curve =
                line(basis.name(), rows.iter().map(|&i| (n[i], mid[i])).collect(), at, at);
            curve.spread = rows.iter().map(|&i| (low[i], high[i])).collect();
            curve.band = Band::Bars;
            curve
        };
        Ok(Basis::ALL.iter().enumerate().map(curve).collect())
    };
    let panels = [
        panel(
            "cross-talk",
            "N",
            "share of the change in other components",
            of("cross_talk", ["cross_talk_lowest", "cross_talk_highest"])?,
        ),
        panel(
            "cross-talk when the others are fitted anew",
            "N",
            "share of the change in other coefficients",
            of("refit_cross_talk", ["refit_cross_talk_lowest", "refit_cross_talk_highest"])?,
        ),
    ];
    Ok(curves(CAPTIONS[3].0, &panels, &source())?)
}
