//! The variants of a study compared: what their settings change.

use foresee_celeba::Crop;
use foresee_model::Precision;
use foresee_report::{Band, Curve, Figure, Level, LineStyle, Panel, Source, Style, Table, curves};
use foresee_stats::{mean, range};

use super::Group;
use super::claim::{Claim, ClaimKind, PruningClaim};
use crate::artifacts::{Accuracy, ChannelCorrelation, MeanMasks, Validation, VariantRow, Variants};
use crate::config::Config;
use crate::error::Result;
use crate::run::{Run, kind_of_faces};

/// Mean masks below this count as closed.
const CLOSED: f64 = 0.01;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    ValidationAccuracy,
    Accuracy,
    BalancedAccuracy,
    MaskMean,
    ClosedMasks,
    ChannelCorrelation,
    Claim(ClaimKind),
}

use Statistic::Claim as OfClaim;

const LOWER: Statistic = OfClaim(ClaimKind::Pruning(PruningClaim::LowerAgainstChance));
const HIGHER: Statistic = OfClaim(ClaimKind::Pruning(PruningClaim::HigherAgainstChance));
const LEAST_SQUARES: Statistic =
    OfClaim(ClaimKind::Pruning(PruningClaim::LeastSquaresAgainstChanceWithout));
const WEAK_NOISE: Statistic = OfClaim(ClaimKind::TransformationAt(0.1));
const STRONG_NOISE: Statistic = OfClaim(ClaimKind::TransformationAt(0.3));

impl Statistic {
    const ALL: [Self; 11] = [
        Self::ValidationAccuracy,
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::MaskMean,
        Self::ClosedMasks,
        Self::ChannelCorrelation,
        LOWER,
        HIGHER,
        LEAST_SQUARES,
        WEAK_NOISE,
        STRONG_NOISE,
    ];

    /// Its column, with the unit.
    fn title(self) -> String {
        let text = match self {
            Self::ValidationAccuracy => "validation accuracy [%]",
            Self::Accuracy => "accuracy [%]",
            Self::BalancedAccuracy => "balanced accuracy [%]",
            Self::MaskMean => "mean of the masks",
            Self::ClosedMasks => "mean masks below 0.01 [%]",
            Self::ChannelCorrelation => "channel correlation, mean",
            LOWER => "lower against random [points]",
            HIGHER => "higher against random [points]",
            LEAST_SQUARES => "lower with least squares against random [points]",
            Self::Claim(ClaimKind::TransformationAt(sigma)) => {
                return format!("transformation, σ = {sigma} [points]");
            }
            Self::Claim(kind) => return kind.title(),
        };
        text.into()
    }

    /// Digits behind the point.
    fn digits(self) -> usize {
        match self {
            Self::MaskMean | Self::ChannelCorrelation => 3,
            Self::ClosedMasks => 1,
            _ => 2,
        }
    }

    /// Of one run; `None` for the statistics of a claim, which are over all runs.
    fn of_run(self, run: &Run) -> Result<Option<f64>> {
        let value = match self {
            // The last epoch's, on which λ is chosen: test faces have no part in that.
            Self::ValidationAccuracy => {
                let history: Vec<Validation> = run.read()?;
                history.last().map_or(f64::NAN, |last| 100. * last.accuracy)
            }
            Self::Accuracy => 100. * run.read_one::<Accuracy>()?.accuracy,
            Self::BalancedAccuracy => 100. * run.read_one::<Accuracy>()?.balanced_accuracy,
            Self::MaskMean => mean(&run.read::<MeanMasks>()?.0.rows.concat()),
            Self::ClosedMasks => {
                let masks = run.read::<MeanMasks>()?.0.rows.concat();
                let closed = masks.iter().filter(|&&v| v < CLOSED).count();
                100. * closed as f64 / masks.len() as f64
            }
            Self::ChannelCorrelation => {
                let rows = run.read::<ChannelCorrelation>()?.0.rows;
                let n = rows.len() as f64;
                (rows.iter().flatten().sum::<f64>() - n) / (n * (n - 1.))
            }
            Self::Claim(_) => return Ok(None),
        };
        Ok(Some(value))
    }
}

