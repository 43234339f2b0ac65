//! `figures`: the stage, and figures that are shaped by hand.

use std::path::PathBuf;

use clap::Args;
use foresee_report::{Figure, Format, Palette, Preset};

use super::arguments::RunArgs;
use crate::config::Figures;
use crate::error::{Result, input};
use crate::figures::{self, Drawing, Request, Takes};
use crate::output::{OverwriteArgs, check_figures, print};
use crate::run::Run;
use crate::session::Session;
use crate::stages::figures::{computed, stage};

/// Where figures that are shaped by hand go, in the run's folder.
const CHOSEN: &str = "figures/chosen";

#[derive(Args)]
pub struct FiguresArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Draw these figures only, by name or by its beginning, such as fig7.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    figure: Vec<String>,
    /// Where the figures are to be shown, which decides width and size of the text: paper-column
    /// (84 mm, 7 pt), paper-page (174 mm, 8 pt), slides (254 mm, 14 pt) or poster (400 mm, 24 pt).
    #[arg(long, value_name = "STYLE", value_parser = Preset::ALL.map(Preset::id))]
    style: Option<String>,
    /// Width in millimetres instead of the style's.
    #[arg(long, value_name = "MM", allow_negative_numbers = true)]
    width: Option<f64>,
    /// A font of this machine, such as "Times New Roman", or a .ttf or .otf file.
    #[arg(long, value_name = "FAMILY")]
    font: Option<String>,
    /// Height of ordinary text in points instead of the style's; the smallest text has 13/15 of it.
    #[arg(long, value_name = "PT", allow_negative_numbers = true)]
    font_size: Option<f64>,
    /// Colours of curves and cells: okabe-ito, tol-bright or grey.
    #[arg(long, value_name = "PALETTE", value_parser = Palette::ALL.map(Palette::id))]
    palette: Option<String>,
    /// Kinds of files: svg, png, pdf, and tikz (LaTeX with pgfplots, for curves).
    #[arg(
        long,
        value_name = "FORMAT",
        value_delimiter = ',',
        value_parser = Format::ALL.map(Format::id)
    )]
    format: Vec<String>,
    /// Pixels per inch of PNG files.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    dpi: Option<f64>,
    /// Attributes of Figures 4 and 5 and of attribution_comparison, in this order; the network
    /// computes what is not measured.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Images of Figure 4 and of attribution_comparison, in this order, such as 000123.jpg.
    #[arg(long, value_name = "IMAGE", value_delimiter = ',')]
    faces: Vec<String>,
    /// Panels of one figure, by number from 1, in this order.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    panel: Vec<usize>,
    /// Leave out the note about the data below each figure. The caption and the files' metadata
    /// keep it.
    #[arg(long)]
    no_note: bool,
    /// Write into this folder instead of figures/chosen in the run's folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
}

pub(super) fn figures(args: &FiguresArgs) -> Result<()> {
    let (mut run, device) = args.run.open()?;
    let session = Session::new(device);
    match args.is_plain() {
        true => stage(&mut run, &session),
        false => shaped(args, &run, &session),
    }
}

impl FiguresArgs {
    /// Whether nothing is asked for but the stage.
    fn is_plain(&self) -> bool {
        let texts = [&self.style, &self.font, &self.palette];
        let numbers = [self.width, self.font_size, self.dpi];
        let lists = [&self.figure, &self.format, &self.attributes, &self.faces];
        texts.iter().all(|text| text.is_none())
            && numbers.iter().all(|number| number.is_none())
            && lists.iter().all(|list| list.is_empty())
            && self.panel.is_empty()
            && self.out.is_none()
            && !self.no_note
    }

    /// The run's settings with what is asked for.
    fn settings(&self, run: &Run) -> Result<Figures> {
        // In the settings 0 stands for the style's.
        for (option, value) in [("--width", self.width), ("--font-size", self.font_size)] {
            if value == Some(0.) {
                return Err(input(format!("{option} 0 is not possible: a number above 0")));
            }
        }
        let mut settings = run.manifest.config.figures.clone();
        let replace = |slot: &mut String, by: &Option<String>| {
            if let Some(by) = by {
                slot.clone_from(by);
            }
        };
        replace(&mut settings.style, &self.style);
        replace(&mut settings.font, &self.font);
        replace(&mut settings.palette, &self.palette);
        // Another style has its own width and size, unless these are asked for, too.
        if self.style.is_some() {
            (settings.width, settings.font_size) = (0., 0.);
        }
        settings.width = self.width.unwrap_or(settings.width);
        settings.font_size = self.font_size.unwrap_or(settings.font_size);
        settings.dpi = self.dpi.unwrap_or(settings.dpi);
        settings.note &= !self.no_note;
        for (slot, by) in [
            (&mut settings.formats, &self.format),
            (&mut settings.attributes, &self.attributes),
            (&mut settings.faces, &self.faces),
        ] {
            if !by.is_empty() {
                slot.clone_from(by);
            }
        }
        settings.name_font()?;
        settings.check()?;
        Ok(settings)
    }

