//! How figures look: width, font, colours, files.

use std::fmt;

use crate::error::{Error, Result};
use crate::font::Font;

/// Height of ordinary text in units. All other lengths of a figure are in units too.
pub(crate) const BODY: f64 = 15.;
/// Height of the smallest text in units: 6 points where ordinary text has 7.
pub(crate) const SMALL: f64 = 13.;
/// Height of a panel's title in units.
pub(crate) const TITLE: f64 = 17.;

/// What plotters divides a text's height by to have the font's size.
pub(crate) const PER_FONT_SIZE: f64 = 1.24;

/// Figures need so many units of width at least, to have room for their text.
const LEAST_UNITS: f64 = 355.;
/// Figures of more units would hold unreadably small text.
const MOST_UNITS: f64 = 2400.;

/// Millimetres of an inch.
pub(crate) const INCH: f64 = 25.4;

/// Points of a millimetre.
const POINTS: f64 = 72. / INCH;

/// Where a figure is to be shown. It decides its width and the size of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A column of a two-column paper: 84 mm, text of 7 pt.
    PaperColumn,
    /// A page of a paper: 174 mm, text of 8 pt.
    PaperPage,
    /// A slide: 254 mm, text of 14 pt.
    Slides,
    /// A poster: 400 mm, text of 24 pt.
    Poster,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 4] = [Self::PaperColumn, Self::PaperPage, Self::Slides, Self::Poster];

    /// As in settings and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::PaperColumn => "paper-column",
            Self::PaperPage => "paper-page",
            Self::Slides => "slides",
            Self::Poster => "poster",
        }
    }

    /// The preset of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.id() == id)
    }

    /// Width in millimetres and height of ordinary text in points.
    fn size(self) -> (f64, f64) {
        match self {
            Self::PaperColumn => (84., 7.),
            Self::PaperPage => (174., 8.),
            Self::Slides => (254., 14.),
            Self::Poster => (400., 24.),
        }
    }
}

/// The colours of curves and of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Palette {
    /// Curves by Okabe & Ito (2008), cells in blue.
    #[default]
    OkabeIto,
    /// Curves by Tol's bright scheme (2021), cells in blue.
    TolBright,
    /// Curves and cells in grey, for print without colours: curves differ by their line styles and
    /// markers. Correlations and maps over faces keep their colours.
    Grey,
}

impl Palette {
    /// All palettes.
    pub const ALL: [Self; 3] = [Self::OkabeIto, Self::TolBright, Self::Grey];

    /// As in settings and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::OkabeIto => "okabe-ito",
            Self::TolBright => "tol-bright",
            Self::Grey => "grey",
        }
    }

    /// The palette of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|palette| palette.id() == id)
    }
}

/// A kind of file that a figure is saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pixels, for slides and the web.
    Png,
    /// Vectors with text, to be edited or shown in a browser.
    Svg,
    /// Vectors with text, for papers.
    Pdf,
    /// LaTeX with pgfplots, set in the paper's own fonts. For figures of curves only.
    Tikz,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Png, Self::Svg, Self::Pdf, Self::Tikz];
    /// The formats of a figure of which nothing else is said.
    pub const DEFAULT: [Self; 3] = [Self::Svg, Self::Png, Self::Pdf];

    /// As in settings and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Svg => "svg",
            Self::Pdf => "pdf",
            Self::Tikz => "tikz",
        }
    }

    /// The format of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.id() == id)
    }

    /// How the names of such files end, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Tikz => "tex",
            other => other.id(),
        }
    }
}

/// How a figure looks, and as what it is saved.
///
/// ```
/// use foresee_report::{Preset, Style};
///
/// let mut style = Style::new(Preset::PaperColumn);
/// assert_eq!((style.width, style.font_size), (84., 7.));
/// assert_eq!(style.smallest_text().round(), 6.);
/// style.width = 60.;
/// let error = style.check().unwrap_err().to_string();
/// assert!(error.contains("a font of 7 pt needs a figure of 72.5 mm"), "{error}");
/// # Ok::<(), foresee_report::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    /// Width of every figure in millimetres.
    pub width: f64,
    /// The font of all text.
    pub font: Font,
    /// Height of ordinary text in points. The smallest text has 13/15 of it.
    pub font_size: f64,
    /// The colours of curves and cells.
    pub palette: Palette,
    /// Whether the note about the data stands below the figure. The caption always has it.
    pub note: bool,
    /// The files of a figure; beside them its caption is saved as text.
    pub formats: Vec<Format>,
    /// Pixels per inch of PNG files.
    pub dpi: f64,
}

