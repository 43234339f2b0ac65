//! A figure is drawn once, as SVG; PNG and PDF are made from that.

use std::path::{Path, PathBuf};

use foresee_files::write_atomic;
use resvg::{tiny_skia, usvg};

use crate::about::About;
use crate::error::{Error, Result};
use crate::pdf::pdf;
use crate::png::png;
use crate::source::Source;
use crate::style::{Format, INCH, Style};
use crate::xml::escaped;

/// Pixels of a PNG, at most: they take 4 bytes each while it is drawn.
const MOST_PIXELS: f64 = 268_435_456.;

/// Whether a file is a figure that [`Figure::save`] or [`overlay`](crate::overlay()) made, in any
/// format: its metadata say so.
pub fn is_figure(path: &Path) -> bool {
    let Ok(bytes) = std::fs::read(path) else { return false };
    let has = |start: &str| {
        let mark = [start, About::MARK].concat();
        bytes.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    (bytes.starts_with(b"\x89PNG") && has("Software\0\0\0\0\0"))
        || (bytes.starts_with(b"%PDF") && has("("))
        || (bytes.starts_with(b"<svg") && has("<metadata>"))
        || (bytes.starts_with(b"% ") && has("\n% "))
}

/// A drawn figure.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    svg: String,
    size: (u32, u32),
    /// The note about the data.
    note: String,
    style: Style,
    about: About,
    /// The figure as LaTeX with pgfplots, where there is one.
    tikz: Option<String>,
}

impl Figure {
    /// A figure from SVG text of this width and height in units.
    pub(crate) fn new(
        name: &str,
        svg: String,
        size: (u32, u32),
        source: &Source,
        style: &Style,
    ) -> Self {
        let (name, note) = (name.into(), source.note());
        let (style, about) = (style.clone(), About::default());
        Self { name, svg, size, note, style, about, tikz: None }
    }

    /// The same figure, which also has a form in LaTeX.
    pub(crate) fn with_tikz(self, tikz: String) -> Self {
        Self { tikz: Some(tikz), ..self }
    }

    /// The same figure with what its files say about it.
    ///
    /// ```
    /// use foresee_report::{About, Style};
    ///
    /// # use foresee_report::{HeatMap, Source, heat_maps};
    /// # let map = HeatMap { title: "before".into(), rows: vec![vec![1.]], axis: "c".into() };
    /// # let source = Source { data: "40 drawn faces".into(), synthetic: true };
    /// # let figure = heat_maps("fig6", &[map], "correlation", &source, &Style::default())?;
    /// let figure = figure.about(About {
    ///     caption: "Correlation of channels.".into(),
    ///     data: vec!["correlation.csv".into()],
    ///     command: "foresee figures".into(),
    /// });
    /// let caption = "Correlation of channels. SYNTHETIC FACES, not CelebA: 40 drawn faces.";
    /// assert_eq!(figure.caption(), caption);
    /// assert!(figure.svg().contains("data: correlation.csv\ncommand: foresee figures"));
    /// # Ok::<(), foresee_report::Error>(())
    /// ```
    #[must_use]
    pub fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The figure's file name without extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The figure's caption, and the note about the data, which stands there also if the figure has
    /// none.
    pub fn caption(&self) -> String {
        let note = match self.note.ends_with('.') {
            true => self.note.clone(),
            false => format!("{}.", self.note),
        };
        match self.about.caption.as_str() {
            "" => note,
            caption => format!("{caption} {note}"),
        }
    }

    /// The caption without the note.
    pub(crate) fn short_caption(&self) -> &str {
        &self.about.caption
    }

    /// The figure as SVG text, with its caption, data and command as metadata.
    pub fn svg(&self) -> String {
        let metadata = format!(
            ">\n<title>{}</title>\n<desc>{}</desc>\n<metadata>{}\n{}</metadata>\n",
            escaped(&self.name),
            escaped(&self.caption()),
            About::CREATOR,
            escaped(&self.about.made_from())
        );
        self.svg.replacen(">\n", &metadata, 1)
    }

    /// Width and height in units; the width in millimetres is the style's.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Whether the figure can be saved as this format: only curves have TikZ.
    pub fn has(&self, format: Format) -> bool {
        format != Format::Tikz || self.tikz.is_some()
    }

    /// The formats in which [`save`](Self::save) writes it.
    pub fn formats(&self) -> impl Iterator<Item = Format> {
        self.style.formats.iter().copied().filter(|format| self.has(*format))
    }

