//! The regression models of Eq. 3 to 7 under perturbed coefficients.

use foresee_predict::{Basis, BasisReport, Score, ScoreRule};
use foresee_report::{DataFrame, WideTable, record};
use foresee_stats::{mean, range};

use super::Artifact;
use crate::error::Result;

record! {
    /// One basis at one N.
    #[derive(Debug, Clone, PartialEq)]
    pub struct RegressionRow {
        /// The basis.
        #[id]
        pub basis: Basis,
        /// N; there are 2N+1 coefficients.
        #[column = "N"]
        pub n: usize,
        /// 2N+1.
        pub coefficients: usize,
        /// Data sets that each statistic is the mean of.
        pub data_sets: usize,
        /// Root mean squared error of the fit.
        pub rmse: f64,
        /// The lowest over data sets.
        pub rmse_lowest: f64,
        /// The highest over data sets.
        pub rmse_highest: f64,
        /// Condition number of the basis.
        pub condition: f64,
        /// Share of the change that shows in other components.
        pub cross_talk: f64,
        /// The lowest over components.
        pub cross_talk_lowest: f64,
        /// The highest over components.
        pub cross_talk_highest: f64,
        /// The same of coefficients when the others are fitted anew.
        pub refit_cross_talk: f64,
        /// The lowest over data sets.
        pub refit_cross_talk_lowest: f64,
        /// The highest over data sets.
        pub refit_cross_talk_highest: f64,
        /// How evenly a component's change is spread over x.
        pub evenness: f64,
    }
}

impl RegressionRow {
    fn new(report: &BasisReport) -> Self {
        let (rmse_lowest, rmse_highest) = range(&report.errors);
        let (cross_talk_lowest, cross_talk_highest) = range(&report.cross_talk);
        let (refit_cross_talk_lowest, refit_cross_talk_highest) = range(&report.refit_cross_talk);
        Self {
            basis: report.basis,
            n: report.n,
            coefficients: 2 * report.n + 1,
            data_sets: report.errors.len(),
            rmse: mean(&report.errors),
            rmse_lowest,
            rmse_highest,
            condition: report.condition,
            cross_talk: mean(&report.cross_talk),
            cross_talk_lowest,
            cross_talk_highest,
            refit_cross_talk: mean(&report.refit_cross_talk),
            refit_cross_talk_lowest,
            refit_cross_talk_highest,
            evenness: mean(&report.evenness),
        }
    }
}

/// A score of "only this component changes", whose columns are named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreColumns {
    name: &'static str,
    rule: ScoreRule,
    /// Of the coefficients when the others are fitted anew, instead of the components.
    refitted: bool,
}

impl ScoreColumns {
    /// Skill on components.
    pub const SKILL: Self = Self::new("skill", ScoreRule::Skill, false);
    /// Skill when the others are fitted anew.
    pub const REFIT_SKILL: Self = Self::new("refit_skill", ScoreRule::Skill, true);

    const ALL: [Self; 6] = [
        Self::SKILL,
        Self::new("locality", ScoreRule::Locality, false),
        Self::new("rank", ScoreRule::RankOfOutputs, false),
        Self::REFIT_SKILL,
        Self::new("refit_locality", ScoreRule::Locality, true),
        Self::new("refit_rank", ScoreRule::RankOfOutputs, true),
    ];

    const fn new(name: &'static str, rule: ScoreRule, refitted: bool) -> Self {
        Self { name, rule, refitted }
    }

    fn names(self) -> [String; 4] {
        ["", "_low", "_high", "_shuffled"].map(|end| format!("{}{end}", self.name))
    }

    fn values(self, report: &BasisReport) -> [f64; 4] {
        let scores = if self.refitted { &report.refitted } else { &report.shifted };
        match scores.get(self.rule) {
            Some(Score { interval, shuffled, .. }) => {
                [interval.estimate, interval.low, interval.high, *shuffled]
            }
            None => [f64::NAN; 4],
        }
    }
}

/// A score with its interval and negative control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegressionScore {
    /// The score.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// With operations and outputs exchanged.
    pub shuffled: f64,
}

/// All bases at all N, each with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionReport {
    table: WideTable<RegressionRow>,
}

impl RegressionReport {
    /// Of a study.
    pub fn new(reports: &[BasisReport]) -> Self {
        let mut table = WideTable::new(ScoreColumns::ALL.iter().flat_map(|score| score.names()));
        table.rows.extend(reports.iter().map(|report| {
            let values = ScoreColumns::ALL.iter().flat_map(|score| score.values(report));
            (RegressionRow::new(report), values.collect())
        }));
        Self { table }
    }

    /// The bases, in the order of the study.
    pub fn rows(&self) -> impl Iterator<Item = &RegressionRow> {
        self.table.rows.iter().map(|(row, _)| row)
    }

    /// A score of each row.
    pub fn scores(&self, score: ScoreColumns) -> Vec<RegressionScore> {
        let columns = score.names().map(|name| self.table.column(&name).unwrap_or_default());
        let at = |column: usize, row: usize| columns[column].get(row).copied().unwrap_or(f64::NAN);
        let of_row = |row: usize| RegressionScore {
            estimate: at(0, row),
            low: at(1, row),
            high: at(2, row),
            shuffled: at(3, row),
        };
        (0..self.table.rows.len()).map(of_row).collect()
    }
}

impl Artifact for RegressionReport {
    const PATH: &'static str = "data/predictability_regression.csv";

    fn to_frame(&self) -> Result<DataFrame> {
        Ok(self.table.to_frame()?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self { table: WideTable::from_frame(frame)? })
    }
}
