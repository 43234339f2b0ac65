//! One method's map over one image.

use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_attribution::{Explainer, Interpolation, Method, resize};
use foresee_celeba::{ATTRIBUTES, Augmentation, CelebA, Crop, Preprocessing, display_name};
use foresee_report::{About, overlay};
use foresee_stats::sigmoid;

use super::permutation::regions_alone;
use super::subject::Subject;
use crate::artifacts::FacePixels;
use crate::error::{Result, input};
use crate::faces;
use crate::figures::kind_of;
use crate::program::quoted;
use crate::provenance::source;
use crate::run::Run;
use crate::session::{MODEL, Session};

/// What an overlay shows.
pub(crate) struct Overlay<'a> {
    pub method: Method,
    pub attribute: usize,
    /// An image of the run's faces by its name, or the file of any image.
    pub image: &'a str,
}

/// Pixels a side of the PNG.
const SIDE: usize = 512;

/// A method's map for an attribute of one image [1, 3, H, W] with its number, resized to this many
/// pixels a side.
pub(crate) fn map_on_image(
    run: &Run,
    session: &Session,
    asked: (Method, usize),
    image: (&Tensor, usize),
    side: usize,
) -> Result<Vec<f64>> {
    map_of(&Subject::new(run, session)?, asked, image, side)
}

fn map_of(
    subject: &Subject,
    (method, attribute): (Method, usize),
    (x, number): (&Tensor, usize),
    side: usize,
) -> Result<Vec<f64>> {
    let methods = [method];
    let regions = regions_alone(subject, &[attribute], &methods)?.maps;
    let references = subject.references(&methods)?;
    let explainer = Explainer { references, ..subject.explainer(regions) };
    let map = explainer.maps(method, &subject.model, x, &[number], attribute)?;
    let map = resize(&map, side, side, Interpolation::Bilinear)?;
    Ok(map.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}

impl Overlay<'_> {
    /// The bytes of a PNG: the part of the image that the network sees, with more pixels than it
    /// sees, and the method's map over it.
    pub fn draw(&self, run: &Run, session: &Session) -> Result<Vec<u8>> {
        let subject = Subject::new(run, session)?;
        let preprocessing = &subject.trained.preprocessing;
        let face = self.face(&subject)?;
        let x = self.read(&subject, face, preprocessing)?.to_device(&session.device)?;
        let shown = Preprocessing { image_size: SIDE, ..*preprocessing };
        let shown = self.read(&subject, face, &shown)?;

        // Of an image of the user's own the number behind the last.
        let number = face.unwrap_or(subject.data.len());
        let map = map_of(&subject, (self.method, self.attribute), (&x, number), SIDE)?;
        let pixels = FacePixels::new(&[self.image], &shown, &preprocessing.normalisation)?.faces();
        let about = self.about(&subject, &x)?;
        Ok(overlay(&pixels[0].1, kind_of(self.method), &map, &about)?)
    }

    /// Whether the image is a file of the user's own. A name of one of the run's faces is that
    /// face, whatever lies in the current folder.
    pub fn is_own_file(&self, data: &CelebA) -> bool {
        let is_face = (0..data.len()).any(|face| data.name(face) == self.image);
        !is_face && Path::new(self.image).is_file()
    }

    /// The image's number among the run's faces; none for a file of the user's own.
    fn face(&self, subject: &Subject) -> Result<Option<usize>> {
        if !self.is_own_file(subject.data) {
            let named = faces::named(subject.data, &[self.image.to_owned()]);
            return Ok(named
                .map_err(|e| input(format!("--image {e}; no such file is there")))?
                .first()
                .copied());
        }
        if subject.trained.preprocessing.crop == Crop::Square {
            tracing::warn!(
                "{}: the largest centred square is taken; a face that is not framed as the run's \
                 faces are is not what the network was trained on",
                self.image
            );
        }
        Ok(None)
    }

    /// The image as the preprocessing leaves it, [1, 3, H, W].
    fn read(
        &self,
        subject: &Subject,
        face: Option<usize>,
        preprocessing: &Preprocessing,
    ) -> Result<Tensor> {
        if let Some(face) = face {
            let mut batches = subject.data.batches_in_order(&[face], preprocessing, 1);
            let batch = batches.next().ok_or_else(|| anyhow::anyhow!("no face was read"))??;
            return Ok(batch.images);
        }
        let size = preprocessing.image_size;
        let read = preprocessing.read(Path::new(self.image), &Augmentation::default());
        let (pixels, _) = read.map_err(|e| input(format!("--image: {e}")))?;
        Ok(Tensor::from_vec(pixels, (1, 3, size, size), &Device::Cpu)?)
    }

    fn about(&self, subject: &Subject, x: &Tensor) -> Result<About> {
        let logit = subject.model.target(self.attribute).values(x)?.to_vec1::<f32>()?[0];
        let probability = sigmoid(f64::from(logit));
        let caption = format!(
            "{} of {} (probability {probability:.2}) on {} {}. Colours: {}. {}.",
            self.method.title(),
            display_name(ATTRIBUTES[self.attribute]),
            if self.is_own_file(subject.data) { "the file" } else { "the run's face" },
            Path::new(self.image).file_name().unwrap_or_default().display(),
            kind_of(self.method).title(),
            source(subject.run, "this image").note()
        );
        Ok(About { caption, data: vec![MODEL.into()], command: self.command(subject.data)? })
    }

    /// The command that draws it again in the run's folder.
    fn command(&self, data: &CelebA) -> Result<String> {
        let image = match self.is_own_file(data) {
            true => std::path::absolute(self.image)?.display().to_string(),
            false => self.image.to_owned(),
        };
        Ok(format!(
            "foresee attribute --run . --overlay --method {} --attribute {} --image {}",
            self.method.id(),
            ATTRIBUTES[self.attribute],
            quoted(&image)
        ))
    }
}
