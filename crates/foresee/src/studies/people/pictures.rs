//! What is shown of the network, item by item.

use std::collections::HashMap;
use std::path::Path;

use foresee_attribution::Method;
use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_files::write_atomic;
use foresee_people::Matrix;
use foresee_report::{
    AttributionColumn, AttributionMethod, CellGrid, Figure, Format, HeatMap, Preset, Source, Style,
    cell_grids, face_attributions, heat_maps, value_bars,
};
use rand::SeedableRng;
use rand::seq::{IteratorRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::choices::{Arm, Choices, Shown};
use super::materials::{FACE, PictureRow, picture_file};
use crate::artifacts::ChannelCorrelation;
use crate::error::{Result, input};
use crate::figures::kind_of;
use crate::operate::{FaceId, Opened, Prepared, Seen, explanation, in_colour};
use crate::progress::Progress;
use crate::stages::attribute::{available_methods, map_on_image};

/// Pixels a side of a face, and of a map over it.
const SIDE: usize = 224;
const MAP_SIDE: usize = 96;
/// Channels that are shown at most.
const MOST_CHANNELS: usize = 16;
/// Stream of the seed.
const SHUFFLE: u64 = 3;

/// The pictures of a study.
pub(super) struct Pictures<'a> {
    pub opened: &'a Opened,
    pub choices: &'a Choices,
    /// Attributes that are asked for.
    pub asked: &'a [usize],
    pub out: &'a Path,
}

