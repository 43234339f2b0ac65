#![doc = include_str!("../README.md")]

mod error;
mod integrated;
mod sensitivity;
mod smooth_grad;
mod target;

pub use error::{Error, Result};
pub use integrated::{Integrated, IntegratedGradients, Quadrature, integrated_gradients};
pub use sensitivity::{Reduce, input_x_gradient, per_pixel, sensitivity};
pub use smooth_grad::{Deviation, SmoothGrad, Statistic, smooth_grad, smooth_grad_under};
pub use target::Target;
