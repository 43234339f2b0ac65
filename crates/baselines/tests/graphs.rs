//! Systems as graphs: they can be written as ONNX and read again, and pruned.

mod small;

use candle_core::{Device, Tensor};
use foresee_baselines::{
    AbnConfig, Baseline, Depth, LnetsAnetConfig, Maps, MoonConfig, ResNetConfig, System,
};
use foresee_graph::{Graph, Removal};

use small::{SIZE, panda};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Small systems, and the sizes of images that their graphs leave open.
fn systems() -> [(System, Vec<usize>); 7] {
    let resnet = ResNetConfig { depth: Depth::D18, width: 3, attributes: 2, ..Default::default() };
    let abn = |maps| System::Abn(AbnConfig { resnet: resnet.clone(), maps, residual: true });
    let image_size = [SIZE; 2];
    let moon = MoonConfig { attributes: 2, image_size, width: 2, hidden: 6, ..Default::default() };
    let panda = panda(2);
    let lnets = LnetsAnetConfig {
        attributes: 2,
        image_size: SIZE,
        face_size: 16,
        width: 4,
        hidden: 6,
        windows: 1,
    };
    let windows = LnetsAnetConfig { windows: 5, ..lnets.clone() };
    let open = vec![SIZE, SIZE];
    [
        (System::ResNet(resnet.clone()), open.clone()),
        (abn(Maps::Attributes), open.clone()),
        (abn(Maps::Shared), open),
        (System::Moon(moon), vec![]),
        (System::Panda(panda), vec![]),
        (System::LnetsAnet(lnets), vec![]),
        (System::LnetsAnet(windows), vec![]),
    ]
}

fn images() -> AnyResult<Tensor> {
    let values: Vec<f32> = (0..2 * 3 * SIZE * SIZE).map(|i| (i * 7919 % 997) as f32).collect();
    let values = values.into_iter().map(|v| v / 500. - 1.).collect();
    Ok(Tensor::from_vec(values, (2, 3, SIZE, SIZE), &Device::Cpu)?)
}

fn assert_same(title: &str, a: &Graph, b: &Graph) -> AnyResult {
    let (a, b) = (a.forward(&[images()?])?, b.forward(&[images()?])?);
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a.dims(), b.dims(), "{title}");
        let apart = (a - b)?.abs()?.flatten_all()?.to_vec1::<f32>()?;
        // NaN counts as larger than any number.
        let apart = apart.into_iter().max_by(f32::total_cmp).ok_or("no answers")?;
        let scale = a.abs()?.max_all()?.to_scalar::<f32>()?.max(1.);
        assert!(apart < 1e-4 * scale, "{title}: {apart} apart");
    }
    Ok(())
}

#[test]
fn a_system_is_written_as_onnx() -> AnyResult {
    for (system, _) in systems() {
        let network = Baseline::new(system, 7, &Device::Cpu)?;
        let read = Graph::from_onnx_bytes(&network.graph().to_onnx(&[])?)?;
        assert_same(&network.system().title(), network.graph(), &read)?;
    }
    Ok(())
}

#[test]
fn channels_of_a_system_can_be_removed() -> AnyResult {
    for (system, sizes) in systems() {
        let network = Baseline::new(system, 7, &Device::Cpu)?;
        let (title, graph) = (network.system().title(), network.graph());
        let groups = graph.channel_groups(&sizes)?;
        let free = groups.iter().filter(|group| group.fixed.is_none());
        let removals: Vec<Removal> = free.map(|group| Removal { group, units: &[0] }).collect();
        assert!(removals.len() > 2, "{title}: {} groups", removals.len());
        let removed = graph.remove_channels(&removals)?;
        assert_same(&title, &graph.mask_channels(&removals)?, &removed)?;
        let macs =
            |graph: &Graph| -> AnyResult<u64> { Ok(graph.cost(&graph.shapes(1, &sizes)?).macs) };
        assert!(macs(&removed)? < macs(graph)?);
    }
    Ok(())
}