/// A variant's runs.
pub(crate) struct Compared {
    variant: String,
    settings: String,
    synthetic: bool,
    attention: bool,
    seeds: usize,
    /// Accuracy of the majority class, in percent.
    majority: f64,
    /// The value of each seed, for each of [`Statistic::ALL`]; none if it was not measured.
    values: Vec<Vec<f64>>,
}

impl Compared {
    /// A variant, with what the claims found about it.
    pub fn new(group: &Group, claims: &[Claim]) -> Result<Self> {
        let first = &group.runs[0].manifest;
        let of_claim = |kind| {
            let found = claims.iter().find(|c| c.variant == group.variant && c.kind == kind);
            found.map_or(vec![], |claim| claim.seeds.clone())
        };
        let each = |statistic: Statistic| match statistic {
            Statistic::Claim(kind) => Ok(of_claim(kind)),
            _ => {
                let values = group.runs.iter().map(|run| statistic.of_run(run));
                Ok(values.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
            }
        };
        let majority = group
            .runs
            .iter()
            .map(|run| Ok(100. * run.read_one::<Accuracy>()?.majority_accuracy))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            variant: group.variant.clone(),
            settings: settings(&first.config),
            synthetic: first.data.synthetic,
            attention: first.config.model.attention,
            seeds: group.runs.len(),
            majority: mean(&majority),
            values: Statistic::ALL.into_iter().map(each).collect::<Result<_>>()?,
        })
    }

    fn of(&self, statistic: Statistic) -> &[f64] {
        let place = Statistic::ALL.iter().position(|s| *s == statistic);
        place.map_or(&[], |place| &self.values[place])
    }

    /// Mean, and range if there are several seeds.
    fn text(&self, statistic: Statistic) -> String {
        let values = self.of(statistic);
        let digits = statistic.digits();
        let mean = mean(values);
        let (low, high) = range(values);
        match values.len() {
            _ if !mean.is_finite() => "–".into(),
            1 => format!("{mean:.digits$}"),
            _ => format!("{mean:.digits$} ({low:.digits$} to {high:.digits$})"),
        }
    }
}

/// What decides a run, in words; what is as usual is not named.
fn settings(config: &Config) -> String {
    let Config { data, model, train, .. } = config;
    let mut parts = vec![
        config.sparsity_title(),
        format!("{} px", data.image_size),
        format!("{} epochs", train.trainer.epochs),
    ];
    let mut unusual = |is: bool, words: String| parts.extend(is.then_some(words));
    unusual(train.limit > 0, format!("{} faces", train.limit));
    unusual(data.crop != Crop::Square, "whole images".into());
    unusual(train.crop < 1., format!("random parts from {}", train.crop));
    let average = train.trainer.average;
    unusual(average > 0., format!("average of weights, decay {average}"));
    unusual(model.mask_kernel > 1, format!("masks of {0}×{0}", model.mask_kernel));
    let readout = config.readout_title();
    unusual(readout.is_some(), readout.unwrap_or_default().into());
    for (key, value) in train.trainer.options() {
        unusual(value > 0., format!("train.{key} = {value}"));
    }
    unusual(model.channels != 128, format!("{} channels", model.channels));
    parts.push(if model.precision == Precision::Bf16 { "bf16" } else { "f32" }.into());
    parts.join(", ")
}

/// A line for each variant. What was measured of no variant has no column.
pub(crate) fn table(name: &str, caption: &str, rows: &[Compared], source: &Source) -> Table {
    let measured: Vec<Statistic> = Statistic::ALL
        .into_iter()
        .filter(|&s| rows.iter().any(|row| mean(row.of(s)).is_finite()))
        .collect();
    let titles: Vec<String> = measured.iter().map(|s| s.title()).collect();
    let mut header = vec!["variant", "settings", "faces", "seeds"];
    header.extend(titles.iter().map(String::as_str));
    let mut table = Table::new(name, caption, &header);
    for row in rows {
        let faces = if row.synthetic { "SYNTHETIC" } else { "CelebA" };
        let fixed = [&row.variant, &row.settings, faces, &row.seeds.to_string()].map(String::from);
        let cells = measured.iter().map(|&s| row.text(s));
        table.rows.push(fixed.into_iter().chain(cells).collect());
    }
    table.measured_on(source)
}

