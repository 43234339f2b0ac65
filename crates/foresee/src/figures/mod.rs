//! The figures of a run, one file each. Each says what it shows and which data files it is drawn
//! from.

pub(crate) mod architecture;
mod attributions;
mod fig4;
mod fig5;
mod fig6;
mod fig7;
mod fig8;
mod predictability;
mod pruning_curves;
mod pruning_takeover;
mod regression;
mod training;

use foresee_report::{About, Figure, Panel, PlaneTable, Source, Style};

pub(crate) use self::attributions::{CHOSEN as CHOSEN_ATTRIBUTIONS, attributions, kind_of};
pub(crate) use self::fig8::panels as transformation_panels;
pub(crate) use self::predictability::scores_figure;
pub(crate) use self::regression::regression;
use crate::artifacts::{FacePixels, Figure4Faces, Figure4Masks, MapLabel};
use crate::config::Figures;
use crate::error::{Result, input};
use crate::program::quoted;
use crate::provenance::source;
use crate::run::Run;
use crate::session::MODEL;

/// All figures, in the order in which they are drawn.
const ALL: [&Drawing; 14] = [
    &architecture::DRAWING,
    &training::DRAWING,
    &fig4::DRAWING,
    &fig5::DRAWING,
    &fig6::DRAWING,
    &fig7::DRAWING,
    &fig8::DRAWING,
    &pruning_takeover::DRAWING,
    &predictability::DRAWING,
    &regression::FITS,
    &regression::CHANGES,
    &regression::GRAM,
    &regression::CROSS_TALK,
    &attributions::DRAWING,
];

/// A figure that runs have.
pub(crate) struct Drawing {
    /// Its file name without extension.
    pub name: &'static str,
    /// What it shows.
    pub caption: &'static str,
    /// What it shows if the faces are chosen by hand, if that is something else.
    pub caption_of_chosen: Option<&'static str>,
    /// The run's files that it is drawn from.
    pub data: &'static [&'static str],
    /// Which of a request's choices it takes.
    pub takes: Takes,
    /// What has to be computed for other attributes or faces.
    pub needs: Option<Needs>,
    /// Whether a run has it.
    is_in: fn(&Run) -> bool,
    draw: fn(&Request, &str) -> Result<Figure>,
}

/// Which choices a figure takes.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    Nothing,
    Attributes,
    AttributesAndFaces,
    Panels,
}

/// What the network has to compute for a figure of other attributes or faces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Masks,
    Maps,
}

/// How a figure is to be drawn.
pub(crate) struct Request<'a> {
    pub run: &'a Run,
    /// What was computed for the settings' attributes and faces, if they name any.
    pub computed: Computed,
    /// The settings that the style, the attributes and the faces are from.
    pub settings: &'a Figures,
    pub style: Style,
    /// Panels by number from 1, in the order in which they are to be drawn; empty: all.
    pub panels: &'a [usize],
}

/// Masks and maps of other attributes and faces than the run's.
#[derive(Default)]
pub(crate) struct Computed {
    pub figure4: Option<(Figure4Faces, Figure4Masks)>,
    pub comparison: Option<(FacePixels, PlaneTable<MapLabel>)>,
}

impl Computed {
    /// Whether it holds what a figure needs.
    fn is_of(&self, needs: Option<Needs>) -> bool {
        match needs {
            Some(Needs::Masks) => self.figure4.is_some(),
            Some(Needs::Maps) => self.comparison.is_some(),
            None => false,
        }
    }
}

/// The figures that a run has.
pub(crate) fn of(run: &Run) -> Vec<&'static Drawing> {
    ALL.into_iter().filter(|drawing| (drawing.is_in)(run)).collect()
}

impl Drawing {
    /// Draws it, with what its files say about it.
    pub fn draw(&self, request: &Request) -> Result<Figure> {
        let figure = (self.draw)(request, self.name)?;
        let is_computed = request.computed.is_of(self.needs);
        let data = if is_computed { &[MODEL][..] } else { self.data };
        let caption = match is_computed && !request.settings.faces.is_empty() {
            true => self.caption_of_chosen.unwrap_or(self.caption),
            false => self.caption,
        };
        Ok(figure.about(About {
            caption: caption.into(),
            data: data.iter().map(ToString::to_string).collect(),
            command: self.command(request),
        }))
    }

    /// The command that draws it in the run's folder.
    fn command(&self, request: &Request) -> String {
        let mut command = format!("foresee figures --run . --figure {}", self.name);
        let settings = request.settings;
        command += &settings.as_options(&request.run.manifest.config.figures);
        let lists = match self.takes {
            Takes::Attributes => [&settings.attributes, &vec![]],
            Takes::AttributesAndFaces => [&settings.attributes, &settings.faces],
            Takes::Nothing | Takes::Panels => [&vec![], &vec![]],
        };
        for (option, list) in ["attributes", "faces"].into_iter().zip(lists) {
            if !list.is_empty() {
                command += &format!(" --{option} {}", quoted(&list.join(",")));
            }
        }
        if !request.panels.is_empty() {
            let panels: Vec<String> = request.panels.iter().map(usize::to_string).collect();
            command += &format!(" --panel {}", panels.join(","));
        }
        command
    }
}

impl Request<'_> {
    /// The note of a figure whose numbers were `measured` on this, if on anything.
    fn source(&self, measured: &str) -> Source {
        source(self.run, measured)
    }

    /// The panels that are asked for, in their order.
    fn panels<T: Clone>(&self, figure: &str, all: Vec<T>) -> Result<Vec<T>> {
        if self.panels.is_empty() {
            return Ok(all);
        }
        let panel = |&number: &usize| {
            let found = number.checked_sub(1).and_then(|at| all.get(at)).cloned();
            let count = all.len();
            found
                .ok_or_else(|| input(format!("--panel {number}: {figure} has panels 1 to {count}")))
        };
        self.panels.iter().map(panel).collect()
    }

    /// Curves in the panels that are asked for.
    fn curves(&self, name: &str, panels: Vec<Panel>, source: &Source) -> Result<Figure> {
        let panels = self.panels(name, panels)?;
        Ok(foresee_report::curves(name, &panels, source, &self.style)?)
    }
}

fn always(_: &Run) -> bool {
    true
}
