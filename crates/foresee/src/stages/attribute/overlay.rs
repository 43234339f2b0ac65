//! One method's map over one image.

use std::path::Path;

use candle_core::Tensor;
use foresee_attribution::{Explainer, Method};
use foresee_celeba::{ATTRIBUTES, Augmentation, Crop, display_name};
use foresee_report::{About, overlay};

use super::subject::Subject;
use crate::artifacts::FacePixels;
use crate::error::{Result, input};
use crate::faces;
use crate::figures::kind_of;
use crate::provenance::source;
use crate::run::Run;
use crate::session::Session;

/// What an overlay shows.
pub(crate) struct Overlay<'a> {
    pub method: Method,
    pub attribute: usize,
    /// An image of the run's faces by its name, or the file of any image.
    pub image: &'a str,
}

impl Overlay<'_> {
    /// The bytes of a PNG: the image as the network sees it, and the method's map over it.
    pub fn draw(&self, run: &Run, session: &Session) -> Result<Vec<u8>> {
        let subject = Subject::new(run, session)?;
        let (x, face) = self.input(&subject)?;
        let methods = [self.method];
        let regions = super::global::regions(&subject, &[self.attribute], &methods)?.maps;
        let references = subject.references(&methods)?;
        let explainer = Explainer { references, ..subject.explainer(regions) };
        let on_device = x.to_device(&session.device)?;
        let map =
            explainer.maps(self.method, &subject.layers, &on_device, &[face], self.attribute)?;
        let map: Vec<f64> =
            map.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let normalisation = &subject.trained.preprocessing.normalisation;
        let pixels = FacePixels::new(&[self.image], &x, normalisation)?.faces();
        let about = self.about(&subject, &on_device)?;
        Ok(overlay(&pixels[0].1, kind_of(self.method), &map, &about)?)
    }

    /// The image as the network sees it, [1, 3, H, W], and its number among the run's faces; the
    /// number behind the last for an image of the user's own.
    fn input(&self, subject: &Subject) -> Result<(Tensor, usize)> {
        let (data, preprocessing) = (subject.data, &subject.trained.preprocessing);
        let path = Path::new(self.image);
        let size = preprocessing.image_size;
        if !path.is_file() {
            let named = faces::named(data, &[self.image.to_owned()]);
            let face = named.map_err(|e| input(format!("--image {e}; no such file is there")))?[0];
            let mut batches = data.batches_in_order(&[face], preprocessing, 1);
            let batch = batches.next().ok_or_else(|| anyhow::anyhow!("no face was read"))??;
            return Ok((batch.images, face));
        }
        if preprocessing.crop == Crop::Square {
            tracing::warn!(
                "{}: the largest centred square is taken; a face that is not framed as the run's \
                 faces are is not what the network was trained on",
                path.display()
            );
        }
        let mut pixels = vec![0f32; 3 * size * size];
        let read = preprocessing.read(path, &Augmentation::default(), &mut pixels);
        read.map_err(|e| input(format!("--image: {e}")))?;
        let x = Tensor::from_vec(pixels, (1, 3, size, size), &candle_core::Device::Cpu)?;
        Ok((x, data.len()))
    }

    fn about(&self, subject: &Subject, x: &Tensor) -> Result<About> {
        let logit = subject.layers.target(self.attribute).values(x)?.to_vec1::<f32>()?[0];
        let probability = 1. / (1. + (-f64::from(logit)).exp());
        let caption = format!(
            "{} of {} (probability {probability:.2}) on {}. {}. {}.",
            self.method.title(),
            display_name(ATTRIBUTES[self.attribute]),
            Path::new(self.image).file_name().unwrap_or_default().display(),
            kind_of(self.method).title(),
            source(subject.run, "this image").note()
        );
        Ok(About { caption, data: vec![], command: self.command() })
    }

    fn command(&self) -> String {
        format!(
            "foresee attribute --run . --overlay --method {} --attribute {} --image {}",
            self.method.id(),
            ATTRIBUTES[self.attribute],
            self.image
        )
    }
}
