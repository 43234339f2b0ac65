//! Do the masks look where the attribute is? On drawn faces one knows where that is.

use anyhow::Result;
use candle_core::Device;
use foresee_analysis::{Interval, bootstrap, top_channels};
use foresee_celeba::synthetic::{Generator, HEIGHT, WIDTH};
use foresee_celeba::{ATTRIBUTES, Split};

use super::claims::{Claim, Verdict};
use crate::progress::Progress;
use crate::run::Run;
use crate::{faces, train};

/// Faces with the attribute on which its masks are looked at.
const FACES: usize = 20;
/// Channels of an attribute, as in Figure 4.
const TOP: usize = 3;
/// Attributes whose region is hardly larger than this share of the face are told apart from those that are seen everywhere, such as blur.
const LARGEST: f64 = 0.8;

/// One attribute of one seed: how many times as much of its masks' mass lies in its region as would if it were spread evenly.
pub struct Focus {
    pub attribute: &'static str,
    pub faces: usize,
    pub area: f64,
    pub ratio: f64,
}

/// Focus of each attribute that test faces show.
pub fn focus(run: &Run) -> Result<Vec<Focus>> {
    let data = faces::reopen(&run.manifest.data, &run.folder, run.manifest.config.data.split.into())?;
    let (network, card) = train::load(&run.folder, &Device::Cpu)?;
    let masks = foresee_analysis::Matrix::from_rows(&foresee_report::frame::rows(&run.read_csv("data/mean_masks.csv")?, 1)?);
    let generator = Generator::new(run.manifest.seed);
    let test = data.split(Split::Test)?;
    let mut progress = Progress::new("looking where masks are", ATTRIBUTES.len(), 0);
    let mut out = vec![];
    for (k, &attribute) in ATTRIBUTES.iter().enumerate() {
        progress.add(1, String::new);
        let shown: Vec<usize> = test.iter().copied().filter(|&face| data.labels(face).has(k)).take(FACES).collect();
        let Some(batch) = faces::in_order(&data, &shown, &faces::preprocessing(&card), FACES).next() else { continue };
        let z = network.extractor().forward(&batch?.images)?;
        let all = network.heads().masks(&z, &[k])?.squeeze(1)?;
        let top = top_channels(&masks, k, TOP);
        let (mut areas, mut ratios) = (vec![], vec![]);
        for (i, &face) in shown.iter().enumerate() {
            let region = shrink(&generator.region(face as u64, data.labels(face), k), card.image_size);
            let area = region.iter().sum::<f64>() / region.len() as f64;
            if area == 0. {
                continue;
            }
            let mut ratio = 0.;
            for &channel in &top {
                let mask: Vec<f32> = all.get(i)?.get(channel)?.flatten_all()?.to_vec1()?;
                let inside: f64 = mask.iter().zip(&region).map(|(&m, r)| f64::from(m) * r).sum();
                ratio += inside / mask.iter().map(|&m| f64::from(m)).sum::<f64>().max(1e-12) / area / TOP as f64;
            }
            areas.push(area);
            ratios.push(ratio);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        if !ratios.is_empty() {
            out.push(Focus { attribute, faces: ratios.len(), area: mean(&areas), ratio: mean(&ratios) });
        }
    }
    Ok(out)
}

/// The share of the region in each pixel of what the network sees: the centred square, resized.
fn shrink(region: &[bool], size: usize) -> Vec<f64> {
    let top = (HEIGHT - WIDTH) / 2;
    let mut out = vec![(0., 0.); size * size];
    for y in 0..WIDTH {
        for x in 0..WIDTH {
            let cell = &mut out[y * size / WIDTH * size + x * size / WIDTH];
            cell.0 += f64::from(u8::from(region[(y + top) * WIDTH + x]));
            cell.1 += 1.;
        }
    }
    out.into_iter().map(|(inside, all)| if all > 0. { inside / all } else { 0. }).collect()
}

/// The claim over all seeds of a variant on drawn faces; attributes are drawn anew.
pub fn claim(variant: &str, runs: &[Vec<Focus>]) -> Result<Claim> {
    let local = |focus: &&Focus| focus.area < LARGEST;
    let mut names: Vec<&str> = runs.iter().flatten().filter(local).map(|f| f.attribute).collect();
    names.sort_unstable();
    names.dedup();
    let log_ratio = |name: &str| {
        let values: Vec<f64> = runs.iter().flatten().filter(local).filter(|f| f.attribute == name).map(|f| f.ratio.max(1e-6).ln()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let values: Vec<f64> = names.iter().map(|name| log_ratio(name)).collect();
    let mean = |drawn: &[usize]| drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64;
    let log = bootstrap(values.len(), 2000, 0.95, 0, mean)?;
    let interval = Interval { estimate: log.estimate.exp(), low: log.low.exp(), high: log.high.exp() };
    let seeds: Vec<f64> = runs
        .iter()
        .map(|run| {
            let logs: Vec<f64> = run.iter().filter(local).map(|f| f.ratio.max(1e-6).ln()).collect();
            (logs.iter().sum::<f64>() / logs.len() as f64).exp()
        })
        .collect();
    let mut ordered: Vec<(&str, f64)> = names.iter().copied().zip(values.iter().map(|v| v.exp())).collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1));
    let show = |list: &[(&str, f64)]| list.iter().map(|(name, v)| format!("{name} {v:.1}")).collect::<Vec<_>>().join(", ");
    let focused = values.iter().filter(|v| **v > 0.).count();
    let verdict = match interval.low > 1. {
        true if focused as f64 >= 0.9 * values.len() as f64 => Verdict::Holds,
        true => Verdict::InPart,
        false => Verdict::DoesNotHold,
    };
    let why = format!(
        "{focused} of {} attributes above 1; most: {}; least: {}",
        values.len(),
        show(&ordered[..ordered.len().min(4)]),
        show(&ordered[ordered.len().saturating_sub(4)..])
    );
    Ok(Claim {
        claim: "masks of the top channels lie where the attribute is (drawn faces)".into(),
        variant: variant.into(),
        statistic: "masks' mass in the attribute's region over its area, geometric mean over attributes".into(),
        interval,
        seeds,
        verdict,
        why,
    })
}