impl Pictures<'_> {
    /// Makes all pictures of these faces and operations, of which the first `counted` count.
    pub fn make(
        &self,
        pairs: &[(usize, usize)],
        counted: usize,
        progress: &Progress,
    ) -> Result<Vec<PictureRow>> {
        self.check()?;
        let other = self.others(pairs, counted);
        let mut rows = vec![];
        let mut made: HashMap<(Shown, usize, usize), String> = HashMap::new();
        let mut file_of = |shown: Shown, item: usize, face: usize| -> Result<Option<String>> {
            if let Some(file) = made.get(&(shown, item, face)) {
                return Ok(Some(file.clone()));
            }
            let Some(bytes) = self.picture(shown, pairs[item], face)? else { return Ok(None) };
            let file = self.keep(&bytes)?;
            made.insert((shown, item, face), file.clone());
            Ok(Some(file))
        };
        for (item, &(face, _)) in pairs.iter().enumerate() {
            let colour = in_colour(&self.opened.pixels(&FaceId::Test(face), SIDE)?)?;
            let file = self.keep(&colour)?;
            rows.push(PictureRow { item, arm: FACE.into(), of_item: item, file });
            for arm in &self.choices.arms {
                let of_item = if arm.shuffled { other[item] } else { item };
                if let Some(file) = file_of(arm.shown, of_item, face)? {
                    rows.push(PictureRow { item, arm: arm.to_string(), of_item, file });
                }
            }
            progress.add(1, String::new);
        }
        Ok(rows)
    }

    fn check(&self) -> Result<()> {
        let methods = available_methods(&self.opened.run);
        for Arm { shown, .. } in &self.choices.arms {
            match shown {
                Shown::Attribution(method) if !methods.contains(method) => {
                    let ids: Vec<&str> = methods.iter().map(|method| method.id()).collect();
                    return Err(input(format!(
                        "arm {}: this run does not have it; give one of {}",
                        method.id(),
                        ids.join(", ")
                    )));
                }
                Shown::Masks | Shown::Contributions if !self.opened.has_masks() => {
                    return Err(input("this network has no masks; give other arms"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps a picture once, under the hash of what it holds.
    fn keep(&self, bytes: &[u8]) -> Result<String> {
        let file = picture_file(bytes);
        let path = self.out.join(&file);
        if !path.exists() {
            write_atomic(&path, bytes)?;
        }
        Ok(file)
    }

    /// For each item another of the same operation: in a circle through a random order, so that
    /// each is shown once.
    fn others(&self, pairs: &[(usize, usize)], counted: usize) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.choices.seed);
        rng.set_stream(SHUFFLE);
        let mut other: Vec<usize> = (0..pairs.len()).collect();
        let mut exchange = |mut group: Vec<usize>| {
            group.shuffle(&mut rng);
            for (i, &item) in group.iter().enumerate() {
                other[item] = group[(i + 1) % group.len()];
            }
        };
        for operation in 0..self.choices.operations.len() {
            exchange((0..counted).filter(|&item| pairs[item].1 == operation).collect());
        }
        // Practice shows one of those that count, of the same operation and another face.
        for item in counted..pairs.len() {
            let same = (0..counted).filter(|&other| pairs[other].1 == pairs[item].1);
            other[item] = same.choose(&mut rng).unwrap_or(item);
        }
        other
    }

    /// A picture of what is shown of a face under an operation, beside the face `over`, which is
    /// another one in a control.
    fn picture(
        &self,
        shown: Shown,
        (face, operation): (usize, usize),
        over: usize,
    ) -> Result<Option<Vec<u8>>> {
        let seen = self.opened.face(Some(&FaceId::Test(face)))?;
        let operation = self.choices.operations[operation].of(self.opened.channels());
        let prepared = Prepared::new(self.opened, &operation)?;
        let figure = match shown {
            Shown::Nothing => return Ok(None),
            Shown::Masks => self.masks(&seen, &prepared)?,
            Shown::Contributions => self.contributions(&seen, &prepared)?,
            Shown::Correlation => self.correlation(&seen, &prepared)?,
            Shown::Attribution(method) => self.attribution(&seen, method, over)?,
        };
        Ok(Some(figure.bytes(Format::Png)?))
    }

    fn source(&self) -> Source {
        Source { data: String::new(), synthetic: self.opened.run.manifest.data.synthetic }
    }

    fn style(&self) -> Style {
        let style = Style::new(Preset::PaperColumn);
        Style { width: 120., font_size: 9., dpi: 140., note: false, ..style }
    }

    /// |w·p| of a channel, summed over the attributes that are asked for.
    fn contributes(&self, products: &Matrix, readout: &Matrix, channel: usize) -> f64 {
        self.asked.iter().map(|&k| (products.get(k, channel) * readout.get(k, channel)).abs()).sum()
    }

    /// The channels in question: those that go, or, if none goes, all. The strongest of them.
    fn channels(&self, seen: &Seen, prepared: &Prepared, most: usize) -> Result<Vec<usize>> {
        let shown = explanation(self.opened, seen)?;
        let mut channels = match prepared.pruned.is_empty() {
            true => (0..self.opened.channels()).collect(),
            false => prepared.pruned.clone(),
        };
        let size = |&c: &usize| self.contributes(&shown.products, &shown.readout, c);
        channels.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
        channels.truncate(most);
        Ok(channels)
    }

    fn masks(&self, seen: &Seen, prepared: &Prepared) -> Result<Figure> {
        let channels = self.channels(seen, prepared, MOST_CHANNELS)?;
        let shown = explanation(self.opened, seen)?;
        let grid = |&k: &usize| CellGrid {
            title: display_name(ATTRIBUTES[k]),
            values: channels.iter().map(|&c| shown.masks.get(k, c)).collect(),
        };
        let grids: Vec<CellGrid> = self.asked.iter().map(grid).collect();
        let legend = match prepared.pruned.is_empty() {
            true => "how far the masks of the strongest channels are open",
            false => "how far the masks of the strongest removed channels are open",
        };
        Ok(cell_grids("masks", &grids, legend, &self.source(), &self.style())?)
    }

    fn contributions(&self, seen: &Seen, prepared: &Prepared) -> Result<Figure> {
        let channels = self.channels(seen, prepared, usize::MAX)?;
        let shown = explanation(self.opened, seen)?;
        let bar = |&k: &usize| {
            let of = |&c: &usize| shown.products.get(k, c) * shown.readout.get(k, c);
            (display_name(ATTRIBUTES[k]), channels.iter().map(of).sum())
        };
        let bars: Vec<(String, f64)> = self.asked.iter().map(bar).collect();
        let unit = match prepared.pruned.is_empty() {
            true => "what all channels add to the answer (to the right: for yes)",
            false => "what the removed channels add to the answer (to the right: for yes)",
        };
        Ok(value_bars("contributions", &bars, unit, &self.source(), &self.style())?)
    }

    fn correlation(&self, seen: &Seen, prepared: &Prepared) -> Result<Figure> {
        let matrix = self.opened.run.read::<ChannelCorrelation>()?.matrix();
        let mut channels = self.channels(seen, prepared, MOST_CHANNELS / 2)?;
        for channel in channels.clone() {
            let others = (0..matrix.rows()).filter(|c| !channels.contains(c));
            let best =
                others.max_by(|&a, &b| matrix.get(channel, a).total_cmp(&matrix.get(channel, b)));
            channels.extend(best);
        }
        let row = |&a: &usize| channels.iter().map(|&b| matrix.get(a, b)).collect();
        let map = HeatMap {
            title: match prepared.pruned.is_empty() {
                true => "first the strongest channels, then those most like them".into(),
                false => "first the strongest removed channels, then those most like them".into(),
            },
            rows: channels.iter().map(row).collect(),
            axis: "channel".into(),
        };
        Ok(heat_maps("correlation", &[map], "correlation", &self.source(), &self.style())?)
    }

    fn attribution(&self, seen: &Seen, method: Method, over: usize) -> Result<Figure> {
        let column = |&k: &usize| -> Result<AttributionColumn> {
            let image = (&seen.image, seen.number);
            let (run, session) = (&self.opened.run, &self.opened.session);
            Ok(AttributionColumn {
                name: display_name(ATTRIBUTES[k]),
                face: self.opened.pixels(&FaceId::Test(over), MAP_SIDE)?,
                region: None,
                maps: vec![map_on_image(run, session, (method, k), image, MAP_SIDE)?],
            })
        };
        let columns = self.asked.iter().map(column).collect::<Result<Vec<_>>>()?;
        let methods =
            [AttributionMethod { name: method.title().to_owned(), kind: kind_of(method) }];
        let (source, style) = (self.source(), self.style());
        Ok(face_attributions("attribution", &methods, &columns, &source, &style)?)
    }
}
