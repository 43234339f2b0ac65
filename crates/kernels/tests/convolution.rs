//! Convolutions and their gradients against plain loops and differences.

#[expect(dead_code, reason = "other tests use all of it")]
mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{AnyResult, bits, distance, flat, in_f64, values};
use foresee_kernels::{ConvOptions, Error, InstructionSet, convolution, with_instruction_set};
use proptest::prelude::*;

/// The shapes and settings of a convolution.
#[derive(Debug, Clone)]
struct Case {
    images: usize,
    /// Inputs and outputs of a group.
    of_group: (usize, usize),
    image: (usize, usize),
    kernel: (usize, usize),
    has_bias: bool,
    options: ConvOptions,
}

impl Case {
    fn vars(&self) -> [Var; 3] {
        let groups = self.options.groups;
        let (inputs, outputs) = (groups * self.of_group.0, groups * self.of_group.1);
        [
            values(&[self.images, inputs, self.image.0, self.image.1], 1., 1),
            values(&[outputs, self.of_group.0, self.kernel.0, self.kernel.1], 0.5, 2),
            values(&[outputs], 1., 3),
        ]
    }

    fn apply(&self, vars: &[Tensor; 3]) -> foresee_kernels::Result<Tensor> {
        convolution(&vars[0], &vars[1], self.has_bias.then_some(&vars[2]), &self.options)
    }

    /// y by loops over the definition, in `f64`.
    fn by_loops(&self, vars: &[Var; 3], dims: &[usize]) -> AnyResult<Tensor> {
        let [x, weight, bias] = vars.each_ref().map(|var| flat(var));
        let ((h, w), (n, m)) = (self.image, self.kernel);
        let (of_group, rows) = self.of_group;
        let ConvOptions { stride, padding, dilation, groups } = self.options;
        let mut y = Vec::new();
        for at in 0..dims.iter().product() {
            let (b, o) = (at / (dims[1] * dims[2] * dims[3]), at / (dims[2] * dims[3]) % dims[1]);
            let (p, q) = (at / dims[3] % dims[2], at % dims[3]);
            let mut sum = if self.has_bias { bias[o] } else { 0. };
            for i in 0..of_group {
                let channel = b * groups * of_group + o / rows * of_group + i;
                for (s, t) in (0..n).flat_map(|s| (0..m).map(move |t| (s, t))) {
                    let row = (p * stride.0 + s * dilation.0).checked_sub(padding[0]);
                    let column = (q * stride.1 + t * dilation.1).checked_sub(padding[2]);
                    if let (Some(row), Some(column)) = (row, column)
                        && row < h
                        && column < w
                    {
                        let kernel = ((o * of_group + i) * n + s) * m + t;
                        sum += weight[kernel] * x[(channel * h + row) * w + column];
                    }
                }
            }
            y.push(sum);
        }
        Ok(Tensor::from_vec(y, dims, &Device::Cpu)?)
    }

    /// Outputs against loops, gradients against those of the composition in `f64`.
    fn check(&self) -> AnyResult {
        let vars = self.vars();
        let exact = vars.each_ref().map(in_f64);
        let y = self.apply(&tensors(&vars))?;
        assert!(y.is_contiguous());
        let expected = self.by_loops(&vars, y.dims())?;
        assert!(
            distance(&y, &expected) < 2e-6,
            "{self:?}: y is off by {}",
            distance(&y, &expected)
        );
        let plain = self.apply(&tensors(&exact))?;
        assert!(distance(&plain, &expected) < 1e-12, "{self:?}: the composition is off");
        let got = gradients(&vars, &y)?;
        let expected = gradients(&exact, &plain)?;
        for (which, (got, expected)) in got.iter().zip(&expected).enumerate() {
            match (got, expected) {
                (Some(got), Some(expected)) => {
                    let off = distance(got, expected);
                    assert!(off < 5e-6, "{self:?}: gradient {which} is off by {off}");
                }
                (None, None) => assert!(which == 2 && !self.has_bias),
                _ => panic!("{self:?}: gradient {which} is missing"),
            }
        }
        Ok(())
    }

