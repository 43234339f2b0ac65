//! The logits of many cuts compared with the smaller networks' in f64, written out as loops.

use candle_core::{DType, Device, Tensor};
use foresee_kernels::{
    ChannelCut, Error, HeadWeights, InstructionSet,
    Precision::{self, Bf16, F32},
    Rows, StandIn, attention_logits_of_cuts, with_instruction_set,
};
use proptest::prelude::*;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Numbers in [-1, 1) from a small generator of its own.
struct Numbers(u64);

impl Numbers {
    fn one(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2.
    }

    fn list(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.one() * scale).collect()
    }

    fn below(&mut self, n: usize) -> usize {
        self.one();
        (self.0 >> 33) as usize % n
    }

    /// The numbers below n in a random order.
    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        (1..n).rev().for_each(|i| order.swap(i, self.below(i + 1)));
        order
    }
}

/// A channel cut with tables of its own.
#[derive(Clone)]
struct Owned {
    kept: Vec<usize>,
    stand_in: Option<Tables>,
}

#[derive(Clone)]
struct Tables {
    weights: Vec<Vec<f32>>,
    offsets: Vec<f32>,
    readout: Vec<Vec<f32>>,
    readout_offsets: Vec<f32>,
}

impl Owned {
    fn plain(mut kept: Vec<usize>) -> Self {
        kept.sort_unstable();
        Self { kept, stand_in: None }
    }

    /// Kept channels are themselves. Of the others those in `mixed` are sums of kept ones and an
    /// offset, and the rest are 0.
    fn with(problem: &Problem, kept: &[usize], mixed: &[usize], numbers: &mut Numbers) -> Self {
        let Self { kept, .. } = Self::plain(kept.to_vec());
        let unit = |c: usize| kept.iter().map(|&q| f32::from(u8::from(q == c))).collect();
        let mut weights: Vec<Vec<f32>> = (0..problem.c).map(unit).collect();
        let mut offsets = vec![0.; problem.c];
        for &c in mixed.iter().filter(|&c| !kept.contains(c)) {
            weights[c] = numbers.list(kept.len(), 0.7);
            offsets[c] = numbers.one();
        }
        let readout = (0..problem.k).map(|_| numbers.list(kept.len(), 1.)).collect();
        let readout_offsets = numbers.list(problem.k, 1.);
        Self { kept, stand_in: Some(Tables { weights, offsets, readout, readout_offsets }) }
    }

    fn cut(&self) -> ChannelCut<'_> {
        let stand_in = self.stand_in.as_ref().map(|tables| StandIn {
            weights: &tables.weights,
            offsets: &tables.offsets,
            readout: &tables.readout,
            readout_offsets: &tables.readout_offsets,
        });
        ChannelCut { kept: &self.kept, stand_in }
    }
}

/// Features [B, C, H, W] and heads.
#[derive(Clone)]
struct Problem {
    b: usize,
    c: usize,
    k: usize,
    size: (usize, usize),
    z: Vec<f32>,
    mask_weight: Vec<f32>,
    mask_bias: Vec<f32>,
    readout: Vec<f32>,
    readout_bias: Vec<f32>,
    rows: Rows,
}

impl Problem {
    fn new(b: usize, c: usize, k: usize, size: (usize, usize), numbers: &mut Numbers) -> Self {
        Self {
            b,
            c,
            k,
            size,
            z: numbers.list(b * c * size.0 * size.1, 1.5),
            mask_weight: numbers.list(k * c * c, 0.5),
            mask_bias: numbers.list(k * c, 1.),
            readout: numbers.list(k * c, 1.),
            readout_bias: numbers.list(k, 1.),
            rows: Rows::all(k, c),
        }
    }

    /// Of every third row or so it has no mask.
    fn without_some_rows(self, numbers: &mut Numbers) -> Self {
        let mut has_mask = |_: &usize| numbers.below(3) > 0;
        let kept = (0..self.k).map(|_| (0..self.c).filter(&mut has_mask).collect()).collect();
        Self { rows: Rows::new(self.c, kept).unwrap(), ..self }
    }

    fn pixels(&self) -> usize {
        self.size.0 * self.size.1
    }

