//! Where the windows of convolutions and pools lie.

use super::Forward;
use super::arguments::{MAX_ELEMENTS, impossible};
use crate::op::{Padding, Window};

/// The windows along one spatial dimension: window o has its taps at o·stride + t·dilation of the
/// padded input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    /// Of the input.
    pub size: usize,
    /// Taps of a window.
    pub kernel: usize,
    /// From one window to the next.
    pub stride: usize,
    /// From one tap to the next.
    pub dilation: usize,
    /// Padding before the input.
    pub before: usize,
    /// Padding after the input.
    pub after: usize,
    /// How many windows there are.
    pub outputs: usize,
}

impl Axis {
    /// One window on one pixel: a dimension that is not there.
    pub const NONE: Self =
        Self { size: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0, outputs: 1 };

    /// The length of a window.
    pub fn extent(&self) -> usize {
        (self.kernel - 1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// The length of the input with its padding.
    pub fn padded(&self) -> usize {
        self.size + self.before + self.after
    }

    /// The length of all windows together.
    pub fn covered(&self) -> usize {
        ((self.outputs - 1) * self.stride).saturating_add(self.extent())
    }
}

/// Settings as they were given, checked to be one number for each of `count` dimensions.
pub(super) fn each(what: &'static str, given: &[usize], count: usize) -> Forward<()> {
    if given.len() != count {
        let expected = format!("the input has {count} spatial dimensions, with one number each");
        return Err(impossible(what, format!("{given:?}"), expected));
    }
    match given.iter().find(|&&number| number == 0 || number > MAX_ELEMENTS) {
        Some(_) => {
            let expected = format!("each is between 1 and {MAX_ELEMENTS}");
            Err(impossible(what, format!("{given:?}"), expected))
        }
        None => Ok(()),
    }
}

/// Checks the settings of windows over so many dimensions.
pub(super) fn check(window: &Window, kernel: &[usize], count: usize) -> Forward<()> {
    each("the kernel", kernel, count)?;
    each("the strides", &window.stride, count)?;
    each("the dilations", &window.dilation, count)?;
    let Padding::Explicit(pads) = &window.padding else { return Ok(()) };
    let fits = |&(before, after): &(usize, usize)| before.max(after) <= MAX_ELEMENTS;
    if pads.len() == count && pads.iter().all(fits) {
        return Ok(());
    }
    let expected = format!(
        "the input has {count} spatial dimensions, with two numbers each, at most {MAX_ELEMENTS}"
    );
    Err(impossible("the padding", format!("{pads:?}"), expected))
}

/// The windows over spatial dimensions of these sizes. With `ceil` the last windows may reach
/// beyond the padding, if they begin before the padding behind the input.
pub(super) fn axes(
    window: &Window,
    sizes: &[usize],
    kernel: &[usize],
    ceil: bool,
) -> Forward<Vec<Axis>> {
    check(window, kernel, sizes.len())?;
    if sizes.contains(&0) {
        let expected = "there is at least one pixel";
        return Err(impossible("the spatial sizes", format!("{sizes:?}"), expected));
    }
    (0..sizes.len())
        .map(|i| {
            let axis = Axis {
                size: sizes[i],
                kernel: kernel[i],
                stride: window.stride[i],
                dilation: window.dilation[i],
                ..Axis::NONE
            };
            match &window.padding {
                Padding::Explicit(pads) => explicit(axis, pads[i], ceil),
                Padding::SameUpper => Ok(same(axis, false)),
                Padding::SameLower => Ok(same(axis, true)),
            }
        })
        .collect()
}

fn explicit(axis: Axis, (before, after): (usize, usize), ceil: bool) -> Forward<Axis> {
    let padded = axis.size + before + after;
    let Some(room) = padded.checked_sub(axis.extent()) else {
        let value = format!("{} taps {} apart", axis.kernel, axis.dilation);
        let expected = format!("the padded input has only {padded} pixels in this direction");
        return Err(impossible("a kernel", value, expected));
    };
    let mut outputs = if ceil { room.div_ceil(axis.stride) } else { room / axis.stride } + 1;
    if (outputs - 1) * axis.stride >= axis.size + before && ceil {
        outputs -= 1;
    }
    Ok(Axis { before, after, outputs, ..axis })
}

/// As many windows as there are steps in the input. An odd pixel of padding goes before the input
/// with `lower`.
fn same(axis: Axis, lower: bool) -> Axis {
    let axis = Axis { outputs: axis.size.div_ceil(axis.stride), ..axis };
    let padding = axis.covered().saturating_sub(axis.size);
    let (less, more) = (padding / 2, padding - padding / 2);
    let (before, after) = if lower { (more, less) } else { (less, more) };
    Axis { before, after, ..axis }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(
        size: usize,
        kernel: usize,
        stride: usize,
        pads: (usize, usize),
        ceil: bool,
    ) -> usize {
        let window = Window {
            stride: vec![stride],
            padding: Padding::Explicit(vec![pads]),
            ..Window::new(1)
        };
        axes(&window, &[size], &[kernel], ceil).unwrap()[0].outputs
    }

    #[test]
    fn the_last_window_of_ceil_mode_begins_in_the_image() {
        assert_eq!(outputs(5, 2, 2, (0, 0), false), 2);
        assert_eq!(outputs(5, 2, 2, (0, 0), true), 3);
        // It would begin in the padding behind the image.
        assert_eq!(outputs(4, 3, 3, (0, 1), true), 2);
        assert_eq!(outputs(3, 1, 3, (0, 1), true), 1);
        assert_eq!(outputs(3, 1, 3, (0, 1), false), 2);
    }

    #[test]
    fn same_padding_gives_an_output_for_each_step() {
        let same = |padding| {
            let window = Window { stride: vec![2], padding, ..Window::new(1) };
            let axis = axes(&window, &[6], &[3], false).unwrap()[0];
            (axis.before, axis.after, axis.outputs)
        };
        assert_eq!(same(Padding::SameUpper), (0, 1, 3));
        assert_eq!(same(Padding::SameLower), (1, 0, 3));
    }

    #[test]
    fn impossible_windows_are_refused_without_overflow() {
        let all = |number: usize| Window {
            stride: vec![number],
            padding: Padding::Explicit(vec![(0, 0)]),
            dilation: vec![number],
            groups: 1,
        };
        assert!(axes(&all(0), &[4], &[2], false).is_err());
        assert!(axes(&all(usize::MAX), &[4], &[2], false).is_err());
        assert!(axes(&all(MAX_ELEMENTS), &[4], &[MAX_ELEMENTS], false).is_err());
        assert!(axes(&all(1), &[4, 4], &[2, 2], false).is_err());
        assert!(axes(&all(1), &[0], &[1], false).is_err());
    }
}