/// The numbers of the table.
pub(crate) fn data(rows: &[Compared]) -> Variants {
    let columns = |statistic: &Statistic| {
        let title = statistic.title();
        [title.clone(), format!("{title}, lowest"), format!("{title}, highest")]
    };
    let values = |row: &Compared| {
        let of = |statistic: &Statistic| {
            let values = row.of(*statistic);
            let (low, high) = range(values);
            [mean(values), low, high]
        };
        Statistic::ALL.iter().flat_map(of).collect()
    };
    let fixed = |row: &Compared| VariantRow {
        variant: row.variant.clone(),
        settings: row.settings.clone(),
        seeds: row.seeds,
        data: kind_of_faces(row.synthetic).into(),
    };
    Variants {
        names: Statistic::ALL.iter().flat_map(columns).collect(),
        rows: rows.iter().map(|row| (fixed(row), values(row))).collect(),
    }
}

/// Accuracy and gains over the mean of the masks, on real faces only.
pub(crate) fn figure(rows: &[Compared], source: &Source) -> Result<Option<Figure>> {
    let mask_mean = |row: &Compared| mean(row.of(Statistic::MaskMean));
    let without_masks = rows.iter().find(|row| !row.synthetic && !row.attention);
    let mut rows: Vec<&Compared> =
        rows.iter().filter(|row| !row.synthetic && row.attention).collect();
    rows.sort_by(|a, b| mask_mean(a).total_cmp(&mask_mean(b)));
    if rows.len() < 2 {
        return Ok(None);
    }
    let curve = |statistic: Statistic, name: &str, colour: usize, style: LineStyle| {
        let shown = rows.iter().filter(|row| mean(row.of(statistic)).is_finite());
        let shown: Vec<&&Compared> = shown.collect();
        Curve {
            name: name.into(),
            points: shown
                .iter()
                .map(|row| (mask_mean(row).log10(), mean(row.of(statistic))))
                .collect(),
            spread: shown.iter().map(|row| range(row.of(statistic))).collect(),
            band: Band::Bars,
            colour,
            style,
        }
    };
    let panel = |title: &str, y: &str, curves: Vec<Curve>, levels: Vec<Level>| Panel {
        title: title.into(),
        x: "mean of the masks (decimal logarithm)".into(),
        y: y.into(),
        curves,
        levels,
    };
    let level = |name: &str, y: f64| Level { name: name.into(), y };
    let mut levels = vec![];
    let accuracy = |row: &Compared| mean(row.of(Statistic::Accuracy));
    levels.extend(without_masks.map(|row| level("no masks", accuracy(row))));
    levels.push(level("majority-class baseline", rows[0].majority));
    let panels = [
        panel(
            "accuracy (mean, range over seeds)",
            "accuracy [%]",
            vec![curve(Statistic::Accuracy, "nothing pruned", 6, LineStyle::Solid)],
            levels,
        ),
        panel(
            "what an operation gains (mean, range over seeds)",
            "gain [percentage points]",
            vec![
                curve(LOWER, "pruning: lower against random", 0, LineStyle::Solid),
                curve(HIGHER, "pruning: higher against random", 1, LineStyle::Dashed),
                curve(
                    LEAST_SQUARES,
                    "pruning: lower, least squares, against random",
                    2,
                    LineStyle::Solid,
                ),
                curve(WEAK_NOISE, "transformation, σ = 0.1", 3, LineStyle::Dotted),
            ],
            vec![],
        ),
    ];
    Ok(Some(curves("over_lambda", &panels, source, &Style::default())?))
}
