//! The fonts of figures. The embedded one makes figures look alike on every machine, also on one
//! without fonts.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Once};

use ab_glyph::{Font as _, FontRef};
use plotters::style::{FontStyle, register_font};
use resvg::usvg;
use resvg::usvg::fontdb::{Database, Family, Query};

use crate::error::{Error, Result};

/// The embedded font's name.
const EMBEDDED: &str = "DejaVu Sans";

/// A font that figures are set in.
#[derive(Clone, PartialEq)]
pub struct Font {
    family: String,
    /// Its file, if it is not the embedded one.
    data: Option<&'static [u8]>,
}

impl Font {
    /// A font of this machine by its family, such as `Times New Roman`, or, if the name ends in
    /// `.ttf` or `.otf`, the font in this file. Its bytes stay in memory until the program ends.
    ///
    /// ```
    /// use foresee_report::{Font, Style};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// // A font that you have as a file.
    /// let file = folder.path().join("serif.ttf");
    /// std::fs::write(&file, dejavu::serif::regular())?;
    /// let font = Font::find(&file.display().to_string())?;
    /// assert_eq!(font.family(), "DejaVu Serif");
    /// let style = Style { font, ..Style::default() };
    /// # style.check()?;
    /// // The embedded font is on every machine.
    /// assert_eq!(Font::find("DejaVu Sans")?, Font::default());
    /// assert!(Font::find("nowhere/font.ttf").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such font, or it cannot be read.
    pub fn find(name: &str) -> Result<Self> {
        if name == EMBEDDED {
            return Ok(Self::default());
        }
        let mut fonts = Database::new();
        let is_file = [".ttf", ".otf"].iter().any(|end| name.to_lowercase().ends_with(end));
        if is_file {
            fonts.load_font_file(Path::new(name)).map_err(|e| Error::font(name, e.to_string()))?;
        } else {
            fonts.load_system_fonts();
        }
        let family = match fonts.faces().next() {
            Some(face) if is_file => {
                face.families.first().map_or(name, |(family, _)| family).to_owned()
            }
            _ => name.to_owned(),
        };
        Self::of(&fonts, &family).ok_or_else(|| {
            Error::font(name, if is_file { "the file is no font".into() } else { unknown(&fonts) })
        })
    }

    fn of(fonts: &Database, family: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_alphanumeric() || " -_.+".contains(c);
        let query = Query { families: &[Family::Name(family)], ..Query::default() };
        let id = fonts.query(&query)?;
        let data =
            fonts.with_face_data(id, |data, index| (index == 0).then(|| data.to_vec()))??;
        if !family.chars().all(is_plain) {
            return None;
        }
        let data: &'static [u8] = Box::leak(data.into_boxed_slice());
        register_font(family, FontStyle::Normal, data).ok()?;
        Some(Self { family: family.into(), data: Some(data) })
    }

    /// The font's name.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The font, as far as its glyphs are asked for.
    fn face(&self) -> Option<FontRef<'_>> {
        FontRef::try_from_slice(self.data()).ok()
    }

    /// Whether the font has all of these signs. A line of text of which it lacks one is set in the
    /// embedded font.
    pub(crate) fn has(&self, words: &str) -> bool {
        self.face().is_some_and(|face| words.chars().all(|c| face.glyph_id(c).0 != 0))
    }

    /// The width of words in ems, in the font that they are set in. A sign that no font has counts
    /// as one em.
    pub(crate) fn ems(&self, words: &str) -> f64 {
        if self.data.is_some() && !self.has(words) {
            return Self::default().ems(words);
        }
        let Some(face) = self.face() else { return words.chars().count() as f64 };
        let units = f64::from(face.units_per_em().unwrap_or(1000.));
        let advance = |c: char| match face.glyph_id(c) {
            missing if missing.0 == 0 => 1.,
            glyph => f64::from(face.h_advance_unscaled(glyph)) / units,
        };
        words.chars().map(advance).sum()
    }

    /// The bytes of its file.
    pub fn data(&self) -> &[u8] {
        self.data.unwrap_or_else(|| dejavu::sans::regular())
    }

    /// Options under which SVG text is set in the font. Signs that it lacks are taken from the
    /// embedded one.
    pub(crate) fn svg_options(&self) -> usvg::Options<'static> {
        let mut options = usvg::Options::default();
        let fonts = Arc::make_mut(&mut options.fontdb);
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        if let Some(data) = self.data {
            fonts.load_font_data(data.to_vec());
        }
        options
    }
}

impl Default for Font {
    /// The embedded font.
    fn default() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // If the font could not be read, plotters would say so when text is drawn.
            let _ = register_font(EMBEDDED, FontStyle::Normal, dejavu::sans::regular());
        });
        Self { family: EMBEDDED.into(), data: None }
    }
}

impl fmt::Debug for Font {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Font").field(&self.family).finish()
    }
}

/// Why a font was not found: the families that there are.
fn unknown(fonts: &Database) -> String {
    let mut families: Vec<&str> = fonts
        .faces()
        .flat_map(|face| face.families.iter().map(|(family, _)| family.as_str()))
        .collect();
    families.sort_unstable();
    families.dedup();
    let named = families.iter().take(40).copied().collect::<Vec<_>>().join(", ");
    match families.len() {
        0 => format!("this machine has no fonts; {EMBEDDED} is embedded"),
        1..=40 => format!("there is no such font; {EMBEDDED} is embedded, and there are {named}"),
        n => format!(
            "there is no such font; {EMBEDDED} is embedded, and there are {named} and {} more",
            n - 40
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_font_is_found_in_its_file_and_an_unknown_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.ttf");
        std::fs::write(&file, dejavu::serif::regular()).unwrap();
        let font = Font::find(&file.display().to_string()).unwrap();
        assert_eq!(font.family(), "DejaVu Serif");
        assert_eq!(font.svg_options().fontdb.len(), 2);
        assert!(font.has("λ = 1e-6") && !font.has("中"));
        // The widths of its own letters, and those of the embedded font for what it lacks.
        assert!(font.ems("iii") < font.ems("mmm"));
        assert_eq!(font.ems("a中"), Font::default().ems("a") + 1.);

        assert_eq!(Font::find("DejaVu Sans").unwrap(), Font::default());
        let error = Font::find("No Such Font").unwrap_err().to_string();
        assert!(error.contains("No Such Font") && error.contains("DejaVu Sans"), "{error}");
        std::fs::write(&file, "no font").unwrap();
        let error = Font::find(&file.display().to_string()).unwrap_err().to_string();
        assert!(error.contains("the file is no font"), "{error}");
        assert!(Font::find("/nowhere/font.otf").is_err());
    }
}