    /// Writes the figure in the formats of its style that it [`has`](Self::has), and its caption as
    /// `<name>.txt`, into a folder. Returns the paths.
    ///
    /// ```
    /// use foresee_report::{Format, Style, is_figure};
    ///
    /// # use foresee_report::{HeatMap, Source, heat_maps};
    /// # let map = HeatMap { title: "before".into(), rows: vec![vec![1.]], axis: "c".into() };
    /// # let source = Source { data: "40 drawn faces".into(), synthetic: true };
    /// # let folder = tempfile::tempdir()?;
    /// let style = Style { formats: vec![Format::Svg], ..Style::default() };
    /// let figure = heat_maps("fig6", &[map], "correlation", &source, &style)?;
    /// let files = figure.save(folder.path())?;
    /// assert_eq!(files, ["fig6.svg", "fig6.txt"].map(|name| folder.path().join(name)));
    /// assert!(is_figure(&files[0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let tree = self.tree()?;
        let mut files = vec![];
        for format in self.formats() {
            files.push((format.extension(), self.encoded(format, &tree)?));
        }
        files.push(("txt", format!("{}\n", self.caption()).into_bytes()));
        let write = |(extension, bytes): (&str, Vec<u8>)| {
            let path = folder.join(format!("{}.{extension}", self.name));
            write_atomic(&path, &bytes)?;
            Ok(path)
        };
        files.into_iter().map(write).collect()
    }

    /// The bytes of its file in one format.
    ///
    /// # Errors
    /// If it cannot be drawn, or there is no such form of it ([`has`](Self::has)).
    pub fn bytes(&self, format: Format) -> Result<Vec<u8>> {
        match self.has(format) {
            true => self.encoded(format, &self.tree()?),
            false => Err(self.failed(format!("it has no form as .{}", format.extension()))),
        }
    }

    fn tree(&self) -> Result<usvg::Tree> {
        usvg::Tree::from_str(&self.svg, &self.style.font.svg_options())
            .map_err(|e| self.failed(e.to_string()))
    }

    fn encoded(&self, format: Format, tree: &usvg::Tree) -> Result<Vec<u8>> {
        let failed = |reason| self.failed(reason);
        Ok(match format {
            Format::Svg => self.svg().into_bytes(),
            Format::Png => self.png(tree).map_err(failed)?,
            Format::Pdf => pdf(tree, &self.name, &self.described()).map_err(failed)?,
            Format::Tikz => self.latex().into_bytes(),
        })
    }

    fn failed(&self, reason: String) -> Error {
        Error::Drawing { figure: self.name.clone(), reason }
    }

    fn described(&self) -> About {
        About { caption: self.caption(), ..self.about.clone() }
    }

    fn png(&self, tree: &usvg::Tree) -> std::result::Result<Vec<u8>, String> {
        let wide = self.style.width / INCH * self.style.dpi;
        let scale = wide / f64::from(tree.size().width());
        let high = scale * f64::from(tree.size().height());
        let too_many = "the PNG has too many pixels: lower its resolution (--dpi) or its width";
        if wide * high > MOST_PIXELS {
            return Err(too_many.into());
        }
        let mut pixmap =
            tiny_skia::Pixmap::new(wide.round() as u32, high.round() as u32).ok_or(too_many)?;
        // Rounding may leave a part of a pixel at the edges.
        pixmap.fill(tiny_skia::Color::WHITE);
        let transform = tiny_skia::Transform::from_scale(scale as f32, scale as f32);
        resvg::render(tree, transform, &mut pixmap.as_mut());
        // Every pixel is opaque.
        let rgb: Vec<u8> = pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let size = (pixmap.width(), pixmap.height());
        png(size, &rgb, Some(self.style.dpi), &self.name, &self.described())
            .map_err(|e| e.to_string())
    }

    /// The LaTeX, below what is said about the figure as comments.
    fn latex(&self) -> String {
        let about = format!("{}\n{}{}", self.caption(), self.about.made_from(), About::CREATOR);
        let comments: String = about.lines().map(|line| format!("% {line}\n")).collect();
        format!("{comments}{}", self.tikz.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_other_files() -> std::result::Result<(), Box<dyn std::error::Error>> {
        use crate::{Curve, LineStyle, Panel, curves};
        let folder = tempfile::tempdir()?;
        let curve = Curve::new("a", vec![(0., 1.), (1., 2.)], 0, LineStyle::Solid);
        let panel = Panel {
            title: String::new(),
            x: "x".into(),
            y: "y".into(),
            curves: vec![curve],
            levels: vec![],
        };
        let style = Style { formats: Format::ALL.to_vec(), ..Style::default() };
        let source = Source { data: "none".into(), synthetic: false };
        for path in curves("figure", &[panel], &source, &style)?.save(folder.path())? {
            let is_text = path.extension().is_some_and(|extension| extension == "txt");
            assert_eq!(is_figure(&path), !is_text, "{}", path.display());
        }
        let notes = folder.path().join("notes.tex");
        std::fs::write(&notes, "made by foresee-report 0.1\n% or by foresee-report 0.2\n")?;
        assert!(!is_figure(&notes));

        let style = Style { width: 4000., font_size: 200., dpi: 2400., ..Style::default() };
        let blank = Figure::new(
            "blank",
            "<svg xmlns='http://www.w3.org/2000/svg' width='4000mm' \
             height='4000mm'></svg>"
                .into(),
            (1, 1),
            &source,
            &style,
        );
        let error = blank.save(folder.path()).unwrap_err().to_string();
        assert!(error.contains("too many pixels"), "{error}");
        Ok(())
    }
}