    /// y and the gradients as bits.
    fn bits(&self) -> AnyResult<Vec<Vec<u32>>> {
        let vars = self.vars();
        let y = self.apply(&tensors(&vars))?;
        let gradients = gradients(&vars, &y)?;
        Ok(std::iter::once(bits(&y)).chain(gradients.iter().flatten().map(bits)).collect())
    }
}

fn tensors(vars: &[Var; 3]) -> [Tensor; 3] {
    vars.each_ref().map(|var| var.as_tensor().clone())
}

/// A sum of y's elements, each times a number of its own.
fn objective(y: &Tensor) -> AnyResult<Tensor> {
    let w = values(y.dims(), 1., 7).as_detached_tensor().to_dtype(y.dtype())?;
    Ok((y * w)?.sum_all()?)
}

fn gradients(vars: &[Var; 3], y: &Tensor) -> AnyResult<[Option<Tensor>; 3]> {
    let gradients = objective(y)?.backward()?;
    Ok(vars.each_ref().map(|var| gradients.get(var.as_tensor()).cloned()))
}

fn case(
    images: usize,
    of_group: (usize, usize),
    image: (usize, usize),
    kernel: (usize, usize),
    options: ConvOptions,
) -> Case {
    Case { images, of_group, image, kernel, has_bias: true, options }
}

/// One stride, dilation and padding for all sides.
fn options(stride: usize, padding: usize, dilation: usize, groups: usize) -> ConvOptions {
    ConvOptions {
        stride: (stride, stride),
        padding: [padding; 4],
        dilation: (dilation, dilation),
        groups,
    }
}

/// Layers of the usual networks, and sizes that are no multiples of a tile's.
fn layers() -> Vec<Case> {
    vec![
        case(2, (3, 64), (37, 41), (7, 7), options(2, 3, 1, 1)),
        case(2, (19, 45), (9, 14), (3, 3), options(1, 1, 1, 1)),
        case(3, (64, 70), (7, 7), (3, 3), options(2, 1, 1, 1)),
        case(2, (300, 33), (5, 4), (1, 1), options(1, 0, 1, 1)),
        case(2, (24, 40), (9, 8), (1, 1), options(2, 0, 1, 1)),
        case(2, (1, 1), (14, 13), (3, 3), options(1, 1, 1, 21)),
        case(2, (1, 1), (15, 12), (5, 5), options(2, 2, 1, 10)),
        case(1, (1, 3), (8, 9), (3, 3), options(1, 1, 2, 5)),
        case(2, (8, 6), (9, 7), (3, 3), options(1, 1, 1, 4)),
        case(1, (5, 7), (1, 30), (1, 5), options(1, 0, 1, 1)),
        case(2, (70, 3), (40, 33), (5, 3), options(2, 2, 1, 1)),
        case(1, (40, 2), (30, 9), (3, 3), options(1, 1, 3, 2)),
        case(2, (3, 40), (25, 30), (4, 2), options(3, 1, 2, 2)),
        // Planes shorter than a vector, and all taps in the padding.
        case(3, (9, 14), (1, 1), (1, 1), options(1, 0, 1, 1)),
        case(2, (9, 3), (2, 2), (2, 2), options(1, 0, 1, 1)),
        case(1, (1, 1), (1, 13), (2, 1), options(1, 2, 4, 1)),
    ]
}

