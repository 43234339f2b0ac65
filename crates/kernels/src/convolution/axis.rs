//! The pixels that a convolution reads along one axis of an image.

/// One axis of a convolution: output o reads the inputs o·stride - before + t·dilation through the
/// taps t below `kernel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Pixels of padding before the image.
    pub before: usize,
}

/// Result j reads the source's pixel j·stride + offset through each tap; pixels outside are 0.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    /// Pixels of the source.
    pub inputs: usize,
    /// How many results there are.
    pub outputs: usize,
    /// Pixels of the source from one result to the next.
    pub stride: usize,
    /// The taps that read a pixel of the source at all: index in the kernel, and offset.
    pub taps: Vec<(usize, isize)>,
    /// Result j is pixel first + j·step of the `length` pixels of the whole result.
    pub first: usize,
    pub step: usize,
    pub length: usize,
}

impl Axis {
    /// `None` if a size is 0, a number too large, or the kernel longer than the padded image.
    pub fn new(
        inputs: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        [before, after]: [usize; 2],
    ) -> Option<Self> {
        if kernel == 0 || stride == 0 || dilation == 0 {
            return None;
        }
        let padded = inputs.checked_add(before)?.checked_add(after)?;
        let reach = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        // Positions are compared as signed numbers, with room for a stride.
        let largest = padded.checked_add(reach)?.checked_add(stride)?;
        let outputs = padded.checked_sub(reach)? / stride + 1;
        (largest <= isize::MAX as usize / 2).then_some(Self {
            inputs,
            outputs,
            kernel,
            stride,
            dilation,
            before,
        })
    }

    /// What the outputs read of the inputs.
    pub fn outputs_of_inputs(&self) -> Reads {
        let offset = |tap: usize| (tap * self.dilation) as isize - self.before as isize;
        Reads {
            inputs: self.inputs,
            outputs: self.outputs,
            stride: self.stride,
            taps: (0..self.kernel).map(|tap| (tap, offset(tap))).collect(),
            first: 0,
            step: 1,
            length: self.outputs,
        }
        .without_idle_taps()
    }

    /// What the gradients of the inputs read of those of the outputs: input class + j·stride is
    /// read by output j + (class + before - t·dilation)/stride, if that is an integer.
    pub fn inputs_of_outputs(&self, class: usize) -> Reads {
        let stride = self.stride as isize;
        let origin = (class + self.before) as isize;
        let offset = |tap: usize| origin - (tap * self.dilation) as isize;
        Reads {
            inputs: self.outputs,
            outputs: self.inputs.saturating_sub(class).div_ceil(self.stride),
            stride: 1,
            taps: (0..self.kernel)
                .filter(|&tap| offset(tap).rem_euclid(stride) == 0)
                .map(|tap| (tap, offset(tap).div_euclid(stride)))
                .collect(),
            first: class,
            step: self.stride,
            length: self.inputs,
        }
        .without_idle_taps()
    }
}

impl Reads {
    /// Leaves out taps that read only padding, so that no padding is stored for them.
    fn without_idle_taps(mut self) -> Self {
        let (inputs, outputs) = (self.inputs as isize, self.outputs as isize);
        let stride = self.stride as isize;
        let reads = |offset: isize| {
            let first = if offset < 0 { -(offset.div_euclid(stride)) } else { 0 };
            first < outputs && first * stride + offset < inputs
        };
        self.taps.retain(|&(_, offset)| reads(offset));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_read_back_what_outputs_read() {
        for stride in 1..4 {
            let axis = Axis::new(7, 3, stride, 2, [1, 2]).expect("a kernel of 5 in 10 pixels");
            let mut pairs = Vec::new();
            let reads = axis.outputs_of_inputs();
            for output in 0..axis.outputs {
                for &(tap, offset) in &reads.taps {
                    let input = (output * stride) as isize + offset;
                    if (0..7).contains(&input) {
                        pairs.push((input as usize, output, tap));
                    }
                }
            }
            let mut back = Vec::new();
            for class in 0..stride {
                let reads = axis.inputs_of_outputs(class);
                for j in 0..reads.outputs {
                    for &(tap, offset) in &reads.taps {
                        let output = j as isize + offset;
                        if (0..axis.outputs as isize).contains(&output) {
                            back.push((class + j * stride, output as usize, tap));
                        }
                    }
                }
            }
            pairs.sort_unstable();
            back.sort_unstable();
            assert_eq!(pairs, back);
        }
    }

    #[test]
    fn taps_in_the_padding_are_left_out_and_sizes_are_checked() {
        let axis = Axis::new(2, 3, 1, 1000, [1000, 1000]).expect("it fits");
        assert_eq!(axis.outputs, 2);
        assert_eq!(axis.outputs_of_inputs().taps, [(1, 0)]);
        assert_eq!(Axis::new(2, 4, 1, 1, [1, 0]), None);
        assert_eq!(Axis::new(2, 2, 0, 1, [0, 0]), None);
        assert_eq!(Axis::new(2, 2, 1, usize::MAX, [0, 0]), None);
        assert_eq!(Axis::new(2, 1, 1, 1, [usize::MAX / 2, usize::MAX / 2]), None);
    }
}
