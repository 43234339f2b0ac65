//! Maps of images by the methods that a network allows.

use std::collections::HashMap;

use candle_core::Tensor;
use foresee_attribution::{Explainer, Explanation, GraphModel, Method};

use super::ExplainOptions;
use crate::error::{Result, input};
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
        let references = match has_references {
            true => {
                let count = task.images.len().min(options.steps.max(1));
                Some(task.read(&(0..count).collect::<Vec<_>>(), Layout::Nchw)?)
            }
            false => None,
        };
        let composite = options.lrp.map(|lrp| lrp.composite(&task.reader, &task.device));
        let explainer = Explainer {
            steps: options.steps,
            grid: options.grid,
            lime_samples: options.samples,
            seed: options.seed,
            region_maps: HashMap::new(),
            references,
            cam_node: options.cam_node.clone(),
            attention_node: options.attention_node.clone(),
            composite: composite.transpose()?,
        };
        let mut maps = Self { model, methods: vec![], has_references, explainer };
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
        match possible.is_empty() {
            true => Err(task.network.refused("it allows none of the usual methods")),
            false => Ok(possible),
        }
    }

    /// The same for the maps of one image: its perturbed copies are evaluated once for all outputs.
    pub fn of_one_image(&self) -> Self {
        Self { model: self.model.clone().keeping_outputs(), ..self.clone() }
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