    fn tensors(&self) -> AnyResult<[Tensor; 5]> {
        let Self { b, c, k, size: (h, w), .. } = *self;
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_vec(values.to_vec(), shape, &Device::Cpu)
        };
        Ok([
            tensor(&self.z, &[b, c, h, w])?,
            tensor(&self.mask_weight, &[k * c, c, 1, 1])?,
            tensor(&self.mask_bias, &[k * c])?,
            tensor(&self.readout, &[k, c])?,
            tensor(&self.readout_bias, &[k])?,
        ])
    }

    /// The operation's logits, [cuts, B, K].
    fn logits(&self, cuts: &[Owned], precision: Precision) -> AnyResult<Vec<f32>> {
        let [z, mask_weight, mask_bias, readout_weight, readout_bias] = &self.tensors()?;
        let rows = &self.rows;
        let heads = HeadWeights { mask_weight, mask_bias, readout_weight, readout_bias, rows };
        let cuts: Vec<ChannelCut> = cuts.iter().map(Owned::cut).collect();
        let logits = attention_logits_of_cuts(z, &heads, &cuts, precision)?.ok_or("not taken")?;
        assert_eq!(logits.len(), cuts.len());
        let mut all = vec![];
        for logits in logits {
            assert_eq!(logits.dims(), [self.b, self.k]);
            all.extend(logits.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(all)
    }

    /// The same by definition. Only the channels that a cut keeps are read.
    fn expected(&self, cuts: &[Owned]) -> Vec<f64> {
        cuts.iter().flat_map(|cut| self.of_cut(cut)).collect()
    }

    fn of_cut(&self, cut: &Owned) -> Vec<f64> {
        let Self { b, c, k, .. } = *self;
        let pixels = self.pixels();
        let mut logits = vec![0f64; b * k];
        for image in 0..b {
            for pixel in 0..pixels {
                let z = |channel: usize| f64::from(self.z[(image * c + channel) * pixels + pixel]);
                let read: Vec<f64> = match &cut.stand_in {
                    None => (0..c)
                        .map(|channel| if cut.kept.contains(&channel) { z(channel) } else { 0. })
                        .collect(),
                    Some(tables) => (0..c)
                        .map(|channel| {
                            let weights = cut.kept.iter().zip(&tables.weights[channel]);
                            let sum: f64 = weights.map(|(&q, &s)| f64::from(s) * z(q)).sum();
                            sum + f64::from(tables.offsets[channel])
                        })
                        .collect(),
                };
                for attribute in 0..k {
                    for (at, &channel) in cut.kept.iter().enumerate() {
                        if !self.rows.has(attribute, channel) {
                            continue;
                        }
                        let row = attribute * c + channel;
                        let weights = &self.mask_weight[row * c..][..c];
                        let sum: f64 =
                            weights.iter().zip(&read).map(|(&w, z)| f64::from(w) * z).sum();
                        let mask = 1. / (1. + (-sum - f64::from(self.mask_bias[row])).exp());
                        let readout = match &cut.stand_in {
                            None => self.readout[row],
                            Some(tables) => tables.readout[attribute][at],
                        };
                        logits[image * k + attribute] +=
                            f64::from(readout) * mask * z(channel) / pixels as f64;
                    }
                }
            }
            for attribute in 0..k {
                let offset = cut.stand_in.as_ref().map_or(0., |s| s.readout_offsets[attribute]);
                logits[image * k + attribute] +=
                    f64::from(self.readout_bias[attribute]) + f64::from(offset);
            }
        }
        logits
    }

    fn check(&self, name: &str, cuts: &[Owned], precision: Precision) -> AnyResult {
        let expected = self.expected(cuts);
        let found = self.logits(cuts, precision)?;
        let largest = expected.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
        let tolerance = if precision == F32 { 3e-5 } else { 3e-2 };
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let off = (f64::from(*found) - expected).abs() / largest;
            assert!(
                off < tolerance,
                "{name}, {precision:?}: cut {} is off by {off}",
                at / (self.b * self.k)
            );
        }
        Ok(())
    }
}

/// An order pruned to every `step`-th number of channels, at least one of which is left.
fn nested(order: &[usize], step: usize) -> Vec<Vec<usize>> {
    (0..order.len()).step_by(step).map(|pruned| order[pruned..].to_vec()).collect()
}

