//! Maps of images by the methods that a network allows.

use std::collections::HashMap;

use candle_core::Tensor;
use foresee_attribution::{
    Composite, Explainer, Explanation, GradCam, GraphModel, Method, Reduce, eigen_cam, grad_cam,
    grad_cam_plus_plus, hires_cam, layer_cam, per_pixel, score_cam, xgrad_cam,
};

use super::ExplainOptions;
use crate::error::Result;
use crate::networks::image_input::Layout;
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
    /// Whether a method starts from the images of the list.
    pub has_references: bool,
    explainer: Explainer,
    /// Instead of the explainer's own.
    composite: Option<Composite>,
    /// Where the CAM family looks, instead of the last value with spatial extent.
    cam_node: Option<String>,
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
        let has_references = wanted.iter().any(|method| method.needs_references());
        let references = match has_references {
            true => {
                let count = task.images.len().min(options.steps.max(1));
                Some(task.read(&(0..count).collect::<Vec<_>>(), Layout::Nchw)?)
            }
            false => None,
        };
        let explainer = Explainer {
            steps: options.steps,
            grid: options.grid,
            lime_samples: options.samples,
            seed: options.seed,
            region_maps: HashMap::new(),
            references,
        };
        let composite = options.lrp.map(|lrp| lrp.composite(&task.reader, &task.device));
        let composite = composite.transpose()?;
        let cam_node = options.cam_node.clone();
        let mut maps =
            Self { model, methods: vec![], has_references, explainer, composite, cam_node };
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
        let quick = Explainer { steps: 1, grid: 2, lime_samples: 2, ..self.explainer.clone() };
        let mut possible = vec![];
        for &method in wanted {
            match self.explained(&quick, method, &x, 0, 0) {
                Ok(_) => possible.push(method),
                Err(e) if options.methods.is_empty() && options.cam_node.is_none() => {
                    tracing::warn!("{} is left out: {e}", method.title());
                }
                Err(e) => {
                    let reason = format!("--method {}: {e}", method.id());
                    return Err(task.network.refused(reason));
                }
            }
        }
        match possible.is_empty() {
            true => Err(task.network.refused("it allows none of the usual methods")),
            false => Ok(possible),
        }
    }

    /// The same for the maps of one image: its perturbed copies are evaluated once for all outputs.
    pub fn of_one_image(&self) -> Self {
        Self { model: self.model.clone().keeping_outputs(), ..self.clone() }
    }

    /// The map of an image [1, C, H, W] for an output. The image's number decides what is random.
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
        self.explained(&self.explainer, method, x, number, output)
    }

    fn explained(
        &self,
        explainer: &Explainer,
        method: Method,
        x: &Tensor,
        number: usize,
        output: usize,
    ) -> foresee_attribution::Result<Explanation> {
        let own = match (&self.composite, &self.cam_node) {
            (Some(composite), _) if method == Method::Lrp => {
                let relevance = self.model.lrp(x, output, composite)?.attribution;
                Some(per_pixel(&relevance, Reduce::Sum)?)
            }
            (_, Some(node)) => self.cam(method, node, x, output)?,
            _ => None,
        };
        match own {
            Some(maps) => {
                let unknown = vec![f64::NAN; x.dim(0)?];
                let (local_r2, completeness_gap) = (unknown.clone(), unknown);
                Ok(Explanation { maps: maps.detach(), local_r2, completeness_gap })
            }
            None => explainer.explain(method, &self.model, x, &[number], output),
        }
    }

    /// The map of a method of the CAM family at a node; none of other methods.
    fn cam(
        &self,
        method: Method,
        node: &str,
        x: &Tensor,
        output: usize,
    ) -> foresee_attribution::Result<Option<Tensor>> {
        let options = GradCam::default();
        let split = self.model.split_at(node)?;
        Ok(Some(match method {
            Method::GradCam => grad_cam(&split, x, output, &options)?,
            Method::GradCamPlusPlus => grad_cam_plus_plus(&split, x, output, &options)?,
            Method::LayerCam => layer_cam(&split, x, output, &options)?,
            Method::HiresCam => hires_cam(&split, x, output, &options)?,
            Method::XgradCam => xgrad_cam(&split, x, output, &options)?,
            Method::ScoreCam => score_cam(&split, x, output, &options)?,
            Method::EigenCam => eigen_cam(&split, x, &options)?,
            _ => return Ok(None),
        }))
    }
}
