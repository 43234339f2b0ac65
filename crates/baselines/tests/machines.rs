//! Networks that answer by linear support vector machines: what trains them, and what does not.

mod small;

use candle_core::{Device, Tensor};
use foresee_baselines::{
    ALIGNED_LANDMARKS, Baseline, FACE_WINDOW, HEAD_WINDOW, LnetsAnetConfig, Part, ResNetConfig,
    System,
};
use foresee_graph::Graph;
use foresee_model::{Batch, Crop, TrainConfig, Trainable};

use small::{SIZE, panda};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const FACES: usize = 40;

fn lnets_anet() -> LnetsAnetConfig {
    LnetsAnetConfig {
        attributes: 2,
        image_size: SIZE,
        face_size: 32,
        width: 4,
        hidden: 16,
        ..Default::default()
    }
}

/// Grey images with noise, whose first attribute is that they are bright.
fn faces() -> AnyResult<(Tensor, Vec<Vec<bool>>)> {
    let labels: Vec<Vec<bool>> = (0..FACES).map(|i| vec![i % 2 == 0, i % 5 == 0]).collect();
    let value = |i: usize| {
        let noise = (i * 7919 % 1009) as f32 / 1009. - 0.5;
        noise + if labels[i / (3 * SIZE * SIZE)][0] { 0.6 } else { -0.6 }
    };
    let values: Vec<f32> = (0..FACES * 3 * SIZE * SIZE).map(value).collect();
    Ok((Tensor::from_vec(values, (FACES, 3, SIZE, SIZE), &Device::Cpu)?, labels))
}

fn value(graph: &Graph, name: &str, images: &Tensor) -> AnyResult<Tensor> {
    let given = graph.given(std::slice::from_ref(images))?;
    Ok(graph.evaluate(&given, &[graph.find(name)?])?.remove(0))
}

#[test]
fn machines_take_the_place_of_the_last_layer() -> AnyResult {
    let (images, labels) = faces()?;
    for system in [System::Panda(panda(2)), System::LnetsAnet(lnets_anet())] {
        let network = Baseline::new(system, 3, &Device::Cpu)?;
        assert!(network.has_machines());
        let features = network.features(&images)?.ok_or("no features")?;
        network.fit_machines(&features, &labels, &|_| ())?;
        let answers = network.forward(&images)?.to_vec2::<f32>()?;
        let right = answers.iter().zip(&labels).filter(|(a, l)| (a[0] > 0.) == l[0]).count();
        assert_eq!(right, FACES, "{}", network.system().title());
        // The decision is that of a linear layer on the features.
        let tensors = network.tensors();
        let of = |name: &str| tensors.iter().find(|(of, _)| of == name).map(|(_, var)| *var);
        let weight = of("svm.weight").ok_or("no weight")?.as_tensor();
        let bias = of("svm.bias").ok_or("no bias")?.as_tensor();
        let expected = features.matmul(&weight.t()?)?.broadcast_add(bias)?;
        let apart = (network.forward(&images)? - expected)?.abs()?.flatten_all()?;
        assert!(apart.to_vec1::<f32>()?.iter().all(|apart| *apart < 1e-4), "{apart}");
    }
    Ok(())
}

#[test]
fn a_network_without_machines_has_none_to_train() -> AnyResult {
    let config = ResNetConfig { width: 2, attributes: 2, ..Default::default() };
    let network = Baseline::new(System::ResNet(config), 3, &Device::Cpu)?;
    let (images, labels) = faces()?;
    assert!(!network.has_machines() && network.features(&images)?.is_none());
    let features = Tensor::randn(0f32, 1., (FACES, 4), &Device::Cpu)?;
    assert!(network.fit_machines(&features, &labels, &|_| ()).is_err());
    Ok(())
}

/// The machines' layer learns, and what it reads does not notice.
#[test]
fn no_gradient_flows_from_the_machines_into_the_features() -> AnyResult {
    let (images, _) = faces()?;
    let labels = Tensor::zeros((FACES, 2), candle_core::DType::F32, &Device::Cpu)?;
    for system in [System::Panda(panda(2)), System::LnetsAnet(lnets_anet())] {
        let gradients = |scale: f64| -> AnyResult<Vec<(String, Vec<f32>)>> {
            let network = Baseline::new(system.clone(), 3, &Device::Cpu)?;
            for (name, var) in network.tensors() {
                if name.starts_with("svm.") {
                    var.set(&(var.as_tensor() * scale)?)?;
                }
            }
            let batch = Batch { images: &images, labels: &labels, weights: None };
            let pass = network.pass(&mut (), &batch, &TrainConfig::default(), 0)?;
            let of = |(name, var): (String, &candle_core::Var)| -> AnyResult<_> {
                let gradient = pass.gradients.get(var).ok_or("no gradient")?;
                Ok((name, gradient.flatten_all()?.to_vec1::<f32>()?))
            };
            network.trainable().into_iter().map(of).collect()
        };
        for ((name, a), (_, b)) in gradients(1.)?.into_iter().zip(gradients(5.)?) {
            assert_eq!(a != b, name.starts_with("svm."), "{name}");
        }
    }
    Ok(())
}