/// Curves of a random order, without and with few or many reconstructed channels, each channel
/// alone, and all of these in one call.
fn all_kinds(problem: &Problem, numbers: &mut Numbers) -> Vec<(&'static str, Vec<Owned>)> {
    let order = numbers.order(problem.c);
    let step = 1 + problem.c / 9;
    let curve = nested(&order, step);
    let plain: Vec<Owned> = curve.iter().cloned().map(Owned::plain).collect();
    let alone: Vec<Owned> = (0..problem.c)
        .step_by(step)
        .map(|channel| Owned::plain((0..problem.c).filter(|&c| c != channel).collect()))
        .filter(|cut| !cut.kept.is_empty())
        .collect();
    let few = curve
        .iter()
        .map(|kept| Owned::with(problem, kept, &order[..problem.c.min(2)], numbers))
        .collect();
    let many: Vec<Owned> =
        curve.iter().map(|kept| Owned::with(problem, kept, &order, numbers)).collect();
    let mixed = [&plain[..], &many[..], &alone[..]].concat();
    vec![
        ("a curve", plain),
        ("each channel alone", alone),
        ("few reconstructed", few),
        ("many reconstructed", many),
        ("all kinds", mixed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cuts_match(
        b in 1usize..4,
        k in 1usize..6,
        c in 1usize..40,
        h in 1usize..15,
        w in 1usize..15,
        seed in 0u64..1000,
        half in prop::bool::ANY,
    ) {
        let mut numbers = Numbers(seed);
        let problem = Problem::new(b, c, k, (h, w), &mut numbers);
        let sparse = problem.clone().without_some_rows(&mut numbers);
        for problem in [problem, sparse] {
            for (name, cuts) in all_kinds(&problem, &mut numbers) {
                problem.check(name, &cuts, if half { Bf16 } else { F32 }).unwrap();
            }
        }
    }
}

#[test]
fn heads_without_any_row_answer_their_biases() -> AnyResult {
    let mut numbers = Numbers(7);
    let mut problem = Problem::new(2, 5, 3, (4, 3), &mut numbers);
    // Weights of rows without masks do not count, whatever they are.
    problem.mask_weight.fill(f32::NAN);
    problem.mask_bias.fill(f32::NAN);
    problem.readout.fill(f32::NAN);
    problem.rows = Rows::new(5, vec![vec![]; 3])?;
    let found = problem.logits(&[Owned::plain(vec![0, 3]), Owned::plain(vec![1])], F32)?;
    for logits in found.chunks_exact(3) {
        assert_eq!(logits, problem.readout_bias);
    }
    Ok(())
}

#[test]
fn a_whole_curve_of_many_channels_matches() -> AnyResult {
    let mut numbers = Numbers(1);
    // More pixels than a part of an image has, and more masks of an attribute than a panel.
    let problem = Problem::new(1, 70, 2, (33, 35), &mut numbers);
    let order = numbers.order(70);
    let curve: Vec<Owned> = nested(&order, 1).into_iter().map(Owned::plain).collect();
    for precision in [F32, Bf16] {
        problem.check("a whole curve", &curve, precision)?;
    }
    // So many changes that blocks are of few pixels.
    let small = Problem::new(1, 70, 2, (6, 9), &mut numbers);
    let curve: Vec<Owned> = nested(&order, 1)
        .iter()
        .map(|kept| Owned::with(&small, kept, &order, &mut numbers))
        .collect();
    small.check("a whole curve, reconstructed", &curve, F32)
}

#[test]
fn every_instruction_set_matches() -> AnyResult {
    let mut tested = 0;
    for set in InstructionSet::ALL {
        let all = || -> AnyResult {
            let mut numbers = Numbers(2);
            let problem = Problem::new(2, 37, 3, (9, 17), &mut numbers);
            for (name, cuts) in all_kinds(&problem, &mut numbers) {
                for precision in [F32, Bf16] {
                    problem.check(name, &cuts, precision)?;
                }
            }
            Ok(())
        };
        if let Some(result) = with_instruction_set(set, all) {
            result?;
            tested += 1;
        }
    }
    assert!(tested > 0);
    Ok(())
}

#[test]
fn the_caller_chooses_the_order_of_the_results() -> AnyResult {
    let mut numbers = Numbers(3);
    let problem = Problem::new(2, 11, 3, (5, 4), &mut numbers);
    let cuts = all_kinds(&problem, &mut numbers).pop().ok_or("no cuts")?.1;
    let found = problem.logits(&cuts, F32)?;
    let reversed: Vec<Owned> = cuts.iter().rev().cloned().collect();
    let again = problem.logits(&reversed, F32)?;
    let each = problem.b * problem.k;
    for (one, other) in found.chunks_exact(each).zip(again.chunks_exact(each).rev()) {
        for (a, b) in one.iter().zip(other) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
    }
    Ok(())
}

#[test]
fn what_is_pruned_never_reaches_a_logit() -> AnyResult {
    let mut numbers = Numbers(4);
    let mut problem = Problem::new(2, 9, 2, (11, 13), &mut numbers);
    // Two channels of the second image are damaged, at a few pixels.
    for (channel, pixel, value) in [(4, 0, f32::NAN), (4, 140, f32::INFINITY), (7, 70, f32::NAN)] {
        let at = (problem.c + channel) * problem.pixels() + pixel;
        problem.z[at] = value;
    }
    let kept: [&[usize]; 6] =
        [&[0, 1, 2, 3, 4, 5, 6, 7, 8], &[0, 3, 8], &[4], &[0, 1, 2, 3, 8], &[7, 8], &[1, 5]];
    let mut cuts: Vec<Owned> = kept.iter().map(|kept| Owned::plain(kept.to_vec())).collect();
    for kept in kept {
        cuts.push(Owned::with(&problem, kept, &[2, 4, 6], &mut numbers));
    }
    for precision in [F32, Bf16] {
        let found = problem.logits(&cuts, precision)?;
        let expected = problem.expected(&cuts);
        let tolerance = if precision == F32 { 1e-4 } else { 0.1 };
        for (cut, (found, expected)) in
            cuts.iter().zip(found.chunks_exact(4).zip(expected.chunks_exact(4)))
        {
            let is_damaged = cut.kept.iter().any(|channel| [4, 7].contains(channel));
            assert!(found[2..].iter().all(|logit| logit.is_nan() == is_damaged));
            let finite = if is_damaged { 2 } else { 4 };
            for (found, expected) in found.iter().zip(expected).take(finite) {
                let off = (f64::from(*found) - expected).abs();
                assert!(off < tolerance, "{:?}: {found} and {expected}", cut.kept);
            }
        }
    }
    Ok(())
}

#[test]
fn same_bits_for_any_number_of_threads() -> AnyResult {
    let run = |threads: usize, precision: Precision| -> Vec<u32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut numbers = Numbers(5);
            let problem = Problem::new(3, 19, 4, (23, 29), &mut numbers);
            let cuts = all_kinds(&problem, &mut numbers).pop().unwrap().1;
            problem.logits(&cuts, precision).unwrap().into_iter().map(f32::to_bits).collect()
        })
    };
    for precision in [F32, Bf16] {
        let one = run(1, precision);
        assert_eq!(one, run(2, precision));
        assert_eq!(one, run(7, precision));
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_and_other_tensors_are_not_taken() -> AnyResult {
    let mut numbers = Numbers(6);
    let problem = Problem::new(1, 3, 2, (2, 2), &mut numbers);
    let [z, mask_weight, mask_bias, readout_weight, readout_bias] = &problem.tensors()?;
    let rows = &problem.rows;
    let heads = HeadWeights { mask_weight, mask_bias, readout_weight, readout_bias, rows };
    let run =
        |heads: &HeadWeights, cuts: &[ChannelCut]| attention_logits_of_cuts(z, heads, cuts, F32);
    let wrong: [&[usize]; 3] = [&[], &[3], &[1, 1]];
    for kept in wrong {
        let cuts = [ChannelCut::plain(&[0]), ChannelCut::plain(kept)];
        assert!(matches!(run(&heads, &cuts), Err(Error::Cut { cut: 1, .. })), "{kept:?}");
    }
    let mut short = Owned::with(&problem, &[0, 2], &[1], &mut numbers);
    if let Some(tables) = &mut short.stand_in {
        tables.offsets.pop();
    }
    assert!(matches!(run(&heads, &[short.cut()]), Err(Error::Cut { cut: 0, .. })));
    let narrow = readout_weight.narrow(1, 0, 2)?;
    let narrow = HeadWeights { readout_weight: &narrow, ..heads };
    assert!(matches!(run(&narrow, &[]), Err(Error::Shape { tensor: "readout_weight", .. })));
    assert!(run(&heads, &[])?.ok_or("not taken")?.is_empty());
    let others = HeadWeights { rows: &Rows::all(3, 2), ..heads };
    assert!(matches!(run(&others, &[]), Err(Error::RowsOf { given: [3, 2], needed: [2, 3] })));

    let wide = Tensor::zeros((6, 3, 3, 3), DType::F32, &Device::Cpu)?;
    let wide = HeadWeights { mask_weight: &wide, ..heads };
    assert!(run(&wide, &[ChannelCut::plain(&[0])])?.is_none());
    let double = mask_bias.to_dtype(DType::F64)?;
    let double = HeadWeights { mask_bias: &double, ..heads };
    assert!(run(&double, &[ChannelCut::plain(&[0])])?.is_none());
    Ok(())
}
