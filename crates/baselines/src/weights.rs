//! Weights of torchvision's networks.

use std::path::Path;

use candle_core::{Tensor, Var};

use crate::baseline::{Baseline, is_finite};
use crate::error::{Error, Result};

impl Baseline {
    /// Takes the weights of a file in the safetensors format with the names of torchvision's
    /// modules, such as those of a ResNet that was trained on ImageNet
    /// (`safetensors.torch.save_file(model.state_dict(), path)`). Gives back the names of the
    /// tensors that stay at their initial values: those of the answers, and of ABN's attention
    /// branch, that the file does not have, or has for another number of classes. Tensors of the
    /// file that the network does not have are ignored.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_baselines::{Baseline, Depth, ResNetConfig, System};
    ///
    /// let network = |attributes| {
    ///     let depth = Depth::D18;
    ///     let config = ResNetConfig { depth, width: 2, attributes, ..Default::default() };
    ///     Baseline::new(System::ResNet(config), attributes as u64, &Device::Cpu)
    /// };
    /// let (ten, two) = (network(10)?, network(2)?);
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("resnet18.safetensors");
    /// let tensors = ten.tensors().into_iter();
    /// let tensors = tensors.map(|(name, var)| (name, var.as_detached_tensor())).collect();
    /// candle_core::safetensors::save(&tensors, &path)?;
    ///
    /// assert_eq!(two.load_torchvision(&path)?, ["fc.weight", "fc.bias"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read, a tensor is missing or has another shape, or holds values that
    /// are not finite. Some weights can then have changed.
    pub fn load_torchvision(&self, path: &Path) -> Result<Vec<String>> {
        let device = self.tensors()[0].1.device().clone();
        let file = candle_core::safetensors::load(path, &device)
            .map_err(|e| Error::File { path: path.into(), reason: e.to_string() })?;
        let mut left = Vec::new();
        for (name, var) in self.tensors() {
            let wrong =
                |reason: String| Error::Tensor { path: path.into(), tensor: name.clone(), reason };
            let found = file.get(&name).filter(|tensor| tensor.dims() == var.dims());
            match (found, file.get(&name)) {
                (Some(tensor), _) => set(var, tensor).map_err(wrong)?,
                _ if self.system().is_of_answers(&name) => left.push(name),
                (_, Some(other)) => {
                    let (got, expected) = (other.dims(), var.dims());
                    return Err(wrong(format!("has shape {got:?}, expected {expected:?}")));
                }
                _ => return Err(wrong("is missing".into())),
            }
        }
        Ok(left)
    }
}

fn set(var: &Var, tensor: &Tensor) -> std::result::Result<(), String> {
    let set = || -> Result<bool> {
        let tensor = tensor.to_dtype(var.dtype())?;
        let is_finite = is_finite(&tensor)?;
        if is_finite {
            var.set(&tensor)?;
        }
        Ok(is_finite)
    };
    match set() {
        Ok(true) => Ok(()),
        Ok(false) => Err("holds values that are not finite".into()),
        Err(e) => Err(e.to_string()),
    }
}
