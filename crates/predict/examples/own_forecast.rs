//! A network of one's own under an operation of one's own, scored: `cargo run --release -p
//! foresee-predict --example own_forecast`.

use candle_core::{Device, Result, Tensor};
use foresee_predict::{AnyError, Budget, Forecast, Matrix, Model, Operation, Study, Unit, observe};

/// Two layers: tanh(x·U)·V.
#[derive(Clone)]
struct Mlp {
    u: Tensor,
    v: Tensor,
}

impl Mlp {
    fn hidden(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.u)?.tanh()
    }
}

impl Model for Mlp {
    type Inputs = Tensor;

    fn infer(&self, x: &Tensor) -> std::result::Result<Matrix, AnyError> {
        Ok(Matrix::from_rows(&self.hidden(x)?.matmul(&self.v)?.to_vec2()?))
    }
}

/// Takes this share of a hidden unit away.
struct Fade(usize);

impl Operation<Mlp> for Fade {
    type Perturbed = Mlp;

    fn name(&self) -> String {
        format!("fade unit {}", self.0)
    }

    fn perturb(&self, model: &Mlp, strength: f64) -> std::result::Result<Mlp, AnyError> {
        let mut rows: Vec<Vec<f64>> = model.v.to_vec2()?;
        rows[self.0].iter_mut().for_each(|w| *w *= 1. - strength);
        Ok(Mlp { u: model.u.clone(), v: Tensor::new(rows, &Device::Cpu)? })
    }
}

fn main() -> std::result::Result<(), AnyError> {
    let values = |n: usize, f: f64| {
        Tensor::from_iter((0..n).map(|i| 2. * (f * (i * i) as f64).sin()), &Device::Cpu)
    };
    let (model, x) = (
        Mlp { u: values(128, 0.7)?.reshape((8, 16))?, v: values(80, 0.3)?.reshape((16, 5))? },
        values(1600, 0.01)?.reshape((200, 8))?,
    );
    let changes = observe(&model, &x, &(0..16).map(Fade).collect::<Vec<_>>(), &[0.5, 1.])?;
    let study = Study::new(&changes, 200, 0)?;

    // A person who sees the second layer expects of a unit what its weights say, and twice as much
    // of the whole unit as of half of it.
    let weights: Vec<Vec<f64>> = model.v.abs()?.to_vec2()?;
    let twice: Vec<Vec<f64>> = weights
        .iter()
        .flat_map(|row| [0.5, 1.].map(|s| row.iter().map(|w| s * w).collect()))
        .collect();
    let seen = Forecast {
        name: "its weights".into(),
        effects: Matrix::from_rows(&twice),
        unit: Unit::Any,
        budget: Budget { values: 80, probes: 0 },
    };
    for forecast in [seen, Forecast::nothing(32, 5)] {
        let scores = study.score(&forecast)?;
        println!(
            "{}: skill {:.2}, shuffled {:.2}",
            scores.forecast, scores.skill.interval.estimate, scores.skill.shuffled
        );
    }
    Ok(())
}
