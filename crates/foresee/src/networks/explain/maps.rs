//! Maps of images by the methods that a network allows.

use std::collections::HashMap;

use candle_core::Tensor;
use foresee_attribution::{Explainer, Explanation, GraphModel, Method};

use super::ExplainOptions;
use crate::error::{Result, input};
use crate::networks::image_input::Layout;
use crate::networks::images::ImageList;
use crate::networks::task::Task;

/// What is computed unless methods are asked for.
const USUAL: [Method; 7] = [
    Method::InputXGradient,
    Method::SmoothGrad,
    Method::IntegratedGradients,
    Method::GuidedBackprop,
    Method::GradCam,
    Method::LayerCam,
    Method::Lrp,
];

/// A network, and how it is explained.
#[derive(Clone)]
pub(super) struct Maps {
    pub model: GraphModel,
    pub methods: Vec<Method>,
    explainer: Explainer,
    references: Option<References>,
}

/// Images that a method starts from, spread over all of them: one more than it takes, since an
/// image is no reference of itself.
#[derive(Clone)]
struct References {
    list: ImageList,
    /// Which of the list could be read, and they, [N, C, H, W].
    numbers: Vec<usize>,
    images: Tensor,
    most: usize,
}

impl References {
    fn new(task: &Task, steps: usize) -> Result<Self> {
        let most = steps.max(1);
        let list = task.all_images.clone().limited_to(most + 1);
        let (mut numbers, mut images) = (vec![], vec![]);
        for number in 0..list.len() {
            match task.reader.read(&list, &[number], Layout::Nchw) {
                Ok(image) => {
                    numbers.push(number);
                    images.push(image);
                }
                // It need not be one of those that are explained.
                Err(error) => tracing::warn!("left out of the references: {error}"),
            }
        }
        let images = match images.is_empty() {
            true => return Err(input("no image can be read that others could be compared with")),
            false => Tensor::cat(&images, 0)?.to_device(&task.device)?,
        };
        Ok(Self { list, numbers, images, most })
    }

    /// Those of the image of this name.
    fn of(&self, name: &str) -> Result<Tensor> {
        let others = self.numbers.iter().enumerate();
        let others = others.filter(|(_, image)| self.list.name(**image) != name);
        let others: Vec<u32> = others.take(self.most).map(|(row, _)| row as u32).collect();
        if others.is_empty() {
            return Err(input(format!(
                "{name} is the only image of {} that can be read: expected-gradients and \
                 gradient-shap need others to compare it with",
                self.list.source().display()
            )));
        }
        Ok(self.images.index_select(&Tensor::new(others, self.images.device())?, 0)?)
    }
}

impl Maps {
    /// # Errors
    /// If the network cannot be explained, or not by a method that is asked for.
    pub fn new(task: &Task, options: &ExplainOptions) -> Result<Self> {
        let model = GraphModel::new(task.network.channels_first()?, task.network.output);
        let model = model.map_err(|e| task.network.refused(e))?.batch(task.batch);
        let wanted = match options.methods.as_slice() {
            [] => &USUAL[..],
            asked => asked,
        };
        check_used(options, wanted)?;
        let has_references = wanted.iter().any(|method| method.needs_references());
        let references =
            has_references.then(|| References::new(task, options.steps)).transpose()?;
        let composite = options.lrp.map(|lrp| lrp.composite(&task.reader, &task.device));
        let explainer = Explainer {
            steps: options.steps,
            grid: options.grid,
            lime_samples: options.samples,
            seed: options.seed,
            region_maps: HashMap::new(),
            references: None,
            cam_node: options.cam_node.clone(),
            attention_node: options.attention_node.clone(),
            composite: composite.transpose()?,
        };
        let mut maps = Self { model, methods: vec![], explainer, references };
        maps.methods = maps.possible(wanted, task, options)?;
        Ok(maps)
    }

    /// The methods that the network allows, tried on the first image. What was asked for must be.
    fn possible(
        &self,
        wanted: &[Method],
        task: &Task,
        options: &ExplainOptions,
    ) -> Result<Vec<Method>> {
        let x = task.read(&[0], Layout::Nchw)?;
        let explainer = self.of_one_image(task.images.name(0))?.explainer;
        let quick = Explainer { steps: 1, grid: 2, lime_samples: 2, ..explainer };
        let mut possible = vec![];
        for &method in wanted {
            match (quick.explain(method, &self.model, &x, &[0], 0), &options.cam_node) {
                (Ok(_), _) => possible.push(method),
                (Err(e), Some(node)) if method.is_cam() => {
                    let reason = format!("--cam-node {node}: {}: {e}", method.id());
                    return Err(task.network.refused(reason));
                }
                (Err(e), _) if options.methods.is_empty() => {
                    tracing::warn!("{} is left out: {e}", method.title());
                }
                (Err(e), _) => {
                    let reason = format!("--method {}: {e}", method.id());
                    return Err(task.network.refused(reason));
                }
            }
        }
        if options.cam_node.is_none() && possible.iter().any(|method| method.is_cam()) {
            let value = self.model.last_spatial(&x).map_err(|e| task.network.refused(e))?;
            tracing::info!(
                "the Grad-CAM family looks at `{}`, the last value that has a height and a width \
                 (--cam-node names another)",
                self.model.graph().value(value).name
            );
        }
        match possible.is_empty() {
            true => Err(task.network.refused("it allows none of the usual methods")),
            false => Ok(possible),
        }
    }

    /// The same for the maps of the image of this name: its perturbed copies are evaluated once for
    /// all outputs.
    ///
    /// # Errors
    /// If a method starts from other images, and there are none.
    pub fn of_one_image(&self, name: &str) -> Result<Self> {
        let references = self.references.as_ref().map(|references| references.of(name));
        let explainer = Explainer { references: references.transpose()?, ..self.explainer.clone() };
        Ok(Self { model: self.model.clone().keeping_outputs(), explainer, ..self.clone() })
    }

    /// SHA-256 of the images that a method starts from, if one does.
    ///
    /// # Errors
    /// If one of them is gone.
    pub fn references_sha256(&self) -> Result<Option<String>> {
        self.references.as_ref().map(|references| references.list.sha256()).transpose()
    }

    /// The map of an image [1, C, H, W] for an output. The image's number decides what is random,
    /// but for SmoothGrad, LIME and RISE, which draw the same for every image.
    ///
    /// # Errors
    /// If the network fails.
    pub fn of(
        &self,
        method: Method,
        x: &Tensor,
        number: usize,
        output: usize,
    ) -> foresee_attribution::Result<Explanation> {
        self.explainer.explain(method, &self.model, x, &[number], output)
    }
}

/// Makes sure that a method takes each option that is given.
fn check_used(options: &ExplainOptions, wanted: &[Method]) -> Result<()> {
    if options.cam_node.is_some() && !wanted.iter().any(|method| method.is_cam()) {
        return Err(input("--cam-node is for methods such as grad-cam; ask for one with --method"));
    }
    if options.attention_node.is_some() && !wanted.contains(&Method::Attention) {
        return Err(input(
            "--attention-node is for --method attention; ask for it, or leave it out",
        ));
    }
    match options.lrp.is_some() && !wanted.contains(&Method::Lrp) {
        true => Err(input("--lrp is for --method lrp; ask for it, or leave --lrp out")),
        false => Ok(()),
    }
}