fn some_case() -> impl Strategy<Value = Case> {
    let sides = (0usize..4, 0usize..4, 0usize..4, 0usize..4);
    let steps = (1usize..4, 1usize..4, 1usize..4, 1usize..4);
    let channels = (1usize..9, 1usize..9, prop::sample::select(vec![1usize, 1, 2, 3, 8]));
    let sizes = (1usize..4, 1usize..20, 1usize..20, 1usize..6, 1usize..6, prop::bool::ANY);
    (sides, steps, channels, sizes).prop_filter_map("the kernel fits", |all| {
        let (sides, steps, (i, o, groups), (images, h, w, n, m, has_bias)) = all;
        let padding = [sides.0, sides.1, sides.2, sides.3];
        let (stride, dilation) = ((steps.0, steps.1), (steps.2, steps.3));
        let fits = (n - 1) * dilation.0 < h + padding[0] + padding[1]
            && (m - 1) * dilation.1 < w + padding[2] + padding[3];
        let options = ConvOptions { stride, padding, dilation, groups };
        let case = Case { has_bias, ..case(images, (i, o), (h, w), (n, m), options) };
        fits.then_some(case)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_convolution_matches_loops(case in some_case()) {
        case.check().unwrap();
    }
}

#[test]
fn layers_match_loops_with_every_instruction_set() -> AnyResult {
    for set in InstructionSet::ALL {
        let all = || layers().iter().try_for_each(Case::check);
        match with_instruction_set(set, all) {
            Some(result) => result.map_err(|e| format!("{set:?}: {e}"))?,
            None => eprintln!("this machine has no {set:?}: not tested"),
        }
    }
    Ok(())
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() -> AnyResult {
    let with_threads = |threads: usize| -> AnyResult<Vec<_>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        pool.install(|| layers().iter().map(Case::bits).collect())
    };
    let one = with_threads(1)?;
    for threads in [2, 7] {
        assert!(with_threads(threads)? == one, "{threads} threads");
    }
    Ok(())
}

/// The composition's gradients, with which the others are compared, are slopes.
#[test]
fn gradients_are_the_slopes_of_differences() -> AnyResult {
    for case in [
        case(
            1,
            (2, 3),
            (5, 4),
            (3, 2),
            ConvOptions { stride: (2, 1), padding: [1, 0, 2, 1], dilation: (1, 2), groups: 2 },
        ),
        case(2, (1, 1), (4, 5), (2, 3), options(2, 1, 1, 3)),
    ] {
        let vars = case.vars().each_ref().map(in_f64);
        let all = gradients(&vars, &case.apply(&tensors(&vars))?)?;
        for (which, var) in vars.iter().enumerate() {
            let gradient = flat(all[which].as_ref().ok_or("a gradient")?);
            for (at, expected) in gradient.into_iter().enumerate() {
                let moved = |by: f64| -> AnyResult<f64> {
                    let mut data = flat(var);
                    data[at] += by;
                    let mut moved = tensors(&vars);
                    moved[which] = Tensor::from_vec(data, var.shape(), &Device::Cpu)?;
                    Ok(objective(&case.apply(&moved)?)?.to_scalar()?)
                };
                let slope = (moved(1e-3)? - moved(-1e-3)?) / 2e-3;
                assert!((slope - expected).abs() < 1e-9, "{case:?}: {slope} and {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn only_gradients_of_variables_are_computed() -> AnyResult {
    let case = &layers()[1];
    let vars = case.vars();
    let all = gradients(&vars, &case.apply(&tensors(&vars))?)?;
    for which in 0..3 {
        let mut inputs = vars.each_ref().map(|var| var.as_detached_tensor());
        inputs[which] = vars[which].as_tensor().clone();
        let y = case.apply(&inputs)?;
        let got = objective(&y)?.backward()?;
        for other in (0..3).filter(|&other| other != which) {
            assert!(got.get(&inputs[other]).is_none(), "a gradient of constant {other}");
        }
        let got = got.get(vars[which].as_tensor()).ok_or("its gradient")?;
        assert_eq!(bits(got), bits(all[which].as_ref().ok_or("a gradient")?));
    }
    Ok(())
}

#[test]
fn no_images_give_no_outputs_and_gradients_of_0() -> AnyResult {
    for groups in [1, 3] {
        let case = case(0, (1, 2), (4, 4), (3, 3), options(1, 1, 1, groups));
        let vars = case.vars();
        let y = case.apply(&tensors(&vars))?;
        assert_eq!(y.dims(), [0, 2 * groups, 4, 4]);
        let [dx, dw, db] = gradients(&vars, &y)?.map(|gradient| gradient.expect("a gradient"));
        assert_eq!(dx.elem_count(), 0);
        assert!(flat(&dw).iter().chain(&flat(&db)).all(|&v| v == 0.));
    }
    Ok(())
}

/// Views give the bits of their copies, and their gradients come back in the views' order.
#[test]
fn views_are_taken() -> AnyResult {
    let case = &layers()[1];
    let vars = case.vars();
    let transposed = Var::from_tensor(&vars[0].permute((3, 2, 1, 0))?.contiguous()?)?;
    let mut inputs = tensors(&vars);
    inputs[0] = transposed.permute((3, 2, 1, 0))?;
    let y = case.apply(&inputs)?;
    assert_eq!(bits(&y), bits(&case.apply(&tensors(&vars))?));
    let of_view = objective(&y)?.backward()?;
    let of_view = of_view.get(transposed.as_tensor()).ok_or("gradient")?;
    let [expected, ..] = gradients(&vars, &case.apply(&tensors(&vars))?)?;
    let expected = expected.ok_or("gradient")?;
    assert_eq!(bits(&of_view.permute((3, 2, 1, 0))?.contiguous()?), bits(&expected));
    Ok(())
}

/// Padding far beyond the image, and steps across it, need no memory of their size.
#[test]
fn enormous_padding_needs_little_memory() -> AnyResult {
    let far = 1 << 30;
    let far_apart =
        ConvOptions { stride: (far, 1), padding: [far, far, 1, 1], dilation: (far, 1), groups: 1 };
    let case = case(1, (2, 3), (2, 5), (3, 3), far_apart);
    let vars = case.vars();
    let y = case.apply(&tensors(&vars))?;
    // Of the three rows of the kernel only the middle one reads the image.
    let middle = vars[1].narrow(2, 1, 1)?;
    let row = ConvOptions { padding: [0, 0, 1, 1], ..ConvOptions::default() };
    let expected = convolution(&vars[0].narrow(2, 0, 1)?, &middle, Some(&vars[2]), &row)?;
    assert_eq!(bits(&y), bits(&expected));
    // A composition would need it, and is refused.
    let [x, weight] = [&vars[0], &vars[1]].map(|var| var.to_dtype(DType::F64));
    let error = convolution(&x?, &weight?, None, &far_apart).unwrap_err().to_string();
    assert!(error.contains("values with its padding"), "{error}");
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> AnyResult {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu);
    let x = zeros(&[1, 4, 5, 5])?;
    let run = |weight: &[usize], options: &ConvOptions| -> AnyResult<_> {
        Ok(convolution(&x, &zeros(weight)?, None, options).map(|y| y.dims().to_vec()))
    };
    let plain = ConvOptions::default();
    let same = options(1, 1, 1, 2);
    assert_eq!(run(&[2, 2, 3, 3], &same)??, [1, 2, 5, 5]);
    for (weight, options) in [
        ([2, 3, 3, 3], plain),
        ([3, 2, 3, 3], same),
        ([0, 4, 3, 3], plain),
        ([2, 4, 3, 3], ConvOptions { groups: 0, ..plain }),
        ([3, 1, 3, 3], ConvOptions { groups: 3, ..plain }),
    ] {
        assert!(matches!(run(&weight, &options)?, Err(Error::Shape { .. })), "{weight:?}");
    }
    for (weight, options) in [
        ([2, 4, 6, 3], plain),
        ([2, 4, 3, 0], plain),
        ([2, 4, 3, 3], ConvOptions { stride: (0, 1), ..plain }),
        ([2, 4, 3, 3], ConvOptions { dilation: (1, 3), ..plain }),
        ([2, 4, 3, 3], ConvOptions { dilation: (usize::MAX, 1), ..plain }),
        ([2, 4, 3, 3], ConvOptions { padding: [usize::MAX, 1, 0, 0], ..plain }),
    ] {
        let result = run(&weight, &options)?;
        assert!(matches!(result, Err(Error::Convolution { .. })), "{weight:?}, {options:?}");
    }
    let enormous = ConvOptions { padding: [1 << 31, 1 << 31, 1 << 31, 1 << 31], ..plain };
    assert!(run(&[2, 4, 3, 3], &enormous)?.is_err());
    let weight = zeros(&[2, 4, 3, 3])?;
    assert!(convolution(&x, &weight, Some(&zeros(&[3])?), &plain).is_err());
    assert!(convolution(&x.squeeze(0)?, &weight, None, &plain).is_err());
    assert!(convolution(&x.to_dtype(DType::I64)?, &weight, None, &plain).is_err());
    assert!(convolution(&x.to_dtype(DType::F64)?, &weight, None, &plain).is_err());
    Ok(())
}