impl Style {
    /// A style for this place: the embedded font DejaVu Sans, colours for the colour-blind, the
    /// note, SVG, PNG of 300 pixels per inch, and PDF.
    pub fn new(preset: Preset) -> Self {
        let (width, font_size) = preset.size();
        Self {
            width,
            font: Font::default(),
            font_size,
            palette: Palette::default(),
            note: true,
            formats: Format::DEFAULT.to_vec(),
            dpi: 300.,
        }
    }

    /// Makes sure that figures of this style can be drawn.
    ///
    /// # Errors
    /// If a number is out of its range, no format is left, or text of this size does not fit into
    /// this width.
    pub fn check(&self) -> Result<()> {
        within("width", self.width, (20., 5000.), "mm")?;
        within("font size", self.font_size, (2., 500.), "pt")?;
        within("resolution", self.dpi, (20., 2400.), "dpi")?;
        if self.formats.is_empty() {
            return Err(Error::Style("figures need at least one format".into()));
        }
        let units = self.exact_units();
        let least = |units: f64| units * self.width / self.exact_units();
        if units < LEAST_UNITS - 0.5 {
            return Err(Error::Style(format!(
                "a font of {} pt needs a figure of {:.1} mm or more, and {} mm are given: make \
                 the figure wider or the font smaller",
                self.font_size,
                least(LEAST_UNITS),
                self.width
            )));
        }
        if units > MOST_UNITS {
            return Err(Error::Style(format!(
                "in a figure of {} mm a font of {} pt cannot be read: with it, figures have at \
                 most {:.0} mm",
                self.width,
                self.font_size,
                least(MOST_UNITS)
            )));
        }
        Ok(())
    }

    /// Height of the smallest text in points.
    pub fn smallest_text(&self) -> f64 {
        self.font_size * SMALL / BODY
    }

    /// Signs of figures that the font lacks, of those that ours use. Lines with such a sign are set
    /// in the embedded font.
    pub fn missing_signs(&self) -> String {
        "βλρστ×±→⊗‖₁".chars().filter(|c| !self.font.has(&c.to_string())).collect()
    }

    /// Width of every figure in units.
    pub(crate) fn units(&self) -> i32 {
        self.exact_units().round() as i32
    }

    fn exact_units(&self) -> f64 {
        self.width * POINTS * BODY / PER_FONT_SIZE / self.font_size
    }

    /// Millimetres of a length in units, so that a figure's width is exact.
    pub(crate) fn millimetres(&self, units: u32) -> f64 {
        self.width * f64::from(units) / f64::from(self.units())
    }
}

impl Default for Style {
    /// For a page of a paper.
    fn default() -> Self {
        Self::new(Preset::PaperPage)
    }
}

fn within(what: &str, value: f64, (low, high): (f64, f64), unit: impl fmt::Display) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(Error::Style(format!(
            "a {what} of {value} {unit} is not possible: from {low} to {high} {unit}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back() {
        assert!(Preset::ALL.iter().all(|p| Preset::from_id(p.id()) == Some(*p)));
        assert!(Palette::ALL.iter().all(|p| Palette::from_id(p.id()) == Some(*p)));
        assert!(Format::ALL.iter().all(|f| Format::from_id(f.id()) == Some(*f)));
        assert_eq!(Preset::from_id("thesis"), None);
    }

    #[test]
    fn presets_can_be_drawn_and_nonsense_cannot() {
        for preset in Preset::ALL {
            Style::new(preset).check().unwrap();
        }
        let refused = |change: fn(&mut Style)| {
            let mut style = Style::default();
            change(&mut style);
            style.check().unwrap_err().to_string()
        };
        assert!(refused(|s| s.width = f64::NAN).contains("width of NaN mm"));
        assert!(refused(|s| s.font_size = 0.).contains("font size of 0 pt"));
        assert!(refused(|s| s.dpi = 1e9).contains("1000000000 dpi"));
        assert!(refused(|s| s.formats.clear()).contains("at least one format"));
        assert!(refused(|s| s.font_size = 2.).contains("cannot be read"));
    }
}
