//! Forecasts for your own network under your own operation, scored:
//! `cargo run --release -p foresee-predict --example own_forecast`.

use candle_core::{Device, Result, Tensor};
use foresee_predict::{
    AnyError, Budget, Forecast, ForecastRule, Matrix, Model, Operation, ScoreRule, Study, Unit,
    observe,
};

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

/// Fades a hidden unit out. The strength is the share that goes.
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
    let u = values(128, 0.7)?.reshape((8, 16))?;
    let v = values(80, 0.3)?.reshape((16, 5))?;
    let model = Mlp { u, v };
    let x = values(1600, 0.01)?.reshape((200, 8))?;
    let strengths = [0.5, 1.];
    let changes = observe(&model, &x, &(0..16).map(Fade).collect::<Vec<_>>(), &strengths)?;
    let study = Study::new(&changes, 200, 0)?;

    // Who sees the second layer expects changes in proportion to a unit's weights, and twice as
    // much when the unit is removed as when it is halved.
    let weights: Vec<Vec<f64>> = model.v.abs()?.to_vec2()?;
    let scaled = |row: &Vec<f64>| strengths.map(|s| row.iter().map(|w| s * w).collect());
    let by_weights = Forecast {
        rule: ForecastRule::custom("its weights"),
        effects: Matrix::from_rows(&weights.iter().flat_map(scaled).collect::<Vec<Vec<f64>>>()),
        unit: Unit::Any,
        budget: Budget { values: 80, probes: 0 },
    };
    for forecast in [by_weights, Forecast::nothing(32, 5)] {
        let scores = study.score(&forecast)?;
        if let Some(skill) = scores.get(ScoreRule::Skill) {
            println!(
                "{}: skill {:.2}, shuffled {:.2}",
                scores.subject, skill.interval.estimate, skill.shuffled
            );
        }
    }
    Ok(())
}
