//! Networks of some of the attributes only: the same answers, bit for bit, for less work.

use candle_core::{Device, Tensor, Var};
use foresee_kernels::{Precision, Rows};
use foresee_model::{Network, NetworkConfig, Selection};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const ATTRIBUTES: usize = 5;
const CHANNELS: usize = 40;

/// With 40 channels, more than one panel of the kernels and less than two.
fn network(mask_kernel: usize, precision: Precision) -> AnyResult<Network> {
    let config = NetworkConfig {
        attributes: ATTRIBUTES,
        channels: CHANNELS,
        mask_kernel,
        precision,
        ..Default::default()
    };
    Ok(Network::new(config, 5, &Device::Cpu)?.frozen())
}

fn images() -> AnyResult<Tensor> {
    let values = (0..3 * 3 * 13 * 9).map(|i| (0.37 * (i * i % 1009) as f32).sin());
    Ok(Tensor::from_iter(values, &Device::Cpu)?.reshape((3, 3, 13, 9))?)
}

/// Numbers as they are compared: 0 and -0 are one.
fn values(t: &Tensor) -> AnyResult<Vec<f32>> {
    Ok(t.flatten_all()?.to_vec1()?)
}

/// Rows of which each attribute keeps others; one keeps none, and one all.
fn some_rows() -> AnyResult<Rows> {
    let kept = vec![
        (0..CHANNELS).step_by(3).collect(),
        vec![],
        vec![7],
        (0..CHANNELS).collect(),
        vec![0, 33, 39],
    ];
    Ok(Rows::new(CHANNELS, kept)?)
}

/// The gradient in the images of the sum of one column of the logits; 0 if it does not depend on
/// them, as without masks.
fn gradient(network: &Network, column: usize) -> AnyResult<Tensor> {
    let x = Var::from_tensor(&images()?)?;
    let logits = network.forward(&x)?.logits;
    let gradients = logits.narrow(1, column, 1)?.sum_all()?.backward()?;
    match gradients.get(&x) {
        Some(gradient) => Ok(gradient.clone()),
        None => Ok(x.zeros_like()?),
    }
}

#[test]
fn answers_and_gradients_of_kept_attributes_are_the_networks() -> AnyResult {
    for mask_kernel in [1, 3] {
        for precision in [Precision::F32, Precision::Bf16] {
            let all = network(mask_kernel, precision)?;
            for whole in [all.with_rows(some_rows()?)?, all] {
                check_kept(&whole, &[3, 0, 4])?;
                check_kept(&whole, &[2])?;
                check_kept(&whole, &[1])?;
            }
        }
    }
    Ok(())
}

fn check_kept(whole: &Network, asked: &[usize]) -> AnyResult {
    let kept = whole.keep_attributes(asked)?;
    assert_eq!(kept.config().attributes, asked.len());
    let (full, output) = (whole.forward(&images()?)?, kept.forward(&images()?)?);
    assert_eq!(output.logits.dims(), [3, asked.len()]);
    for (column, &k) in asked.iter().enumerate() {
        assert_eq!(kept.heads().rows().of(column), whole.heads().rows().of(k));
        for (few, all) in [(&output.logits, &full.logits), (&output.mask_means, &full.mask_means)] {
            let (few, all) = (few.narrow(1, column, 1)?, all.narrow(1, k, 1)?);
            assert_eq!(values(&few)?, values(&all)?, "attribute {k}");
        }
        let (few, all) = (gradient(&kept, column)?, gradient(whole, k)?);
        assert_eq!(values(&few)?, values(&all)?, "the gradient of attribute {k}");
    }
    Ok(())
}

#[test]
fn without_masks_attributes_are_kept_too() -> AnyResult {
    let config = NetworkConfig {
        attributes: ATTRIBUTES,
        channels: CHANNELS,
        attention: false,
        ..Default::default()
    };
    let network = Network::new(config, 5, &Device::Cpu)?;
    check_kept(&network, &[4, 1])?;
    // There is nothing to leave out.
    assert!(network.with_rows(Rows::all(ATTRIBUTES, CHANNELS)).is_ok());
    let told = network.with_rows(some_rows()?).map(drop).unwrap_err().to_string();
    assert!(told.contains("model.attention = false is not possible"), "{told}");
    let none = vec![0.; ATTRIBUTES];
    let selection = Selection { rows: some_rows()?, constants: none.clone(), deviations: none };
    let told = network.compact(&selection).map(drop).unwrap_err().to_string();
    assert!(told.contains("there is no row to leave out"), "{told}");
    Ok(())
}

#[test]
fn what_does_not_exist_is_refused() -> AnyResult {
    let network = network(1, Precision::F32)?;
    let message = network.keep_attributes(&[1, 5]).map(drop).unwrap_err().to_string();
    assert!(message.contains("attribute 5") && message.contains("there are 5"), "{message}");
    assert!(network.keep_attributes(&[]).is_err());
    Ok(())
}