#[test]
fn parts_lie_where_their_corners_say() -> AnyResult {
    // Rows 20 to 198 are seen, 178 of them: a pixel is 178/32 = 5.5625 of CelebA's.
    assert_eq!(Part::Eyes.pixels(&ALIGNED_LANDMARKS, Crop::Square, SIZE), [8, 24, 11, 20]);
    // All 218 rows are: 218/32 = 6.8125.
    assert_eq!(Part::Eyes.pixels(&ALIGNED_LANDMARKS, Crop::Whole, SIZE), [8, 24, 12, 20]);
    assert_eq!(Part::Neck.pixels(&ALIGNED_LANDMARKS, Crop::Square, SIZE), [3, 29, 21, 32]);
    for part in Part::ALL {
        for crop in Crop::ALL {
            for size in [16, 64, 178, 1024] {
                let [left, right, top, bottom] = part.pixels(&ALIGNED_LANDMARKS, crop, size);
                assert!(left + 1 < right && right <= size, "{part:?}, {size}");
                assert!(top + 1 < bottom && bottom <= size, "{part:?}, {size}");
            }
        }
    }
    // The eyes, 16 by 9 pixels, as 16 by 16: columns stay as they are, and rows lie between.
    let graph = panda(2).graph(1, &Device::Cpu)?;
    let rows: Vec<f32> = (0..3 * SIZE * SIZE).map(|i| (i / SIZE % SIZE) as f32).collect();
    let columns: Vec<f32> = (0..3 * SIZE * SIZE).map(|i| (i % SIZE) as f32).collect();
    let part = |values| -> AnyResult<Vec<Vec<f32>>> {
        let images = Tensor::from_vec(values, (1, 3, SIZE, SIZE), &Device::Cpu)?;
        Ok(value(&graph, "part.eyes", &images)?.get(0)?.get(0)?.to_vec2()?)
    };
    let (rows, columns) = (part(rows)?, part(columns)?);
    for i in 0..16 {
        assert!((columns[3][i] - (8 + i) as f32).abs() < 1e-4, "{:?}", columns[3]);
        let expected = 11. + ((i as f32 + 0.5) * 9. / 16. - 0.5).clamp(0., 8.);
        assert!((rows[i][3] - expected).abs() < 1e-4, "{} {expected}", rows[i][3]);
    }
    Ok(())
}

/// On images whose pixels are their own rows or columns, a window shows where it is.
#[test]
fn windows_lie_around_the_responses() -> AnyResult {
    let graph = lnets_anet().graph(5, &Device::Cpu)?;
    let ramp = |of: fn(usize) -> usize| -> AnyResult<Tensor> {
        let values: Vec<f32> = (0..3 * SIZE * SIZE).map(|i| of(i) as f32 / 32. - 0.5).collect();
        Ok(Tensor::from_vec(values, (1, 3, SIZE, SIZE), &Device::Cpu)?)
    };
    for (axis, images) in [("y", ramp(|i| i / SIZE % SIZE)?), ("x", ramp(|i| i % SIZE)?)] {
        let map = value(&graph, "lnet_o.c3", &images)?.mean(1)?.squeeze(0)?.to_vec2::<f32>()?;
        let most = map.iter().flatten().copied().fold(0., f32::max);
        let (mut sum, mut all) = (0., 0.);
        for (row, values) in map.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let weight = (value - 0.5 * most).max(0.);
                sum += weight * if axis == "y" { row as f32 } else { column as f32 };
                all += weight;
            }
        }
        // Of a map of 8 pixels; the window is 0.9 of the image.
        let start = ((sum / all + 0.5) / 8. - 0.45).clamp(0., 0.1);
        let found = value(&graph, &format!("lnet_o.{axis}.start"), &images)?;
        let found = found.flatten_all()?.to_vec1::<f32>()?[0];
        assert!((found - start).abs() < 1e-5, "{found}, expected {start}");
        check_window(&graph, &images, (HEAD_WINDOW, axis), (start, 0.9))?;
        let inner = value(&graph, &format!("lnet_s.{axis}.start"), &images)?;
        let inner = inner.flatten_all()?.to_vec1::<f32>()?[0];
        assert!(start <= inner && inner <= start + 0.9 * 0.15 + 1e-6, "{start} {inner}");
        check_window(&graph, &images, (FACE_WINDOW, axis), (inner, 0.9 * 0.85))?;
    }
    Ok(())
}

fn check_window(
    graph: &Graph,
    images: &Tensor,
    (name, axis): (&str, &str),
    (start, share): (f32, f32),
) -> AnyResult {
    let window = value(graph, name, images)?.get(0)?.get(1)?.to_vec2::<f32>()?;
    let found: Vec<f32> = match axis {
        "y" => window.iter().map(|row| row[7]).collect(),
        _ => window[7].clone(),
    };
    for (pixel, found) in found.into_iter().enumerate() {
        let place = (start + (pixel as f32 + 0.5) / 32. * share) * 32. - 0.5;
        let expected = place.clamp(0., 31.) / 32. - 0.5;
        assert!((found - expected).abs() < 1e-5, "{name}: {found}, expected {expected}");
    }
    Ok(())
}

#[test]
fn an_anet_can_begin_with_weights_of_its_own() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("anet.safetensors");
    let network = |seed| Baseline::new(System::LnetsAnet(lnets_anet()), seed, &Device::Cpu);
    let (other, own) = (network(1)?, network(2)?);
    let anet = |(name, _): &(String, &candle_core::Var)| {
        name.starts_with("anet.") && !name.starts_with("anet.head")
    };
    let tensors = other.tensors().into_iter().filter(anet);
    let tensors = tensors.map(|(name, var)| (name, var.as_detached_tensor())).collect();
    candle_core::safetensors::save(&tensors, &path)?;
    let left = own.load_torchvision(&path)?;
    let is_left = |name: &str| left.iter().any(|of| of == name);
    assert!(is_left("svm.weight") && is_left("anet.head.bias") && is_left("lnet_s.c3.conv.weight"));
    assert!(!left.iter().any(|name| name.starts_with("anet.c")), "{left:?}");
    Ok(())
}
