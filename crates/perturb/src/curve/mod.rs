//! Tone curves with names. A new family of curves is one file here and one line in [`FAMILIES`].

mod clipped;
mod only;
mod power;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use foresee_kernels::{ClosedForm, ToneCurve};

pub use self::clipped::ClippedCurve;
pub use self::only::Only;
pub use self::power::PowerCurve;
use crate::error::{Error, Result};

/// The families that [`Curve`] parses.
const FAMILIES: [Family; 3] = [power::IDENTITY, power::POWER, clipped::CLIPPED];

/// How the curves of one family are written.
struct Family {
    /// The first word.
    name: &'static str,
    /// An example, for error messages.
    example: &'static str,
    /// Names of the parameters, each with the value that it has if it is left out.
    parameters: &'static [(&'static str, f64)],
    /// Makes the curve from the parameters' values.
    build: fn(&[f64]) -> Result<Curve>,
}

/// A tone curve that has a name.
pub trait NamedCurve: ToneCurve + fmt::Debug {
    /// The name in files and settings, such as `power n=2 beta=0.05`. Curves with the same id are
    /// the same curve.
    fn id(&self) -> String;

    /// The name in figures, such as `n = 2, β = 0.05`.
    fn title(&self) -> String;
}

/// A named tone curve of any family.
///
/// It parses from its id and prints as its id: `identity`, `power n=2 beta=0.05` for
/// [`PowerCurve`], or `clipped n=2 beta=0.05` for [`ClippedCurve`]. [`Curve::new`] wraps a family
/// of your own; such a curve prints, but does not parse.
///
/// With the feature `serde` a curve is stored as its id.
///
/// ```
/// use foresee_perturb::{Curve, PowerCurve};
///
/// let curve: Curve = "power beta=0.5 n=2".parse()?;
/// assert_eq!(curve, Curve::new(PowerCurve::new(2., 0.5)?));
/// assert_eq!(curve.to_string(), "power n=2 beta=0.5");
/// assert!("gamma n=2".parse::<Curve>().is_err());
/// # Ok::<(), foresee_perturb::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Curve(Arc<dyn NamedCurve>);

impl Curve {
    /// Wraps a curve.
    pub fn new(curve: impl NamedCurve + 'static) -> Self {
        Self(Arc::new(curve))
    }

    /// The curve that changes nothing.
    pub fn identity() -> Self {
        Self::new(PowerCurve::IDENTITY)
    }

    /// The name in files and settings.
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// The name in figures.
    pub fn title(&self) -> String {
        self.0.title()
    }

    /// The curve with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        id.parse().ok()
    }
}

impl ToneCurve for Curve {
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]) {
        self.0.apply(attribute, channel, mask);
    }

    fn is_identity(&self) -> bool {
        self.0.is_identity()
    }

    fn closed_form(&self, attribute: usize, channel: usize) -> Option<ClosedForm> {
        self.0.closed_form(attribute, channel)
    }
}

impl PartialEq for Curve {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Curve {}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.id())
    }
}

impl FromStr for Curve {
    type Err = Error;

    /// Reads an id. Parameters may be in any order; one that is left out changes nothing.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|problem| Error::Curve {
            text: text.to_owned(),
            problem,
            examples: FAMILIES.map(|family| family.example).join("` or `"),
        })
    }
}

/// The curve that `text` names, or what is wrong with it.
fn parse(text: &str) -> std::result::Result<Curve, String> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let family = FAMILIES
        .iter()
        .find(|family| family.name == name)
        .ok_or_else(|| format!("there is no family `{name}`"))?;
    let mut given = vec![None; family.parameters.len()];
    for word in words {
        let (parameter, value) =
            word.split_once('=').ok_or_else(|| format!("`{word}` is not NAME=NUMBER"))?;
        let place = family
            .parameters
            .iter()
            .position(|(name, _)| *name == parameter)
            .ok_or_else(|| format!("`{name}` has no parameter `{parameter}`"))?;
        let value: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
        if given[place].replace(value).is_some() {
            return Err(format!("`{parameter}` is given twice"));
        }
    }
    let values: Vec<f64> = family
        .parameters
        .iter()
        .zip(given)
        .map(|((_, default), given)| given.unwrap_or(*default))
        .collect();
    (family.build)(&values).map_err(|e| e.to_string())
}

#[cfg(feature = "serde")]
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Curve;

    impl Serialize for Curve {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Curve {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
    }
}