    /// The figures that are asked for.
    fn drawings(&self, run: &Run) -> Result<Vec<&'static Drawing>> {
        let all = figures::of(run);
        let chosen = match self.figure.as_slice() {
            [] => all.into_iter().filter(|drawing| self.concerns(drawing)).collect(),
            names => names.iter().map(|name| named(name, &all)).collect::<Result<Vec<_>>>()?,
        };
        if let Some(drawing) = chosen.iter().find(|drawing| !self.concerns(drawing)) {
            let reason = match drawing.takes {
                Takes::Attributes => "has attributes, but no faces and no panels to choose from",
                Takes::AttributesAndFaces => "has no panels to choose from",
                Takes::Panels => "has panels, but no attributes and no faces to choose from",
                Takes::Nothing => "has no attributes, faces or panels to choose from",
            };
            return Err(input(format!("--figure {}: {reason}", drawing.name)));
        }
        if !self.panel.is_empty() && chosen.len() != 1 {
            return Err(input("--panel is for one figure: name it with --figure"));
        }
        Ok(chosen)
    }

    /// Whether a figure has what is asked for.
    fn concerns(&self, drawing: &Drawing) -> bool {
        let (attributes, faces, panels) = match drawing.takes {
            Takes::Nothing => (false, false, false),
            Takes::Attributes => (true, false, false),
            Takes::AttributesAndFaces => (true, true, false),
            Takes::Panels => (false, false, true),
        };
        (attributes || self.attributes.is_empty())
            && (faces || self.faces.is_empty())
            && (panels || self.panel.is_empty())
    }
}

/// The figure of a name, or the only one whose name begins so.
fn named(name: &str, all: &[&'static Drawing]) -> Result<&'static Drawing> {
    let found: Vec<_> = match all.iter().find(|drawing| drawing.name == name) {
        Some(drawing) => vec![*drawing],
        None => all.iter().copied().filter(|drawing| drawing.name.starts_with(name)).collect(),
    };
    match found.as_slice() {
        [drawing] => Ok(drawing),
        others => {
            let (problem, listed) = match others {
                [] => ("this run has no such figure; it has", all),
                several => ("several figures begin so", several),
            };
            let names: Vec<&str> = listed.iter().map(|drawing| drawing.name).collect();
            Err(input(format!("--figure {name}: {problem}: {}", names.join(", "))))
        }
    }
}

fn shaped(args: &FiguresArgs, run: &Run, session: &Session) -> Result<()> {
    let settings = args.settings(run)?;
    let drawings = args.drawings(run)?;
    let style = settings.style()?;
    let computed = computed(run, session, &settings, &drawings)?;
    let request = Request { run, computed, settings: &settings, style, panels: &args.panel };
    let folder = match &args.out {
        Some(out) => out.clone(),
        None => run.path(CHOSEN),
    };
    if args.out.is_some() {
        let names: Vec<&str> = drawings.iter().map(|drawing| drawing.name).collect();
        check_figures("--out", &folder, &names, args.overwrite)?;
    }
    for drawing in drawings {
        let figure = drawing.draw(&request)?;
        check_formats(&figure, &request.style.formats)?;
        for path in figure.save(&folder)? {
            print(&format!("{}\n", path.display()))?;
        }
    }
    Ok(())
}

/// Says which formats a figure lacks.
fn check_formats(figure: &Figure, formats: &[Format]) -> Result<()> {
    if figure.formats().next().is_none() {
        return Err(input(format!(
            "{} has no such format: tikz is for figures of curves only",
            figure.name()
        )));
    }
    for format in formats.iter().filter(|format| !figure.has(**format)) {
        tracing::warn!(
            "{} is not written as {}, which is for figures of curves only",
            figure.name(),
            format.id()
        );
    }
    Ok(())
}
