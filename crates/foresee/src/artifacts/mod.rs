//! The data files of a run and of a study: each is one type, which knows where the file lies and is
//! written and read here. Nothing else knows a column's name.

mod accuracy;
mod attributes;
mod attribution;
mod channels;
mod claims;
mod comparison;
mod faces;
mod learning;
mod masks;
mod predictability;
mod pruning;
mod readings;
mod regression;
mod statistics;
mod study;
mod training;
mod transformation;

use foresee_celeba::ATTRIBUTES;
use foresee_report::{DataFrame, MatrixTable, Record, WideTable};
use foresee_stats::Matrix;

pub use self::accuracy::{Accuracy, AttributeAccuracy};
pub use self::attributes::{AttributeCorrelation, AttributeNeighbour, GroupMember};
pub use self::attribution::{
    AttributionCheck, AttributionFaces, AttributionMaps, AttributionScore, ChosenFaces, ChosenMaps,
    DependencePoint, MapKind, MapLabel, PermutedPart, PermutedParts, RandomisedStep, SurrogateRow,
};
pub use self::channels::{Channel, ChannelCorrelation};
pub use self::claims::ClaimRow;
pub use self::comparison::{
    ChosenFeature, ConditionRow, JudgedImage, LearnedPeople, PartPlace, SystemAttribute,
    SystemCost, SystemForecast, SystemPass, SystemRow,
};
pub use self::faces::{BadImage, FacePixels, PixelLabel};
pub use self::learning::{LearningPoint, LearningSummary};
pub use self::masks::{
    Figure4Faces, Figure4Masks, MaskLabel, MeanContributions, MeanMasks, TopChannel,
};
pub use self::predictability::ScoredForecasts;
pub use self::pruning::{PlannedStep, PrunedImage, PruningCurves, PruningPoint, SemanticPlan};
pub use self::readings::{
    READ_IMAGES, ReadImage, ReadImages, ReadingPoint, ReadingRow, ShutRows, curve_name,
};
pub use self::regression::{RegressionReport, RegressionRow, RegressionScore, ScoreColumns};
pub use self::statistics::ChannelStatisticsFile;
pub use self::study::{
    MaskRegion, PredictabilityOverSeeds, PruningOverSeeds, VariantRow, Variants,
};
pub use self::training::{AwakeRows, TrainingStep, Validation};
pub use self::transformation::{
    TransformationChoice, TransformationCurves, TransformationPoint, TransformedImage,
};
use crate::error::Result;

/// A data file of a run.
pub trait Artifact: Sized {
    /// Its place in the run's folder.
    const PATH: &'static str;

    /// What is written, without the column that says what kind of faces the numbers come from.
    ///
    /// # Errors
    /// If the columns do not fit each other.
    fn to_frame(&self) -> Result<DataFrame>;

    /// Reads what [`to_frame`](Self::to_frame) made.
    ///
    /// # Errors
    /// If a column is missing, or a cell does not hold its type.
    fn from_frame(frame: &DataFrame) -> Result<Self>;
}

/// A record whose rows are a data file.
pub trait Row: Record {
    /// The file's place in the run's folder.
    const PATH: &'static str;
}

impl<R: Row> Artifact for Vec<R> {
    const PATH: &'static str = R::PATH;

    fn to_frame(&self) -> Result<DataFrame> {
        Ok(R::to_frame(self)?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(<R as Record>::from_frame(frame)?)
    }
}

/// Records with a number for each of CelebA's attributes, in columns of its name, as a data file.
#[derive(Debug, Clone, PartialEq)]
pub struct PerAttribute<R> {
    /// Each record, and its 40 numbers.
    pub points: Vec<(R, Vec<f64>)>,
}

impl<R: Row + Clone> Artifact for PerAttribute<R> {
    const PATH: &'static str = R::PATH;

    fn to_frame(&self) -> Result<DataFrame> {
        let mut table = WideTable::new(ATTRIBUTES);
        table.rows.clone_from(&self.points);
        Ok(table.to_frame()?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self { points: WideTable::from_frame(frame)?.rows })
    }
}

/// A type that is another type's table, as a data file.
macro_rules! table_file {
    ($(#[$doc:meta])* $name:ident($inner:ty), $path:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name(pub $inner);

        // Some of the inner types have this error type already, others have not.
        #[allow(clippy::needless_question_mark)]
        impl $crate::artifacts::Artifact for $name {
            const PATH: &'static str = $path;

            fn to_frame(&self) -> $crate::error::Result<::foresee_report::DataFrame> {
                Ok(self.0.to_frame()?)
            }

            fn from_frame(frame: &::foresee_report::DataFrame) -> $crate::error::Result<Self> {
                Ok(Self(<$inner>::from_frame(frame)?))
            }
        }
    };
}
pub(crate) use table_file;

/// A type that is a matrix with named rows and columns, as a data file.
macro_rules! matrix_file {
    ($(#[$doc:meta])* $name:ident, $path:literal, $corner:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name(pub ::foresee_report::MatrixTable);

        impl $crate::artifacts::Artifact for $name {
            const PATH: &'static str = $path;

            fn to_frame(&self) -> $crate::error::Result<::foresee_report::DataFrame> {
                Ok(self.0.to_frame()?)
            }

            fn from_frame(frame: &::foresee_report::DataFrame) -> $crate::error::Result<Self> {
                Ok(Self(::foresee_report::MatrixTable::from_frame(frame, $corner)?))
            }
        }

        impl $name {
            /// The matrix.
            pub fn matrix(&self) -> ::foresee_stats::Matrix {
                ::foresee_stats::Matrix::from_rows(&self.0.rows)
            }
        }
    };
}
pub(crate) use matrix_file;

/// A matrix with a row for each of CelebA's attributes.
fn attribute_rows(columns: Vec<String>, values: &Matrix) -> MatrixTable {
    MatrixTable {
        corner: "attribute".into(),
        row_names: ATTRIBUTES.map(String::from).to_vec(),
        column_names: columns,
        rows: values.to_rows(),
    }
}

/// Names of channels as columns: c0, c1, ….
fn channel_names(channels: usize) -> Vec<String> {
    (0..channels).map(|channel| format!("c{channel}")).collect()
}
